"""From events to frames: two polarities apart, binned in time, rows and columns brought together.

A recording of events e = (t, x, y, p) becomes frames F[k, c, i, j], c = 0 of brighter and c = 1 of
darker ones, of pixels (i, j) that are ``shrink`` x ``shrink`` of the sensor's::

    n[k, c, i, j] = events of bin k in the pixels there
    N[k] = n[0] + ... + n[k]     (``accumulate``; else N = n)
    F = min(N, peak) / peak      (``values="sign"``: F = 1 wherever N > 0)

Summed up, frames differ from one to the next by what has happened meanwhile: shown as a stream,
a network is sent the events, and nothing else (docs/events.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.checks import Count, Natural, check_fields
from lava_dyads.choices import BinEdges, EventValues
from lava_dyads.data.events import Events
from lava_dyads.errors import invalid

MOST = 1000
"""Frames of a recording."""


@dataclass(frozen=True)
class Binning:
    """How events become frames.

    Parameters
    ----------
    bins : int
        Frames of a recording.
    window : int
        Not 0: microseconds of a bin, of which there are then as many as a recording takes. Shorter
        ones hold their last frame, so that all have as many.
    edges : str
        ``time``: bins of equal duration, from the first event to the last; ``count``: of equally
        many events.
    shrink : int
        Pixels of the sensor, to the right and down, that are one.
    values : str
        ``count``, or ``sign``: whether there was an event.
    accumulate : bool
        A frame holds the events of all bins up to its own.
    peak : int
        Events of a pixel at which it is 1; more are cut off. Unused with ``sign``.

    Raises
    ------
    ValidationError
        If a value is out of range or a name unknown.

    Examples
    --------
    >>> from lava_dyads.data.events import stream
    >>> t, y, x = np.array([0.0, 4.0, 9.0]), np.array([0, 1, 1]), np.array([1, 0, 0])
    >>> frames = Binning(2, peak=1).frames(stream(t, y, x, [1, -1, 1]), (2, 2))
    >>> frames.reshape(2, -1).tolist()
    [[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]
    """

    bins: Count = 8
    window: Natural = 0
    edges: BinEdges = "time"
    shrink: Count = 1
    values: EventValues = "count"
    accumulate: bool = True
    peak: Count = 4

    def __post_init__(self) -> None:
        check_fields(self)

    def shape(self, sensor: tuple[int, int]) -> tuple[int, int, int]:
        """Return (2, rows, columns) of a frame; what is left at the edges is a pixel, too."""
        rows, columns = (-(-n // self.shrink) for n in sensor)
        return 2, rows, columns

    def counts(self, events: Events, sensor: tuple[int, int]) -> NDArray[np.int64]:
        """Return N, (bins, 2, rows, columns), of events in the order of time."""
        t = events["t"] - events["t"][:1]
        duration, count = int(t[-1]) + 1 if len(t) else 1, self.bins
        if self.window:
            count = -(-duration // self.window)
            if count > MOST:
                hint = f"window {-(-duration // MOST)} or more"
                invalid("Binning.window", f"gives more than {MOST} bins", self.window, hint)
            bins = t // self.window
        elif self.edges == "count":
            bins = np.arange(len(t)) * count // max(1, len(t))
        else:
            bins = t * count // duration
        shape = count, *self.shape(sensor)
        y, x = events["y"].astype(np.int64), events["x"].astype(np.int64)
        if self.shrink > 1:
            y, x = y // self.shrink, x // self.shrink
        darker = events["polarity"] < 0
        places = ((bins * 2 + darker) * shape[2] + y) * shape[3] + x
        counts = np.bincount(places, minlength=int(np.prod(shape))).reshape(shape)
        return np.cumsum(counts, axis=0) if self.accumulate else counts

    def scaled(self, counts: NDArray[Any]) -> NDArray[np.float32]:
        """Return F of N."""
        if self.values == "sign":
            return np.asarray(counts > 0, np.float32)
        return np.asarray(np.minimum(counts, self.peak) / self.peak, np.float32)

    def frames(self, events: Events, sensor: tuple[int, int]) -> NDArray[np.float32]:
        """Return F, (bins, 2, rows, columns), of events in the order of time."""
        return self.scaled(self.counts(events, sensor))
