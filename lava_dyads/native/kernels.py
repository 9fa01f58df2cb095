"""Loops compiled by numba (extra ``fast``), and how several threads share them.

Imported where numba is installed only, see :mod:`lava_dyads.native.registry`. All of them stand in
one file: numba keeps what it has compiled until the file of a function changes, not those of the
functions that it calls.

A *board* is what the threads of a team read and write: how many parts of jobs have been
published, taken and done since it was made. Whoever raises the number of those taken by one owns
that part, ``tasks[number % RING]``: its kind, then sizes and addresses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from lava_dyads.array_types import AnyArray

_compiled: Any = njit(nogil=True, error_model="numpy", cache=True)
Words = tuple[int, ...]


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
def adam(w: AnyArray, g: AnyArray, m: AnyArray, v: AnyArray, numbers: AnyArray) -> None:
    """Take Adam's step on arrays of one shape, row by row in memory.

    ``numbers``: scale (1 - b1), scale^2 (1 - b2), b1, b2, size, eps, and the moment below which
    it is 0.
    """
    _adam(w.reshape(-1), g.reshape(-1), m.reshape(-1), v.reshape(-1), numbers)


@_compiled
def adam_events(
    w: AnyArray, down: AnyArray, up: AnyArray, m: AnyArray, v: AnyArray, numbers: AnyArray
) -> None:
    """Take Adam's step along down^T up, row by row: entries of down that are 0 cost nothing."""
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


@_compiled
def hush(value: AnyArray, limit: Any, out: AnyArray) -> None:
    """Set out to value, to 0 where its size is no more than the limit; nan stays."""
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            x = value[i, j]
            out[i, j] = 0 if abs(x) <= limit else x


# What the threads of a team do.

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
    """Return the call of a C function with so many addresses, which stand one after another."""

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

PRODUCT, STEP, EVENTS = 1, 2, 4
"""Kinds of tasks, in bits: a product, then a step of Adam; or the step of :func:`adam_events`."""

_DOUBLE = 8
"""Added to a kind: numbers have 64 bits."""

PUBLISHED, TAKEN, DONE, OVER, RESTED, THREADS, BOARD = 0, 8, 16, 24, 32, 40, 48
"""Places on the board, a cache line each, and its size. RESTED: all parts before are done;
THREADS: how many take part."""

RING, WIDTH = 64, 32
"""Parts that may wait, and words of each: from 16 on sizes of a product, from 22 on a step."""

_SPINS, _YIELDS = 20_000, 4_000
"""How often to look for work before giving the core away (some 40 us), and before sleeping."""

_NEURONS = 128
"""Neurons whose step is a part: fewer, and every part reads the samples again for little."""

_EVEN = 16
"""A product is cut at multiples of this, where the library's inner loops end, too."""


@_compiled
def _take_part(board: AnyArray, tasks: AnyArray) -> bool:
    """Do the next part that nobody has taken; tell whether there was one."""
    start = board.ctypes.data
    while True:
        number = _load(start + 8 * TAKEN)
        if number >= _load(start + 8 * PUBLISHED):
            return False
        if _swap(start + 8 * TAKEN, number, number + 1):
            _do(tasks[number % RING])
            _add(start + 8 * DONE, 1)
            return True


@_compiled
def _do(task: AnyArray) -> None:
    """Do a part."""
    kind = task[0]
    if kind & PRODUCT:
        _call_gemm(task[1], task.ctypes.data + 16)
    if kind & STEP:
        if kind & _DOUBLE:
            _adam_part(task, np.float64)
        else:
            _adam_part(task, np.float32)
    if kind & EVENTS:
        if kind & _DOUBLE:
            _events_part(task, np.float64)
        else:
            _events_part(task, np.float32)


@_compiled
def _adam_part(task: AnyArray, dtype: Any) -> None:
    n = task[22]
    numbers = carray(_pointer(task[27]), 7, dtype)
    w, g = carray(_pointer(task[23]), n, dtype), carray(_pointer(task[24]), n, dtype)
    m, v = carray(_pointer(task[25]), n, dtype), carray(_pointer(task[26]), n, dtype)
    _adam(w, g, m, v, numbers)


