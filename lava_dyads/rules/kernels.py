"""Loops compiled by numba (extra ``fast``), and how several threads share them.

Imported where numba is installed only, see :mod:`lava_dyads.rules.compiled`. All of them stand in
one file: numba keeps what it has compiled until the file of a function changes, not those of the
functions that it calls.

A *board* is what the threads of a crew read and write. ``board[TICKET]`` is the number of the
present job times 256 plus how many of its parts are taken; whoever adds one to it owns the next.
``board[DONE]`` counts the parts that are done. ``tasks[t]`` is a part: its kind, then sizes and
addresses. No job is handed out before the last one is done.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

from lava_dyads.rules._types import AnyArray

_compiled: Any = njit(nogil=True, error_model="numpy", cache=True)


@_compiled
def _adam(w: AnyArray, g: AnyArray, m: AnyArray, v: AnyArray, numbers: AnyArray) -> None:
    first, second, b1 = numbers[0], numbers[1], numbers[2]
    b2, size, eps, tiny = numbers[3], numbers[4], numbers[5], numbers[6]
    for i in range(w.size):
        m_i = b1 * m[i] + first * g[i]
        v_i = b2 * v[i] + second * g[i] * g[i]
        w[i] -= size * m_i / (np.sqrt(v_i) + eps)
        m[i] = m_i if abs(m_i) > tiny else 0 * m_i
        v[i] = v_i


@_compiled
def adam(w: AnyArray, g: AnyArray, state: AnyArray, numbers: AnyArray) -> None:
    """Take Adam's step on arrays of one shape, row by row in memory; ``state`` are both moments.

    ``numbers``: scale (1 - b1), scale^2 (1 - b2), b1, b2, size, eps, and the moment below which
    it is 0.
    """
    moments = state.reshape(2, w.size)
    _adam(w.reshape(-1), g.reshape(-1), moments[0], moments[1], numbers)


@_compiled
def _adam_events(
    w: AnyArray, down: AnyArray, up: AnyArray, m: AnyArray, v: AnyArray, numbers: AnyArray
) -> None:
    g = np.empty(w.shape[1], w.dtype)
    for i in range(w.shape[0]):
        g[:] = 0
        for k in range(down.shape[0]):
            d = down[k, i]
            if d != 0:
                for j in range(g.size):
                    g[j] += d * up[k, j]
        _adam(w[i], g, m[i], v[i], numbers)


@_compiled
def adam_events(
    w: AnyArray, down: AnyArray, up: AnyArray, state: AnyArray, numbers: AnyArray
) -> None:
    """Take Adam's step along down^T up, row by row: entries of down that are 0 cost nothing."""
    _adam_events(w, down, up, state[0], state[1], numbers)


@_compiled
def descend(w: AnyArray, g: AnyArray, numbers: AnyArray) -> None:
    """Add c g; ``numbers`` is c."""
    for i in range(w.size):
        w[i] += numbers[0] * g[i]


@_compiled
def spread(rows: AnyArray, x: AnyArray, out: AnyArray) -> None:
    """Set out to x rows: only the rows of entries that are not zero are read."""
    out[:] = 0
    for i in range(x.size):
        if x[i] != 0:
            for j in range(out.size):
                out[j] += x[i] * rows[i, j]


@_compiled
def imprint(rows: AnyArray, x: AnyArray, d: AnyArray) -> None:
    """Add x d^T to rows: only the rows of entries that are not zero are touched."""
    for i in range(x.size):
        if x[i] != 0:
            for j in range(d.size):
                rows[i, j] += x[i] * d[j]


# What the threads of a crew do.

_WORD = ir.IntType(64)


@intrinsic
def _pointer(_: Any, address: Any) -> Any:
    """Return the pointer to an address."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.inttoptr(given[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), build


@intrinsic
def _load(_: Any, address: Any) -> Any:
    """Return the number at an address, and see all that was written before it."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = builder.inttoptr(given[0], _WORD.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(types.int64), build


@intrinsic
def _store(_: Any, address: Any, number: Any) -> Any:
    """Write a number to an address, after all that was written before."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = builder.inttoptr(given[0], _WORD.as_pointer())
        builder.store_atomic(given[1], place, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def _swap(_: Any, address: Any, old: Any, new: Any) -> Any:
    """Write a new number to an address if the old one is there; tell whether it was."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = builder.inttoptr(given[0], _WORD.as_pointer())
        found = builder.cmpxchg(place, given[1], given[2], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), build


