"""Softmax cross-entropy: one class of several."""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.rules.losses.base import Loss, register
from lava_dyads.rules.namespaces import Namespace


@register
class CrossEntropy(Loss):
    """Softmax cross-entropy on logits: l(s) = -sum y log softmax(s), l'(s) = softmax(s) - y.

    The Jacobian of the softmax has no eigenvalue above 1/2.
    """

    name = "cross-entropy"
    separable = False
    curvature = 0.5
    tasks = ("classes",)

    def value(self, s: Array, y: Array) -> Array:
        """Return -sum_i y_i log softmax(s)_i per sample (nats)."""
        shifted = s - s.max(axis=-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return np.asarray(-np.sum(y * logs, axis=-1))

    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return softmax(s) - y."""
        exponentials = xp.exp(s - s.max(axis=-1, keepdims=True))
        # Arrays of its own: where they can be written to, these two lines do.
        exponentials /= exponentials.sum(axis=-1, keepdims=True)
        exponentials -= y
        return exponentials  # type: ignore[no-any-return]
