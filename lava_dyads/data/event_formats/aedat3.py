"""AEDAT 3.1: the files of cAER, such as those of DVS Gesture.

Lines that begin with # up to ``#!END-HEADER``, then packets, little endian: 28 bytes of header
(type, source: 16 bits; size of an event, place of its time, times that the clock was full, room,
events, valid ones: 32 bits), then the events. Packets of other types than polarity (1) are passed
over. An event of a pixel is two numbers of 32 bits::

    bit 0 valid, 1 polarity (1 is brighter), 2-16 row, 17-31 column;  time in microseconds

and 2^31 microseconds more for each time that the clock was full.
"""

from __future__ import annotations

import struct

import numpy as np

from lava_dyads.data.event_formats.aedat2 import sensor_of
from lava_dyads.data.event_formats.base import (
    Content,
    EventFormat,
    Recording,
    recorded,
    register,
    text_header,
)

MAGIC = b"#!AER-DAT3"
LAST_LINE = b"#!END-HEADER"
HEAD, SIZE, POLARITY = 28, 8, 1
"""Bytes of a packet's header and of an event, and the type of packets of events of pixels."""


def read(content: Content) -> Recording:
    """Return the valid events of pixels."""
    data = content.data
    lines, place = text_header(data, b"#", LAST_LINE)
    last = lines[-1] if lines else ""
    if not last.startswith(LAST_LINE.decode()):
        content.refuse("is truncated: its header must end with #!END-HEADER", last)
    order = content.order("<")
    head, starts, counts, full = struct.Struct(f"{order}2h6i"), [], [], []
    while place < len(data):
        if len(data) - place < HEAD:
            limit = f"is truncated: the header of a packet at byte {place} must have {HEAD} bytes"
            content.refuse(limit, len(data) - place, share=1)
        kind, _, size, _, overflow, _, events, _ = head.unpack_from(data, place)
        if size <= 0 or events < 0 or overflow < 0 or (kind == POLARITY and size != SIZE):
            limit = f"packet at byte {place}: must have events of a size, {SIZE} bytes for pixels"
            content.refuse(limit, f"type {kind}, {events} events of {size} bytes", share=1)
        begin, place = place + HEAD, place + HEAD + size * events
        if place > len(data):
            limit = f"is truncated: the packet at byte {begin - HEAD} must end at byte {place}"
            content.refuse(limit, f"{len(data)} bytes", share=1)
        if kind == POLARITY and events:
            starts.append(begin)
            counts.append(events)
            full.append(overflow)
    number = np.dtype(f"{order}u4")
    packets = [np.frombuffer(data, number, 2 * n, at) for at, n in zip(starts, counts, strict=True)]
    raw = np.concatenate([np.empty(0, number), *packets]).astype(np.uint32).reshape(-1, 2)
    bits, t = raw[:, 0], raw[:, 1].astype(np.int64)
    if any(full):
        t += np.repeat(np.array(full, np.int64) << 31, counts)
    kept = np.flatnonzero(bits & 1)
    bits, t = bits[kept], t[kept]
    before = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def at(event: int) -> int:
        packet = int(np.searchsorted(before, kept[event], side="right")) - 1
        return int(starts[packet] + SIZE * (kept[event] - before[packet]))

    columns = t, bits >> 17, (bits >> 2) & 0x7FFF, (bits >> 1) & 1
    return recorded(content, columns, at, content.sensor or sensor_of(lines)[1])


FORMAT = register(
    EventFormat("aedat 3.1", "cAER, DVS Gesture", (".aedat", ".aedat3"),
                lambda data: data.startswith(MAGIC), read)
)  # fmt: skip
