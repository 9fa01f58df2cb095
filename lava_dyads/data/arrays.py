"""Data sets from arrays: rows of numbers, or images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import Array
from lava_dyads.data.contents import Arrays
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.outcome import left_out, outcome_of_array
from lava_dyads.data.preparation import described
from lava_dyads.data.reading import Reading
from lava_dyads.data.schema import Schema
from lava_dyads.errors import DataError, invalid, message

COLOURS = (1, 3, 4)
"""Channels that images may have."""


def of_arrays(content: Arrays, name: str, reading: Reading, like: Schema | None = None) -> Dataset:
    """Return the data set of arrays; parameters as of :func:`~lava_dyads.data.tables.of_table`.

    Raises
    ------
    DataError
        If there is nothing to be learned, or not of every sample, or a value is missing.
    """
    for option, value in (("ignore", reading.ignore), ("group", reading.group)):
        if value:
            invalid(option, "needs a table whose columns have names", value, "a CSV file")
    if reading.split not in ("", "time"):
        invalid("split", "arrays have no column of time", reading.split, "time")
    if content.y is None:
        hint = "--target FILE, or an archive with arrays x and labels"
        raise DataError(message(content.what, "holds no labels", content.taken, hint))
    x, image = flattened(content)
    y = np.asarray(content.y)
    if y.ndim == 0 or len(y) != len(x):
        limit = "needs x of shape (samples, features) and one label per row"
        hint = "x.reshape(len(labels), -1)"
        raise DataError(message(f"data {name}", limit, (content.x.shape, y.shape), hint))
    task, known = (like.task, like.class_names) if like else (reading.task, None)
    names = content.feature_names if len(content.feature_names) == x.shape[1] else ()
    kept = _kept(x, name, names, reading)
    if not kept.all():
        x, y = x[kept], y[kept]
    outcome = outcome_of_array(y, content.what, task, known, content.class_names)
    schema = like or Schema((), False, (), outcome.task, outcome.class_names, image)
    told = [f"{content.what}: {content.taken}", f"target: {outcome.taken}"]
    if not kept.all():
        told.append(left_out(int((~kept).sum())))
    fills = reading.missing == "mean"
    preparation, line = described(
        x, reading.scaling, fills, bool(image) or content.x.dtype == np.uint8
    )
    return Dataset(
        name,
        np.asarray(x, np.float64),
        outcome.labels,
        targets=outcome.targets,
        task=outcome.task,
        class_names=schema.class_names,
        feature_names=names,
        output_names=outcome.output_names,
        official_training_rows=content.training_rows if kept.all() else None,
        preparation=preparation,
        schema=schema,
        reading=reading,
        told=(*told, *line),
        ordered=bool(reading.split),
    )


def _kept(x: Array, name: str, names: tuple[str, ...], reading: Reading) -> NDArray[np.bool_]:
    """Return which rows are kept, where some have missing values."""
    gaps = np.isnan(x)
    bad = ~np.isfinite(x) if reading.missing == "error" else np.isinf(x)
    if bad.any():
        row, k = np.argwhere(bad)[0].tolist()
        where = f"data {name}: x[{row}, {names[k] if names else k}]"
        hint = "--missing mean, or --missing drop"
        raise DataError(message(where, "must be finite", float(x[row, k]), hint))
    if reading.missing == "mean":
        return np.ones(len(x), bool)
    if gaps.any(axis=1).all():
        limit = "has a missing value in every row"
        raise DataError(message(f"data {name}", limit, len(x), "--missing mean"))
    return np.asarray(~gaps.any(axis=1))


def flattened(content: Arrays) -> tuple[Array, tuple[int, ...]]:
    """Return samples as rows of numbers, and what they are as images: channels, height, width.

    Images are laid out row by row, channel by channel, as the networks have them.
    """
    x = np.asarray(content.x)
    if x.dtype.kind not in "biuf" or not x.ndim or not x.size:
        got = f"{x.dtype}, shape {x.shape}"
        raise DataError(message(content.what, "needs numbers in x", got, "x.astype(float)"))
    image: tuple[int, ...] = ()
    if x.ndim == 4 and not content.channels_first:
        last = x.shape[3] in (1, 3, 4) or x.shape[1] not in (1, 3, 4)
        x = np.moveaxis(x, 3, 1) if last else x
    if x.ndim in (3, 4):
        image = tuple(int(n) for n in x.shape[-3:]) if x.ndim == 4 else (1, *x.shape[1:])
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    return flat.astype(np.float64), image