@intrinsic
def _add(_: Any, address: Any, number: Any) -> Any:
    """Add to the number at an address, after all that was written before; return what it was."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = builder.inttoptr(given[0], _WORD.as_pointer())
        return builder.atomic_rmw("add", place, given[1], "acq_rel")

    return types.int64(types.int64, types.int64), build


def _caller(words: int) -> Any:
    """Return what calls a C function with so many addresses, which stand one after another."""

    @intrinsic
    def call(_: Any, function: Any, table: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [_WORD] * words)
            first = builder.inttoptr(given[1], _WORD.as_pointer())
            places = [builder.gep(first, [_WORD(i)]) for i in range(words)]
            loaded = [builder.load(place) for place in places]
            builder.call(builder.inttoptr(given[0], kind.as_pointer()), loaded)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), build

    return call


_GEMM_ARGUMENTS = 13
_call_gemm, _call_system = _caller(_GEMM_ARGUMENTS), _caller(1)

NOTHING, PRODUCT, ADAM_32, ADAM_64, EVENTS_32, EVENTS_64 = range(6)
"""Kinds of tasks."""

TICKET, DONE, BOARD = 0, 8, 16
"""Places on the board, a cache line each, and its size."""

WIDTH = 32
"""Words of a task, of which those from 16 on hold the sizes that a product is called with."""

_SPINS, _YIELDS = 20_000, 4_000
"""How often to look for work before giving the core away (some 40 us), and before sleeping."""

_NAP = 50
"""Microseconds of sleep, as long as there is no work."""

_EVEN = 16
"""A product is cut at multiples of this, where the library's inner loops end, too."""


@_compiled
def _take_part(board: AnyArray, tasks: AnyArray) -> bool:
    """Do the next part of the present job that nobody has taken; tell whether there was one."""
    place = board.ctypes.data + 8 * TICKET
    while True:
        ticket = _load(place)
        if ticket < 0 or ticket % 256 >= len(tasks):
            return False
        if _swap(place, ticket, ticket + 1):
            _do(tasks[ticket % 256])
            _add(board.ctypes.data + 8 * DONE, 1)
            return True


@_compiled
def _do(task: AnyArray) -> None:
    """Do a part."""
    kind = task[0]
    if kind == PRODUCT:
        _call_gemm(task[1], task.ctypes.data + 16)
    elif kind == ADAM_32:
        _adam_part(task, np.float32)
    elif kind == ADAM_64:
        _adam_part(task, np.float64)
    elif kind == EVENTS_32:
        _events_part(task, np.float32)
    elif kind == EVENTS_64:
        _events_part(task, np.float64)


@_compiled
def _adam_part(task: AnyArray, dtype: Any) -> None:
    n = task[1]
    numbers = carray(_pointer(task[6]), 7, dtype)
    w, g = carray(_pointer(task[2]), n, dtype), carray(_pointer(task[3]), n, dtype)
    m, v = carray(_pointer(task[4]), n, dtype), carray(_pointer(task[5]), n, dtype)
    _adam(w, g, m, v, numbers)


@_compiled
def _events_part(task: AnyArray, dtype: Any) -> None:
    rows, columns, samples, first, width = task[7], task[8], task[9], task[10], task[11]
    numbers, shape = carray(_pointer(task[6]), 7, dtype), (rows, columns)
    w = carray(_pointer(task[1]), shape, dtype)
    m, v = carray(_pointer(task[4]), shape, dtype), carray(_pointer(task[5]), shape, dtype)
    down = carray(_pointer(task[2]), (samples, width), dtype)[:, first : first + rows]
    up = carray(_pointer(task[3]), (samples, columns), dtype)
    _adam_events(w, down, up, m, v, numbers)


@_compiled
def serve(board: AnyArray, tasks: AnyArray, system: AnyArray) -> None:
    """Take part in every job until there are none; ``system``: sched_yield, usleep, _NAP."""
    idle = 0
    while _load(board.ctypes.data + 8 * TICKET) >= 0:
        if _take_part(board, tasks):
            idle = 0
            continue
        idle += 1
        if idle > _SPINS + _YIELDS:
            _call_system(system[1], system.ctypes.data + 16)
        elif idle > _SPINS:
            _call_system(system[0], system.ctypes.data + 16)


