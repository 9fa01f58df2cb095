"""Rate code: the brighter a pixel, the more often it fires."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lava_dyads.checks import Count, Natural, Positive, check_fields
from lava_dyads.data.encoders.image import checked
from lava_dyads.data.events import Events, stream
from lava_dyads.errors import invalid


@dataclass(frozen=True)
class Rate:
    """Independent events in time bins, with a probability proportional to the value v.

    In each of n = T / dt bins a pixel has one event, in the middle of the bin, with probability
    p v, p = rate dt. :meth:`decode` is the estimate count / (n p): unbiased, of variance
    v (1 - p v) / (n p).

    Parameters
    ----------
    duration : int
        T, microseconds; a multiple of ``bin``.
    bin : int
        dt, microseconds.
    rate : float
        Events per second of a pixel of value 1; rate dt must not exceed 1.
    seed : int
        The same seed gives the same events.
    """

    duration: Count = 100_000
    bin: Count = 1000
    rate: Positive = 200.0
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.duration < self.bin or self.duration % self.bin:
            limit = "duration must be a multiple of bin (microseconds)"
            invalid("Rate", limit, (self.duration, self.bin), "100000 and 1000")
        if not self.probability <= 1:
            invalid("Rate.rate", "rate * bin must lie in (0, 1]", self.probability, "a smaller bin")

    @property
    def probability(self) -> float:
        """Probability p of an event of a pixel of value 1 in a bin."""
        return self.rate * self.bin * 1e-6

    @property
    def bins(self) -> int:
        """Number of bins n."""
        return self.duration // self.bin

    def encode(self, image: ArrayLike) -> Events:
        """Return the events of an image (rows, columns) of values in [0, 1].

        Raises
        ------
        ValidationError
            If the image has another shape or range.
        """
        values = checked("Rate", image)
        drawn = np.random.default_rng(self.seed).random((self.bins, *values.shape))
        bins, y, x = np.nonzero(drawn < self.probability * values)
        return stream((bins + 0.5) * self.bin, y, x)

    def decode(self, events: Events, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the estimated image, (rows, columns)."""
        counts = np.zeros(shape)
        np.add.at(counts, (events["y"], events["x"]), 1.0)
        return counts / (self.bins * self.probability)
