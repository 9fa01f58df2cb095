"""How often a row is shown in an epoch: samples and classes that count more than others.

A weight is a number of presentations: no signal is added, and every runtime and number system
takes it. Whole weights show a row just so often; of others, divided by their mean, every row is
shown as often as it says on average over the epochs, by systematic sampling::

    shown_i = floor(W_i + u) - floor(W_(i-1) + u),  W_i = w_1 + ... + w_i,  u from U(0, 1)

so an epoch is always of one length. (Madow, Annals of Mathematical Statistics 20, 1949.)
"""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.data.dataset import Dataset
from lava_dyads.errors import invalid

MOST_SHOWN = 1 << 31
"""Rows of an epoch."""


def weights_of(data: Dataset, rows: IntArray, class_weight: str = "none") -> Array | None:
    """Return the weights of some rows; None: all alike.

    Parameters
    ----------
    data : Dataset
    rows : int array
        Of its training part.
    class_weight : str
        ``none``, or ``balanced``: times rows / (classes T_k), T_k rows being of the class.
    """
    weights = None if data.weights is None else data.weights[rows]
    if class_weight == "balanced":
        if data.labels is None:
            invalid("class_weight", "needs data with classes", f"task {data.task}", "none")
        labels = data.labels[rows]
        counts = np.bincount(labels)
        balanced = len(rows) / (np.count_nonzero(counts) * counts[labels])
        weights = balanced if weights is None else weights * balanced
    if weights is not None and weights.min() == weights.max() > 0:
        weights = weights if _whole(weights) and weights[0] > 1 else None  # all alike after all
    if weights is not None and not weights.sum() > 0:
        invalid("weights", "must be above 0 for a row of the training part", 0, "larger ones")
    if weights is not None and weights.sum() > MOST_SHOWN and _whole(weights):
        total = float(weights.sum())
        invalid("weights", "whole ones are numbers of presentations", total, "smaller ones")
    return weights


def epoch_size(rows: int, weights: Array | None) -> int:
    """Return how many rows an epoch shows."""
    return int(weights.sum()) if weights is not None and _whole(weights) else rows


def drawn(rows: IntArray, weights: Array | None, generator: np.random.Generator) -> IntArray:
    """Return the rows of an epoch, each as often as it is shown, in their order."""
    if weights is None:
        return rows
    if _whole(weights):
        return np.repeat(rows, weights.astype(np.int64))
    ends = np.cumsum(weights) * (len(rows) / weights.sum())
    ends[-1] = len(rows)
    passed = np.floor(ends + generator.uniform()).astype(np.int64)
    return np.repeat(rows, np.diff(passed, prepend=0))


def _whole(weights: Array) -> bool:
    return bool(np.all(weights == np.floor(weights)))
