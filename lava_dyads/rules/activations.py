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
from lava_dyads.rules.namespaces import Namespace


class Function(Protocol):
    """Array -> array of the same shape, in a namespace (``rules.namespaces``)."""

    def __call__(self, a: Array, /, xp: Namespace = np) -> Array:
        """Return the value of each entry."""


class Map(Protocol):
    """The same, of any type."""

    def __call__(self, a: Array, /, xp: Namespace = np) -> AnyArray:
        """Return the value of each entry."""


@dataclass(frozen=True)
class Activation:
    """A monotone element-wise function.

    Attributes
    ----------
    name : str
        Its name in specifications and on the command line.
    f : callable
        Array -> array of the same shape, dimensionless; of an array and a namespace ``xp``.
    derivative : callable
        f'(a) of the pre-activation a; at a kink the value of the left piece, so relu'(0) = 0.
    piece : callable
        The number of the linear piece that an output f(a) lies on (0 where f is smooth): two
        compartments on different pieces *straddle* a kink, and only then is the difference
        of a dyad not exactly f'(a) times its nudge.
    gain : float
        Gain of the initial weights that keeps the variance of activity over layers.
    in_place : bool
        Whether f reads its argument once, and first: then it may write over it.
    """

    name: str
    f: Function
    derivative: Map
    piece: Map
    gain: float
    in_place: bool = False


def _relu(a: Array, xp: Namespace = np) -> Array:
    return xp.maximum(a, 0)  # type: ignore[no-any-return]


def _relu_derivative(a: Array, xp: Namespace = np) -> Array:
    return xp.asarray(a > 0, dtype=a.dtype)  # type: ignore[no-any-return]


def _relu_piece(s: Array, xp: Namespace = np) -> AnyArray:
    return s > 0


def _hard_sigmoid(a: Array, xp: Namespace = np) -> Array:
    return xp.clip(a, 0.0, 1.0)  # type: ignore[no-any-return]


def _hard_sigmoid_derivative(a: Array, xp: Namespace = np) -> Array:
    return xp.asarray((a > 0) & (a < 1), dtype=a.dtype)  # type: ignore[no-any-return]


def _hard_sigmoid_piece(s: Array, xp: Namespace = np) -> AnyArray:
    return xp.asarray(s > 0, dtype=xp.int8) + (s >= 1)  # type: ignore[no-any-return]


def _tanh(a: Array, xp: Namespace = np) -> Array:
    return xp.tanh(a)  # type: ignore[no-any-return]


def _tanh_derivative(a: Array, xp: Namespace = np) -> Array:
    return 1.0 - xp.tanh(a) ** 2  # type: ignore[no-any-return]


def _linear(a: Array, xp: Namespace = np) -> Array:
    return a


def _one(a: Array, xp: Namespace = np) -> Array:
    return xp.ones_like(a)  # type: ignore[no-any-return]


def _smooth(s: Array, xp: Namespace = np) -> AnyArray:
    return xp.zeros(s.shape, dtype=xp.int8)  # type: ignore[no-any-return]


_ROOT = float(np.sqrt(2.0))

ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("relu", _relu, _relu_derivative, _relu_piece, _ROOT, in_place=True),
        Activation(
            "hard-sigmoid",
            _hard_sigmoid,
            _hard_sigmoid_derivative,
            _hard_sigmoid_piece,
            _ROOT,
            in_place=True,
        ),
        Activation("tanh", _tanh, _tanh_derivative, _smooth, 1.0, in_place=True),
        Activation("linear", _linear, _one, _smooth, 1.0, in_place=True),
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
