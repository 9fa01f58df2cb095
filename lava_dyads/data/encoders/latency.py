"""Time to first spike: the brighter a pixel, the earlier its one event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lava_dyads.data.encoders.image import checked
from lava_dyads.data.events import Events, stream
from lava_dyads.errors import invalid


@dataclass(frozen=True)
class Latency:
    """One event per pixel above the threshold, at a time linear in its value v.

    t = T (1 - v) for v > threshold, rounded to microseconds; no event else. :meth:`decode` is the
    inverse: v = 1 - t / T, within 1 / (2 T).

    Parameters
    ----------
    duration : int
        T > 0, microseconds.
    threshold : float
        Largest value without an event, in [0, 1).

    Examples
    --------
    >>> Latency(100).encode([[1.0, 0.0, 0.25]])[["t", "x"]].tolist()
    [(0, 0), (75, 2)]
    """

    duration: int = 100_000
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if not self.duration > 0:
            invalid("Latency.duration", "must be positive (microseconds)", self.duration, "100000")
        if not 0 <= self.threshold < 1:
            invalid("Latency.threshold", "must lie in [0, 1)", self.threshold, "0")

    def encode(self, image: ArrayLike) -> Events:
        """Return the events of an image (rows, columns) of values in [0, 1].

        Raises
        ------
        ValidationError
            If the image has another shape or range.
        """
        values = checked("Latency", image)
        y, x = np.nonzero(values > self.threshold)
        return stream(self.duration * (1.0 - values[y, x]), y, x)

    def decode(self, events: Events, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the image of a stream, (rows, columns); 0 where there is no event."""
        image = np.zeros(shape)
        image[events["y"], events["x"]] = 1.0 - events["t"] / self.duration
        return image
