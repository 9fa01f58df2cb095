"""A labelled data set in memory, and its split into training and test part."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lava_dyads.checks import Count, check_fields, checked, plain_array
from lava_dyads.data.split import stratified
from lava_dyads.errors import DataError, message
from lava_dyads.kinds import Limit


@dataclass(frozen=True)
class State:
    """What is on this machine of a data set.

    Attributes
    ----------
    status : str
        ``ready`` (there, and what was published), ``absent`` or ``damaged``.
    where : str
        Folder or package it is in; empty where it is not ready.
    problem : str
        One line; empty where it is ready.
    """

    status: str
    where: str = ""
    problem: str = ""


SplitSeed: TypeAlias = Annotated[
    int, Limit("must lie in 0 .. 2^32 - 1, as scikit-learn has it", "0", lambda v: 0 <= v < 2**32)
]
TestShare: TypeAlias = Annotated[float, Limit("must lie in (0, 1)", "0.25", lambda v: 0 < v < 1)]
InputRange: TypeAlias = Annotated[
    tuple[float, ...],
    Limit("must be lowest and highest", "[0, 1]", lambda v: len(v) == 2 and v[0] <= v[1]),
]


@dataclass(frozen=True)
class Dataset:
    """Rows of features with class labels, checked at construction.

    Parameters
    ----------
    name : str
    x : array, shape (samples, features)
        Finite numbers, dimensionless, about 0 .. 1.
    labels : int array, shape (samples,)
        Classes 0 .. classes - 1.
    official_training_rows : int or None
        Rows of the training part where one is published, the rest is for tests; None: the split
        is drawn.

    Raises
    ------
    DataError
        If shapes do not fit, a value is not finite or a label cannot be a class.
    """

    name: str
    x: NDArray[np.float64]
    labels: NDArray[np.int64]
    official_training_rows: Count | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        x, labels = (plain_array(getattr(self, n), f"Dataset.{n}") for n in ("x", "labels"))
        if x.ndim != 2 or labels.shape != (len(x),) or not x.size:
            raise DataError(
                message(
                    f"data {self.name}",
                    "needs x of shape (samples, features) and one label per row",
                    (x.shape, labels.shape),
                    "x.reshape(len(labels), -1)",
                )
            )
        if x.dtype.kind not in "iuf" or labels.dtype.kind not in "iu":
            raise DataError(
                message(
                    f"data {self.name}",
                    "needs numbers in x and whole numbers as labels",
                    (str(x.dtype), str(labels.dtype)),
                    "x.astype(float), labels.astype(int)",
                )
            )
        if labels.min() < 0:
            raise DataError(
                message(
                    f"data {self.name}",
                    "labels must be at least 0",
                    int(labels.min()),
                    "classes from 0 on",
                )
            )
        rows = self.official_training_rows
        if rows is not None and rows >= len(x):
            limit = f"must leave some of the {len(x)} rows for tests"
            raise DataError(
                message(
                    f"data {self.name}: official_training_rows",
                    limit,
                    rows,
                    "None, for a drawn split",
                )
            )
        if labels.max() >= max(len(labels), 2):
            row = int(labels.argmax())
            limit = f"must be a class number below the number of samples, {len(labels)}"
            what = f"data {self.name}: labels[{row}]"
            raise DataError(message(what, limit, int(labels[row]), "classes from 0 on"))
        object.__setattr__(self, "x", x.astype(np.float64, copy=False))
        object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))
        bad = np.argwhere(~np.isfinite(self.x))
        if len(bad):
            row, column = (int(i) for i in bad[0])
            what = f"data {self.name}: x[{row}, {column}]"
            hint = "drop or impute such rows before"
            raise DataError(message(what, "must be finite", float(self.x[row, column]), hint))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    @property
    def input_range(self) -> tuple[float, float]:
        """Lowest and highest value of all features."""
        return float(self.x.min()), float(self.x.max())

    @property
    def checksum(self) -> int:
        """CRC-32 of features and labels in the order of the rows: other data have another."""
        features, labels = (np.ascontiguousarray(a).reshape(-1) for a in (self.x, self.labels))
        return zlib.crc32(labels.data, zlib.crc32(features.data))

    @property
    def targets(self) -> NDArray[np.float64]:
        """One-hot targets, shape (samples, classes)."""
        targets = np.zeros((len(self.labels), self.classes))
        targets[np.arange(len(targets)), self.labels] = 1.0
        return targets

    @checked
    def split(
        self, seed: SplitSeed, test_share: TestShare = 0.25
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row numbers of the training and test part: the official ones, or stratified.

        Parameters
        ----------
        seed : int
            Of the shuffle.
        test_share : float
            Share of the test part, in (0, 1). Both are unused where there is an official split.

        Raises
        ------
        DataError
            If a class is too small to be split.
        """
        if self.official_training_rows is not None:
            rows = np.arange(len(self.x))
            return rows[: self.official_training_rows], rows[self.official_training_rows :]
        try:
            return stratified(self.labels, test_share, seed)
        except ValueError as error:
            hint = "more samples per class, or another test share"
            what = f"data {self.name}: cannot be split ({error})"
            raise DataError(f"{what}. Try: {hint}") from error
