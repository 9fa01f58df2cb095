"""Binary cross-entropy: any number of labels, each there or not."""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.rules.losses.base import Loss, logistic, register
from lava_dyads.rules.namespaces import Namespace


@register
class BinaryCrossEntropy(Loss):
    """Sigmoid cross-entropy on logits, a sum over outputs.

    l(s) = sum_i log(1 + exp(s_i)) - y_i s_i, l'(s) = 1 / (1 + exp(-s)) - y, of slope at most 1/4.
    """

    name = "binary-cross-entropy"
    boundary = 0.0
    curvature = 0.25
    tasks = ("classes", "labels")

    def value(self, s: Array, y: Array) -> Array:
        """Return sum_i log(1 + exp(s_i)) - y_i s_i per sample (nats)."""
        return np.asarray(np.sum(np.logaddexp(0.0, s) - y * s, axis=-1))

    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return 1 / (1 + exp(-s)) - y."""
        return logistic(s, xp) - y
