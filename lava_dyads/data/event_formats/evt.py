"""RAW: what Prophesee's cameras send, as EVT 2.0 or EVT 3.0.

Lines that begin with %, then words, little endian, whose highest 4 bits are their type.

EVT 2.0, 32 bits::

    0, 1 an event, darker or brighter: 22-27 low bits of its time, 11-21 column, 0-10 row
    8 the 28 bits of the time above those

EVT 3.0, 16 bits, in which a word says what has changed::

    0 row   2 an event: column, bit 11 polarity   3 column of the first pixel of vectors, polarity
    4, 5 a vector: a bit for each of the next 12 or 8 pixels, and on to those after them
    6 low 12 bits of the time   8 the 12 bits above, with which the low ones begin at 0

Times are microseconds; a counter that falls by more than half of its range was full. What comes
before the first high bits of a time has none, and is left out. Other types are passed over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.event_formats.base import (
    Content,
    EventFormat,
    Numbers,
    Recording,
    recorded,
    register,
    text_header,
)
from lava_dyads.data.event_formats.dat import size_of

_PIXELS = np.array([0, 0, 1, 0, 12, 8, *[0] * 10], np.uint8)
"""Pixels that a word of EVT 3.0 may tell of, by its type."""

_PIECE = 1 << 17
"""Words of EVT 3.0 that are decoded at a time."""


def read(content: Content) -> Recording:
    """Return the events, of the version that the header names."""
    lines, start = text_header(content.data, b"%", b"% end")
    text = "\n".join(lines).lower().replace(" ", "")
    if "evt2.1" in text or "evt21" in text:
        content.refuse("must be EVT 2.0 or 3.0", "EVT 2.1", "Prophesee's metavision_file_to_dat")
    if "evt3" in text:
        return _evt3(content, lines, start)
    if "evt2" in text:
        return _evt2(content, lines, start)
    content.refuse("must name evt 2.0 or 3.0 in its header", lines, "Prophesee's software")


def _words(content: Content, lines: list[str], start: int, size: int) -> Numbers:
    """Return the words of a file."""
    big = "endianness big" in "\n".join(lines)
    count = content.whole(start, size)
    number = np.dtype(f"{content.order('>' if big else '<')}u{size}")
    return np.frombuffer(content.data, number, count, start).astype(f"u{size}", copy=False)


def _evt2(content: Content, lines: list[str], start: int) -> Recording:
    words = _words(content, lines, start, 4)
    kind = words >> 28
    marks = np.flatnonzero(kind == 8)
    at = np.flatnonzero(kind <= 1)
    at = at[at > (marks[0] if len(marks) else len(words))]
    high = _counted(words[marks] & 0xFFFFFFF, 28)
    # Before the first event after it, each mark has been passed once more.
    passed = np.cumsum(kind == 8)[at] - 1
    bits = words[at]
    t = (high[passed] << 6) | ((bits >> 22) & 0x3F)
    columns = t, (bits >> 11) & 0x7FF, bits & 0x7FF, bits >> 28
    sensor = content.sensor or size_of(lines)
    return recorded(content, columns, lambda event: start + 4 * int(at[event]), sensor)


def _evt3(content: Content, lines: list[str], start: int) -> Recording:
    words = _words(content, lines, start, 2)
    marks = np.flatnonzero(words >> 12 == 8)
    high = _counted(words[marks] & 0xFFF, 12) << 12
    found: list[tuple[Numbers, ...]] = []
    row, first, mark = 0, 3 << 12, 0
    while mark < len(marks):
        # Pieces that fit into the processor's memory, from one high time on to another.
        after = max(mark + 1, int(np.searchsorted(marks, marks[mark] + _PIECE)))
        end = marks[after] if after < len(marks) else len(words)
        piece = np.concatenate([np.array([row, first], words.dtype), words[marks[mark] : end]])
        *columns, passed, row, first = _decoded(piece)
        columns[0] = columns[0] + high[mark:after][passed]
        columns[4] = columns[4] + (marks[mark] - 2)
        found.append(tuple(columns))
        mark = after
    empty = (np.empty(0, np.int64),) * 5
    t, x, y, on, at = (np.concatenate(c) for c in zip(*found or [empty], strict=True))
    sensor = content.sensor or size_of(lines)
    return recorded(content, (t, x, y, on), lambda event: start + 2 * int(at[event]), sensor)


def _decoded(words: Numbers) -> tuple[Any, ...]:
    """Return what words of EVT 3.0 say that begin with a row, a first pixel and a high time.

    The low bits of the time, column, row, polarity and word of each event, how many high times
    there were before; and the row and the first pixel with which the next words begin.
    """
    kind = words >> 12
    width = _PIXELS[kind]  # that a word may be events of
    at = np.flatnonzero(width)
    what, shown = kind[at], words[at]
    timed = kind == 8
    low, high = _last(kind == 6, at), _last(timed, at)
    t = np.where(low > high, words[low] & 0xFFF, 0)
    rows, bases = np.flatnonzero(kind == 0), np.flatnonzero(kind == 3)
    y, base = words[_last(kind == 0, at)] & 0x7FF, _last(kind == 3, at)
    passed = np.cumsum(timed, dtype=np.int32)[at] - 1
    x, on = shown & 0x7FF, (shown >> 11) & 1
    width[kind == 2] = 0
    gone = np.cumsum(width, dtype=np.int32)
    vectors = what != 2
    columns: list[Numbers] = [t, x, y, on, at, passed]
    if vectors.any():
        # Vectors go on from where the last one has ended, since the first pixel was named.
        begin = (words[base] & 0x7FF) + gone[at] - width[at] - gone[base]
        columns[1] = np.where(vectors, begin, x)
        columns[3] = np.where(vectors, (words[base] >> 11) & 1, on)
        bits = shown[vectors] & np.where(what[vectors] == 5, 0xFF, 0xFFF)
        lit = (bits[:, None] >> np.arange(12, dtype=np.uint16)) & 1
        counts = np.ones(len(at), np.int64)
        counts[vectors] = lit.sum(axis=1)
        here = np.repeat(np.arange(len(at)), counts)
        columns = [column[here] for column in columns]
        columns[1][vectors[here]] += np.nonzero(lit)[1].astype(columns[1].dtype)
    follows = (int(words[bases[-1]]) + int(gone[-1] - gone[bases[-1]])) & 0xFFFF
    return *columns, int(words[rows[-1]]), follows


def _last(chosen: NDArray[np.bool_], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of the last chosen word at or before each place; 0 if there is none."""
    places = np.concatenate([[0], np.flatnonzero(chosen)])
    found: NDArray[np.int64] = places[np.cumsum(chosen, dtype=np.int32)[at]]
    return found


def _counted(values: Numbers, bits: int) -> NDArray[np.int64]:
    """Return what a counter of so many bits has counted, which begins anew when it is full."""
    counted = values.astype(np.int64)
    fell = np.diff(counted, prepend=counted[:1]) < -(1 << (bits - 1))
    counted += np.cumsum(fell) << bits
    return counted


FORMAT = register(
    EventFormat("raw", "Prophesee RAW, EVT 2.0 and 3.0", (".raw",),
                lambda data: data.startswith(b"% ") and b"evt" in data[:2000].lower(), read)
)  # fmt: skip
