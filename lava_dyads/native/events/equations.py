"""Carries out the equations of units and heads, which come as programs (``native.programs``)."""

from __future__ import annotations

import numpy as np

from lava_dyads.native.events.columns import (
    B_INSTRUCTION,
    S_LANES,
    X_CONSTANTS,
    X_PROGRAM,
    X_PROGRAM_START,
    X_RESULTS,
    X_WORK,
)
from lava_dyads.native.events.memory import compiled, put_real, real, whole


@compiled
def _sum(a: int, n: int) -> float:
    """Add up as numpy does, pair by pair, so that sums are equal to the bit."""
    if n < 8:
        total = -0.0
        for i in range(n):
            total += real(a, i)
        return total
    if n <= 128:
        r0, r1, r2, r3 = real(a, 0), real(a, 1), real(a, 2), real(a, 3)
        r4, r5, r6, r7 = real(a, 4), real(a, 5), real(a, 6), real(a, 7)
        for i in range(8, n - n % 8, 8):
            r0 += real(a, i)
            r1 += real(a, i + 1)
            r2 += real(a, i + 2)
            r3 += real(a, i + 3)
            r4 += real(a, i + 4)
            r5 += real(a, i + 5)
            r6 += real(a, i + 6)
            r7 += real(a, i + 7)
        total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
        for i in range(n - n % 8, n):
            total += real(a, i)
        return total
    half = n // 2
    half -= half % 8
    return _sum(a, half) + _sum(a + 8 * half, n - half)


@compiled
def _arithmetic(code: int, a: float, b: float) -> float:
    if code == 0:
        return a + b
    if code == 1:
        return a - b
    if code == 2:
        return a * b
    if code == 3:
        return a / b
    if code == 4:  # nan stays nan
        return a if (a >= b or a != a) else b
    return a if (a <= b or a != a) else b


@compiled
def _decision(code: int, a: float, b: float) -> bool:
    if code == 6:
        return a < b
    if code == 7:
        return a <= b
    if code == 8:
        return a == b
    if code == 9:
        return a != b
    if code == 10:
        return a != 0 and b != 0
    return a != 0 or b != 0


@compiled
def _function(code: int, a: float) -> float:
    if code == 13:
        return np.tanh(a)
    if code == 14:
        return np.exp(a)
    if code == 15:
        return np.sqrt(a)
    if code == 16:
        return np.log(a)
    return abs(a)


@compiled
def _reduce(code: int, x: int, out: int, lanes: int, n: int) -> None:
    """Fill every row with its largest entry, or its sum."""
    for lane in range(lanes):
        row = x + 8 * lane * n
        number = real(row, 0)
        if code == 18:
            for i in range(1, n):
                number = _arithmetic(4, number, real(row, i))
        else:
            number = _sum(row, n)
        for i in range(n):
            put_real(out, lane * n + i, number)


@compiled
def run(t: int, program: int, inputs: int, lanes: int, n: int) -> None:
    """Run a program on the values in ``work``, (values, lanes * n)."""
    size, w, starts = lanes * n, whole(t, X_WORK), whole(t, X_PROGRAM_START)
    first = whole(starts, program)
    for k in range(first, whole(starts, program + 1)):
        row = whole(t, X_PROGRAM) + k * B_INSTRUCTION
        code, out = whole(row, 0), w + (inputs + k - first) * 8 * size
        x, y = w + whole(row, 1) * 8 * size, w + whole(row, 2) * 8 * size
        z = w + whole(row, 3) * 8 * size
        if code < 6:
            for i in range(size):
                put_real(out, i, _arithmetic(code, real(x, i), real(y, i)))
        elif code < 12:
            for i in range(size):
                put_real(out, i, 1.0 if _decision(code, real(x, i), real(y, i)) else 0.0)
        elif code == 12:
            for i in range(size):
                put_real(out, i, real(y, i) if real(x, i) != 0 else real(z, i))
        elif code < 18:
            for i in range(size):
                put_real(out, i, _function(code, real(x, i)))
        elif code < 20:
            _reduce(code, x, out, lanes, n)
        else:
            for i in range(size):
                put_real(out, i, real(whole(t, X_CONSTANTS), k))


@compiled
def load_value(t: int, place: int, register: int, stride: int, n: int) -> None:
    """Copy a register (lanes, n) to a value of the programs."""
    lanes = whole(t, S_LANES)
    value = whole(t, X_WORK) + place * 8 * lanes * n
    for lane in range(lanes):
        for i in range(n):
            put_real(value, lane * n + i, real(register + lane * stride, i))


@compiled
def result(t: int, program: int, k: int) -> int:
    """Return which value of a program is result k."""
    results = whole(t, X_RESULTS)
    return whole(results, 1 + program * whole(results, 0) + k)
