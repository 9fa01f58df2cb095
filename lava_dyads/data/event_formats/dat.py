"""DAT: the files of Prophesee's older software, such as those of N-Cars and Gen1.

Lines that begin with %, two bytes (type and size of an event), then records of two little-endian
numbers of 32 bits: time in microseconds (a counter that begins anew when it is full), and::

    bits 0-13 column, 14-27 row, 28 polarity (1 is brighter)
"""

from __future__ import annotations

import re

import numpy as np

from lava_dyads.data.event_formats.base import (
    Content,
    EventFormat,
    Recording,
    Sensor,
    recorded,
    register,
    text_header,
    unwrapped,
)

KINDS, SIZE = (0, 12), 8
"""Types of events of pixels, and the bytes of one."""


def size_of(lines: list[str]) -> Sensor | None:
    """Return rows and columns, where the header of one of Prophesee's files says them."""
    text = "\n".join(lines)
    geometry = re.search(r"geometry\W+(\d+)x(\d+)", text, re.IGNORECASE)
    if geometry:
        return int(geometry[2]), int(geometry[1])
    found = [re.search(rf"{word}\W+(\d+)", text, re.IGNORECASE) for word in ("height", "width")]
    return (int(found[0][1]), int(found[1][1])) if found[0] and found[1] else None


def read(content: Content) -> Recording:
    """Return the events; an old file without a header says neither type nor sensor."""
    lines, start = text_header(content.data, b"%")
    if lines:
        if len(content.data) < start + 2:
            content.refuse("is truncated: its header must go on", f"{len(content.data)} bytes")
        kind, size = content.data[start : start + 2]
        if kind not in KINDS or size != SIZE:
            limit = f"byte {start}: must be events of pixels, type 0 or 12, of {SIZE} bytes"
            content.refuse(limit, f"type {kind}, {size} bytes", "a file of CD events")
        start += 2
    count = content.whole(start, SIZE)
    number = np.dtype(f"{content.order('<')}u4")
    raw = np.frombuffer(content.data, number, 2 * count, start).astype(np.uint32).reshape(-1, 2)
    bits = raw[:, 1]
    columns = unwrapped(raw[:, 0]), bits & 0x3FFF, (bits >> 14) & 0x3FFF, (bits >> 28) & 1
    sensor = content.sensor or size_of(lines)
    return recorded(content, columns, lambda event: start + SIZE * event, sensor)


FORMAT = register(
    EventFormat("dat", "Prophesee DAT", (".dat",), None, read)
)  # fmt: skip
