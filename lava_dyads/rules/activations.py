"""Activation functions f, their derivatives and their kinks.

Each f is the gradient map (dG)^-1 of a convex potential G (DP), so it is monotone.
A new activation is one entry of ``ACTIVATIONS``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.errors import ValidationError, invalid, message, nearest
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

    def partly(self, rate: float) -> Activation | None:
        """Return f_r with f_r((1 - r) f(a) + r a) = f(a) for every a, None where there is none.

        The map (r dG + 1 - r)^-1 of a step that goes a part r of the way (the proximal map of r
        times what f is the proximal map of): itself, where f is a projection.
        """
        return self if self.name in PROJECTIONS else None

    def in_steps(self, unit: float) -> Activation:
        """Return f on integers of which one stands for ``unit``: itself, where f has no width."""
        return self


PROJECTIONS = ("relu", "hard-sigmoid", "linear")
"""Activations with f(f(a) + t (a - f(a))) = f(a) for every t: damping may stand inside of them."""


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


@dataclass(frozen=True)
class _Shrink:
    """a -> a - clip(a, -width, width)."""

    width: float

    def __call__(self, a: Array, xp: Namespace = np) -> Array:
        return a - xp.clip(a, -self.width, self.width)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _ShrinkDerivative:
    """a -> 1 where |a| > width."""

    width: float

    def __call__(self, a: Array, xp: Namespace = np) -> Array:
        passes = (a > self.width) | (a < -self.width)
        return xp.asarray(passes, dtype=a.dtype)  # type: ignore[no-any-return]


def _sign(s: Array, xp: Namespace = np) -> AnyArray:
    return xp.asarray(s > 0, dtype=xp.int8) + 2 * xp.asarray(s < 0, dtype=xp.int8)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SoftThreshold(Activation):
    """S(a) = sign(a) max(|a| - width, 0), the proximal map of width |s|; see `soft_threshold`.

    Attributes
    ----------
    width : float
        Half of the interval that is mapped to 0, in units of the activity.
    """

    width: float = 0.0

    def partly(self, rate: float) -> Activation:
        """Return the soft threshold of width r times this one's."""
        return soft_threshold(rate * self.width)

    def in_steps(self, unit: float) -> Activation:
        """Return the soft threshold whose width is the nearest whole number of units."""
        return soft_threshold(round(self.width / unit))


def soft_threshold(width: float) -> SoftThreshold:
    """Return the soft threshold of a width.

    Examples
    --------
    >>> soft_threshold(0.5).f(np.array([-2.0, 0.25, 1.0]))
    array([-1.5,  0. ,  0.5])
    """
    if not 0 <= width < math.inf:
        invalid("soft-threshold width", "must be at least 0", width, "0.1")
    name, in_steps = "soft-threshold", isinstance(width, int)
    # Half of the variance of S(z), z normal: its gain keeps the variance over layers.
    above = math.erfc(width / math.sqrt(2.0)) / 2
    half = (1 + width**2) * above - width * math.exp(-(width**2) / 2) / math.sqrt(2 * math.pi)
    gain = 1.0 if in_steps or half < 1e-6 else 1 / math.sqrt(2 * half)
    return SoftThreshold(name, _Shrink(width), _ShrinkDerivative(width), _sign, gain, width=width)


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
        soft_threshold(0.1),
    )
}
"""Every activation by name: relu max(a, 0), hard-sigmoid clip(a, 0, 1), tanh, linear, and
soft-threshold sign(a) max(|a| - 0.1, 0)."""


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
