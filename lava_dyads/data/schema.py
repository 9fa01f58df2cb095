"""What the rows of a data set are, so that others become inputs of the same network.

Columns of numbers are features; columns of texts are as many features as there are texts, of which
the one that a row holds is 1 (one-hot). Names of columns and texts are remembered: later rows may
have their columns in another order, and others beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import check_fields, entries
from lava_dyads.data.contents import Column, Table, as_text
from lava_dyads.errors import DataError, message, nearest

MOST_LEVELS = 100
"""Texts that a column may have, each a feature."""


@dataclass(frozen=True)
class Feature:
    """A column of the inputs.

    Attributes
    ----------
    name : str
    levels : tuple of str
        Its texts, each a feature of 0 or 1; empty: it holds numbers.
    """

    name: str
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features it is."""
        return tuple(f"{self.name}={level}" for level in self.levels) or (self.name,)


@dataclass(frozen=True)
class Schema:
    """What the rows of a data set are.

    Attributes
    ----------
    features : tuple of Feature
        Columns that are inputs; empty: rows of numbers, or images.
    named : bool
        Whether they have names of their own.
    targets : tuple of str
        Columns that hold what is to be learned.
    task : str
        ``classes``, ``values`` or ``labels``.
    class_names : tuple of str
    image : tuple of int
        Channels, height and width of images; empty: they are none.
    """

    features: tuple[Feature, ...] = ()
    named: bool = False
    targets: tuple[str, ...] = ()
    task: str = "classes"
    class_names: tuple[str, ...] = ()
    image: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features, in order."""
        return tuple(name for feature in self.features for name in feature.names)

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        return asdict(self)

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Schema:
        """Return what :meth:`as_dict` has described.

        Raises
        ------
        ValidationError
            If it is something else.
        """
        kinds = {"features": list[Mapping[str, Any]], "named": bool, "targets": tuple[str, ...],
                 "task": str, "class_names": tuple[str, ...], "image": tuple[int, ...]}  # fmt: skip
        known = entries(held, "schema", {}, kinds)
        parts = [
            entries(part, "schema: feature", {"name": str}, {"levels": tuple[str, ...]})
            for part in known.pop("features", [])
        ]
        features = tuple(Feature(part["name"], part.get("levels", ())) for part in parts)
        return cls(features, **{name: known[name] for name in kinds if name in known})

    def encode(self, table: Table, lenient: bool = False) -> tuple[Array, tuple[str, ...]]:
        """Return the features of a table, nan where one is missing; and columns that are none.

        Parameters
        ----------
        table : Table
        lenient : bool
            Take a text that is not known for none of those that are.

        Raises
        ------
        DataError
            If a column is missing, or holds something else than in the training.
        """
        if not self.features:
            return np.column_stack([_numbers(table, column) for column in table.columns]), ()
        columns = self._matched(table)
        parts = [
            _one_hot(table, column, feature, lenient) if feature.levels else _numbers(table, column)
            for column, feature in zip(columns, self.features, strict=True)
        ]
        names = {column.name for column in columns}
        return np.column_stack(parts), tuple(n for n in table.names if n not in names)

    def _matched(self, table: Table) -> list[Column]:
        """Return the columns of a table that are the features, by name where both have names."""
        if self.named and table.named:
            there = {column.name: column for column in table.columns}
            for feature in self.features:
                if feature.name not in there:
                    limit = f"needs a column {feature.name!r}"
                    known = {feature.name for feature in self.features}
                    strange = known.isdisjoint(there)
                    hint = "--header no" if strange else nearest(feature.name, there)
                    raise DataError(message(table.what, limit, _some(table.names), hint))
            return [there[feature.name] for feature in self.features]
        if len(table.columns) != len(self.features):
            limit = f"needs {len(self.features)} columns"
            hint = f"{_some([f.name for f in self.features])}, in this order"
            raise DataError(message(table.what, limit, len(table.columns), hint))
        return list(table.columns)


ROWS = Schema()
"""Rows of numbers that have no names."""


def learn(table: Table) -> tuple[Feature, ...]:
    """Return the features that the columns of a table are.

    Raises
    ------
    DataError
        If a column can be no feature: of dates, of too many texts, of numbers and a few texts.
    """
    return tuple(_feature(table, column) for column in table.columns)


def _feature(table: Table, column: Column) -> Feature:
    what = f"{table.what}, column {column.name!r}" if table.named else table.place(0, column.name)
    hint = f"--ignore {column.name}"
    if column.unusable:
        limit = "can be no input: it holds neither numbers nor texts"
        raise DataError(message(what, limit, column.unusable, f"{hint}, or numbers in its place"))
    if not column.is_text:
        return Feature(column.name)
    there = [text for text in column.values if text is not None]
    numbers = sum(_is_number(text) for text in there)
    if 2 * numbers > len(there):
        row = next(k for k, text in enumerate(column.values) if text and not _is_number(text))
        limit = "must be a number, as most of the column are"
        raise DataError(message(table.place(row, column.name), limit, column.values[row], hint))
    levels = column.levels or tuple(sorted(set(there)))
    if len(levels) > MOST_LEVELS:
        limit = f"has {len(levels)} different texts, and each would be an input"
        raise DataError(message(what, limit, levels[0], f"{hint}, or at most {MOST_LEVELS} texts"))
    if not levels:
        raise DataError(message(what, "holds nothing", "", hint))
    return Feature(column.name, levels)


def _numbers(table: Table, column: Column) -> Array:
    """Return the numbers of a column, shape (rows,)."""
    if not column.is_text:
        return np.asarray(column.values, np.float64)
    for row, text in enumerate(column.values):
        if text is not None and not _is_number(text):
            hint = "numbers, as in the training"
            raise DataError(message(table.place(row, column.name), "must be a number", text, hint))
    return np.array([np.nan if text is None else float(text) for text in column.values])


def _one_hot(table: Table, column: Column, feature: Feature, lenient: bool) -> Array:
    """Return a column of 0 and 1 for each text, (rows, levels); nan where it is missing."""
    values = column.values
    if not column.is_text:
        values = np.array(
            [None if v != v else column.levels[int(v)] if column.levels else as_text(v)
             for v in values.tolist()], object)  # fmt: skip
    place = {level: k for k, level in enumerate(feature.levels)}
    made = np.zeros((len(values), len(place)))
    for row, text in enumerate(values):
        if text is None:
            made[row] = np.nan
        elif text in place:
            made[row, place[text]] = 1.0
        elif not lenient:
            limit = f"must be one of {_some(feature.levels)}"
            hint = nearest(text, feature.levels)
            raise DataError(message(table.place(row, column.name), limit, text, hint))
    return made


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
