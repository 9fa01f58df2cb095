"""Event files of cameras. One file per format; ``read_events`` knows them by mark and suffix."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path

from lava_dyads.data.event_formats.base import (
    FORMATS,
    Content,
    EventFormat,
    MisreadError,
    Recording,
    Sensor,
)
from lava_dyads.data.events import Events
from lava_dyads.errors import DataError, message
from lava_dyads.files import AnyPath, as_path, read_whole

__all__ = ["EventFormat", "Recording", "formats", "is_event_file", "read_events", "read_recording"]


def formats() -> dict[str, EventFormat]:
    """Return the formats by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return FORMATS


def is_event_file(path: Path) -> bool:
    """Tell whether a file has a suffix of one of the formats."""
    return any(path.suffix.lower() in made.suffixes for made in formats().values())


def read_events(path: AnyPath, shape: Sensor | None = None, sort: bool = False) -> Events:
    """Return the events of a file, as a structured array ``EVENT`` in the order of time.

    Parameters
    ----------
    path : str or path
        Of N-MNIST or N-Caltech101 (.bin), AEDAT 2, 3.1 or 4, Prophesee's DAT or RAW.
    shape : (rows, columns) or None
        Of the sensor; None: as the file or its format says.
    sort : bool
        Put events in order whose times go back, and do not refuse the file.

    Raises
    ------
    DataError
        If the file cannot be read, is of no known format, truncated, in the wrong byte order or
        empty, has an event outside the sensor, or one that goes back in time.
    """
    return read_recording(path, shape, sort).events


def read_recording(path: AnyPath, shape: Sensor | None = None, sort: bool = False) -> Recording:
    """Return the events of a file and its sensor, as far as that is known.

    Parameters and errors are those of :func:`read_events`.
    """
    path = as_path("events", path)
    try:
        data = read_whole(path)
    except OSError as error:
        what = f"events {path}: cannot be read ({error.strerror or error})"
        raise DataError(what) from error
    if not data:
        what = f"events {path}"
        raise DataError(message(what, "is empty, it must hold events", "0 bytes", "fetch it again"))
    made = _format_of(path, data)
    content = Content(data, f"events {path} ({made.name})", str(path), shape, sort)
    try:
        return made.read(content)
    except MisreadError:
        try:
            other = made.read(replace(content, swapped=True, sort=False))
        except (DataError, OverflowError, MemoryError):
            other = None
        if other is None:
            raise
        limit = "its numbers must be in the byte order of the format"
        raise DataError(message(content.what, limit, "the other one", "write it anew")) from None


def _format_of(path: Path, data: bytes) -> EventFormat:
    """Return the format of a file: the one whose mark it begins with, else that of its suffix."""
    known = formats()
    marked = [made for made in known.values() if made.begins and made.begins(data)]
    named = [made for made in known.values() if path.suffix.lower() in made.suffixes]
    found = marked or [made for made in named if not made.begins]
    if not found:
        suffixes = sorted({suffix for made in known.values() for suffix in made.suffixes})
        if named:
            limit = f"must begin with the mark of {' or '.join(made.name for made in named)}"
            raise DataError(message(f"events {path}", limit, data[:16], "fetch it again"))
        limit, hint = "must be of a known format", f"a file that ends in {', '.join(suffixes)}"
        raise DataError(message(f"events {path}", limit, path.suffix or path.name, hint))
    return found[0]
