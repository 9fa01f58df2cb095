"""Data sets from whatever there is: files, folders, frames, arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.data.arrays import of_arrays
from lava_dyads.data.contents import Arrays, How, Table, column_of
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.formats import read
from lava_dyads.data.frames import is_frame, table_of
from lava_dyads.data.reading import Reading
from lava_dyads.data.schema import Schema
from lava_dyads.data.tables import of_table
from lava_dyads.errors import DataError, message
from lava_dyads.files import as_path

LABEL_FILES = (".npy", ".csv", ".tsv", ".txt")
"""How the names of files end that hold labels alone."""


def read_dataset(
    source: Any, reading: Reading, like: Schema | None = None, y: object = None
) -> Dataset:
    """Return a data set.

    Parameters
    ----------
    source : path, frame, array, or pair of arrays
    reading : Reading
    like : Schema or None
        What its rows have to be: those that a network was trained on. None: what they are.
    y : array-like or None
        What is to be learned, where that is not in the source.

    Raises
    ------
    DataError
        If it cannot be read, or is no data set.
    """
    content, name = content_of(source, reading.how)
    if y is None and isinstance(content, Arrays) and content.y is None:
        y = _labels_of_a_file(reading)
    made = _made(content if y is None else _with_target(content, y), name, reading, like)
    if not reading.test:
        return made
    path = as_path("--test", reading.test)
    other, _ = content_of(path, reading.how, "--test")
    # With the target that was found, and nothing left out: the test part is what its file holds.
    plain = replace(reading, test="", group="", split="")
    tested = _made(other, name, plain, made.schema)
    return _joined(made, tested, str(path))


def content_of(source: Any, how: How, what: str = "data set") -> tuple[Table | Arrays, str]:
    """Return what a source holds, and its name."""
    if is_frame(source):
        return table_of(source), "frame"
    if isinstance(source, tuple) and len(source) == 2:
        x, y = source
        return _with_target(content_of(x, how)[0], y), "arrays"
    if isinstance(source, np.ndarray | list):
        x = np.asarray(source)
        if x.dtype.kind in "SU":  # names of files, perhaps
            as_path(what, source)  # type: ignore[arg-type]
        return Arrays("arrays", x, None, f"array {x.shape} of {x.dtype}"), "arrays"
    path = as_path(what, source)
    return read(path, how, what), path.stem or path.name


def _made(content: Table | Arrays, name: str, reading: Reading, like: Schema | None) -> Dataset:
    if isinstance(content, Arrays) and content.y is None and content.x.ndim == 2:
        content = _as_table(content)
    if isinstance(content, Table):
        return of_table(content, name, reading, like)
    return of_arrays(content, name, reading, like)


def _as_table(content: Arrays) -> Table:
    """Return rows of numbers as a table: one of its columns is the target."""
    x = content.x
    columns = tuple(replace(column_of(str(k), x[:, k]), levels=()) for k in range(x.shape[1]))
    return Table(content.what, columns, len(x), content.taken, named=False)


def _labels_of_a_file(reading: Reading) -> AnyArray | None:
    """Return the labels in a file, where the target is one."""
    name = reading.target[0] if len(reading.target) == 1 else ""
    if not name.lower().endswith(LABEL_FILES):
        return None
    other = read(name, How(reading.header), "--target")
    if isinstance(other, Arrays):
        return np.asarray(other.x)
    if len(other.columns) != 1:
        limit = "must hold one column, the labels"
        raise DataError(message("--target", limit, len(other.columns), "one column"))
    return other.columns[0].values


def _with_target(content: Table | Arrays, y: object) -> Table | Arrays:
    """Return a content with what is to be learned beside it."""
    values: AnyArray = np.asarray(y)
    rows = content.rows if isinstance(content, Table) else len(content.x)
    if values.ndim == 0 or len(values) != rows:
        limit = f"needs a target for each of the {rows} rows"
        raise DataError(message(content.what, limit, f"shape {values.shape}", "as many targets"))
    if isinstance(content, Arrays):
        return replace(content, y=values)
    if values.ndim == 1:
        return replace(content, columns=(*content.columns, column_of("target", values)))
    limit = "a frame takes one target beside it"
    raise DataError(message(content.what, limit, f"shape {values.shape}", "columns of the frame"))


def _joined(train: Dataset, test: Dataset, path: str) -> Dataset:
    """Return training and test part as one data set."""
    pairs = {n: (getattr(train, n), getattr(test, n)) for n in ("x", "labels", "targets")}
    joined: dict[str, Any] = {
        n: None if a is None else np.concatenate([a, b]) for n, (a, b) in pairs.items()
    }
    told = (*train.told, f"test part: {len(test.x)} rows of {path}")
    return replace(
        train, **joined, official_training_rows=len(train.x), told=told, groups=None, ordered=False
    )
