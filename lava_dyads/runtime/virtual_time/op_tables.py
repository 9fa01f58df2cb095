"""Which weight of an op leads from where to where, found out from the op itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.rules.ops import Op
from lava_dyads.runtime.virtual_time.tables import address

LARGEST = 1 << 26
"""Entries of an op's matrix up to which it is probed."""
_ROWS = 1 << 20
"""Numbers of a chunk of the unit matrix with which it is."""


def operations(count: Callable[[AnyArray], int], n: int) -> list[int]:
    """Return what an event of each entry costs."""
    entry, found = np.zeros((1, n)), []
    for i in range(n):
        entry[0, i] = 1.0
        found.append(int(count(entry)))
        entry[0, i] = 0.0
    return found


def synapses(
    op: Op, n: int, product: Callable[..., AnyArray], weights: AnyArray
) -> tuple[AnyArray, AnyArray, AnyArray, list[int]] | None:
    """Return targets, addresses of weights, constants and their number per entry of a message.

    Weights that are numbered show which of them leads from an entry to where. None: the op is
    not made of single weights.
    """
    numbered = np.arange(1.0, weights.size + 1).reshape(weights.shape) if op.shape else weights
    if op.mask is not None:
        numbered = np.where(op.mask, numbered, 0.0)
    offsets = sum(
        np.arange(size).reshape((-1,) + (1,) * (weights.ndim - 1 - axis)) * stride
        for axis, (size, stride) in enumerate(zip(weights.shape, weights.strides, strict=True))
    )
    places = np.asarray(offsets).ravel() + address(weights) if op.shape else np.zeros(0, np.int64)
    targets, found, values, lengths = [], [], [], []
    step = max(1, _ROWS // n)
    for first in range(0, n, step):
        unit = np.zeros((min(step, n - first), n))
        unit[np.arange(len(unit)), first + np.arange(len(unit))] = 1.0
        made = product(numbered, unit)
        entry, target = np.nonzero(made)
        value = made[entry, target]
        if op.shape:
            whole = np.rint(value).astype(np.int64)
            if np.any(whole != value) or whole.max(initial=1) > weights.size or np.any(whole < 1):
                return None
            found.append(places[whole - 1])
        else:
            found.append(np.zeros(len(value), np.int64))
        targets.append(target)
        values.append(value)
        lengths += np.bincount(entry, minlength=len(unit)).tolist()
    return np.concatenate(targets), np.concatenate(found), np.concatenate(values), lengths