@_compiled
def _events_part(task: AnyArray, dtype: Any) -> None:
    rows, columns, samples, first, width = task[1], task[2], task[3], task[4], task[5]
    numbers, shape = carray(_pointer(task[27]), 7, dtype), (rows, columns)
    w = carray(_pointer(task[23]), shape, dtype)
    m, v = carray(_pointer(task[25]), shape, dtype), carray(_pointer(task[26]), shape, dtype)
    down = carray(_pointer(task[6]), (samples, width), dtype)[:, first : first + rows]
    up = carray(_pointer(task[7]), (samples, columns), dtype)
    adam_events(w, down, up, m, v, numbers)


@_compiled
def serve(board: AnyArray, tasks: AnyArray, system: AnyArray) -> None:
    """Take parts until it is over; ``system``: see ``thread_pool``."""
    idle = 0
    while _load(board.ctypes.data + 8 * OVER) == 0:
        if _take_part(board, tasks):
            idle = 0
            continue
        idle += 1
        if idle > _SPINS + _YIELDS:
            _call_system(system[1], system.ctypes.data + 16)
        elif idle > _SPINS:
            _call_system(system[0], system.ctypes.data + 16)


@_compiled
def finish(board: AnyArray, tasks: AnyArray, system: AnyArray) -> None:
    """Take parts, too, and wait until all that were published are done."""
    start = board.ctypes.data
    while _take_part(board, tasks):
        pass
    idle = 0
    while _load(start + 8 * DONE) < _load(start + 8 * PUBLISHED):
        idle += 1
        if idle > _SPINS:
            _call_system(system[0], system.ctypes.data + 16)
    board[RESTED] = board[PUBLISHED]


@_compiled
def _reserve(board: AnyArray, tasks: AnyArray, system: AnyArray, parts: int) -> int:
    """Return the number of the next part, with room for some of them in the ring."""
    if board[PUBLISHED] + parts - board[RESTED] > RING:
        finish(board, tasks, system)
    return int(board[PUBLISHED])


@_compiled
def _publish(board: AnyArray, tasks: AnyArray, system: AnyArray, parts: int, wait: bool) -> None:
    """Let everybody see the next parts, and wait for them if wanted."""
    start = board.ctypes.data
    _store(start + 8 * PUBLISHED, _load(start + 8 * PUBLISHED) + parts)
    if wait:
        finish(board, tasks, system)


@_compiled
def dismiss(board: AnyArray) -> None:
    """Tell the helpers that it is over."""
    _store(board.ctypes.data + 8 * OVER, 1)


