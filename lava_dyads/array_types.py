"""Array aliases. Shapes are written in docstrings: (lanes, n), (n_out, n_in)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
AnyArray: TypeAlias = NDArray[Any]
Signal: TypeAlias = "Array | None"
"""A message: an array of changes, or None for silence (no entry changed)."""
