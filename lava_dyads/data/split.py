"""Splits into training and test part, stratified and not: those that scikit-learn draws.

To import ``sklearn.model_selection`` takes longer than all of Lava; this is ``train_test_split``,
with ``stratify=labels`` or without, with the same random numbers in the same order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def stratified(
    labels: NDArray[np.int64], test_share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row numbers of the training and the test part, each with its share of every class.

    Parameters
    ----------
    labels : int array, shape (samples,)
    test_share : float
        In (0, 1).
    seed : int
        Of the shuffle.

    Raises
    ------
    ValueError
        If a class, or a part, is too small.
    """
    _, found, counts = np.unique(labels, return_inverse=True, return_counts=True)
    samples, classes = len(labels), len(counts)
    test_rows = math.ceil(test_share * samples)
    train_rows = samples - test_rows
    if counts.min(initial=2) < 2:
        raise ValueError("a class has a single sample")
    for part, rows in (("training", train_rows), ("test", test_rows)):
        if rows < max(classes, 1):
            raise ValueError(f"{rows} samples in the {part} part, of {classes} classes")
    generator = np.random.RandomState(seed)
    train_of = _shares(counts, train_rows, generator)
    test_of = _shares(counts - train_of, test_rows, generator)
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    members = np.split(np.argsort(found, kind="stable"), np.cumsum(counts)[:-1])
    for member, n, m in zip(members, train_of, test_of, strict=True):
        shuffled = member[generator.permutation(len(member))]
        train.append(shuffled[:n])
        test.append(shuffled[n : n + m])
    first = generator.permutation(np.concatenate(train))
    return first, generator.permutation(np.concatenate(test))


def shuffled(
    samples: int, test_share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row numbers of the training and the test part, drawn from all rows alike.

    Parameters
    ----------
    samples : int
    test_share : float
        In (0, 1).
    seed : int
        Of the shuffle.

    Raises
    ------
    ValueError
        If a part is empty.
    """
    test_rows = math.ceil(test_share * samples)
    if not 0 < test_rows < samples:
        raise ValueError(f"{samples - test_rows} samples in the training part of {samples}")
    order = np.random.RandomState(seed).permutation(samples)
    return order[test_rows:], order[:test_rows]


def in_time(samples: int, test_share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row numbers of the training part and of the test part, which are the last.

    Raises
    ------
    ValueError
        If a part would be empty.
    """
    first = samples - math.ceil(test_share * samples)
    if not 0 < first < samples:
        raise ValueError(f"{samples} samples, {first} of them to train")
    rows = np.arange(samples)
    return rows[:first], rows[first:]


def by_groups(
    groups: NDArray[np.int64], test_share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row numbers of the training and the test part; no group is in both.

    Parameters
    ----------
    groups : int array, shape (samples,)
    test_share : float
        Share of the groups.
    seed : int

    Raises
    ------
    ValueError
        If there are too few groups.
    """
    from sklearn.model_selection import GroupShuffleSplit

    try:
        splitter = GroupShuffleSplit(1, test_size=test_share, random_state=seed)
        train, test = next(splitter.split(groups, groups=groups))
    except ValueError as error:
        count = len(np.unique(groups))
        raise ValueError(f"{count} group{'s' * (count > 1)}, {test_share:.0%} to test") from error
    return np.asarray(train, np.int64), np.asarray(test, np.int64)


def _shares(
    counts: NDArray[np.int64], rows: int, generator: np.random.RandomState
) -> NDArray[np.int64]:
    """Return how many rows of each class are the likeliest draw; equal remainders are drawn."""
    exact: NDArray[np.float64] = counts / counts.sum() * rows
    whole = np.floor(exact)
    missing = int(rows - whole.sum())
    remainder = exact - whole
    for value in np.unique(remainder)[::-1]:
        if missing <= 0:
            break
        (candidates,) = np.nonzero(remainder == value)
        chosen = generator.choice(candidates, size=min(len(candidates), missing), replace=False)
        whole[chosen] += 1
        missing -= len(chosen)
    shares: NDArray[np.int64] = whole.astype(np.int64)
    return shares
