"""Targets of classes: one output is 1, the others 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lava_dyads.array_types import Array, IntArray


class OneHot:
    """The targets of many samples, made when they are looked at: with many classes, most are 0.

    Parameters
    ----------
    labels : int array, shape (samples,)
        Classes, 0 .. classes - 1.
    classes : int
    dtype : dtype-like
        Of the targets.

    Examples
    --------
    >>> targets = OneHot(np.array([1, 0, 1]), 2)
    >>> targets.shape, targets[1:]
    ((3, 2), array([[1., 0.],
           [0., 1.]]))
    """

    def __init__(self, labels: IntArray, classes: int, dtype: DTypeLike = np.float64) -> None:
        self.labels, self.shape = labels, (len(labels), classes)
        self.dtype = np.dtype(dtype)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> Array:
        """Return the targets of some rows, or of one, as an array of their own."""
        chosen = self.labels[rows]
        made = np.zeros((*chosen.shape, self.shape[1]), self.dtype)
        np.put_along_axis(made, chosen[..., None], 1, axis=-1)
        return made

    def astype(self, dtype: DTypeLike) -> OneHot:
        """Return the same in other numbers."""
        return OneHot(self.labels, self.shape[1], dtype)
