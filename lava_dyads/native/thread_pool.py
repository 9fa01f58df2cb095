"""Threads that share single products and optimiser steps, and hardly wait for each other.

The threads of a BLAS library cut a product as small as those of a sweep (100 samples, 512
neurons) at the cost of a quarter of it, and spin between products on cores that others want.
Here every thread takes some of the *neurons*: of a product some rows or columns, of an optimiser
step some weights. A helper waits for its part inside compiled code, without the interpreter, so
that handing it one takes about a microsecond; when nothing comes for a while it sleeps.

Needs numba (extra ``fast``); products are those of :mod:`lava_dyads.native.blas`.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.native import registry
from lava_dyads.native.blas import gemm_words
from lava_dyads.native.registry import Kernel

if TYPE_CHECKING:
    from lava_dyads.native.kernels import Words

WORTH = 1 << 19
"""Multiplications of a product from which on it is shared: those take some 8 us."""

MOST = 8
"""Threads at most: then each has 64 of 512 neurons, and BLAS multiplies less well with fewer."""


class ThreadTeam:
    """Threads, that of the caller among them, that share a product or a step.

    Parameters
    ----------
    threads : int
        All of them, at least 1.

    Attributes
    ----------
    kernels : dict of str to callable
        Kernels (:mod:`lava_dyads.native.kernels`) in the form in which all of them take part.
    """

    def __init__(self, threads: int) -> None:
        kernels = registry.kernels()
        self.threads, self._compiled, self._overlapping = threads, kernels, False
        tasks = np.zeros((kernels.RING, kernels.WIDTH), np.int64)
        self._board = np.zeros(kernels.BOARD, np.int64), tasks, _system_calls()
        self._board[0][kernels.THREADS] = threads
        self._gemm = {np.dtype(kind): gemm_words(kind) for kind in (np.float32, np.float64)}
        self.kernels: dict[str, Kernel] = {
            "adam": self._adam,
            "adam_events": self._adam_events,
            "descent": self._descent,
        }
        self._kept: list[tuple[Array, ...]] = []
        self._helpers = [
            threading.Thread(target=kernels.serve, args=self._board, daemon=True)
            for _ in range(1, threads)
        ]
        for helper in self._helpers:
            helper.start()

    def close(self) -> None:
        """End the helpers."""
        self._compiled.dismiss(self._board[0])
        for helper in self._helpers:
            helper.join()

    @contextmanager
    def overlap(self) -> Iterator[None]:
        """Let helpers begin with the steps that weights take in here, and finish them at the end.

        Meanwhile this thread goes on. It must not look at what takes part in these steps, and no
        weight can take two of them.
        """
        self._overlapping = True
        try:
            yield
        finally:
            self._overlapping = False
            self._compiled.finish(*self._board)
            self._kept.clear()

    def _adam(self, weights: Array, *others: Array) -> None:
        step = _step(weights, *others)
        self._compiled.shared_adam(*self._board, weights.size, step)

    def _adam_events(self, weights: Array, down: Array, up: Array, *others: Array) -> None:
        self._keep((weights, down, up, *others))
        sizes = *weights.shape, len(down), _address(down), _address(up)
        step = _step(weights, weights, *others)  # the gradient is made on the way
        self._compiled.shared_adam_events(*self._board, sizes, step, not self._overlapping)

    def _descent(self, weights: Array, down: Array, up: Array, *others: Array) -> None:
        self._keep((weights, down, up, *others))
        gemm, _ = self._gemm[weights.dtype]
        words, step = _product(down.T, up, others[0]), _step(weights, *others)
        self._compiled.shared_descent(*self._board, gemm, words, step, not self._overlapping)

    def _keep(self, arrays: tuple[Array, ...]) -> None:
        """Keep arrays from being freed before they are used."""
        if self._overlapping:
            self._kept.append(arrays)

    def product(self, left: Array, right: Array, out: Array) -> bool:
        """Set out to left @ right; tell whether that was worth sharing, and done.

        Parameters
        ----------
        left, right, out : arrays (m, k), (k, n), (m, n)
        """
        (m, n), k, kind = out.shape, left.shape[1], out.dtype
        if m * n * k < WORTH or kind not in self._gemm:
            return False
        if left.shape != (m, k) or right.shape != (k, n):
            return False
        if not (left.dtype == right.dtype == kind and _rows(out) and _blas(left) and _blas(right)):
            return False
        # Every thread reads all of the operand that is not cut: the smaller one, but where weights
        # learn. There rows are cut, which the same thread then has in its cache for their step.
        gemm, _ = self._gemm[kind]
        words = _product(left, right, out)
        self._compiled.shared_product(*self._board, gemm, words, 2 * m > n)
        return True


def _address(array: Array) -> int:
    """Return where its first number stands (``ctypes.data`` takes three times as long)."""
    address: int = array.__array_interface__["data"][0]
    return address


def _product(left: Array, right: Array, out: Array) -> Words:
    """Return a product in sizes and addresses, see ``kernels._set_product``."""
    operands = _address(left), *left.strides, _address(right), *right.strides
    size = out.itemsize
    return size, *out.shape, left.shape[1], *operands, _address(out), out.strides[0]


def _step(weights: Array, *others: Array) -> Words:
    """Return a step of Adam in addresses, see ``kernels._set_step``."""
    return weights.itemsize, _address(weights), *(_address(array) for array in others)


_NAP = 50
"""Microseconds for which a helper sleeps, as long as there is no work."""


def _system_calls() -> AnyArray:
    """Return the addresses of sched_yield and usleep, and for how long to sleep."""
    libc = ctypes.CDLL(None)
    functions = [ctypes.cast(f, ctypes.c_void_p).value for f in (libc.sched_yield, libc.usleep)]
    return np.array([*functions, _NAP], np.int64)


def _rows(array: Array) -> bool:
    """Tell whether rows lie in one piece, as BLAS wants them."""
    down, right = array.strides
    return right == array.itemsize and down >= array.shape[1] * right


def _blas(array: Array) -> bool:
    return _rows(array) or _rows(array.T)


@contextmanager
def thread_team(threads: int) -> Iterator[ThreadTeam | None]:
    """Let some threads share what this one computes; afterwards they are gone.

    None for none, without numba, and without the POSIX calls by which helpers sleep: then products
    are left to numpy's BLAS library. One thread multiplies with ours. No more than ``MOST`` take
    part.
    """
    if threads < 1 or sys.platform == "win32" or find_spec("numba") is None:
        yield None
        return
    made, before = ThreadTeam(min(threads, MOST)), registry.active.team
    try:
        with threadpool_limits(1, "blas"):
            registry.active.team = made
            yield made
    finally:
        registry.active.team = before
        made.close()
