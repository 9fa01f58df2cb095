"""Gradient descent in the chip's arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Positive
from lava_dyads.errors import invalid
from lava_dyads.rules.arithmetic.limits import DECIMATION, EXPONENT_MIN
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.optimisers.base import Optimiser


@dataclass(frozen=True)
class ChipSGD(Optimiser):
    """Gradient descent in the chip's arithmetic, with rate and decay that fall linearly.

    w <- (1 - lambda(t)) w - eta(t) g with lambda(t) = lambda eta(t) / eta: a decay that stayed
    would win over a rate that falls. The number system rounds rate and decay to a mantissa of 3
    bits and the step stochastically; this is what it stands for.
    """

    name: ClassVar[str] = "sgd"
    slots: ClassVar[int] = 0

    learning_rate: Positive = 2.0**-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight_decay:
            limit = "the chip's decay does not follow the rate"
            invalid("weight_decay", limit, self.weight_decay, "decay")
        least = 2.0 ** -(DECIMATION.value - EXPONENT_MIN.value)
        if 0 < self.decay < least:
            limit = f"the chip's smallest is 2^-16 = {least:.3g}"
            invalid("decay", limit, self.decay, f"{least:.3g}")
        if self.decay > 7 / 8:
            invalid("decay", "the chip's largest is 7/8", self.decay, "0.001")

    def decay_at(self, step: int) -> float:
        """Return lambda at an update, counted from 1."""
        return self.decay * self._left(step)

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -eta g."""
        scale, rate = numbers
        return gradient * (-rate * scale), ()