@_compiled
def _edge(n: int, part: int, parts: int, even: int) -> int:
    """Return the beginning of a part of n things that are cut at multiples of ``even``."""
    return min(n, (n * part // parts + even - 1) // even * even)


# Arrays come as sizes and addresses: numba would compile what follows once for every kind of number
# and order in memory, half a second each.


@_compiled
def _set_product(
    task: AnyArray, gemm: AnyArray, product: Words, by_rows: bool, first: int, last: int
) -> None:
    """Make a task of some rows, or columns, of out = left right.

    BLAS takes columns for rows: out^T = right^T left^T. ``gemm``: its address for this kind of
    number, those of the letters N and T and of the numbers 1 and 0. ``product``: bytes of a number,
    rows and columns of out, numbers that each sums up; address and strides of left, right and out.
    """
    size, rows, columns, inner, a, down_a, along_a, b, down_b, along_b, c, down_c = product
    turned_a, turned_b = along_a != size, along_b != size
    lead_a = (along_a if turned_a else down_a) // size
    lead_b = (along_b if turned_b else down_b) // size
    if by_rows:
        rows = last - first
        a += first * (size if turned_a else down_a)
        c += first * down_c
    else:
        columns = last - first
        b += first * along_b
        c += first * size
    task[0], task[1] = PRODUCT, gemm[0]
    task[2], task[3] = gemm[1 + int(turned_b)], gemm[1 + int(turned_a)]
    sizes = task.ctypes.data + 8 * 16
    task[4], task[5], task[6], task[7] = sizes, sizes + 8, sizes + 16, gemm[3]
    task[8], task[9], task[10], task[11] = b, sizes + 24, a, sizes + 32
    task[12], task[13], task[14] = gemm[4], c, sizes + 40
    # Integers of 32 bits, read from the low half of a word (little-endian).
    task[16], task[17], task[18] = columns, rows, inner
    task[19], task[20], task[21] = lead_b, lead_a, down_c // size


@_compiled
def _set_step(task: AnyArray, step: Words, first: int, n: int) -> None:
    """Add the step of n weights to a task.

    ``step``: bytes of a number; addresses of weights, gradients, both moments and
    :func:`adam`'s numbers.
    """
    size, w, g, m, v, numbers = step
    start = first * size
    task[0] |= _DOUBLE if size == 8 else 0
    task[22], task[23], task[24] = n, w + start, g + start
    task[25], task[26], task[27] = m + start, v + start, numbers


@_compiled
def shared_product(
    board: AnyArray,
    tasks: AnyArray,
    system: AnyArray,
    gemm: AnyArray,
    product: Words,
    by_rows: bool,
) -> None:
    """Set out (m, n) to left (m, k) right (k, n), every thread some of its rows or columns."""
    threads = board[THREADS]
    whole = product[1] if by_rows else product[2]
    next_one, parts = _reserve(board, tasks, system, threads), 0
    for t in range(threads):
        first, last = _edge(whole, t, threads, _EVEN), _edge(whole, t + 1, threads, _EVEN)
        if last > first:
            task = tasks[(next_one + parts) % RING]
            _set_product(task, gemm, product, by_rows, first, last)
            parts += 1
    _publish(board, tasks, system, parts, True)


@_compiled
def shared_adam(
    board: AnyArray, tasks: AnyArray, system: AnyArray, weights: int, step: Words
) -> None:
    """Take Adam's step, every thread for some weights."""
    threads = board[THREADS]
    next_one = _reserve(board, tasks, system, threads)
    for t in range(threads):
        first, last = _edge(weights, t, threads, _EVEN), _edge(weights, t + 1, threads, _EVEN)
        task = tasks[(next_one + t) % RING]
        task[0] = STEP
        _set_step(task, step, first, last - first)
    _publish(board, tasks, system, threads, True)


@_compiled
def shared_descent(
    board: AnyArray,
    tasks: AnyArray,
    system: AnyArray,
    gemm: AnyArray,
    product: Words,
    step: Words,
    wait: bool,
) -> None:
    """Take Adam's step along g = down^T up (n, columns), a part for some neurons after others."""
    threads = board[THREADS]
    n, columns = product[1], product[2]
    parts = min(RING, max(threads, n // _NEURONS))
    next_one, number = _reserve(board, tasks, system, parts), 0
    for t in range(parts):
        first, last = _edge(n, t, parts, _EVEN), _edge(n, t + 1, parts, _EVEN)
        if last > first:
            task = tasks[(next_one + number) % RING]
            _set_product(task, gemm, product, True, first, last)
            task[0] |= STEP
            _set_step(task, step, first * columns, (last - first) * columns)
            number += 1
    _publish(board, tasks, system, number, wait)


@_compiled
def shared_adam_events(
    board: AnyArray,
    tasks: AnyArray,
    system: AnyArray,
    sizes: Words,
    step: Words,
    wait: bool,
) -> None:
    """Take Adam's step along down^T up, a part for some neurons after others.

    ``sizes``: neurons, columns and samples; addresses of down and up, which stand row by row.
    """
    threads = board[THREADS]
    n, columns, samples, down, up = sizes
    parts = min(RING, max(threads, n // _NEURONS))
    next_one = _reserve(board, tasks, system, parts)
    for t in range(parts):
        first, last = _edge(n, t, parts, 1), _edge(n, t + 1, parts, 1)
        task = tasks[(next_one + t) % RING]
        task[0], task[1], task[2], task[3] = EVENTS, last - first, columns, samples
        task[4], task[5], task[6], task[7] = first, n, down, up
        _set_step(task, step, first * columns, 0)
    _publish(board, tasks, system, parts, wait)
