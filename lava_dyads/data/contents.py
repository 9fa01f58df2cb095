"""What a file or a frame holds, before anybody has said what is to be learned from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import AnyArray, IntArray
from lava_dyads.errors import DataError, message, nearest, shown

TRUTH = ("False", "True")
"""Names of truth values."""

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
"""Texts that say that a value is missing, in small letters."""


@dataclass(frozen=True)
class How:
    """How a file is read, where that is not plain from the file.

    Attributes
    ----------
    header : str
        Whether the first line of a table holds names: ``auto``, ``yes`` or ``no``.
    image_size : tuple of int
        Height and width that pictures are brought to; empty: they have one.
    channels : int
        1 (grey) or 3 (colour); 0: as the pictures are.
    """

    header: str = "auto"
    image_size: tuple[int, ...] = ()
    channels: int = 0


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        Its name, or its number as a text where the table has no names.
    values : array, shape (rows,)
        float64, nan where one is missing; or texts as objects, None where one is missing.
    levels : tuple of str
        The texts there are in an order of their own, or the names of 0 and 1 of truth values;
        empty: nothing is known of that.
    unusable : str
        What the values are, where that is neither numbers nor texts (dates, lists): then they can
        be no input, and stand here as texts; empty: they are.
    """

    name: str
    values: AnyArray
    levels: tuple[str, ...] = ()
    unusable: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return self.values.dtype.kind == "O"

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where a value is missing, shape (rows,)."""
        if self.is_text:
            return np.fromiter((value is None for value in self.values), bool, len(self.values))
        return np.asarray(np.isnan(self.values))


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Attributes
    ----------
    what : str
        What it is called in messages.
    columns : tuple of Column
    rows : int
    taken : str
        How it was read, in words.
    named : bool
        Whether the columns have names.
    lines : int array or None
        Lines of the file that the rows are in; None: they are counted from 0.
    """

    what: str
    columns: tuple[Column, ...]
    rows: int
    taken: str
    named: bool = True
    lines: IntArray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, or their numbers."""
        return tuple(column.name for column in self.columns)

    def place(self, row: int, column: str = "") -> str:
        """Return where a row is, for a message."""
        where = f"row {row}" if self.lines is None else f"line {self.lines[row]}"
        said = f", column {repr(column) if self.named else column}" if column else ""
        return f"{self.what}, {where}{said}"

    def find(self, name: str, option: str) -> Column:
        """Return a column by its name, or by its number: from 0, or -1 for the last.

        Raises
        ------
        DataError
            If there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        try:
            number = int(name)
        except ValueError:
            number = len(self.columns)
        if -len(self.columns) <= number < len(self.columns):
            return self.columns[number]
        hint = nearest(name, self.names) if self.named else f"0 .. {len(self.columns) - 1}"
        raise DataError(message(option, f"{self.what} has no such column", name, hint))

    def without(self, names: Sequence[str]) -> Table:
        """Return the table without some columns."""
        kept = tuple(column for column in self.columns if column.name not in names)
        return replace(self, columns=kept)

    def only(self, rows: NDArray[Any]) -> Table:
        """Return some rows of the table: numbers of rows, or a mask."""
        columns = tuple(replace(c, values=c.values[rows]) for c in self.columns)
        lines = (np.arange(self.rows) if self.lines is None else self.lines)[rows]
        return replace(self, columns=columns, rows=len(lines), lines=lines)


@dataclass(frozen=True)
class Arrays:
    """Samples as an array, and what is to be learned of them, where that is with it.

    Attributes
    ----------
    what : str
        What they are called in messages.
    x : array, shape (samples, ...)
    y : array, shape (samples,) or (samples, outputs), or None
    taken : str
        How they were read, in words.
    training_rows : int or None
        The first so many samples are the training part, the others the test part.
    class_names, feature_names : tuple of str
        As the file has them; empty: it has none.
    channels_first : bool
        Whether the channels of images are before their height and width.
    """

    what: str
    x: AnyArray
    y: AnyArray | None
    taken: str
    training_rows: int | None = None
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    channels_first: bool = False


def column_of(name: str, values: Any) -> Column:
    """Return a column of whatever values: numbers, truth values or texts."""
    values = np.asarray(values)
    if values.dtype.kind == "b":
        return Column(name, values.astype(np.float64), TRUTH)
    if values.dtype.kind in "iuf":
        with np.errstate(over="ignore"):  # a longdouble may be too large; then it is not finite
            return Column(name, values.astype(np.float64))
    try:
        known = [_plain(value) for value in values.ravel().tolist()]
    except TypeError as error:
        texts = [None if value is None else _said(value) for value in values.ravel().tolist()]
        return Column(name, _objects(texts), unusable=str(error))
    there = [value for value in known if value is not None]
    if not any(isinstance(value, str) for value in there):
        numbers = np.array([np.nan if value is None else float(value) for value in known])
        truths = bool(there) and all(isinstance(value, bool) for value in there)
        return Column(name, numbers, TRUTH if truths else ())
    return of_texts(name, [None if value is None else as_text(value) for value in known])


def of_texts(name: str, texts: Sequence[str | None], levels: tuple[str, ...] = ()) -> Column:
    """Return a column of texts; those that all are true or false are truth values."""
    spelt = sorted({text for text in texts if text is not None})
    if not levels and spelt and all(text.lower() in ("true", "false") for text in spelt):
        names = {text.lower(): text for text in spelt}
        if len(names) == len(spelt):
            pair = names.get("false", "False"), names.get("true", "True")
            truths = [np.nan if t is None else float(t.lower() == "true") for t in texts]
            return Column(name, np.array(truths), pair)
    return Column(name, _objects(texts), tuple(level for level in levels if level in set(spelt)))


def as_text(value: object) -> str:
    """Return a value as a text; a whole number without a point.

    Examples
    --------
    >>> as_text(3.0), as_text(2.5), as_text("red")
    ('3', '2.5', 'red')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _objects(texts: Sequence[str | None]) -> AnyArray:
    values = np.empty(len(texts), object)
    values[:] = texts
    return values


def _said(value: object) -> str:
    """Return a text of what can be no value; dates so that they can be put in order."""
    try:
        return str(value.isoformat())  # type: ignore[attr-defined]
    except Exception:  # it is something else, and may fail in whatever way
        return shown(value)


def _plain(value: Any) -> bool | float | str | None:
    """Return a value as what a column may hold; None: it is missing.

    Raises
    ------
    TypeError
        With the name of what it is, if it can be none.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip()
        return None if text.lower() in MISSING else text
    kind = type(value).__name__
    if kind in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    if not isinstance(value, int | float | np.number | np.bool_ | Decimal | Fraction):
        raise TypeError(kind)
    try:
        return bool(value) if isinstance(value, np.bool_) else float(value)
    except (TypeError, ValueError, OverflowError):  # complex, a signalling nan, 10 ** 400
        raise TypeError(kind) from None
