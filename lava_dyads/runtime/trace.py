"""A trace: who sent what to whom and when, as columns."""

from __future__ import annotations

import io
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import check_fields
from lava_dyads.errors import DataError, invalid
from lava_dyads.files import AnyPath, as_path, opened_arrays, write_atomically

COLUMNS = {
    "sent": "d",
    "arrived": "d",
    "presentation": "q",
    "channel": "q",
    "lane": "q",
    "index": "q",
    "payload": "d",
}
"""Columns of a trace with their element types (float64, int64)."""


@dataclass(frozen=True)
class Trace:
    """Every entry of every message that arrived, in the order of arrival.

    Attributes
    ----------
    columns : dict of str to array, shape (entries,)
        ``sent``, ``arrived``: virtual time, in mean latencies; ``presentation``: commands to
        begin so far, less one; ``channel``: row of ``channels``; ``lane``, ``index``: which
        sample and which entry of the receiving port; ``payload``: what was on the wire.
    channels : list of (str, str)
        'process.port' of both ends.
    """

    columns: dict[str, AnyArray]
    channels: list[tuple[str, str]]

    def __post_init__(self) -> None:
        check_fields(self)
        for name, code in COLUMNS.items():
            column = self.columns.get(name)
            if not isinstance(column, np.ndarray) or column.dtype != code or column.ndim != 1:
                limit = f"must be a column of {np.dtype(code)}"
                invalid(f"Trace.{name}", limit, column, ", ".join(COLUMNS))
        if len({len(self.columns[name]) for name in COLUMNS}) > 1:
            sizes = {name: len(self.columns[name]) for name in COLUMNS}
            invalid("Trace.columns", "must be of one length", sizes)
        times = [self.columns[name] for name in ("sent", "arrived")]
        channel = self.columns["channel"]
        if not (
            np.isfinite(times).all() and ((channel >= 0) & (channel < len(self.channels))).all()
        ):
            invalid("Trace", "times must be finite, and channels be among those named", channel)

    def __len__(self) -> int:
        return len(self.columns["sent"])

    def save(self, path: AnyPath) -> None:
        """Write it as .npz, one array per column and ``source``, ``target`` per channel."""
        ends = np.array(self.channels, dtype=str).reshape(-1, 2)
        buffer = io.BytesIO()
        entries: dict[str, Any] = {**self.columns, "source": ends[:, 0], "target": ends[:, 1]}
        np.savez_compressed(buffer, **entries)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: AnyPath) -> Trace:
        """Read what ``save`` has written.

        Raises
        ------
        DataError
            If the file is missing or no trace.
        """
        path = as_path("trace", path)
        try:
            with opened_arrays(path) as file:
                ends = [file[name].tolist() for name in ("source", "target")]
                return cls({name: file[name] for name in COLUMNS}, list(zip(*ends, strict=True)))
        except (OSError, ValueError) as error:
            hint = "Try: one that train --trace FILE wrote"
            raise DataError(f"trace {path}: not a readable trace file ({error}). {hint}") from error


class Recorder:
    """Collects a trace while a network runs.

    Parameters
    ----------
    limit : int
        Entries after which it stops, so that a long training does not fill the memory (56 bytes
        an entry).
    """

    def __init__(self, limit: int = 2_000_000) -> None:
        self.limit = limit
        self._columns: dict[str, array[Any]] = {n: array(code) for n, code in COLUMNS.items()}
        self._append = [column.append for column in self._columns.values()]

    def note(
        self,
        sent: float,
        arrived: float,
        presentation: int,
        channel: int,
        index: int,
        payload: object,
    ) -> None:
        """Note one message; ``index`` -1 is a whole vector."""
        if len(self._columns["sent"]) >= self.limit:
            return
        values = np.atleast_1d(np.asarray(payload, float))
        if index < 0:
            values = values.reshape(-1, values.shape[-1])
            entries = [(int(lane), int(i)) for lane, i in np.argwhere(values != 0)]
        else:
            values = values.reshape(-1, 1)
            entries = [(int(lane), index) for lane in np.flatnonzero(values)]
        for lane, i in entries:
            value = float(values[lane, i if index < 0 else 0])
            row = (sent, arrived, presentation, channel, lane, i, value)
            for append, entry in zip(self._append, row, strict=True):
                append(entry)

    def note_rows(self, rows: AnyArray, presentation: int) -> None:
        """Note entries of messages: rows of sent, arrived, channel, lane, index, payload."""
        rows = rows[: max(0, self.limit - len(self._columns["sent"]))]
        named = dict(
            zip(("sent", "arrived", "channel", "lane", "index", "payload"), rows.T, strict=True)
        )
        named["presentation"] = np.full(len(rows), presentation)
        for name, column in self._columns.items():
            column.frombytes(np.ascontiguousarray(named[name], np.dtype(COLUMNS[name])).tobytes())

    def trace(self, channels: list[tuple[str, str]]) -> Trace:
        """Return the notes made so far."""
        columns = {
            name: np.array(column, np.int64 if COLUMNS[name] == "q" else np.float64)
            for name, column in self._columns.items()
        }
        return Trace(columns, channels)