@_compiled
def _together(board: AnyArray, tasks: AnyArray, system: AnyArray) -> None:
    """Hand out a job, take part in it, and wait until it is done."""
    ticket, done = board.ctypes.data + 8 * TICKET, board.ctypes.data + 8 * DONE
    _store(done, 0)
    _store(ticket, (_load(ticket) // 256 + 1) * 256)
    while _take_part(board, tasks):
        pass
    idle = 0
    while _load(done) < len(tasks):
        idle += 1
        if idle > _SPINS:
            _call_system(system[0], system.ctypes.data + 16)


@_compiled
def dismiss(board: AnyArray) -> None:
    """Tell the helpers that there are no more jobs."""
    _store(board.ctypes.data + 8 * TICKET, -1)


@_compiled
def _edge(n: int, part: int, parts: int, even: int) -> int:
    """Return where a part begins of n things that are cut at multiples of ``even``."""
    return min(n, (n * part // parts + even - 1) // even * even)


@_compiled
def shared_product(
    board: AnyArray,
    tasks: AnyArray,
    system: AnyArray,
    gemm: AnyArray,
    left: AnyArray,
    right: AnyArray,
    out: AnyArray,
    by_rows: bool,
) -> None:
    """Set out (m, n) to left (m, k) right (k, n), every thread some of its rows or columns.

    BLAS takes columns for rows: out^T = right^T left^T. ``gemm``: its address for this kind of
    number, those of the letters N and T and of the numbers 1 and 0.
    """
    size = out.itemsize
    m, n = out.shape
    k = left.shape[1]
    turned_a, turned_b = left.strides[1] != size, right.strides[1] != size
    lead_a = (left.strides[1] if turned_a else left.strides[0]) // size
    lead_b = (right.strides[1] if turned_b else right.strides[0]) // size
    lead_c = out.strides[0] // size
    parts = len(tasks)
    for t in range(parts):
        task = tasks[t]
        whole = m if by_rows else n
        first, last = _edge(whole, t, parts, _EVEN), _edge(whole, t + 1, parts, _EVEN)
        a, b, c = left.ctypes.data, right.ctypes.data, out.ctypes.data
        rows, columns = m, n
        if by_rows:
            rows = last - first
            a += first * (size if turned_a else lead_a * size)
            c += first * lead_c * size
        else:
            columns = last - first
            b += first * (lead_b * size if turned_b else size)
            c += first * size
        task[0] = PRODUCT if last > first else NOTHING
        task[1] = gemm[0]
        task[2], task[3] = gemm[1 + int(turned_b)], gemm[1 + int(turned_a)]
        sizes = task.ctypes.data + 8 * 16
        task[4], task[5], task[6], task[7] = sizes, sizes + 8, sizes + 16, gemm[3]
        task[8], task[9], task[10], task[11] = b, sizes + 24, a, sizes + 32
        task[12], task[13], task[14] = gemm[4], c, sizes + 40
        # Integers of 32 bits, read from the low half of a word (little-endian).
        task[16], task[17], task[18] = columns, rows, k
        task[19], task[20], task[21] = lead_b, lead_a, lead_c
    _together(board, tasks, system)


@_compiled
def shared_adam(
    board: AnyArray,
    tasks: AnyArray,
    system: AnyArray,
    w: AnyArray,
    g: AnyArray,
    state: AnyArray,
    numbers: AnyArray,
) -> None:
    """Take Adam's step, every thread for some weights."""
    size, parts = w.itemsize, len(tasks)
    for t in range(parts):
        task = tasks[t]
        first, last = _edge(w.size, t, parts, _EVEN), _edge(w.size, t + 1, parts, _EVEN)
        task[0], task[1] = ADAM_32 if size == 4 else ADAM_64, last - first
        task[2], task[3] = w.ctypes.data + first * size, g.ctypes.data + first * size
        task[4] = state.ctypes.data + first * size
        task[5] = task[4] + w.size * size
        task[6] = numbers.ctypes.data
    _together(board, tasks, system)


@_compiled
def shared_adam_events(
    board: AnyArray,
    tasks: AnyArray,
    system: AnyArray,
    w: AnyArray,
    down: AnyArray,
    up: AnyArray,
    state: AnyArray,
    numbers: AnyArray,
) -> None:
    """Take Adam's step along down^T up, every thread for some neurons."""
    size, parts = w.itemsize, len(tasks)
    n, columns = w.shape
    for t in range(parts):
        task = tasks[t]
        first, last = _edge(n, t, parts, 1), _edge(n, t + 1, parts, 1)
        skipped = first * columns * size
        task[0] = EVENTS_32 if size == 4 else EVENTS_64
        task[1], task[2], task[3] = w.ctypes.data + skipped, down.ctypes.data, up.ctypes.data
        task[4] = state.ctypes.data + skipped
        task[5] = task[4] + w.size * size
        task[6], task[7], task[8] = numbers.ctypes.data, last - first, columns
        task[9], task[10], task[11] = len(down), first, n
    _together(board, tasks, system)


def system_calls() -> AnyArray:
    """Return the addresses of sched_yield and usleep, and for how long to sleep."""
    libc = ctypes.CDLL(None)
    functions = [ctypes.cast(f, ctypes.c_void_p).value for f in (libc.sched_yield, libc.usleep)]
    return np.array([*functions, _NAP], np.int64)


def gemm(dtype: type) -> tuple[AnyArray, AnyArray]:
    """Return what :func:`shared_product` wants to know of BLAS, and the memory that it points to.

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
    name = {4: "sgemm", 8: "dgemm"}[np.dtype(dtype).itemsize]
    address = get_cython_function_address("scipy.linalg.cython_blas", name)
    start, one = letters.ctypes.data, numbers.ctypes.data
    return np.array([address, start, start + 1, one, one + numbers.itemsize], np.int64), memory
