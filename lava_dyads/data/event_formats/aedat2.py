"""AEDAT 2.0: the files of jAER, of the cameras DVS128 and DAVIS.

Lines that begin with #, then records of two big-endian numbers of 32 bits, address and time in
microseconds (a counter that begins anew when it is full)::

    DVS128   bit 0 polarity (0 is brighter), 1-7 column, 8-14 row, 15 set: no event of a pixel
    DAVIS    bit 11 polarity (1 is brighter), 12-21 column, 22-30 row;
             bit 10 (inertia, signals) or 31 (frames) set: no event of a pixel

Rows and columns are as they are stored: jAER counts rows from the bottom and mirrors columns.
"""

from __future__ import annotations

import re

import numpy as np

from lava_dyads.data.event_formats.base import (
    Content,
    EventFormat,
    Numbers,
    Recording,
    Sensor,
    recorded,
    register,
    text_header,
    unwrapped,
)

MAGIC = b"#!AER-DAT2"
LAST_LINE = b"#End Of ASCII Header"
SIZE = 8
"""Bytes per record."""

SENSORS: dict[str, Sensor] = {
    "dvs128": (128, 128), "tmpdiff128": (128, 128), "davis208": (192, 208),
    "davis240": (180, 240), "davis346": (260, 346), "davis640": (480, 640),
}  # fmt: skip
"""Rows and columns of the cameras that a header may name."""

_ON_DVS128 = frozenset({"dvs128", "tmpdiff128"})


def sensor_of(lines: list[str]) -> tuple[str, Sensor | None]:
    """Return the camera that a header names, in small letters; '' if it names none."""
    found = re.search("|".join(SENSORS), " ".join(lines).lower())
    return (found[0], SENSORS[found[0]]) if found else ("", None)


def read(content: Content) -> Recording:
    """Return the events of pixels; a file that names no camera is of a DVS128 if it can be."""
    lines, start = text_header(content.data, b"#", LAST_LINE)
    count = content.whole(start, SIZE)
    number = np.dtype(f"{content.order('>')}u4")
    raw = np.frombuffer(content.data, number, 2 * count, start).astype(np.uint32).reshape(-1, 2)
    address = raw[:, 0]
    camera, sensor = sensor_of(lines)
    old = camera in _ON_DVS128 or (not camera and not (address >> 16).any())
    if not (old or camera) and not (address.byteswap() >> 16).any():
        content.refuse("must be big endian", "little endian", share=1)
    kept = np.flatnonzero((address & (0x8000 if old else 0x80000400)) == 0)
    t = unwrapped(raw[:, 1])
    if len(kept) < count:
        address, t = address[kept], t[kept]
    sensor = content.sensor or sensor or ((128, 128) if old else None)
    return recorded(
        content, (t, *_fields(address, old)), lambda event: start + SIZE * int(kept[event]), sensor
    )


def _fields(address: Numbers, old: bool) -> tuple[Numbers, Numbers, Numbers]:
    """Return column, row and whether it is brighter."""
    if old:
        return (address >> 1) & 0x7F, (address >> 8) & 0x7F, 1 - (address & 1)
    return (address >> 12) & 0x3FF, (address >> 22) & 0x1FF, (address >> 11) & 1


FORMAT = register(
    EventFormat("aedat 2", "jAER: DVS128, DAVIS", (".aedat", ".aedat2"),
                lambda data: data.startswith(MAGIC), read)
)  # fmt: skip
