"""What is to be learned, from columns or arrays: classes, real values, or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import AnyArray, IntArray
from lava_dyads.data.contents import Column, as_text, column_of
from lava_dyads.errors import DataError, message, nearest

FEW, MOST, EACH = 20, 100, 10
"""Whole numbers are classes where there are at most FEW different ones, or MOST, with EACH samples
of each."""


@dataclass(frozen=True)
class Outcome:
    """What is to be learned of every sample.

    Attributes
    ----------
    task : str
        ``classes``, ``values`` or ``labels``.
    labels : int array, shape (samples,), or None
        Classes 0 .. classes - 1.
    targets : array, shape (samples, outputs), or None
        Real values, or 0 and 1.
    class_names : tuple of str
        By class; empty: they have no names but their numbers.
    output_names : tuple of str
        By output, of values and labels.
    taken : str
        What was taken for what, in words.
    """

    task: str
    labels: IntArray | None
    targets: NDArray[np.float64] | None
    class_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    taken: str = ""


def outcome_of(
    columns: Sequence[Column], what: str, task: str = "auto", known: tuple[str, ...] | None = None
) -> Outcome:
    """Return what columns say is to be learned.

    One column of texts, truth values or few whole numbers says the class; several of 0 and 1, of
    which always one is 1, do so, too (one-hot). Others of 0 and 1 are labels, and numbers are
    values.

    Parameters
    ----------
    columns : list of Column
        Without missing values.
    what : str
        The file, for messages.
    task : str
        ``auto``, ``classes``, ``values`` or ``labels``.
    known : tuple of str, or None
        Names of the classes that there may be, empty for 0, 1, ...; None: those that there are.

    Raises
    ------
    DataError
        If they cannot be what they should, or a class is not known.
    """
    names = tuple(column.name for column in columns)
    if len(columns) == 1 and task != "labels":
        column = columns[0]
        if task == "classes" or (task == "auto" and are_classes(column)):
            return _classes(column, what, known)
        return _values(columns, what, names)
    texts = [column.name for column in columns if column.is_text]
    if texts:
        limit = "several targets must be numbers, or 0 and 1"
        raise DataError(message(f"{what}, column {texts[0]!r}", limit, "texts", "one of them"))
    values = np.column_stack([column.values for column in columns])
    binary = bool(np.isin(values, (0, 1)).all())
    if task == "labels" and not binary:
        raise DataError(message(what, "labels must be 0 or 1", ", ".join(names), "--task values"))
    if binary and task in ("auto", "classes") and (values.sum(axis=1) == 1).all():
        labels = values.argmax(axis=1).astype(np.int64)
        taken = f"{len(names)} classes, one-hot: {listed(names)}"
        return Outcome("classes", labels, None, names, (), taken)
    if task == "classes":
        limit = "several targets say a class where always one of them is 1, the others 0"
        raise DataError(message(what, limit, ", ".join(names), "--task labels, or one target"))
    if binary and task != "values":
        taken = f"labels {listed(names)}: each holds or not"
        return Outcome("labels", None, values, (), names, taken)
    return _values(columns, what, names)


def outcome_of_array(
    y: AnyArray,
    what: str,
    task: str = "auto",
    known: tuple[str, ...] | None = None,
    class_names: tuple[str, ...] = (),
) -> Outcome:
    """Return what an array of one row or value per sample says is to be learned.

    ``class_names``: names of the classes 0, 1, ..., where there are some.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2):
        limit = "targets must be a value or a row per sample"
        raise DataError(message(what, limit, f"shape {y.shape}", "y.reshape(len(x), -1)"))
    if y.ndim == 2:
        columns = [column_of(str(k), y[:, k]) for k in range(y.shape[1])]
    else:
        columns = [column_of("target", y)]
    for column in columns:
        if column.missing.any():
            row = int(column.missing.argmax())
            where = f"{what}, row {row}"
            raise DataError(message(where, "has no target", y[row], "to leave it out"))
    if known and class_names and columns[0].name == "target" and not columns[0].is_text:
        columns = [_by_name(columns[0], class_names)]
    made = outcome_of(columns, what, task, known)
    numbered = made.labels is not None and not made.class_names
    if class_names and numbered and made.labels is not None and known is None:
        if made.labels.max() < len(class_names):
            taken = f"{len(class_names)} classes: {listed(class_names)}"
            return Outcome("classes", made.labels, None, class_names, (), taken)
        limit = f"has {int(made.labels.max()) + 1} classes"
        raise DataError(message(what, limit, class_names, "a name for each"))
    return made


def _by_name(column: Column, names: tuple[str, ...]) -> Column:
    """Return classes that are numbers as texts."""
    texts = np.empty(len(column.values), object)
    for row, value in enumerate(column.values.tolist()):
        place = int(value)
        texts[row] = names[place] if 0 <= place < len(names) and place == value else as_text(value)
    return Column(column.name, texts)


def are_classes(column: Column) -> bool:
    """Tell whether the values of a column are classes, where nobody says so."""
    if column.is_text or column.levels:
        return True
    values = column.values
    if not np.array_equal(values, np.rint(values)):
        return False
    different = len(np.unique(values))
    return different <= FEW or (different <= MOST and len(values) >= EACH * different)


def _classes(column: Column, what: str, known: tuple[str, ...] | None) -> Outcome:
    """Return the classes that a column says."""
    if column.is_text:
        texts = column.values
        there = set(texts)
        names = column.levels or tuple(sorted(there))
    elif column.levels:
        texts = np.array([column.levels[int(value)] for value in column.values], object)
        there, names = set(texts), column.levels
    else:
        numbers = np.unique(column.values)
        texts = np.array([as_text(value) for value in column.values.tolist()], object)
        names = tuple(as_text(value) for value in numbers.tolist())
        there = set(names)
    if known is not None:
        names = known or tuple(str(k) for k in range(1 + max(map(_number, there), default=0)))
        strange = sorted(there - set(names))
        if strange:
            row = int(np.flatnonzero(texts == strange[0])[0])
            where = f"{what}, row {row}, column {column.name!r}"
            limit = "is none of the classes of the training"
            raise DataError(message(where, limit, strange[0], nearest(strange[0], names)))
    place = {name: k for k, name in enumerate(names)}
    labels = np.fromiter((place[text] for text in texts), np.int64, len(texts))
    plain = known == () or (
        known is None and not column.is_text and names == tuple(map(str, range(len(names))))
        and not column.levels
    )  # fmt: skip
    taken = f"{len(names)} classes: {listed(names)}"
    return Outcome("classes", labels, None, () if plain else names, (), taken)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _values(columns: Sequence[Column], what: str, names: tuple[str, ...]) -> Outcome:
    """Return the real values that columns say."""
    for column in columns:
        if column.is_text:
            row = next(k for k, value in enumerate(column.values) if value is not None)
            where = f"{what}, column {column.name!r}"
            raise DataError(
                message(where, "must hold numbers", column.values[row], "--task classes")
            )
    values = np.column_stack([column.values for column in columns]).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    taken = f"real values of {low:g} .. {high:g}"
    return Outcome("values", None, values, (), names, taken)


def left_out(rows: int) -> str:
    """Return a line on rows that are left out."""
    return f"{rows} row{'s' * (rows > 1)} left out: a value is missing"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return some names for a line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
