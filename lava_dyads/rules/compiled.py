"""Kernels compiled by numba where it is installed (extra ``fast``): one pass over the memory.

They are the loops of the optimisers' equations, and are tested against them. Without numba the
optimisers take a dozen passes of numpy, four times slower for Adam.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from lava_dyads.rules._types import AnyArray

Kernel = Callable[..., None]


def _adam(
    w: AnyArray, g: AnyArray, m: AnyArray, v: AnyArray, numbers: AnyArray, tiny: float
) -> None:
    """Take Adam's step; ``numbers`` are scale (1 - b1), scale^2 (1 - b2), b1, b2, size, eps."""
    first, second, b1, b2, size, eps = numbers
    for i in range(w.size):
        m_i = b1 * m[i] + first * g[i]
        v_i = b2 * v[i] + second * g[i] * g[i]
        w[i] -= size * m_i / (np.sqrt(v_i) + eps)
        m[i] = m_i if abs(m_i) > tiny else 0 * m_i
        v[i] = v_i


def _adam_events(
    w: AnyArray,
    down: AnyArray,
    up: AnyArray,
    m: AnyArray,
    v: AnyArray,
    numbers: AnyArray,
    tiny: float,
) -> None:
    """Take Adam's step along down^T up, row by row: entries of down that are 0 cost nothing."""
    first, second, b1, b2, size, eps = numbers
    g = np.empty(w.shape[1], w.dtype)
    for i in range(w.shape[0]):
        g[:] = 0
        for k in range(down.shape[0]):
            d = down[k, i]
            if d != 0:
                for j in range(g.size):
                    g[j] += d * up[k, j]
        for j in range(g.size):
            m_j = b1 * m[i, j] + first * g[j]
            v_j = b2 * v[i, j] + second * g[j] * g[j]
            w[i, j] -= size * m_j / (np.sqrt(v_j) + eps)
            m[i, j] = m_j if abs(m_j) > tiny else 0 * m_j
            v[i, j] = v_j


def _descend(w: AnyArray, g: AnyArray, numbers: AnyArray) -> None:
    """Add c g; ``numbers`` is c."""
    for i in range(w.size):
        w[i] += numbers[0] * g[i]


def _spread(rows: AnyArray, x: AnyArray, out: AnyArray) -> None:
    """Set out to x rows: only the rows of entries that are not zero are read."""
    out[:] = 0
    for i in range(x.size):
        if x[i] != 0:
            for j in range(out.size):
                out[j] += x[i] * rows[i, j]


def _imprint(rows: AnyArray, x: AnyArray, d: AnyArray) -> None:
    """Add x d^T to rows: only the rows of entries that are not zero are touched."""
    for i in range(x.size):
        if x[i] != 0:
            for j in range(d.size):
                rows[i, j] += x[i] * d[j]


_KERNELS = {
    "adam": _adam,
    "adam_events": _adam_events,
    "descend": _descend,
    "spread": _spread,
    "imprint": _imprint,
}


@cache
def kernel(name: str) -> Kernel | None:
    """Return a compiled kernel by name, ``adam`` for one; None without numba."""
    try:
        import numba
    except ImportError:
        return None
    compiled: Any = numba.njit(_KERNELS[name], nogil=True, error_model="numpy", cache=True)
    return compiled  # type: ignore[no-any-return]
