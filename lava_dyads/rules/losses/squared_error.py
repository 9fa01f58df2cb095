"""The squared error."""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.rules.losses.base import Loss, register
from lava_dyads.rules.namespaces import Namespace


@register
class SquaredError(Loss):
    """l(s) = 1/2 |s - y|^2, l'(s) = s - y; proximal point (a + c y) / (1 + c), c > -1."""

    name = "squared-error"
    closed_form = True

    def value(self, s: Array, y: Array) -> Array:
        """Return 1/2 |s - y|^2 per sample."""
        return np.asarray(0.5 * np.sum((s - y) ** 2, axis=-1))

    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return s - y."""
        return s - y

    def proximal(self, a: Array, y: Array, c: float) -> Array:
        """Return (a + c y) / (1 + c): c = alpha beta for plus, -(1 - alpha) beta for minus."""
        return (a + c * y) / (1.0 + c)
