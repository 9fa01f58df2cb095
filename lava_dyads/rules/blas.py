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


@cache
def gemm() -> tuple[str, int, int]:
    """Return the library's name, and the addresses of its sgemm and dgemm (Fortran, int32)."""
    found = _mkl()
    if found:
        addresses = [ctypes.cast(f, ctypes.c_void_p).value or 0 for f in (found.sgemm, found.dgemm)]
        return "MKL", addresses[0], addresses[1]
    from numba.extending import get_cython_function_address

    of = "scipy.linalg.cython_blas"
    single, double = (get_cython_function_address(of, name) for name in ("sgemm", "dgemm"))
    return "scipy's BLAS", single, double


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
