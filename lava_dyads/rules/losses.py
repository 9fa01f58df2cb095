"""Losses per sample: value, gradient l'(s) and proximal point.

All three are per sample (row). The mean over a batch is taken where the weights are updated,
never inside the nudge: otherwise the effective beta would be beta / batch.
A new loss is one entry of ``LOSSES``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import ValidationError, invalid, message, nearest
from lava_dyads.rules.namespaces import Namespace


class Loss(Protocol):
    """A loss of outputs s (lanes, n) against targets y (lanes, n)."""

    name: str
    separable: bool

    def value(self, s: Array, y: Array) -> Array:
        """Return the loss of every sample, shape (lanes,)."""

    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return l'(s) per sample, shape (lanes, n), in a namespace (``rules.namespaces``)."""

    def proximal(self, a: Array, y: Array, c: float) -> Array:
        """Return the stationary point z = a - c l'(z), shape (lanes, n)."""

    def check_proximal(self, c: float) -> None:
        """Raise where the proximal point with strength c does not exist."""


class SquaredError:
    """l(s) = 1/2 |s - y|^2, l'(s) = s - y; proximal point (a + c y) / (1 + c), c > -1."""

    name = "squared-error"
    separable = True

    def value(self, s: Array, y: Array) -> Array:
        """Return 1/2 |s - y|^2 per sample."""
        return np.asarray(0.5 * np.sum((s - y) ** 2, axis=-1))

    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return s - y."""
        return s - y

    def proximal(self, a: Array, y: Array, c: float) -> Array:
        """Return (a + c y) / (1 + c): c = alpha beta for plus, -(1 - alpha) beta for minus."""
        return (a + c * y) / (1.0 + c)

    def check_proximal(self, c: float) -> None:
        """Raise unless c > -1, i.e. (1 - alpha) beta < 1 (DP)."""
        if c <= -1.0:
            invalid(
                "nudge",
                "the proximal squared error needs (1 - alpha) * beta < 1",
                -c,
                "a smaller beta, a larger alpha, or --nudge linearised",
            )


class CrossEntropy:
    """Softmax cross-entropy on logits: l(s) = -sum y log softmax(s), l'(s) = softmax(s) - y."""

    name = "cross-entropy"
    separable = False
    _iterations = 200

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

    def proximal(self, a: Array, y: Array, c: float) -> Array:
        """Iterate z <- a - c (softmax(z) - y), a contraction for |c| < 2, to its fixed point."""
        z = a
        for _ in range(self._iterations):
            previous, z = z, a - c * self.gradient(z, y)
            if np.max(np.abs(z - previous), initial=0.0) <= 1e-15 * (1 + np.max(np.abs(z))):
                break
        return z

    def check_proximal(self, c: float) -> None:
        """Raise unless |c| < 2, where the iteration is a contraction."""
        if abs(c) >= 2.0:
            invalid(
                "nudge",
                "the proximal cross-entropy needs alpha * beta and (1 - alpha) * beta < 2",
                abs(c),
                "a smaller beta, or --nudge linearised",
            )


LOSSES: dict[str, Loss] = {loss.name: loss for loss in (SquaredError(), CrossEntropy())}
"""Every loss by name: squared-error, cross-entropy."""


def loss(name: str) -> Loss:
    """Return the loss of that name.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names.
    """
    if name not in LOSSES:
        raise ValidationError(message("loss", "unknown name", name, nearest(name, LOSSES)))
    return LOSSES[name]
