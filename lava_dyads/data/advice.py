"""What is likely to be a slip in data, said in a line each before they are learned from."""

from __future__ import annotations

import sys
import warnings

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.outcome import listed
from lava_dyads.errors import message

LARGE = 10.0
"""Inputs beyond this are no longer about 0 .. 1, nor of deviation 1."""

SHARE = 0.01
"""Of the inputs that lie beyond."""


def advice(data: Dataset, x: Array, rows: IntArray) -> list[str]:
    """Return lines on what is likely to be a slip.

    Parameters
    ----------
    data : Dataset
    x : array, shape (samples, features)
        As a network is shown them.
    rows : int array
        The training part.
    """
    said = []
    names = data.feature_names
    low, high = x.min(axis=0), x.max(axis=0)
    large = np.flatnonzero(np.maximum(np.abs(low), np.abs(high)) > LARGE)
    if data.preparation.kind == "none" and len(large):
        k = int(large[0])
        where = f"data {data.name}: feature {repr(names[k]) if names else k}"
        got = f"{low[k]:g} .. {high[k]:g}"
        hint = "scaling standard (--scaling standard)"
        said.append(message(where, "is not scaled", got, hint))
    if names:
        flat = np.flatnonzero(x[rows].min(axis=0) == x[rows].max(axis=0))
        if len(flat):
            text = listed([repr(names[k]) for k in flat])
            hint = "to leave it out (--ignore)"
            limit = "constant in the training part, so nothing is learned from it"
            said.append(message(f"data {data.name}", limit, text, hint))
    if data.labels is not None:
        counts = np.bincount(data.labels[rows], minlength=data.classes)
        unused = np.flatnonzero(counts == 0)
        if len(unused):
            text = listed([data.class_names[k] if data.class_names else str(k) for k in unused])
            limit = f"has {data.classes} classes, of which some have no sample to learn from"
            said.append(
                message(f"data {data.name}", limit, text, "classes 0, 1, 2 ... without gap")
            )
    return said


def warn_of(data: Dataset, x: Array, rows: IntArray) -> None:
    """Warn of what is likely to be a slip, from where the package was called."""
    for line in advice(data, x, rows):
        warn_caller(line)


def warn_caller(line: str) -> None:
    """Warn, at the line that has called the package."""
    warnings.warn(line, UserWarning, stacklevel=_depth())


def _depth() -> int:
    """Return how many frames above :func:`warn_caller` the package was called."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back and str(frame.f_globals.get("__name__", "")).startswith("lava_dyads"):
        frame, depth = frame.f_back, depth + 1
    return depth
