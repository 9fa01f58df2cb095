"""Matrix products for compiled code: those of MKL where it is installed, else scipy's OpenBLAS.

MKL (package ``mkl``, extra ``fast`` on x86-64 Linux) multiplies the small matrices of a sweep a
quarter faster. It is set to one thread and to results that depend on neither the memory's
alignment nor the run, so that a run that is resumed ends with the same bits.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray

_SEQUENTIAL = 1
_REPRODUCIBLE = 0x10002
"""MKL_CBWR_AUTO | MKL_CBWR_STRICT: the best kernels of this machine, the same bits every time."""


def library() -> str:
    """Return the library's name."""
    return "MKL" if _mkl() else "scipy's BLAS"


def gemm() -> tuple[int, int]:
    """Return the addresses of sgemm and dgemm (Fortran's calls, integers of 32 bits)."""
    found = _mkl()
    if found:
        addresses = [ctypes.cast(f, ctypes.c_void_p).value or 0 for f in (found.sgemm, found.dgemm)]
        return addresses[0], addresses[1]
    from numba.extending import get_cython_function_address

    of = "scipy.linalg.cython_blas"
    single, double = (get_cython_function_address(of, name) for name in ("sgemm", "dgemm"))
    return single, double


def gemm_words(dtype: type) -> tuple[AnyArray, AnyArray]:
    """Return by what compiled code calls a product, and the memory that it points to.

    Its address, those of the letters N and T, and those of the numbers 1 and 0.

    Parameters
    ----------
    dtype : type
        ``numpy.float32`` or ``numpy.float64``.
    """
    memory = np.zeros(4, np.float64)
    letters: AnyArray = memory[:2].view(np.uint8)
    numbers: AnyArray = memory[2:].view(dtype)
    letters[:2] = ord("N"), ord("T")
    numbers[:2] = 1, 0
    single, double = gemm()
    address = single if numbers.itemsize == 4 else double
    start, one = letters.ctypes.data, numbers.ctypes.data
    return np.array([address, start, start + 1, one, one + numbers.itemsize], np.int64), memory


@cache
def _mkl() -> Any:
    """Return the library, with one thread; None where it is not installed or refuses that."""
    try:
        files = metadata.distribution("mkl").files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.startswith("libmkl_rt.so"):
            try:
                library = ctypes.CDLL(str(file.locate()))
            except OSError:
                return None
            if library.MKL_Set_Threading_Layer(_SEQUENTIAL) != _SEQUENTIAL:
                return None  # somebody has used it with threads before
            library.MKL_CBWR_Set(_REPRODUCIBLE)  # else its own choice, as good as always the same
            return library
    return None
