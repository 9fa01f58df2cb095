"""Plain gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Positive
from lava_dyads.native.registry import kernel
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.optimisers.base import Optimiser, flat, register


@register
@dataclass(frozen=True)
class SGD(Optimiser):
    """Plain gradient descent: w <- w - eta g, eta 0.1 by default."""

    name: ClassVar[str] = "sgd"
    slots: ClassVar[int] = 0
    in_place: ClassVar[bool] = True

    learning_rate: Positive = 0.1

    def numbers(self, step: int, scale: float = 1.0) -> tuple[float, ...]:
        """Return (-eta(t) scale,)."""
        return (-self.rate(step) * scale,)

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -eta g."""
        return xp.multiply(gradient, numbers[0]), ()

    def update(
        self, weights: Array, gradient: Array, state: Array, step: int, scale: float = 1.0
    ) -> None:
        """Make a step in place, w <- w - eta scale g."""
        compiled = kernel("descend")
        if compiled and flat(weights, gradient):
            numbers = np.array(self.numbers(step, scale), weights.dtype)
            compiled(weights.reshape(-1), gradient.reshape(-1), numbers)
            return
        super().update(weights, gradient, state, step, scale)
