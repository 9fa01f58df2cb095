"""From the values of the data to those that a network is shown, learnt on the training part."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import entries
from lava_dyads.data.scaling import Scaling
from lava_dyads.errors import DataError, invalid, message, nearest

SCALINGS = {
    "none": "as they are",
    "standard": "to mean 0 and deviation 1 of every feature",
    "min-max": "to 0 .. 1 of every feature",
    "bytes": "by 1/255",
}
"""Kinds of scaling, and what they make of the values."""

BYTE = 255.0

BRIGHT, PIXELS = 128, 64
"""A table of at least so many columns, all whole numbers of 0 .. 255, some brighter: images."""


@dataclass(frozen=True, eq=False)
class Preparation:
    """Missing values become the mean of their feature; then all are scaled.

    Parameters
    ----------
    kind : str
        One of ``SCALINGS``.
    fills : bool
        Whether missing values (nan) become the mean of their feature; else there must be none.
    scaling : Scaling or None
        As learnt; None: nothing has been learnt, or is to be.
    means : array, shape (features,), or None
        Likewise.

    Examples
    --------
    >>> learnt = Preparation("standard").learnt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> learnt(np.array([[2.0, 40.0]]))
    array([[0., 2.]])
    """

    kind: str = "none"
    fills: bool = False
    scaling: Scaling | None = None
    means: Array | None = None

    def __post_init__(self) -> None:
        if self.kind not in SCALINGS:
            invalid("scaling", "unknown name", self.kind, nearest(self.kind, SCALINGS))

    @property
    def is_learnt(self) -> bool:
        """Whether all is known that is to be learnt."""
        scaled = self.scaling is not None or self.kind == "none"
        return scaled and (self.means is not None or not self.fills)

    @property
    def key(self) -> dict[str, Any]:
        """What it is before anything is learnt, as what JSON knows."""
        return {"kind": self.kind, "fills": self.fills}

    def learnt(self, x: Array) -> Preparation:
        """Return what is learnt from rows of the training part; itself, where it is already.

        Parameters
        ----------
        x : array, shape (rows, features)

        Raises
        ------
        DataError
            If a feature has no value in them.
        """
        if self.is_learnt:
            return self
        means = self._means(x) if self.fills else None
        scaling = None
        if self.kind == "bytes":
            scaling = Scaling(np.zeros(x.shape[1]), np.full(x.shape[1], BYTE))
        elif self.kind != "none":
            scaling = Scaling.learn(x if means is None else _filled(x, means), self.kind)
        return replace(self, scaling=scaling, means=means)

    def _means(self, x: Array) -> Array:
        with warnings.catch_warnings():  # a feature without values is named below
            warnings.simplefilter("ignore", RuntimeWarning)
            means: Array = np.nanmean(x, axis=0)
        empty = np.flatnonzero(np.isnan(means))
        if len(empty):
            limit = "has no value in the training part"
            hint = "to leave it out (--ignore)"
            raise DataError(message(f"feature {empty[0]}", limit, float("nan"), hint))
        return means

    def __call__(self, x: Array) -> Array:
        """Return rows as a network is shown them.

        Raises
        ------
        ValidationError
            If it has not been learnt, or of another number of features.
        """
        if not self.is_learnt:
            limit = "has to be learnt on the training part first"
            invalid("preparation", limit, self.kind, "preparation.learnt(x[train])")
        for width in self._widths():
            if width != x.shape[-1]:
                invalid("preparation", f"was learnt of {width} features", x.shape, "the same")
        if self.means is not None:
            x = _filled(x, self.means)
        return x if self.scaling is None else self.scaling.apply(x)

    def _widths(self) -> set[int]:
        learnt = (self.means, None if self.scaling is None else self.scaling.offset)
        return {len(array) for array in learnt if array is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        made = self.key
        if self.scaling is not None:
            made["scaling"] = self.scaling.as_dict()
        if self.means is not None:
            made["means"] = self.means.tolist()
        return made

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Preparation:
        """Return what :meth:`as_dict` has described.

        Raises
        ------
        ValidationError
            If it is something else.
        """
        others = {"fills": bool, "scaling": Mapping[str, Any], "means": tuple[float, ...]}
        known = entries(held, "preparation", {"kind": str}, others)
        scaling = Scaling.from_dict(known["scaling"]) if "scaling" in known else None
        means = np.array(known["means"], float) if "means" in known else None
        made = cls(known["kind"], known.get("fills", False), scaling, means)
        if not made.is_learnt or len(made._widths()) > 1:
            invalid("preparation", "needs what it has learnt", sorted(known), "another checkpoint")
        return made


NOTHING = Preparation()
"""Values are shown as they are."""


def chosen(x: Array, images: bool) -> str:
    """Return the scaling that fits values where none is asked for.

    Parameters
    ----------
    x : array, shape (rows, features)
    images : bool
        Whether they are known to be pixels.
    """
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    if low >= 0 and high <= 1:
        return "none"
    if low >= 0 and high <= BYTE and (images or (x.shape[1] >= PIXELS and high >= BRIGHT)):
        whole = np.nan_to_num(x)
        if np.array_equal(whole, np.rint(whole)):
            return "bytes"
    return "standard"


def described(
    x: Array, asked: str, fills: bool, images: bool = False
) -> tuple[Preparation, tuple[str, ...]]:
    """Return the scaling that is asked for, or fits; and a line on it, where there is one.

    Parameters
    ----------
    x : array, shape (rows, features)
    asked : str
        ``auto``, or one of ``SCALINGS``.
    fills : bool
        Whether missing values become the mean of their feature.
    images : bool
        Whether the values are known to be pixels.
    """
    kind = chosen(x, images) if asked == "auto" else asked
    if kind == "none":
        return Preparation(kind, fills), ()
    way = "; --scaling none leaves them" if asked == "auto" else ""
    return Preparation(kind, fills), (f"inputs are scaled {SCALINGS[kind]} ({kind}){way}",)


def _filled(x: Array, means: Array) -> Array:
    gaps = np.isnan(x)
    return np.where(gaps, means, x) if gaps.any() else x
