"""The binary event files of N-MNIST and N-Caltech101.

One event is 40 bits, big endian: column (8), row (8), polarity (1; 1 is brighter), time in
microseconds (23). An event in row 240 is none: it says that the clock has passed 2^13 microseconds
once more, which all events from it on lack.

Source: Orchard, Jayawant, Cohen, Thakor, *Converting static image datasets to spiking
neuromorphic datasets using saccades*, Front. Neurosci. 9, 437 (2015).
"""

from __future__ import annotations

import numpy as np

from lava_dyads.data.events import EVENT, Events
from lava_dyads.errors import DataError, message
from lava_dyads.files import AnyPath, as_path, read_whole

SIZE = 5
"""Bytes per event."""

OVERFLOW_ROW, OVERFLOW = 240, 1 << 13

SENSOR = (34, 34)
"""Rows and columns of N-MNIST."""


def read_events(path: AnyPath, shape: tuple[int, int] = SENSOR) -> Events:
    """Return the events of a file, as a structured array ``EVENT`` in the order of the file.

    Parameters
    ----------
    path : str or path
    shape : (rows, columns)
        Of the sensor.

    Raises
    ------
    DataError
        If the file cannot be read, is truncated, or has an event outside the sensor.
    """
    what = f"events {path}"
    try:
        content = read_whole(as_path("events", path))
    except OSError as error:
        raise DataError(f"{what}: cannot be read ({error.strerror or error})") from error
    if len(content) % SIZE:
        hint = "fetch it again"
        limit = f"is truncated: its size must be a multiple of {SIZE} bytes"
        raise DataError(message(what, limit, len(content), hint))
    raw = np.frombuffer(content, np.uint8).reshape(-1, SIZE).astype(np.int64)
    marks = raw[:, 1] == OVERFLOW_ROW
    events = np.zeros(len(raw), EVENT)
    events["x"], events["y"] = raw[:, 0], raw[:, 1]
    events["polarity"] = np.where(raw[:, 2] & 0x80, 1, -1)
    events["t"] = (raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
    events["t"] += OVERFLOW * np.cumsum(marks)
    made: Events = events[~marks]
    outside = (made["y"] >= shape[0]) | (made["x"] >= shape[1])
    if outside.any():
        first = int(outside.argmax())
        limit = f"event {first}: row and column must lie within the sensor {shape}"
        got = (int(made["y"][first]), int(made["x"][first]))
        raise DataError(message(what, limit, got, "shape=(rows, columns) of the sensor"))
    return made
