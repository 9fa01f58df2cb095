"""Level crossing: what an event camera sees of an image that moves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lava_dyads.checks import Count, Positive, check_fields, real_array
from lava_dyads.data.encoders.image import checked
from lava_dyads.data.events import Events, stream
from lava_dyads.errors import invalid


def saccades(amplitude: float = 4.0, duration: int = 300_000) -> NDArray[np.float64]:
    """Return the corners of a path in three straight saccades that ends where it began.

    The triangle of N-MNIST: down right, up right, back left, a third of the time each.

    Parameters
    ----------
    amplitude : float
        Width of the triangle, pixels; its height is half of it.
    duration : int
        Of all three, microseconds.

    Returns
    -------
    array (4, 3)
        Time (microseconds), shift to the right and down (pixels) of each corner.
    """
    half = amplitude / 2
    shifts = [(0.0, 0.0), (half, half), (amplitude, 0.0), (0.0, 0.0)]
    return np.array([(duration * i / 3, *shift) for i, shift in enumerate(shifts)])


@dataclass(frozen=True)
class LevelCrossing:
    """An event whenever a pixel of the moving image has changed by the threshold theta.

    The image I is shifted along a path s(t), linear between its corners, with bilinear
    interpolation and black around it: v(t) = I(r - s(t)) at pixel r. It is evaluated every
    ``step`` microseconds, v linear in between. Each pixel keeps a reference level L, at first
    v(0); whenever v = L + p theta with p = +-1: an event of polarity p, and L <- L + p theta.

    So v(t) - v(0) = theta (sum of polarities up to t), within theta: :meth:`decode`.

    Parameters
    ----------
    threshold : float
        theta > 0, in units of the image.
    path : array (corners, 3) or None
        Time (microseconds, from 0, growing), shift right and down (pixels); None: ``saccades()``.
    step : int
        Time between evaluations, microseconds.
    """

    threshold: Positive = 0.2
    path: NDArray[np.float64] | None = None
    step: Count = 1000

    def __post_init__(self) -> None:
        check_fields(self)
        if self.path is not None:
            object.__setattr__(self, "path", real_array(self.path, "LevelCrossing.path"))
        path = self.corners
        if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2:
            limit = "needs two or more rows of time, shift right, shift down"
            invalid("LevelCrossing.path", limit, path.shape)
        if path[0, 0] != 0 or (np.diff(path[:, 0]) <= 0).any():
            times = path[:, 0].tolist()
            invalid("LevelCrossing.path", "times must begin at 0 and grow", times)

    @property
    def corners(self) -> NDArray[np.float64]:
        """The path."""
        return saccades() if self.path is None else np.asarray(self.path, float)

    def moved(self, image: ArrayLike, time: float) -> NDArray[np.float64]:
        """Return v(t), the image at a time (microseconds), (rows, columns)."""
        values = checked("LevelCrossing", image)
        corners = self.corners
        right, down = (float(np.interp(time, corners[:, 0], corners[:, i])) for i in (1, 2))
        return _shifted(_shifted(values, down).T, right).T

    def times(self) -> NDArray[np.float64]:
        """Return the times, in microseconds, at which the image is evaluated, corners included."""
        corners = self.corners[:, 0]
        return np.union1d(np.arange(0, corners[-1], self.step), corners)

    def encode(self, image: ArrayLike) -> Events:
        """Return the events of an image (rows, columns) of values in [0, 1].

        Raises
        ------
        ValidationError
            If the image has another shape or range.
        """
        times, theta = self.times(), self.threshold
        now = self.moved(image, 0.0)
        level = now.copy()
        found = []
        for begin, end in pairwise(times):
            before, now = now, self.moved(image, float(end))
            # Rounding must not turn a change of a whole number of levels into one less.
            count = np.floor(np.abs(now - level) / theta + 1e-9).astype(int)
            sign = np.sign(now - level)
            y, x = np.nonzero(count)
            y, x = np.repeat(y, count[y, x]), np.repeat(x, count[y, x])
            first = np.cumsum(np.r_[0, count[count > 0]])[:-1]
            number = np.arange(len(y)) - np.repeat(first, count[count > 0]) + 1
            crossed = level[y, x] + number * sign[y, x] * theta
            share = (crossed - before[y, x]) / (now - before)[y, x]
            found.append((begin + (end - begin) * np.clip(share, 0, 1), y, x, sign[y, x]))
            level += sign * count * theta
        t, y, x, polarity = (np.concatenate(part) for part in zip(*found, strict=True))
        return stream(t, y, x, polarity)

    def decode(self, events: Events, image: ArrayLike, time: float) -> NDArray[np.float64]:
        """Return the estimate of v(time) from v(0) and the events until then."""
        level = self.moved(image, 0.0)
        seen = events[events["t"] <= time]
        np.add.at(level, (seen["y"], seen["x"]), self.threshold * seen["polarity"])
        return level


def _shifted(values: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """Return rows shifted downwards by a number of pixels, linear between rows, 0 outside."""
    rows = len(values)
    whole = int(np.floor(by))
    share = by - whole
    made = np.zeros_like(values)
    for shift, weight in ((whole, 1.0 - share), (whole + 1, share)):
        if weight and abs(shift) < rows:
            made[max(0, shift) : rows + min(0, shift)] += (
                weight * values[max(0, -shift) : rows - max(0, shift)]
            )
    return made
