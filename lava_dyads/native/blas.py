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
