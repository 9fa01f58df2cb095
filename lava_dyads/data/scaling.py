"""Columns in units of their own: an offset and a scale each, learnt on some rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.checks import real_array
from lava_dyads.choices import SCALINGS
from lava_dyads.errors import invalid, nearest


@dataclass(frozen=True)
class Scaling:
    """Columns are shown as (x - offset) / scale.

    Parameters
    ----------
    offset, scale : arrays, shape (columns,)
        In units of the columns; a scale of 0 is refused.

    Examples
    --------
    >>> learnt = Scaling.learn([[1.0, 5.0], [3.0, 5.0]], "min-max")
    >>> learnt.apply([[2.0, 5.0]])
    array([[0.5, 0. ]])
    >>> learnt.undo([[0.5, 0.0]])
    array([[2., 5.]])
    """

    offset: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("offset", "scale"):
            array = real_array(getattr(self, name), f"Scaling.{name}", 1)
            object.__setattr__(self, name, array)
        if self.offset.shape != self.scale.shape:
            got = self.offset.shape, self.scale.shape
            invalid("Scaling", "needs an offset and a scale for each column", got)
        if not np.all(self.scale > 0):
            invalid("Scaling.scale", "must be positive", float(self.scale.min()), "1")

    @classmethod
    def learn(cls, rows: object, kind: str = "standard", weights: object = None) -> Scaling:
        """Return the scaling of some rows; columns that are constant keep a scale of 1.

        Parameters
        ----------
        rows : array, shape (rows, columns)
        kind : str
            One of ``SCALINGS``.
        weights : array, shape (rows,), or None
            How often a row counts, for mean and deviation.
        """
        if kind not in SCALINGS:
            invalid("scaling", "unknown name", kind, nearest(kind, SCALINGS))
        x = real_array(rows, "rows", 2)
        if kind == "none":
            return cls(np.zeros(x.shape[1]), np.ones(x.shape[1]))
        if kind == "standard":
            w = np.ones(len(x)) if weights is None else real_array(weights, "weights", 1)
            offset = _mean(x, w, 0.0, 1)
            scale = np.sqrt(_mean(x, w, offset, 2))
        else:
            offset = x.min(axis=0)
            scale = x.max(axis=0) - offset
        # What is left of a constant column is rounding of its mean.
        flat = scale <= 1e-14 * np.abs(x).max(axis=0, initial=0.0)
        return cls(offset, np.where(flat, 1.0, scale))

    def apply(self, rows: object) -> NDArray[np.float64]:
        """Return rows as they are shown, (rows, columns)."""
        x = np.asarray(rows, np.float64)
        return (x - self.offset) / self.scale

    def undo(self, rows: object) -> NDArray[np.float64]:
        """Return shown rows in their own units."""
        return np.asarray(rows, np.float64) * self.scale + self.offset

    def as_dict(self) -> dict[str, list[float]]:
        """Return it for JSON."""
        return {"offset": self.offset.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Scaling:
        """Return what :meth:`as_dict` has written."""
        return cls(held.get("offset", ()), held.get("scale", ()))


def _mean(
    x: NDArray[np.float64], weights: NDArray[np.float64], offset: Any, power: int
) -> NDArray[np.float64]:
    """Return the mean of (x - offset)^power by columns.

    In the longest numbers there are: so a row of weight 2 counts as one that is there twice, to
    the last bit.
    """
    total = np.zeros(x.shape[1], np.longdouble)
    for start in range(0, len(x), _PIECE):
        rows = slice(start, start + _PIECE)
        part = (x[rows] - offset).astype(np.longdouble) ** power
        total += (part * weights[rows, None]).sum(axis=0)
    return np.asarray(total / weights.sum(), np.float64)


_PIECE = 4096
"""Rows that are looked at at a time: a copy of all in longer numbers would not fit."""
