"""What a loss is: value, gradient l'(s) and proximal point, all three per sample (row).

The mean over a batch is taken where the weights are updated, never inside the nudge: otherwise the
effective beta would be beta / batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import invalid
from lava_dyads.rules.namespaces import Namespace


class Loss(ABC):
    """A loss of outputs s (lanes, n) against targets y (lanes, n).

    Attributes
    ----------
    name : str
        In specifications and on the command line.
    option : str
        Field that a specification may give behind a colon (``huber:2``); empty: none.
    separable : bool
        Whether it is a sum over outputs, each with its own target.
    boundary : float
        Output from which on a label of several (0 or 1 each) is said to be there.
    curvature : float
        Largest second derivative.
    closed_form : bool
        Whether the proximal point needs no iteration.
    tasks : tuple of str
        What it can be trained on: ``classes``, ``labels`` (several of them), ``values``.
    """

    name: ClassVar[str]
    option: ClassVar[str] = ""
    separable: ClassVar[bool] = True
    boundary: ClassVar[float] = 0.5
    curvature: ClassVar[float] = 1.0
    closed_form: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("classes", "labels", "values")

    @property
    def label(self) -> str:
        """Name, and the option where it is not the default: :func:`loss` makes it of this."""
        value = getattr(self, self.option) if self.option else None
        plain = value is None or value == getattr(type(self), self.option)
        return self.name if plain else f"{self.name}:{value!r}"

    @abstractmethod
    def value(self, s: Array, y: Array) -> Array:
        """Return the loss of every sample, shape (lanes,)."""

    @abstractmethod
    def gradient(self, s: Array, y: Array, xp: Namespace = np) -> Array:
        """Return l'(s) per sample, shape (lanes, n), in a namespace (``rules.namespaces``)."""

    def proximal(self, a: Array, y: Array, c: float) -> Array:
        """Return the stationary point z = a - c l'(z), by iterating it to its fixed point."""
        z = a
        for _ in range(_ITERATIONS):
            previous, z = z, a - c * self.gradient(z, y)
            if np.max(np.abs(z - previous), initial=0.0) <= 1e-15 * (1 + np.max(np.abs(z))):
                break
        return z

    def check_proximal(self, c: float) -> None:
        """Raise where there is none: unless c > -1 / curvature.

        Where there is no closed form, unless |c| curvature < 1: only so the iteration contracts.
        """
        most = 1.0 / self.curvature
        if c <= -most or (c >= most and not self.closed_form):
            which = "" if self.closed_form else "alpha * beta and "
            limit = f"the proximal {self.name} needs {which}(1 - alpha) * beta < {most:g}"
            invalid("nudge", limit, abs(c), "a smaller beta, or --nudge linearised")


_ITERATIONS = 200

LOSSES: dict[str, Loss] = {}
"""Every loss by name, as it is by default."""

L = TypeVar("L", bound=type[Loss])


def register(cls: L) -> L:
    """Give a loss its name (decorator)."""
    LOSSES[cls.name] = cls()
    return cls


def logistic(s: Array, xp: Namespace = np) -> Array:
    """Return 1 / (1 + exp(-s)), by exponentials that cannot overflow.

    Examples
    --------
    >>> logistic(np.array([0.0, 1000.0, -1000.0]))
    array([0.5, 1. , 0. ])
    """
    small = xp.exp(-abs(s))
    upper = 1.0 / (1.0 + small)
    return xp.where(s >= 0, upper, 1.0 - upper)  # type: ignore[no-any-return]
