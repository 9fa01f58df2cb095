"""Streams of events: a numpy structured array, one row per event, in the order of time."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

EVENT = np.dtype([("t", np.int64), ("x", np.int16), ("y", np.int16), ("polarity", np.int8)])
"""Time in microseconds, column and row of the pixel, +1 (brighter) or -1 (darker)."""

Events: TypeAlias = NDArray[np.void]


def stream(
    t: NDArray[np.floating[Any]], y: NDArray[np.int64], x: NDArray[np.int64], polarity: object = 1
) -> Events:
    """Return events in the order of time, those of one moment by row and column.

    Parameters
    ----------
    t : array
        Microseconds; rounded to whole ones.
    y, x : int arrays
        Rows and columns.
    polarity : int or int array
        +1 or -1.
    """
    events = np.zeros(len(t), EVENT)
    events["t"], events["y"], events["x"] = np.rint(t), y, x
    events["polarity"] = polarity
    ordered: Events = events[np.lexsort((events["x"], events["y"], events["t"]))]
    return ordered


def frames(
    events: Events, shape: tuple[int, int], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sum of polarities per time bin and pixel, (bins, rows, columns).

    Parameters
    ----------
    events : structured array
    shape : (rows, columns)
    edges : array (bins + 1,)
        Bin i is edges[i] <= t < edges[i + 1], microseconds; what lies outside is left out.

    Examples
    --------
    >>> events = stream(np.array([5.0, 20.0]), np.array([0, 1]), np.array([1, 0]), [1, -1])
    >>> frames(events, (2, 2), np.array([0.0, 10.0, 30.0])).tolist()
    [[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [-1.0, 0.0]]]
    """
    bins = np.searchsorted(edges, events["t"], side="right") - 1
    made = np.zeros((len(edges) - 1, *shape))
    inside = (bins >= 0) & (bins < len(made))
    chosen = events[inside]
    np.add.at(made, (bins[inside], chosen["y"], chosen["x"]), chosen["polarity"])
    return made
