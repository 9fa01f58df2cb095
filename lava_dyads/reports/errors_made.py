"""How a trained network does on its test part, sample by sample."""

from __future__ import annotations

import base64
import importlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.data import Dataset
from lava_dyads.training import Checkpoint

MOST_SAMPLES, MOST_CLASSES, MOST_COLUMNS = 24, 30, 12
"""What is shown of errors, of a confusion matrix, and of a row."""

SMALLEST_PICTURE = 8
"""Side from which on rows with a square number of values are drawn as pictures."""


@dataclass(frozen=True)
class Sample:
    """A sample that is said wrong.

    Attributes
    ----------
    row : int
        Number in the data.
    truth, said : str
    picture : str
        A data URI; empty: the input is no picture.
    values : dict of str to str
        Features by name, the first of them, where it is none.
    """

    row: int
    truth: str
    said: str
    picture: str
    values: dict[str, str]


@dataclass(frozen=True)
class Errors:
    """Where a network errs.

    Attributes
    ----------
    names : list of str
        Of the classes; empty where there are none.
    confusion : list of lists of int
        Rows: classes; columns: what is said of them.
    samples : list of Sample
        The worst ones: those of which it is surest, or with the largest error.
    wrong, tested : int
        How many there are; wrong is -1 where values cannot be wrong.
    """

    names: list[str]
    confusion: list[list[int]]
    samples: list[Sample]
    wrong: int
    tested: int


def errors_of(checkpoint: Checkpoint, data: Dataset) -> Errors:
    """Return where a network errs on the test part of its data."""
    rows = data.parts(**checkpoint.split)[-1]
    outputs = checkpoint.decision(data.x[rows])
    if data.labels is None:
        targets = np.asarray(data.taught())[rows]
        distance = np.abs(outputs - targets).max(axis=1)
        worst = np.argsort(-distance, kind="stable")[:MOST_SAMPLES]
        texts = [(_numbers(targets[i]), _numbers(outputs[i])) for i in worst]
        return Errors([], [], _samples(data, rows[worst], texts), -1, len(rows))
    truth, said = data.classes_of(rows), outputs.argmax(axis=1)
    classes = max(data.classes, outputs.shape[1])
    names = [str(n) for n in data.class_names] + [str(k) for k in range(classes)]
    names = names[:classes] if data.class_names else [str(k) for k in range(classes)]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, said), 1)
    wrong = np.flatnonzero(truth != said)
    margin = outputs[wrong, said[wrong]] - outputs[wrong, truth[wrong]]
    worst = wrong[np.argsort(-margin, kind="stable")][:MOST_SAMPLES]
    texts = [(names[truth[i]], names[said[i]]) for i in worst]
    return Errors(names, confusion.tolist(), _samples(data, rows[worst], texts), len(wrong),
                  len(rows))  # fmt: skip


def _samples(data: Dataset, rows: IntArray, texts: list[tuple[str, str]]) -> list[Sample]:
    side = round(data.x.shape[1] ** 0.5)
    square = side * side == data.x.shape[1] and side >= SMALLEST_PICTURE
    found = []
    for row, (truth, said) in zip(rows.tolist(), texts, strict=True):
        values = data.x[row]
        picture = _picture(values.reshape(side, side), data.input_range) if square else ""
        names = data.feature_names or [f"x{k}" for k in range(len(values))]
        few = {} if square else dict(zip(names[:MOST_COLUMNS], map(_number, values), strict=False))
        found.append(Sample(row, truth, said, picture, few))
    return found


def _picture(values: Array, limits: tuple[float, float]) -> str:
    """Return a grey picture as a data URI."""
    image: Any = importlib.import_module("matplotlib.image")
    buffer = io.BytesIO()
    image.imsave(buffer, values, cmap="gray", vmin=limits[0], vmax=limits[1], format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _numbers(values: Array) -> str:
    return ", ".join(map(_number, values.tolist()))
