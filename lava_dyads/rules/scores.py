"""Scores of outputs against targets, summed up presentation by presentation.

What is added up is enough to say them of any number of rows, in any pieces: ``sums`` is an array
that :meth:`Scores.add` adds to and :meth:`Scores.read` reads. They are scikit-learn's of the same
names.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lava_dyads.array_types import AnyArray, Array


class Scores(Protocol):
    """How right outputs are.

    Attributes
    ----------
    size : int
        Length of the array of sums.
    names : tuple of str
        Of the scores, the one that tells most first.
    """

    size: int
    names: tuple[str, ...]

    def add(self, sums: Array, output: Array, target: Array) -> None:
        """Add what some rows tell, outputs and targets (rows, n)."""

    def read(self, sums: Array, rows: float) -> dict[str, float]:
        """Return the scores by name, of so many rows."""


class ClassScores:
    """Of one class per row, the number of the largest output.

    With T_k rows of class k, P_k predicted as k and R_k rightly so::

        accuracy = sum R_k / rows
        balanced_accuracy = mean of R_k / T_k over the classes that are there
        f1 = mean of 2 R_k / (T_k + P_k) over the classes that are there or predicted
    """

    names: tuple[str, ...] = ("accuracy", "balanced_accuracy", "f1")

    def __init__(self, n: int) -> None:
        self.n, self.size = n, 3 * n

    def add(self, sums: Array, output: Array, target: Array) -> None:
        """Count T_k, P_k and R_k."""
        true, predicted = target.argmax(axis=1), output.argmax(axis=1)
        counts = sums.reshape(3, self.n)
        for row, classes in zip(counts, (true, predicted, true[true == predicted]), strict=True):
            if len(classes) == 1:
                row[classes[0]] += 1
            else:
                row += np.bincount(classes, minlength=self.n)

    def read(self, sums: Array, rows: float) -> dict[str, float]:
        """Return accuracy, balanced_accuracy, f1."""
        true, predicted, right = sums.reshape(3, self.n)
        both = true + predicted
        return {
            "accuracy": float(right.sum()) / max(rows, 1.0),
            "balanced_accuracy": _mean(right[true > 0] / true[true > 0]),
            "f1": _mean(2 * right[both > 0] / both[both > 0]),
        }


class LabelScores:
    """Of any number of labels per row: those whose output exceeds a boundary.

    With T_k rows that have label k, P_k that are said to have it and R_k rightly so::

        accuracy = share of rows all of whose labels are right
        label_accuracy = share of labels that are right
        f1 = mean of 2 R_k / (T_k + P_k) over the labels, 0 where there are none
    """

    names: tuple[str, ...] = ("accuracy", "label_accuracy", "f1")

    def __init__(self, n: int, boundary: float) -> None:
        self.n, self.size, self.boundary = n, 3 * n + 1, boundary

    def add(self, sums: Array, output: Array, target: Array) -> None:
        """Count T_k, P_k and R_k, and the rows that are right altogether."""
        true, said = target > 0.5, output > self.boundary
        counts = sums[:-1].reshape(3, self.n)
        for row, which in zip(counts, (true, said, true & said), strict=True):
            row += which.sum(axis=0)
        sums[-1] += np.count_nonzero((true == said).all(axis=1))

    def read(self, sums: Array, rows: float) -> dict[str, float]:
        """Return accuracy, label_accuracy, f1."""
        true, said, right = sums[:-1].reshape(3, self.n)
        wrong = float((true + said - 2 * right).sum())
        rows = max(rows, 1.0)
        return {
            "accuracy": float(sums[-1]) / rows,
            "label_accuracy": 1.0 - wrong / (rows * self.n),
            "f1": float(np.mean(2 * right / np.maximum(true + said, 1))),
        }


class ValueScores:
    """Of real values.

    With e the errors and y the targets of an output::

        r2 = 1 - sum e^2 / sum (y - mean y)^2, the mean over outputs
        mae = mean |e|, rmse = sqrt(mean e^2), over rows and outputs

    An output whose target is always the same has an r2 of 1 where it is met and else of 0.
    """

    names: tuple[str, ...] = ("r2", "mae", "rmse")

    def __init__(self, n: int, unit: Array | float = 1.0) -> None:
        self.n, self.size = n, 6 * n
        self.unit = np.broadcast_to(np.asarray(unit, float), (n,))

    def add(self, sums: Array, output: Array, target: Array) -> None:
        """Add |e|, e^2, y and y^2, these from the first target on: so nothing cancels."""
        table = sums.reshape(6, self.n)
        absolute, squared, shift, begun, moved, spread = table
        if not begun.any():
            shift[:], begun[:] = target[0], 1
        error, apart = output - target, target - shift
        absolute += np.abs(error).sum(axis=0)
        squared += (error**2).sum(axis=0)
        moved += apart.sum(axis=0)
        spread += (apart**2).sum(axis=0)

    def read(self, sums: Array, rows: float) -> dict[str, float]:
        """Return r2, mae, rmse, these in units of the targets."""
        absolute, squared, _, _, moved, spread = sums.reshape(6, self.n)
        rows = max(rows, 1.0)
        around = np.maximum(spread - moved**2 / rows, 0.0)
        flat = around <= 1e-14 * spread
        met = np.where(squared == 0, 1.0, 0.0)
        share = np.where(flat, met, 1.0 - squared / np.where(flat, 1.0, around))
        return {
            "r2": float(np.mean(share)),
            "mae": float(np.mean(absolute * self.unit) / rows),
            "rmse": float(np.sqrt(np.mean(squared * self.unit**2) / rows)),
        }


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else 0.0


def decided(output: Array, task: str, boundary: float) -> AnyArray:
    """Return what outputs (rows, n) say: classes (rows,), labels 0 or 1, or the values themselves.

    Examples
    --------
    >>> decided(np.array([[0.1, 0.7]]), "classes", 0.5), decided(np.array([[-1, 2]]), "labels", 0)
    (array([1]), array([[0, 1]]))
    """
    if task == "classes":
        return np.asarray(output.argmax(axis=1), np.int64)
    if task == "labels":
        return np.asarray(output > boundary, np.int64)
    return output
