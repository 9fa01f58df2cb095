"""The binary event files of N-MNIST and N-Caltech101.

One event is 40 bits, big endian: column (8), row (8), polarity (1; 1 is brighter), time in
microseconds (23). An event in row 240 is none: it says that the clock has passed 2^13 microseconds
once more, which all events from it on lack.

Source: Orchard, Jayawant, Cohen, Thakor, *Converting static image datasets to spiking
neuromorphic datasets using saccades*, Front. Neurosci. 9, 437 (2015).
"""

from __future__ import annotations

import numpy as np

from lava_dyads.data.event_formats.base import (
    Content,
    EventFormat,
    Recording,
    recorded,
    register,
)

SIZE = 5
"""Bytes per event."""

OVERFLOW_ROW, OVERFLOW = 240, 1 << 13

SENSOR = (34, 34)
"""Rows and columns of N-MNIST."""


def read(content: Content) -> Recording:
    """Return the events; the sensor is that of N-MNIST where none is given."""
    count = content.whole(0, SIZE)
    raw = np.frombuffer(content.data, np.uint8).reshape(-1, SIZE)
    if content.swapped:
        raw = raw[:, ::-1]
    t = raw[:, 2].astype(np.int64)
    on = t >> 7
    t &= 0x7F
    for byte in (3, 4):
        t <<= 8
        t |= raw[:, byte]
    x, y = raw[:, 0], raw[:, 1]
    marks = y == OVERFLOW_ROW
    kept = np.arange(0)
    if marks.any():
        t += OVERFLOW * np.cumsum(marks)
        kept = np.flatnonzero(~marks)
        t, x, y, on = t[kept], x[kept], y[kept], on[kept]

    def place(event: int) -> int:
        return SIZE * int(kept[event] if len(t) < count else event)

    return recorded(content, (t, x, y, on), place, content.sensor or SENSOR)


FORMAT = register(EventFormat("nmnist", "N-MNIST and N-Caltech101", (".bin",), None, read))
