"""The Huber loss: a squared error that outliers cannot rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Positive, check_fields
from lava_dyads.rules.losses.base import Loss, register
from lava_dyads.rules.namespaces import Namespace


@register
@dataclass(frozen=True)
class Huber(Loss):
    """Of each error e = s - y: e^2 / 2 up to |e| = delta, then delta (|e| - delta / 2).

    l'(s) = e within [-delta, delta]; Huber, Annals of Mathematical Statistics 35, 1964. ``huber:2``
    is the one with delta 2, in units of the targets (for values: of their standard deviation, see
    ``TrainingConfig.scale_targets``).

    Parameters
    ----------
    delta : float
        Error from which on the pull grows no more.
    """

    delta: Positive = 1.0

    name = "huber"
    option = "delta"
    closed_form = True

    def __post_init__(self) -> None:
        check_fields(self)

    def value(self, s: Array, y: Array) -> Array:
        """Return the sum over outputs, per sample: |clipped| (|e| - |clipped| / 2)."""
        error = np.abs(s - y)
        clipped = np.minimum(error, self.delta)
        return np.asarray(np.sum(clipped * (error - 0.5 * clipped), axis=-1))

    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return the error within [-delta, delta]."""
        return xp.clip(s - y, -self.delta, self.delta)  # type: ignore[no-any-return]

    def proximal(self, a: Array, y: Array, c: float) -> Array:
        """Return y + e / (1 + c) where that error is within delta, else a -+ c delta."""
        near, far = (a - y) / (1.0 + c), self.gradient(a, y)
        return np.where(np.abs(near) <= self.delta, y + near, a - c * np.sign(far) * self.delta)
