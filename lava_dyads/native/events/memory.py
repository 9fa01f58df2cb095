"""Numbers by their address, and random numbers by counter, for compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from lava_dyads.native.events.columns import (
    B_ELEMENT,
    M_LOAD,
    M_SOURCE,
    S_LANES,
    S_LATENCY,
    S_LOAD_FREE,
    S_LOAD_SPACE,
    S_ROW,
    S_UNIFORM,
    X_ELEMENTS,
    X_LOADS,
    X_MEAN,
    X_MODEL,
    X_POOL,
    X_USES,
)

_njit: Any = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
PIECES: set[str] = set()
"""Names of the functions that are called by others in compiled code alone."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that is called in compiled code alone; kept on disk with what calls it."""
    PIECES.add(function.__qualname__)
    return _njit(function)


_REAL, _WHOLE = ir.DoubleType(), ir.IntType(64)


def _place(builder: Any, start: Any, i: Any, kind: Any) -> Any:
    at = builder.add(start, builder.shl(i, ir.Constant(_WHOLE, 3)))
    return builder.inttoptr(at, kind.as_pointer())


def _reader(kind: Any, result: Any) -> Any:
    def read(_: Any, start: Any, i: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.load(_place(builder, given[0], given[1], kind))

        return result(types.int64, types.int64), build

    return intrinsic(read)


def _writer(kind: Any, value: Any) -> Any:
    def write(_: Any, start: Any, i: Any, number: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            builder.store(given[2], _place(builder, given[0], given[1], kind))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, value), build

    return intrinsic(write)


real: Callable[[int, int], float] = _reader(_REAL, types.float64)
put_real: Callable[[int, int, float], None] = _writer(_REAL, types.float64)
whole: Callable[[int, int], int] = _reader(_WHOLE, types.int64)
put: Callable[[int, int, int], None] = _writer(_WHOLE, types.int64)


@intrinsic
def fetch(_: Any, start: Any) -> Any:
    """Let the processor bring the line at an address into its cache, and go on meanwhile."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        # To be read; to be kept; data.
        builder.call(call, [builder.inttoptr(given[0], byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), build


@compiled
def increase(start: int, i: int, amount: int) -> None:
    """Add to whole number i from an address on."""
    put(start, i, whole(start, i) + amount)


@compiled
def add(start: int, i: int, amount: float) -> None:
    """Add to real number i from an address on."""
    put_real(start, i, real(start, i) + amount)


@compiled
def element_row(t: int, e: int) -> int:
    """Return where the row of an element begins."""
    return whole(t, X_ELEMENTS) + e * B_ELEMENT


@compiled
def load_row(t: int, slot: int) -> int:
    """Return where shared numbers begin, one per lane."""
    return whole(t, X_LOADS) + slot * 8 * whole(t, S_LANES)


@compiled
def share(t: int) -> int:
    """Return a free row of numbers to share, in use by who asks for it."""
    slot, uses = whole(t, S_LOAD_FREE), whole(t, X_USES)
    put(t, S_LOAD_FREE, whole(uses, slot))
    increase(t, S_LOAD_SPACE, -1)
    put(uses, slot, 1)
    return slot


@compiled
def release(t: int, slot: int) -> None:
    """Use a row of shared numbers no more."""
    uses = whole(t, X_USES)
    increase(uses, slot, -1)
    if not whole(uses, slot):
        put(uses, slot, whole(t, S_LOAD_FREE))
        put(t, S_LOAD_FREE, slot)
        increase(t, S_LOAD_SPACE, 1)


@compiled
def carried(t: int, row: int, lane: int) -> float:
    """Return what a message carries in a lane."""
    load = real(row, M_LOAD)
    if whole(t, S_LANES) == 1:
        return load
    return load * real(load_row(t, whole(row, M_SOURCE)), lane)


@compiled
def message_row(t: int, m: int) -> int:
    """Return where the row of a message begins."""
    return whole(t, X_POOL) + m * whole(t, S_ROW)


# --- random numbers by counter, see executors.counter

_STEP, _FIRST = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SECOND, _ONE = np.uint64(0x94D049BB133111EB), np.uint64(1)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@compiled
def _draw(key: Any, n: Any) -> Any:
    x = key + (np.uint64(n) + _ONE) * _STEP
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    return x ^ (x >> _31)


@compiled
def stream(key: int, number: int) -> int:
    """Return the key of stream ``number`` under a key."""
    return np.int64(_draw(np.uint64(key), number))  # type: ignore[return-value]


@compiled
def unit(key: int, n: int) -> float:
    """Return number n of the stream of a key, uniform in [0, 1)."""
    return float(_draw(np.uint64(key), n) >> _11) * 2.0**-53


@compiled
def latency(model: int, mean: float, share: float) -> float:
    """Return a quantile, see executors.latency; models by their number in ``LATENCY_MODELS``."""
    if model == 1:
        return mean * (2.0 * share)
    if model == 2:
        return mean * -np.log(1.0 - share)
    return mean * (1.0 / np.sqrt(1.0 - share) - 1.0)


@compiled
def delay(t: int, wire: int, share: float) -> float:
    """Return a quantile of the latency of a wire."""
    place = 0 if whole(t, S_UNIFORM) else wire
    model, mean = whole(whole(t, X_MODEL), place), real(whole(t, X_MEAN), place)
    return latency(model, mean, share) if model else mean


@compiled
def travel_time(t: int, wire: int, n: int) -> float:
    """Return the latency of message n of a wire."""
    return delay(t, wire, unit(stream(whole(t, S_LATENCY), wire), n))
