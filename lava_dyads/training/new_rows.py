"""New rows for a trained network, whatever they come as, checked: one line where they are wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.choices import Header
from lava_dyads.data.contents import Arrays, How, Table
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.formats import read
from lava_dyads.data.frames import is_frame, table_of
from lava_dyads.data.schema import Schema
from lava_dyads.errors import DataError, invalid, message

FAR = 0.5
"""By how much of its width values may leave the range of the training data: further away they
are in other units."""


def rows_of(x: object, shape: tuple[int, ...], what: str = "x", gaps: bool = False) -> Array:
    """Return rows as an array (n, features) of float64.

    Parameters
    ----------
    x : row, rows, array, images, or frame (anything with ``to_numpy``)
    shape : tuple of int
        Of the network's input: (n,), or (channels, height, width) of images.
    what : str
        As messages call them.
    gaps : bool
        Whether values may be missing (nan).

    Raises
    ------
    ValidationError
        If they are no numbers, not finite, ragged, none, or more or fewer than the inputs.
    """
    names = _names(x)
    array = _numbers(_array(x, what), what, names)
    features = int(np.prod(shape))
    if not array.size:
        invalid(what, "needs at least one row", array.shape, "rows of numbers")
    if array.ndim == 0:
        invalid(what, "must be a row, or rows", x, "[[0.1, 0.2, ...]]")
    given = array.shape
    if array.ndim == 1:
        array = array[None]
    elif array.ndim > 2:
        array = _flat(array, shape)
    if array.shape[1] != features:
        limit = f"the network has {features} inputs, the rows have {array.shape[1]} columns"
        invalid(what, limit, given, _way(array, features))
    bad = np.argwhere(np.isinf(array) if gaps else ~np.isfinite(array))
    if len(bad):
        row, column = bad[0].tolist()
        where = f"{what}[{row}, {names[column] if names else column}]"
        invalid(where, "must be finite", float(array[row, column]), "drop or impute such rows")
    return array


def check_seen(rows: Array, seen: tuple[float, float], what: str, units: str = "") -> str:
    """Return a warning where values leave the range of the training data; empty: none does.

    Raises
    ------
    ValidationError
        If one leaves it by more than half its width: then they are in other units.
    """
    low, high = seen
    least, most = float(np.nanmin(rows, initial=high)), float(np.nanmax(rows, initial=low))
    excess = max(low - least, most - high)
    if excess <= 0:
        return ""
    value = most if most - high >= low - least else least
    row, column = (int(i) for i in np.argwhere(rows == value)[0])
    where = f"{what}[{row}, {column}]"
    limit = f"values of the training data lie in {low:g} .. {high:g}"
    hint = f"the same units{f' ({units})' if units else ''}"
    if excess > FAR * (high - low):
        invalid(where, limit, value, f"{hint}, or any_range (--any-range)")
    return message(where, limit, value, hint)


def held(x: object, schema: Schema, header: Header = "auto") -> Table | AnyArray:
    """Return the rows of a file or a folder, read like the data of the training.

    Parameters
    ----------
    x : str, path, Table or Arrays
    schema : Schema
        Of the training.
    header : str
        Whether the first line of a table holds names.
    """
    image = schema.image
    if isinstance(x, str | os.PathLike):
        x = read(x, How(header, image[1:], image[0] if image else 0), "FILE")
    assert isinstance(x, Table | Arrays)
    if isinstance(x, Table):
        return x
    whole = x.channels_first and x.x.ndim > 2
    return np.asarray(x.x.reshape(len(x.x), -1) if whole else x.x)


def needs_schema(x: object, schema: Schema) -> bool:
    """Tell whether rows are a table of which more is known than that they are numbers."""
    return isinstance(x, Table) or (bool(schema.features) and is_frame(x))


def encoded(
    x: object, schema: Schema, what: str = "x", lenient: bool = False, gaps: bool = False
) -> Array:
    """Return the rows of a table, or of a frame, as numbers: columns by name, texts one-hot.

    Parameters
    ----------
    x : Table or frame
    schema : Schema
        Of the training.
    what : str
        As messages call them.
    lenient : bool
        Take texts that are not known for none of those that are.
    gaps : bool
        Whether values may be missing.

    Raises
    ------
    DataError
        If a column or a value is missing, or another than in the training.
    """
    table = x if isinstance(x, Table) else table_of(x, what)
    made, _ = schema.encode(table, lenient)
    bad = np.argwhere(np.isinf(made) if gaps else ~np.isfinite(made))
    if len(bad):
        row, k = bad[0].tolist()
        owners = [f.name for f in schema.features for _ in f.names] or list(table.names)
        where = table.place(row, owners[k])
        if np.isinf(made[row, k]):
            raise DataError(message(where, "must be finite", float(made[row, k]), "a number"))
        hint = "a value, or a network trained with --missing mean"
        raise DataError(message(where, "is missing", "", hint))
    return made


def schema_of(data: Dataset) -> Schema:
    """Return what the rows of data are, with the names of its classes."""
    return replace(data.schema, class_names=data.class_names or data.schema.class_names)


def named(classes: IntArray, names: tuple[str, ...]) -> AnyArray:
    """Return classes by their names: as whole numbers, where all names are some.

    Examples
    --------
    >>> named(np.array([1, 0]), ("no", "yes")).tolist(), named(np.array([2]), ("1", "5", "9"))
    (['yes', 'no'], array([9]))
    """
    if not names:
        return classes
    whole = all(name.lstrip("-").isdecimal() and str(int(name)) == name for name in names)
    values = np.array([int(name) for name in names] if whole else list(names))
    made: AnyArray = values[classes]
    return made


def _names(x: object) -> list[str]:
    """Return the columns of a frame."""
    try:
        columns: Any = getattr(x, "columns", None) if hasattr(x, "to_numpy") else None
        return [repr(name) for name in columns] if columns is not None else []
    except Exception:  # an object that only looks like a frame
        return []


def _array(x: object, what: str) -> AnyArray:
    """Return rows as an array of whatever there is."""
    if isinstance(x, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(x.astype(float), np.nan))
    convert = getattr(x, "to_numpy", None)
    try:
        made = np.asarray(convert() if callable(convert) else x)
    except Exception as error:  # ragged, or an object whose conversion fails in whatever way
        lengths = _lengths(x)
        if lengths:
            (_, first), (row, other) = lengths
            limit = f"rows must be of one length, and row 0 has {first}"
            invalid(f"{what}[{row}]", limit, other, "rows of as many numbers")
        invalid(what, "must be rows of numbers", type(error).__name__, "numpy.asarray(rows)")
    return made


def _lengths(x: object) -> list[tuple[int, int]]:
    """Return the first row and the first of another length, where that is what is wrong."""
    if not isinstance(x, list | tuple):
        return []
    try:
        sizes = [len(row) for row in x]
    except Exception:  # of an object that fails in whatever way
        return []
    odd = [(row, size) for row, size in enumerate(sizes) if size != sizes[0]]
    return [(0, sizes[0]), odd[0]] if odd else []


def _numbers(array: AnyArray, what: str, names: list[str]) -> Array:
    """Return an array of real numbers."""
    if array.dtype.kind in "biuf":
        with np.errstate(over="ignore"):  # a longdouble may be too large; then it is not finite
            return array.astype(np.float64, copy=False)
    if array.dtype.kind == "O" and array.ndim:
        made = np.empty(array.shape)
        for place, value in np.ndenumerate(array):
            try:
                made[place] = _number(value)
            except (TypeError, ValueError, OverflowError):
                at = [*map(str, place)]
                if names and len(at) == 2:
                    at[1] = names[place[1]]
                hint = "columns of numbers only"
                invalid(f"{what}[{', '.join(at)}]", "must be a number", value, hint)
        return made
    got = array.flat[0] if array.size else array
    invalid(what, "must be numbers", got, "columns of numbers only; of a file, lava-dyads predict")


def _number(value: object) -> float:
    """Return a number that an array of objects holds; a text is none."""
    if value is None:
        return float("nan")
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _flat(images: Array, shape: tuple[int, ...]) -> Array:
    """Return images as the network has them: row by row, channel by channel where it has some."""
    last = images.shape[1:]
    if len(shape) == len(last) == 3 and last != shape and last == (*shape[1:], shape[0]):
        images = np.moveaxis(images, -1, 1)
    return np.ascontiguousarray(images).reshape(len(images), -1)


def _way(rows: Array, features: int) -> str:
    if rows.size == features:
        return "x.reshape(1, -1), if they are one row"
    if features == 1 and len(rows) == 1:
        return "x.reshape(-1, 1), if they are rows of one number"
    return "the columns of the training data, without label and row number"
