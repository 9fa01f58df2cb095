"""What formats of event files have in common: the registry, and what every file has to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.events import EVENT, Events
from lava_dyads.errors import DataError, message

Numbers: TypeAlias = NDArray[Any]
Sensor: TypeAlias = tuple[int, int]

FETCH = "fetch it again"


MANY = 1 / 16
"""Share of events that cannot be, from which on their numbers may be in the other byte order."""


class MisreadError(DataError):
    """A file of which so much cannot be that its numbers may be in the other byte order."""


@dataclass(frozen=True)
class Recording:
    """The events of a file.

    Attributes
    ----------
    events : structured array ``EVENT``
    sensor : (rows, columns) or None
        Where the file or its format says it.
    """

    events: Events
    sensor: Sensor | None = None


@dataclass(frozen=True)
class Content:
    """A file that is being read.

    Attributes
    ----------
    data : bytes
    what : str
        As messages begin: the kind of file and its name.
    path : str
    sensor : (rows, columns) or None
        What the caller knows of it.
    sort : bool
        Put events in order whose time goes back.
    swapped : bool
        Read numbers in the other byte order than the format's, to find out whether they are.
    """

    data: bytes
    what: str
    path: str = ""
    sensor: Sensor | None = None
    sort: bool = False
    swapped: bool = False

    def refuse(self, limit: str, got: object, try_: str = FETCH, share: float = 0.0) -> NoReturn:
        """Raise a :class:`DataError` that begins with the file's name.

        ``share``: of the events that cannot be.
        """
        kind = MisreadError if share >= MANY else DataError
        raise kind(message(self.what, limit, got, try_))

    def order(self, usual: str) -> str:
        """Return the byte order, ``<`` or ``>``, that numbers are read in."""
        return {"<": ">", ">": "<"}[usual] if self.swapped else usual

    def whole(self, start: int, size: int) -> int:
        """Return how many records of a size there are from a byte on; none may be cut off."""
        left = len(self.data) - start
        if left % size:
            limit = f"is truncated: from byte {start} on it must hold records of {size} bytes"
            self.refuse(limit, f"{left} bytes, {left % size} too many")
        return left // size


@dataclass(frozen=True)
class EventFormat:
    """A format of event files; one file each in this package.

    Attributes
    ----------
    name : str
    summary : str
        In a few words.
    suffixes : tuple of str
        How names of its files end.
    begins : callable or None
        Whether a file that begins with these bytes is one; None: its files have no mark.
    read : callable
        Returns the recording of a ``Content``.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool] | None
    read: Callable[[Content], Recording]


FORMATS: dict[str, EventFormat] = {}


def register(made: EventFormat) -> EventFormat:
    """Let :func:`~lava_dyads.data.event_formats.read_recording` know a format."""
    FORMATS[made.name] = made
    return made


def recorded(
    content: Content,
    columns: tuple[Numbers, Numbers, Numbers, Numbers],
    places: Callable[[int], int],
    sensor: Sensor | None,
) -> Recording:
    """Return checked events.

    Parameters
    ----------
    content : Content
    columns : tuple of four arrays
        Time in microseconds, column, row, and whether brighter (else darker).
    places : callable
        Returns the byte of the file at which an event lies.
    sensor : (rows, columns) or None
        None: no column or row is too large.

    Raises
    ------
    DataError
        If there is none, one lies outside the sensor, or time goes back; with event and byte.
    """
    t, x, y, on = columns
    if not len(t):
        content.refuse("holds no event", f"{len(content.data)} bytes", share=1)
    events = np.empty(len(t), EVENT)
    events["t"], events["x"], events["y"] = t, x, y
    np.multiply(on, 2, out=events["polarity"], casting="unsafe")
    events["polarity"] -= 1
    _check_inside(content, events, sensor, places)
    back = events["t"][1:] < events["t"][:-1]
    if back.any():
        if content.sort:
            return Recording(events[np.argsort(events["t"], kind="stable")], sensor)
        first = int(back.argmax()) + 1
        begin, end = (int(time) for time in events["t"][first - 1 : first + 1])
        limit = f"event {first} at byte {places(first)}: time must not go back from {begin} us"
        hint = "sort=True, if its camera writes out of order"
        content.refuse(limit, f"{end} us", hint, _share(back))
    return Recording(events, sensor)


def _check_inside(
    content: Content, events: Events, sensor: Sensor | None, places: Callable[[int], int]
) -> None:
    """Raise where an event lies outside the sensor."""
    rows, columns = sensor or (1 << 15, 1 << 15)
    if int(events["y"].max()) < rows and int(events["x"].max()) < columns:
        return
    outside = (events["y"] >= rows) | (events["x"] >= columns)
    first = int(outside.argmax())
    limit = f"event {first} at byte {places(first)}: row and column must lie within the sensor"
    got = int(events["y"][first]), int(events["x"][first])
    hint = "shape=(rows, columns) of the sensor"
    content.refuse(f"{limit} {sensor}", got, hint, _share(outside))


def _share(wrong: Numbers) -> float:
    """Return the share of events that are wrong; of a few it says nothing."""
    return float(wrong.mean()) if len(wrong) > 1 / MANY else 0.0


def unwrapped(stamps: Numbers) -> NDArray[np.int64]:
    """Return times that a counter of 32 bits has counted, which begins anew when it is full.

    A step of less than half of its range forward goes on, one back stays a step back.
    """
    steps = np.diff(stamps.astype(np.uint32, copy=False)).view(np.int32)
    times = np.empty(len(stamps), np.int64)
    if len(stamps):
        times[0] = stamps[0]
        np.cumsum(steps, dtype=np.int64, out=times[1:])
        times[1:] += times[0]
    return times


def text_header(data: bytes, mark: bytes, end: bytes = b"") -> tuple[list[str], int]:
    """Return the lines of text that a file begins with, and the byte after them.

    A line of text begins with the mark and holds nothing but signs that can be shown: numbers
    may begin with its byte, too.

    Parameters
    ----------
    data : bytes
    mark : bytes
        One byte.
    end : bytes
        How the last line begins, where there is such a one.
    """
    lines: list[str] = []
    place = 0
    while data[place : place + 1] == mark:
        stop = data.find(b"\n", place, place + 4096)
        line = data[place : stop + 1] if stop >= 0 else b""
        if not line or any(byte < 32 and byte not in (9, 10, 13) for byte in line):
            break
        lines.append(line.decode("latin-1").strip())
        place = stop + 1
        if end and line.startswith(end):
            break
    return lines, place
