"""Number systems. A rule computes through one of them, so that it stands once for all.

Only the operations whose result depends on the number system are here: creating a register,
multiplying by a gain and storing a result back into a register. Additions are plain numpy.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from lava_dyads.errors import invalid
from lava_dyads.rules._types import Array

GRID = 2.0**-8
"""Multiples of it are *exactly representable*: float64 sums and products of a few are exact."""


class Arithmetic(Protocol):
    """What a unit and an op need from a number system."""

    name: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of every register."""

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return a register of zeros."""

    def scale(self, gain: float, value: Array) -> Array:
        """Return gain * value in this number system."""

    def store(self, register: Array, value: Array) -> None:
        """Write value into register, rounded and limited to what it can hold."""


class Float:
    """IEEE floating point.

    Below, eps is the rounding unit of the chosen type. A gradient read from a nudge of size
    beta has relative error of about eps / beta: use beta >= 0.01 in float32.

    Parameters
    ----------
    dtype : dtype-like
        ``float64`` (default) or ``float32``.

    Examples
    --------
    >>> register = Float().zeros((2,))
    >>> Float().store(register, Float().scale(0.5, register + 1))
    >>> register
    array([0.5, 0.5])
    """

    name = "float"

    def __init__(self, dtype: DTypeLike = np.float64) -> None:
        self._dtype = np.dtype(dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of every register."""
        return self._dtype

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return a register of zeros of the given shape."""
        return np.zeros(shape, self._dtype)

    def scale(self, gain: float, value: Array) -> Array:
        """Return gain * value (gain dimensionless)."""
        return gain * value

    def store(self, register: Array, value: Array) -> None:
        """Write value into register."""
        register[...] = value


def on_grid(value: ArrayLike) -> Array:
    """Return the nearest multiples of ``GRID``.

    Examples
    --------
    >>> on_grid([0.1, 0.5])
    array([0.1015625, 0.5      ])
    """
    return np.asarray(np.round(np.asarray(value, float) / GRID) * GRID)


def check_on_grid(what: str, value: ArrayLike) -> None:
    """Raise where a number is no multiple of ``GRID``.

    Raises
    ------
    ValidationError
        Naming the first such entry and the nearest multiple.
    """
    array = np.asarray(value, float)
    bad = np.argwhere(array != on_grid(array))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        entry = f"{what}[{', '.join(map(str, where))}]" if where else what
        got = float(array[where])
        nearest = float(on_grid(got)) or GRID
        limit = "must be a multiple of 2^-8, so that every sum is exact"
        invalid(entry, limit, got, f"{nearest!r}")
