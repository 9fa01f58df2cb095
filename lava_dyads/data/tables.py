"""Data sets from tables: which columns are inputs, and which say what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import Array
from lava_dyads.data.contents import Column, Table
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.outcome import left_out, listed, outcome_of
from lava_dyads.data.preparation import described
from lava_dyads.data.reading import Reading
from lava_dyads.data.schema import Feature, Schema, learn
from lava_dyads.errors import DataError, invalid, message

TARGETS = ("label", "labels", "class", "target", "y", "species", "category", "outcome", "diagnosis")
"""Names of columns that are taken for what is to be learned, where nobody says which is."""

ROW_NUMBERS = ("", "Unnamed: 0", "index", "row")
"""Names of first columns that are no inputs, where they count the rows."""


@dataclass(frozen=True)
class _Roles:
    """What the columns of a table are for.

    Attributes
    ----------
    targets : list of Column
    group, time : Column or None
        By which the rows are split.
    ignored : list of str
    inputs : Table
    """

    targets: list[Column]
    group: Column | None
    time: Column | None
    ignored: list[str]
    inputs: Table


def of_table(table: Table, name: str, reading: Reading, like: Schema | None = None) -> Dataset:
    """Return the data set of a table.

    Parameters
    ----------
    table : Table
    name : str
    reading : Reading
    like : Schema or None
        What its rows have to be; None: what they are.

    Raises
    ------
    DataError
        If a column is not there or can be no input, or a value is missing.
    """
    whole, roles = table, _roles(table, reading, like)
    has_target = ~np.logical_or.reduce([column.missing for column in roles.targets])
    if reading.missing == "error" and not has_target.all():
        _raise_missing(table, roles.targets, "has no target")
    if not has_target.any():
        raise DataError(message(table.what, "has no row with a target", "none", "--target"))
    if not has_target.all():
        table = table.only(has_target)
        roles = _roles(table, reading, like)
    features = like.features if like else learn(roles.inputs)
    x, strange = (like or Schema(features, table.named)).encode(roles.inputs)
    kept = _kept(x, table, features, reading)
    if not kept.all():
        x, table = x[kept], table.only(kept)
        roles = _roles(table, reading, like)
    task, known = (like.task, like.class_names) if like else (reading.task, None)
    outcome = outcome_of(roles.targets, table.what, task, known)
    names = tuple(column.name for column in roles.targets)
    schema = like or Schema(features, table.named, names, outcome.task, outcome.class_names)
    told = [f"{table.what}: {table.taken}"]
    if table.rows < whole.rows:
        told.append(left_out(whole.rows - table.rows))
    ignored = [*roles.ignored, *strange]
    if ignored:
        told.append(f"ignored: {listed([repr(name) for name in ignored])}")
    told.append(f"target {', '.join(map(repr, names))}: {outcome.taken}")
    preparation, line = described(x, reading.scaling, reading.missing == "mean")
    made = Dataset(
        name,
        np.asarray(x, np.float64),
        outcome.labels,
        targets=outcome.targets,
        task=outcome.task,
        class_names=schema.class_names,
        feature_names=schema.names if table.named else (),
        output_names=outcome.output_names,
        preparation=preparation,
        schema=schema,
        reading=reading,
        told=(*told, *line),
    )
    return _divided(made, table, roles, reading)


def _roles(table: Table, reading: Reading, like: Schema | None) -> _Roles:
    """Return what the columns of a table are for."""
    targets = _targets(table, reading, like)
    group = table.find(reading.group, "--group") if reading.group else None
    by = reading.split.partition(":")[2]
    time = table.find(by, "--split") if by else None
    used = {column.name for column in (*targets, group, time) if column is not None}
    ignored = [table.find(name, "--ignore").name for name in reading.ignore]
    ignored += _row_numbers(table, used)
    inputs = table.without([*used, *ignored])
    if not inputs.columns:
        raise DataError(message(table.what, "has no column left for inputs", "none", "a feature"))
    return _Roles(targets, group, time, ignored, inputs)


def _targets(table: Table, reading: Reading, like: Schema | None) -> list[Column]:
    """Return the columns of what is to be learned."""
    names = like.targets if like and like.targets else reading.target
    if names:
        found = [table.find(name, "--target") for name in names]
        if len({c.name for c in found}) < len(found):
            invalid("--target", "names a column twice", ", ".join(names), "each once")
        return found
    if len(table.columns) < 2:
        limit = "needs features and a target, and has one column"
        raise DataError(message(table.what, limit, table.names[0], "more columns"))
    by_name = {column.name.lower(): column for column in reversed(table.columns)}
    for name in TARGETS:
        if name in by_name:
            return [by_name[name]]
    return [table.columns[-1]]


def _row_numbers(table: Table, used: set[str]) -> list[str]:
    """Return the first column where it only counts the rows."""
    first = table.columns[0]
    if first.name in ROW_NUMBERS and table.named and first.name not in used and not first.is_text:
        count = np.arange(table.rows)
        if any(np.array_equal(first.values, count + start) for start in (0, 1)):
            return [first.name]
    return []


def _kept(
    x: Array, table: Table, features: Sequence[Feature], reading: Reading
) -> NDArray[np.bool_]:
    """Return which rows are kept, where some have missing values."""
    for bad, limit, hint in (
        (np.isinf(x), "must be finite", "to leave the row out"),
        (np.isnan(x), "is missing", "--missing mean, or --missing drop"),
    ):
        if bad.any() and (limit == "must be finite" or reading.missing == "error"):
            row, k = np.argwhere(bad)[0].tolist()
            owners = [f.name for f in features for _ in f.names] or list(table.names)
            where = table.place(row, owners[k])
            raise DataError(message(where, limit, float(x[row, k]), hint))
    gaps: NDArray[np.bool_] = np.asarray(np.isnan(x).any(axis=1))
    if reading.missing == "mean":
        return np.ones(len(x), bool)
    if gaps.all():
        limit = "has a missing value in every row"
        raise DataError(message(table.what, limit, len(x), "--missing mean"))
    return ~gaps


def _raise_missing(table: Table, columns: Sequence[Column], limit: str) -> NoReturn:
    column = next(column for column in columns if column.missing.any())
    where = table.place(int(column.missing.argmax()), column.name)
    raise DataError(message(where, limit, "", "--missing drop, which leaves such rows out"))


def _divided(made: Dataset, table: Table, roles: _Roles, reading: Reading) -> Dataset:
    """Return a data set that is split by groups or in time."""
    if roles.group is not None:
        texts = np.array([str(value) for value in roles.group.values])
        return replace(made, groups=np.unique(texts, return_inverse=True)[1].astype(np.int64))
    if not reading.split:
        return made
    if roles.time is None:
        return replace(made, ordered=True)
    if roles.time.missing.any():
        _raise_missing(table, [roles.time], "has no time")
    order = np.argsort(roles.time.values, kind="stable")
    given = {name: getattr(made, name) for name in ("x", "labels", "targets")}
    parts: dict[str, Any] = {n: None if a is None else a[order] for n, a in given.items()}
    return replace(made, **parts, ordered=True)
