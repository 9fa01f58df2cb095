"""Activation functions f, their derivatives and their kinks.

Each f is the gradient map (dG)^-1 of a convex potential G (DP), so it is monotone.
A new activation is one entry of ``ACTIVATIONS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.errors import ValidationError, message, nearest


class Function(Protocol):
    """f: array -> array of the same shape, dimensionless; into ``out`` if one is given."""

    def __call__(self, a: Array, /, out: Array | None = None) -> Array:
        """Return f(a)."""


class Map(Protocol):
    """Array -> array of the same shape."""

    def __call__(self, a: Array, /) -> AnyArray:
        """Return the value of each entry."""


@dataclass(frozen=True)
class Activation:
    """A monotone element-wise function.

    Attributes
    ----------
    name : str
        Its name in specifications and on the command line.
    f : callable
        Array -> array of the same shape, dimensionless; writes into ``out`` if one is given.
    derivative : callable
        f'(a) of the pre-activation a; at a kink the value of the left piece, so relu'(0) = 0.
    piece : callable
        The number of the linear piece that an output f(a) lies on (0 where f is smooth): two
        compartments on different pieces *straddle* a kink, and only then is the difference
        of a dyad not exactly f'(a) times its nudge.
    gain : float
        Gain of the initial weights that keeps the variance of activity over layers.
    """

    name: str
    f: Function
    derivative: Map
    piece: Map
    gain: float


def _relu(a: Array, out: Array | None = None) -> Array:
    return np.asarray(np.maximum(a, 0, out=out))


def _relu_derivative(a: Array) -> Array:
    return (a > 0).astype(a.dtype)


def _hard_sigmoid(a: Array, out: Array | None = None) -> Array:
    return np.asarray(np.clip(a, 0.0, 1.0, out=out))


def _hard_sigmoid_derivative(a: Array) -> Array:
    return ((a > 0) & (a < 1)).astype(a.dtype)


def _tanh_derivative(a: Array) -> Array:
    return 1.0 - np.tanh(a) ** 2


def _linear(a: Array, out: Array | None = None) -> Array:
    if out is None:
        return a
    if out is not a:
        out[...] = a
    return out


def _relu_piece(s: Array) -> AnyArray:
    return s > 0


def _hard_sigmoid_piece(s: Array) -> AnyArray:
    return (s > 0).astype(np.int8) + (s >= 1)


def _smooth(s: Array) -> AnyArray:
    return np.zeros(s.shape, np.int8)


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("relu", _relu, _relu_derivative, _relu_piece, float(np.sqrt(2.0))),
        Activation(
            "hard-sigmoid",
            _hard_sigmoid,
            _hard_sigmoid_derivative,
            _hard_sigmoid_piece,
            float(np.sqrt(2.0)),
        ),
        Activation("tanh", np.tanh, _tanh_derivative, _smooth, 1.0),
        Activation("linear", _linear, np.ones_like, _smooth, 1.0),
    )
}
"""Every activation by name: relu max(a, 0), hard-sigmoid clip(a, 0, 1), tanh, linear."""


def activation(name: str) -> Activation:
    """Return the activation of that name.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names.
    """
    if name not in ACTIVATIONS:
        raise ValidationError(
            message("activation", "unknown name", name, nearest(name, ACTIVATIONS))
        )
    return ACTIVATIONS[name]
