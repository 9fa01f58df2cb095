"""Frames of pandas and polars, and columns of Arrow, as tables: by what they offer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lava_dyads.data.contents import Column, Table, as_text, column_of, of_texts
from lava_dyads.errors import DataError, message
from lava_dyads.files import reason


def is_frame(data: object) -> bool:
    """Tell whether an object is a frame: it has columns, and gives each of them by its name."""
    try:
        return all(hasattr(data, name) for name in ("columns", "to_numpy", "__getitem__"))
    except Exception:  # an object that fails even there
        return False


def table_of(frame: Any, what: str = "frame") -> Table:
    """Return a frame as a table; the index of pandas is no column of it.

    Raises
    ------
    DataError
        If it holds no rows, two columns of one name, or only looks like a frame.
    """
    try:
        keys, rows = list(frame.columns), len(frame)
        names = [str(key) for key in keys]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(message(what, "has two columns of one name", twice, "other names"))
        columns = tuple(_column(str(key), frame[key]) for key in keys)
        named = not all(isinstance(key, int | np.integer) for key in keys)
    except DataError:
        raise
    except Exception as error:  # an object that only looks like a frame
        text = f"{what}: cannot be read as a frame ({reason(error)})"
        raise DataError(f"{text}. Try: frame.to_numpy()") from error
    if not columns or not rows or any(len(column.values) != rows for column in columns):
        raise DataError(message(what, "holds no rows", (rows, len(columns)), "a row per sample"))
    size = f"{rows} row{'s' * (rows > 1)} of {len(columns)} column{'s' * (len(columns) > 1)}"
    return Table(what, columns, rows, size, named)


def arrow_column(name: str, chunks: Any, types: Any) -> Column:
    """Return a column of Arrow; ``types``: the module ``pyarrow.types``."""
    kind = chunks.type
    if types.is_dictionary(kind):
        levels = dict.fromkeys(
            str(level) for chunk in chunks.chunks for level in chunk.dictionary.to_pylist()
        )
        texts = [None if v is None else str(v) for v in chunks.to_pylist()]
        return of_texts(name, texts, tuple(levels))
    if types.is_integer(kind) or types.is_floating(kind):
        return column_of(name, chunks.to_numpy())
    return _objects(name, chunks.to_pylist(), str(kind))


def _column(name: str, series: Any) -> Column:
    """Return a column of a frame of pandas or polars."""
    kind = series.dtype
    levels = getattr(kind, "categories", None)  # of pandas' categories and polars' enumerations
    if levels is not None and str(kind).startswith(("category", "Enum")):
        values = series.to_list()
        texts = [None if v is None or v != v else as_text(v) for v in values]
        return of_texts(name, texts, tuple(map(as_text, levels)))
    plain = isinstance(kind, np.dtype) and kind.kind in "biuf"
    if plain or (hasattr(kind, "is_numeric") and kind.is_numeric()):
        return column_of(name, series.to_numpy())
    return _objects(name, series.to_list(), str(kind))


def _objects(name: str, values: list[Any], kind: str) -> Column:
    made = np.empty(len(values), object)
    for k, value in enumerate(values):
        made[k] = value
    column = column_of(name, made)
    return replace(column, unusable=kind) if column.unusable else column
