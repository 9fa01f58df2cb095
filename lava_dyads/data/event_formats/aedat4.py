"""AEDAT 4: the files of DV, packets of FlatBuffers that may be compressed; read by faery.

Of an event whose time goes back faery says that it is as late as the one before.
"""

from __future__ import annotations

import struct

import numpy as np

from lava_dyads.data.event_formats.base import (
    Content,
    EventFormat,
    Recording,
    recorded,
    register,
)
from lava_dyads.files import reason
from lava_dyads.optional import imported

MAGIC = b"#!AER-DAT4.0\r\n"


def read(content: Content) -> Recording:
    """Return the events of the one stream of events that a file has."""
    faery = imported("faery", "AEDAT 4 files", "events")
    _check_whole(content)
    try:
        stream = faery.events_stream_from_file(content.path)
        sensor = stream.dimensions()[::-1]
        pieces = list(stream)
    except BaseException as error:  # what panics in Rust is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        content.refuse("cannot be read as AEDAT 4, it is damaged", reason(Exception(str(error))))
    events = np.concatenate(pieces) if pieces else np.empty(0, faery.EVENTS_DTYPE)
    columns = events["t"], events["x"], events["y"], events["on"]
    return recorded(content, columns, lambda event: 0, content.sensor or sensor)


def _check_whole(content: Content) -> None:
    """Raise where the file ends before the table of packets that its header tells of.

    Every packet is a number, a size and so many bytes; faery takes a file that ends between two.
    """
    data, begin = content.data, len(MAGIC) + 4
    try:
        (size,) = struct.unpack_from("<I", data, begin - 4)
        table = begin + struct.unpack_from("<I", data, begin)[0]
        fields = table - struct.unpack_from("<i", data, table)[0]
        (field,) = struct.unpack_from("<H", data, fields + 6)
        (end,) = struct.unpack_from("<q", data, table + field) if field else (-1,)
        end, place = (end if end > 0 else len(data)), begin + size
        while place < min(end, len(data)):
            (size,) = struct.unpack_from("<I", data, place + 4)
            place += 8 + size
    except struct.error as error:
        content.refuse("is truncated: its header must be whole", f"{len(data)} bytes ({error})")
    if place > len(data) or end > len(data):
        limit = f"is truncated: it must have at least {max(end, place)} bytes"
        content.refuse(limit, f"{len(data)} bytes")


FORMAT = register(
    EventFormat("aedat 4", "DV (with faery)", (".aedat4",),
                lambda data: data.startswith(MAGIC[:11]), read)
)  # fmt: skip
