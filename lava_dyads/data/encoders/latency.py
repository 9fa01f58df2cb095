"""Time to first spike: the brighter a pixel, the earlier its one event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lava_dyads.checks import check_fields
from lava_dyads.data.encoders.image import checked
from lava_dyads.data.events import Events, stream
from lava_dyads.kinds import Limit

_DURATION = Limit("must be positive (microseconds)", "100000", lambda v: v > 0)
_THRESHOLD = Limit("must lie in [0, 1)", "0", lambda v: 0 <= v < 1)


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

    duration: Annotated[int, _DURATION] = 100_000
    threshold: Annotated[float, _THRESHOLD] = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

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
