"""The tables of the compiled event loop, by name, and the room for what is on its way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.native.events import columns

_SPACE = 1 << 10
"""Messages on their way at first."""
_TRACE = 1 << 15
_COPIES = 4
"""Messages that one message is at most, where things go wrong: itself, late, twice, and another
one that waited for it."""


def address(register: AnyArray) -> int:
    """Return where a register begins."""
    return int(register.__array_interface__["data"][0])


class Tables:
    """The sections of the tables by name, and the header that compiled code finds them by.

    Parameters
    ----------
    lanes, worst, worst_loads : int
        Samples side by side; messages that an element may send at once, and entries of them.
    sections : arrays
        See ``native.events.columns.SECTIONS``; those of messages on their way are made here.

    Attributes
    ----------
    header : int array
        Its address is what compiled code takes.
    """

    def __init__(self, lanes: int, worst: int, worst_loads: int, **sections: AnyArray) -> None:
        self.header: AnyArray = np.zeros(len(columns.HEADER) + len(columns.SECTIONS), np.int64)
        self.sections = sections
        self.add("days", np.full(columns.DAYS, -1, np.int64))
        self.add("used", np.zeros(columns.DAYS // 64, np.int64))
        self.add("trace", np.zeros((_TRACE + lanes, len(columns.TRACE))))
        coded = len(sections["wires"]) > 0
        width = columns.M_NUMBER + 1 if coded else columns.M_SOURCE + (lanes > 1)
        self.add("pool", np.zeros((0, max(8, width))))  # a line of the cache, if that will do
        self._copies = _COPIES if coded else 1
        worst, worst_loads = worst * self._copies, worst_loads + (self._copies - 1) * worst
        self.add("heap", np.zeros(0))
        for name, section in sections.items():
            self.add(name, section if name not in _ROWS else _begun_on_a_line(section))
        header = self.header
        header[columns.S_LANES], header[columns.S_WORST], header[columns.S_FREE] = lanes, worst, -1
        header[columns.S_ROW] = 8 * self.sections["pool"].shape[1]
        header[columns.S_LOAD_FREE], header[columns.S_WORST_LOADS] = -1, worst_loads
        header[columns.S_ELEMENTS] = len(sections["elements"])
        header[columns.S_WIRES] = len(sections["count"])
        header[columns.S_UNIFORM] = len(sections["model"]) == 1
        header[columns.S_LEARNERS], header[columns.S_RESETS] = (
            len(sections["learners"]),
            len(sections["resets"]),
        )
        self.add("loads", np.zeros((0, lanes)))
        self.add("uses", np.zeros(0, np.int64))
        header[columns.S_PEAK] = len(sections["destinations"])  # a guess, until it has run
        header[columns.S_TRACES], header[columns.S_FOLLOWERS] = _TRACE, len(sections["followers"])
        while header[columns.S_SPACE] < max(_SPACE, 2 * worst):
            self.grow()
        while lanes > 1 and header[columns.S_LOAD_SPACE] < max(_SPACE, 2 * worst_loads):
            self.grow_loads()

    def make_room(self, posts: int = 0, entries: int = 0) -> None:
        """Make room for so many messages of so many entries, and all that may follow at once."""
        header = self.header
        entries += (self._copies - 1) * posts
        while header[columns.S_SPACE] < self._copies * posts + header[columns.S_WORST]:
            self.grow()
        if header[columns.S_LANES] > 1:
            while header[columns.S_LOAD_SPACE] < entries + header[columns.S_WORST_LOADS]:
                self.grow_loads()

    def grow_loads(self) -> None:
        """Make twice as much room for what messages of several lanes share."""
        header, old = self.header, len(self.sections["uses"])
        new = max(_SPACE, 2 * old)
        loads, uses = np.zeros((new, header[columns.S_LANES])), np.arange(1, new + 1)
        loads[:old], uses[:old] = self.sections["loads"], self.sections["uses"]
        uses[-1] = header[columns.S_LOAD_FREE]
        header[columns.S_LOAD_FREE] = old
        header[columns.S_LOAD_SPACE] += new - old
        self.add("loads", loads)
        self.add("uses", uses)

    @property
    def address(self) -> int:
        """Where the header begins."""
        return address(self.header)

    @property
    def now(self) -> float:
        """Virtual time."""
        return float(self.header.view(np.float64)[columns.S_NOW])

    @now.setter
    def now(self, time: float) -> None:
        self.header.view(np.float64)[columns.S_NOW] = time

    def add(self, name: str, section: AnyArray) -> None:
        """Put a section where compiled code finds it."""
        if not section.flags.c_contiguous or section.itemsize != 8:
            raise AssertionError(f"{name}: not a plain section")
        self.sections[name] = section
        place = len(columns.HEADER) + columns.SECTIONS.index(name)
        self.header[place] = address(section)

    def grow(self) -> None:
        """Make twice as much room for messages on their way."""
        header = self.header
        old = len(self.sections["pool"])
        new = max(_SPACE, 2 * old)
        pool = _aligned((new, self.sections["pool"].shape[1]), float)
        pool[:old] = self.sections["pool"]
        following = pool.view(np.int64)[:, columns.M_NEXT]
        following[old:] = np.arange(old + 1, new + 1)
        following[-1] = header[columns.S_FREE]
        header[columns.S_FREE] = old
        header[columns.S_SPACE] += new - old
        heap = np.zeros(2 * new)
        heap[: 2 * old] = self.sections["heap"]
        self.add("pool", pool)
        self.add("heap", heap)


_ROWS = ("elements", "destinations")
"""Sections of which messages touch single rows."""


def _aligned(shape: tuple[int, ...], dtype: Any) -> AnyArray:
    """Return zeros that begin on a line of the cache."""
    size = 8 * math.prod(shape)
    memory = np.zeros(size + columns.CACHE_LINE, np.uint8)
    begin = -address(memory) % columns.CACHE_LINE
    made: AnyArray = memory[begin : begin + size].view(dtype).reshape(shape)
    return made


def _begun_on_a_line(section: AnyArray) -> AnyArray:
    copy = _aligned(section.shape, section.dtype)
    copy[...] = section
    return copy


def whole_numbers(numbers: Any) -> AnyArray:
    """Return a section of whole numbers."""
    return np.ascontiguousarray(np.asarray(numbers, np.int64).ravel())


def real_numbers(numbers: Any) -> AnyArray:
    """Return a section of real numbers."""
    return np.ascontiguousarray(np.asarray(numbers, float).ravel())
