"""A simulated event camera, and gestures made before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import Count, Natural, NotNegative, Positive, check_fields
from lava_dyads.data.events import Events, stream
from lava_dyads.errors import invalid, nearest

Video = NDArray[np.float64]

_PIECE = 64
"""Videos that are looked at together: those of all would need gigabytes."""


@dataclass(frozen=True)
class EventCamera:
    """Events wherever the logarithm of the light has changed by a threshold.

    For every pixel, from one image of a video to the next, dt apart, with the light I in [0, 1]::

        l = log(dark + I)                             dark: what a pixel sees without light
        reference L, at first l; threshold theta (1 + spread g), g normal, one per pixel and sign
        while |l - L| >= theta and the pixel is not refractory:
            an event of the sign of l - L, at the moment of the crossing, l being linear in between
            L <- L +- theta;  refractory for so many microseconds, in which L is held
        noise: events of either sign, independent, with a rate per pixel

    Source: the equations of the DVS pixel as simulated by Rebecq, Gehrig, Scaramuzza, *ESIM: an
    open event camera simulator*, CoRL 2018, and Hu, Liu, Delbruck, *v2e: from video frames to
    realistic DVS events*, CVPR workshops 2021.

    Parameters
    ----------
    threshold : float
        theta, in units of the logarithm.
    spread : float
        Relative deviation of the thresholds from pixel to pixel.
    refractory : int
        Microseconds.
    noise : float
        Events per pixel and second.
    dark : float
        Light that a pixel sees without any.
    seed : int
        Of thresholds and noise.
    """

    threshold: Positive = 0.3
    spread: NotNegative = 0.03
    refractory: Natural = 500
    noise: NotNegative = 0.5
    dark: Positive = 0.1
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def record(self, video: Video, duration: int, seed: int | None = None) -> Events:
        """Return the events of a video.

        Parameters
        ----------
        video : array (images, rows, columns)
            Light in [0, 1], at equal distances of time.
        duration : int
            From the first image to the last, microseconds.
        seed : int or None
            Of the noise; None: that of the camera.
        """
        shape = np.shape(video)
        if len(shape) != 3:
            limit = "needs two images or more, (images, rows, columns)"
            invalid("EventCamera.record: video", limit, shape)
        return self.record_all(video[None], duration, [self.seed if seed is None else seed])[0]

    def record_all(self, videos: Video, duration: int, seeds: Sequence[int]) -> list[Events]:
        """Return the events of videos of one size, (n, images, rows, columns), one after the other.

        ``seeds``: of the noise of each; for the others see :meth:`record`.
        """
        if videos.ndim != 4 or videos.shape[1] < 2 or not videos.size:
            limit = "needs two images or more, (images, rows, columns)"
            invalid("EventCamera.record: video", limit, videos.shape[1:])
        if not (videos.min() >= 0 and videos.max() <= 1):
            got = float(videos.min()), float(videos.max())
            invalid("EventCamera.record: video", "must lie in [0, 1]", got, "video / video.max()")
        count, images, *sensor = videos.shape
        logs = np.log(self.dark + np.moveaxis(videos, 1, 0))
        uneven = np.random.default_rng(self.seed).standard_normal((2, *sensor))
        thetas = self.threshold * np.maximum(0.1, 1 + self.spread * uneven)  # brighter, darker
        times = np.linspace(0, duration, images)
        level, free = logs[0].copy(), np.full(logs[0].shape, -np.inf)
        found: list[tuple[AnyArray, ...]] = []
        for k in range(1, images):
            found += _crossed(logs[k - 1 : k + 1], times[k - 1 : k + 1], level, free, thetas,
                              self.refractory)  # fmt: skip
        found += [self._noise(n, sensor, duration, seed) for n, seed in enumerate(seeds)]
        which, t, y, x, sign = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(which, kind="stable")
        ends = np.cumsum(np.bincount(which, minlength=count))[:-1]
        return [stream(t[at], y[at], x[at], sign[at]) for at in np.split(order, ends)]

    def _noise(
        self, number: int, sensor: Sequence[int], duration: int, seed: int
    ) -> tuple[AnyArray, ...]:
        generator = np.random.default_rng(seed)
        rows, columns = sensor
        count = generator.poisson(self.noise * duration * 1e-6 * rows * columns)
        t = generator.uniform(0, duration, count)
        y, x = generator.integers(0, rows, count), generator.integers(0, columns, count)
        return np.full(count, number), t, y, x, generator.choice([-1.0, 1.0], count)


def _crossed(
    logs: Video, times: Video, level: Video, free: Video, thetas: Video, refractory: int
) -> list[tuple[AnyArray, ...]]:
    """Return the events between two images, (video, t, y, x, sign); move levels and free times."""
    found: list[tuple[AnyArray, ...]] = []
    (before, after), (begin, end) = logs, times
    while True:
        change = after - level
        # Rounding must not turn a change of a whole number of thresholds into one less.
        enough = np.where(change > 0, thetas[0], thetas[1]) - 1e-12
        at = np.nonzero((np.abs(change) >= enough) & (free < end))
        if not len(at[0]):
            return found
        sign = np.sign(change[at])
        crossed = level[at] + sign * np.where(sign > 0, thetas[0][at[1:]], thetas[1][at[1:]])
        rise = after[at] - before[at]
        share = np.divide(crossed - before[at], rise, out=np.zeros_like(rise), where=rise != 0)
        t = np.clip(begin + share * (end - begin), np.maximum(begin, free[at]), end)
        found.append((at[0], t, at[1], at[2], sign))
        level[at], free[at] = crossed, t + refractory


Path = Callable[[Video, float], tuple[Any, Any, Any]]


def _swipe(right: float, down: float) -> Path:
    return lambda s, turn: (1.4 * right * (s - 0.5), 1.4 * down * (s - 0.5), 1.0)


def _circle(sense: int) -> Path:
    def place(s: Video, turn: float) -> tuple[Any, Any, Any]:
        angle = turn + sense * 1.5 * np.pi * s
        return 0.55 * np.cos(angle), 0.55 * np.sin(angle), 1.0

    return place


GESTURES: dict[str, Path] = {
    "right": _swipe(1, 0),
    "left": _swipe(-1, 0),
    "down": _swipe(0, 1),
    "up": _swipe(0, -1),
    "clockwise": _circle(1),
    "counterclockwise": _circle(-1),
    "expand": lambda s, turn: (0.0, 0.0, 0.5 + 1.7 * s),
    "contract": lambda s, turn: (0.0, 0.0, 2.2 - 1.7 * s),
}
"""Place of the centre, to the right and down in half widths, and size, at shares of a gesture."""


def gesture(name: str, seed: int, side: int = 24, images: int = 40, radius: float = 0.28) -> Video:
    """Return the video of a gesture: a bright disc, like a hand, that moves before a dark ground.

    When it begins, place, size, tempo, direction, light and, of circles, where they begin, are
    drawn.

    Parameters
    ----------
    name : str
        One of ``GESTURES``.
    seed : int
    side : int
        Rows and columns.
    images : int
    radius : float
        Of the disc, in half widths.

    Returns
    -------
    array (images, side, side)
        Light in [0, 1].
    """
    if name not in GESTURES:
        invalid("gesture", "unknown name", name, nearest(name, GESTURES))
    generator = np.random.default_rng(seed)
    off = generator.uniform(-0.15, 0.15, 2)
    size, tilt = generator.uniform(0.85, 1.15), generator.uniform(-0.25, 0.25)
    turn, tempo = generator.uniform(0, 2 * np.pi), generator.uniform(0.7, 1.4)
    ground, light = generator.uniform(0.1, 0.25), generator.uniform(0.75, 1.0)
    begin = generator.uniform(0, 0.3)
    share = np.clip((np.linspace(0, 1, images) - begin) / (1 - begin), 0, 1) ** tempo
    right, down, large = (np.broadcast_to(v, images) for v in GESTURES[name](share, turn))
    x = right * np.cos(tilt) - down * np.sin(tilt) + off[0]
    y = right * np.sin(tilt) + down * np.cos(tilt) + off[1]
    grid = (np.arange(side) + 0.5) / side * 2 - 1
    distance = np.hypot(grid - x[:, None, None], grid[:, None] - y[:, None, None])
    edge = radius * size * large[:, None, None] - distance
    return np.asarray(ground + (light - ground) * np.clip(edge * side / 2 + 0.5, 0, 1))


@dataclass(frozen=True)
class Gestures:
    """Recordings of gestures by a simulated camera.

    Parameters
    ----------
    camera : EventCamera
    per_class : int
        Recordings of each gesture.
    side : int
        Rows and columns of the sensor.
    duration : int
        Of a gesture, microseconds.
    seed : int
    """

    camera: EventCamera = EventCamera()
    per_class: Count = 60
    side: Count = 24
    duration: Count = 400_000
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def recordings(self) -> tuple[list[Events], NDArray[np.int64]]:
        """Return the events of every recording, class by class in turn, and the classes."""
        names = list(GESTURES)
        labels = np.arange(self.per_class * len(names)) % len(names)
        seeds = self.seed * 1_000_003 + np.arange(len(labels))
        events: list[Events] = []
        for begin in range(0, len(labels), _PIECE):
            piece = slice(begin, begin + _PIECE)
            drawn = zip(labels[piece], seeds[piece].tolist(), strict=True)
            videos = np.stack([gesture(names[label], seed, self.side) for label, seed in drawn])
            events += self.camera.record_all(videos, self.duration, seeds[piece].tolist())
        return events, labels
