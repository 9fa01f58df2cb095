"""The heavy ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Positive
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.optimisers.base import Fading, Optimiser, register


@register
@dataclass(frozen=True)
class Momentum(Optimiser):
    """Heavy ball: v <- mu v + g;  w <- w - eta v, eta 0.05 by default.

    Parameters
    ----------
    momentum : float
        Share mu of the velocity that is left after an update, in [0, 1).
    """

    name: ClassVar[str] = "momentum"
    slots: ClassVar[int] = 1
    in_place: ClassVar[bool] = True

    learning_rate: Positive = 0.05
    momentum: Fading = 0.9

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -eta v with the new v."""
        scale, rate = numbers
        velocity = state[0] * self.momentum
        velocity += xp.multiply(gradient, scale)  # an array of its own
        return xp.multiply(velocity, -rate), (velocity,)
