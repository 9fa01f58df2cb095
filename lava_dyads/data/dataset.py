"""A labelled data set in memory, and its split into training and test part."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Annotated, Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import Array
from lava_dyads.checks import Count, Share, check_fields, checked, plain_array
from lava_dyads.choices import TASKS
from lava_dyads.data.preparation import NOTHING, Preparation
from lava_dyads.data.reading import AS_IT_IS, Reading
from lava_dyads.data.scaling import Scaling
from lava_dyads.data.schema import ROWS, Schema
from lava_dyads.data.split import by_groups, in_time, shuffled, stratified
from lava_dyads.errors import DataError, invalid, message
from lava_dyads.kinds import Limit
from lava_dyads.rules.targets import OneHot


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
TestShare: TypeAlias = Annotated[float, Limit("must lie in [0, 1)", "0.25", lambda v: 0 <= v < 1)]
InputRange: TypeAlias = Annotated[
    tuple[float, ...],
    Limit("must be lowest and highest", "[0, 1]", lambda v: len(v) == 2 and v[0] <= v[1]),
]


@dataclass(frozen=True)
class Dataset:
    """Rows of features with what is to be said of them, checked at construction.

    Parameters
    ----------
    name : str
    x : array, shape (samples, features)
        Finite numbers, dimensionless, about 0 .. 1.
    labels : int array, shape (samples,), or None
        Classes 0 .. classes - 1.
    official_training_rows : int or None
        Rows of the training part where one is published, the rest is for tests; None: the split
        is drawn.
    targets : array, shape (samples, outputs) or (samples,), or None
        In the place of labels: real values, or 0 and 1 for labels of which a row may have several.
    task : str
        ``classes``, ``labels`` or ``values``. Empty: classes where there are labels; several
        columns of 0 and 1 are labels, other targets values.
    weights : array, shape (samples,), or None
        How much a row counts in training, see ``TrainingConfig.order``. None: all alike.
    class_names, feature_names, output_names : tuples of str
        Names of the classes, the columns of x and those of targets; empty: they have none.
    target_scaling : Scaling or None
        How a network is shown real values; None: as ``TrainingConfig.scale_targets`` says.
    frames : int
        A sample is a sequence of so many frames, one after the other in its row.
    groups : int array, shape (samples,), or None
        Rows of one group are never in both parts of a split.
    ordered : bool
        Whether the rows are in the order of time: then the test part is the last of them.
    preparation : Preparation
        How values become what a network is shown; what is to be learnt of that is learnt on the
        training part. By default they are shown as they are.
    schema : Schema
        What the rows are, so that others become inputs of the same network.
    source, reading : str, Reading
        The name or the file that they are from, and how it was read.
    told : tuple of str
        Lines on that.

    Raises
    ------
    DataError
        If shapes do not fit, a value is not finite or a label cannot be a class.

    Examples
    --------
    >>> lines = Dataset("line", [[0.0], [1.0], [2.0]], targets=[0.0, 0.5, 1.0])
    >>> lines.task, lines.outputs
    ('values', 1)
    """

    name: str
    x: NDArray[np.float64]
    labels: NDArray[np.int64] | None = None
    official_training_rows: Count | None = None
    targets: NDArray[np.float64] | None = None
    task: str = ""
    weights: NDArray[np.float64] | None = None
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    target_scaling: Scaling | None = None
    frames: Count = 1
    groups: NDArray[np.int64] | None = None
    ordered: bool = False
    preparation: Preparation = NOTHING
    schema: Schema = ROWS
    source: str = ""
    reading: Reading = AS_IT_IS
    told: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        x = plain_array(self.x, "Dataset.x")
        rows, width = len(x) if x.ndim else 0, x.shape[-1] if x.ndim else 0
        if x.ndim != 2 or not x.size:
            limit = "needs x of shape (samples, features)"
            self._refuse("", limit, x.shape, "x.reshape(len(labels), -1)")
        if x.dtype.kind not in "iuf":
            self._refuse("", "needs numbers in x", str(x.dtype), "x.astype(float)")
        if width % self.frames:
            limit = f"needs frames of one size, and a row of x has {width} features"
            self._refuse("frames", limit, self.frames, "1")
        object.__setattr__(self, "x", x.astype(np.float64, copy=False))
        if not self.preparation.fills:
            self._check_finite("x", self.x)
        if (self.labels is None) == (self.targets is None):
            got = "both" if self.labels is not None else "neither"
            self._refuse("", "needs labels (classes) or targets", got, "one of them")
        if self.labels is not None:
            self._check_labels(rows)
        else:
            self._check_targets(rows)
        self._check_task()
        if self.weights is not None:
            self._check_weights(rows)
        self._check_groups(rows)
        official = self.official_training_rows
        if official is not None and official >= rows:
            limit = f"must leave some of the {rows} rows for tests"
            self._refuse("official_training_rows", limit, official, "None, for a drawn split")
        sizes = (("class_names", self.classes), ("feature_names", width),
                 ("output_names", self.outputs))  # fmt: skip
        for what, size in sizes:
            names = getattr(self, what)
            if names and len(names) != size:
                self._refuse(what, f"needs {size} names, or none", len(names), "one for each")

    def _check_labels(self, rows: int) -> None:
        labels = plain_array(self.labels, "Dataset.labels")
        if labels.shape != (rows,):
            limit = "needs x of shape (samples, features) and one label per row"
            got, hint = (self.x.shape, labels.shape), "x.reshape(len(labels), -1)"
            self._refuse("", limit, got, hint)
        if labels.dtype.kind not in "iu":
            limit, hint = "needs whole numbers as labels", "labels.astype(int), or targets="
            self._refuse("", limit, str(labels.dtype), hint)
        if labels.min() < 0:
            limit = "labels must be at least 0"
            self._refuse("", limit, int(labels.min()), "classes from 0 on")
        if labels.max() >= max(len(labels), 2, len(self.class_names)):
            row = int(labels.argmax())
            limit = f"must be a class number below the number of samples, {len(labels)}"
            self._refuse(f"labels[{row}]", limit, int(labels[row]), "classes from 0 on")
        object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))

    def _check_targets(self, rows: int) -> None:
        targets = plain_array(self.targets, "Dataset.targets")
        if targets.ndim == 1:
            targets = targets[:, None]
        if targets.ndim != 2 or len(targets) != rows or not targets.size:
            limit = "needs targets of shape (samples, outputs), one row for each of x"
            got = (self.x.shape, targets.shape)
            self._refuse("", limit, got, "targets.reshape(len(x), -1)")
        if targets.dtype.kind not in "iufb":
            self._refuse("", "needs numbers as targets", str(targets.dtype), "labels=")
        targets = targets.astype(np.float64, copy=False)
        self._check_finite("targets", targets)
        object.__setattr__(self, "targets", targets)

    def _check_task(self) -> None:
        """Settle the task, and raise where it does not fit."""
        targets = self.targets
        binary = targets is not None and bool(np.all((targets == 0) | (targets == 1)))
        several = targets is not None and targets.shape[1] > 1
        found = "classes" if targets is None else "labels" if binary and several else "values"
        task = self.task or found
        if task not in TASKS or (task == "classes") != (targets is None):
            allowed = TASKS[:1] if targets is None else TASKS[1:]
            self._refuse("task", f"must be {' or '.join(allowed)}", task, found)
        if task == "labels" and not binary:
            self._refuse("targets", "labels are 0 or 1 each", "others", "task values")
        object.__setattr__(self, "task", task)

    def _check_weights(self, rows: int) -> None:
        weights = plain_array(self.weights, "Dataset.weights")
        if weights.shape != (rows,) or weights.dtype.kind not in "iufb":
            got = weights.shape, str(weights.dtype)
            self._refuse("weights", "must be a number for each row", got, "numpy.ones(len(x))")
        weights = weights.astype(np.float64, copy=False)
        self._check_finite("weights", weights[:, None])
        if weights.min() < 0 or not weights.max() > 0:
            limit = "must be at least 0, some above"
            self._refuse("weights", limit, float(weights.min()), "numpy.ones(len(x))")
        object.__setattr__(self, "weights", weights)

    def _check_groups(self, rows: int) -> None:
        if self.groups is None:
            return
        groups = plain_array(self.groups, "Dataset.groups")
        if groups.shape != (rows,) or groups.dtype.kind not in "iu":
            got = groups.shape, str(groups.dtype)
            self._refuse(
                "groups", "must be a whole number for each row", got, "numpy.zeros(n, int)"
            )
        object.__setattr__(self, "groups", groups.astype(np.int64, copy=False))

    def _check_finite(self, what: str, array: NDArray[np.float64]) -> None:
        if not np.isfinite(array).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
            hint = "drop or impute such rows before"
            where = f"{what}[{row}, {column}]"
            if what == "x" and self.feature_names:
                where += f" ({self.feature_names[column]})"
            self._refuse(where, "must be finite", float(array[row, column]), hint)

    def _refuse(self, what: str, limit: str, value: object, hint: str) -> NoReturn:
        name = f"data {self.name}{what and ': '}{what}"
        raise DataError(message(name, limit, value, hint))

    @property
    def classes(self) -> int:
        """Number of classes; 0 where there are targets instead."""
        if self.labels is None:
            return 0
        return max(int(self.labels.max()) + 1, len(self.class_names))

    @property
    def inputs(self) -> int:
        """Number of inputs that a network needs: features of a frame."""
        return int(self.x.shape[1]) // self.frames

    @property
    def outputs(self) -> int:
        """Number of outputs that a network needs."""
        return self.classes if self.targets is None else self.targets.shape[1]

    def taught(self, outputs: int = 0) -> OneHot | Array:
        """Return what a network of so many outputs (0: just as many as needed) is taught."""
        if self.labels is not None:
            return OneHot(self.labels, outputs or self.classes)
        assert self.targets is not None
        return self.targets

    def prepared(self) -> Dataset:
        """Return the same with values as a network is shown them; all of that has to be learnt."""
        x = np.asarray(self.preparation(self.x), np.float64)
        return replace(self, x=x, preparation=NOTHING)

    @property
    def input_range(self) -> tuple[float, float]:
        """Lowest and highest value of all features."""
        return float(np.nanmin(self.x)), float(np.nanmax(self.x))

    @property
    def checksum(self) -> int:
        """CRC-32 of features, targets and weights by rows: other data have another."""
        found = 0
        for array in (self.x, self.labels, self.targets, self.weights):
            if array is not None:
                found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).data, found)
        return found

    @property
    def one_hot(self) -> NDArray[np.float64]:
        """One-hot targets of the classes, shape (samples, classes)."""
        return np.asarray(OneHot(self.classes_of(), self.classes)[:], np.float64)

    def classes_of(self, rows: Any = slice(None)) -> NDArray[np.int64]:
        """Return the classes of some rows.

        Raises
        ------
        DataError
            If the data has none.
        """
        if self.labels is None:
            self._refuse("", "has no classes", self.task, "data with labels")
        return np.asarray(self.labels[rows])

    @checked
    def split(
        self, seed: SplitSeed, test_share: TestShare = 0.25
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return row numbers of the training and test part: the official ones, or drawn.

        They are drawn as scikit-learn's ``train_test_split`` does it, for classes stratified.

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
        rows = np.arange(len(self.x))
        if self.official_training_rows is not None:
            return rows[: self.official_training_rows], rows[self.official_training_rows :]
        return self._divided(rows, seed, test_share) if test_share else (rows, rows[:0])

    @checked
    def parts(
        self, seed: SplitSeed, test_share: TestShare = 0.25, validation_share: Share = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return row numbers of the training, validation and test part.

        The validation part is taken from the training part in the way that the test part is from
        all rows: drawn, by groups, or the last rows in time.

        Parameters
        ----------
        seed, test_share
            As of :meth:`split`.
        validation_share : float
            Share of the training part, in [0, 1); 0: there is none.
        """
        train, test = self.split(seed, test_share)
        if not validation_share:
            return train, np.zeros(0, np.int64), test
        if validation_share == 1:
            invalid("validation_share", "must lie in [0, 1)", validation_share, "0.1")
        train, validation = self._divided(train, seed, validation_share)
        return train, validation, test

    def _divided(
        self, rows: NDArray[np.int64], seed: int, share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return some rows in two parts, of which the second has a share."""
        try:
            if self.ordered:
                rows = np.sort(rows)
                first, second = in_time(len(rows), share)
            elif self.groups is not None:
                first, second = by_groups(self.groups[rows], share, seed)
            elif self.labels is None:
                first, second = shuffled(len(rows), share, seed)
            else:
                first, second = stratified(self.labels[rows], share, seed)
        except ValueError as error:
            alone = self._alone(rows)
            hint = "more samples per class, or another test share"
            what = f"data {self.name}: cannot be split ({alone or error})"
            raise DataError(f"{what}. Try: {hint}") from error
        return rows[first], rows[second]

    def _alone(self, rows: NDArray[np.int64]) -> str:
        """Return which class has a single sample; empty: none has."""
        if self.labels is None or self.ordered or self.groups is not None:
            return ""
        counts = np.bincount(self.labels[rows])
        alone = np.flatnonzero(counts == 1)
        if not len(alone):
            return ""
        row = int(rows[np.flatnonzero(self.labels[rows] == alone[0])[0]])
        name = repr(self.class_names[alone[0]]) if self.class_names else str(alone[0])
        return f"class {name} has a single sample, row {row}"
