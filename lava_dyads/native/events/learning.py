"""What happens at the end of a presentation: everybody counts, learns, and forgets."""

from __future__ import annotations

from lava_dyads.native.events.columns import (
    B_LEARNER,
    E_FACTOR,
    E_HOLDS,
    E_KIND,
    E_LEARNING,
    E_LOOKED,
    E_N,
    E_NATIVE,
    E_NIN,
    E_NOUT,
    E_REG0,
    E_REG1,
    E_RESIDUAL,
    E_SETTLED,
    E_SPOKEN,
    E_STATE,
    E_STATES,
    E_STRADDLES,
    E_STRADDLING,
    E_STRIDE,
    E_STRIDE0,
    E_STRIDE1,
    L_ACCUMULATOR,
    L_BETA,
    L_DOWN,
    L_DOWN_STRIDE,
    L_NIN,
    L_NOUT,
    L_NUMBERS,
    L_NUMBERS_END,
    L_PROGRAM,
    L_SIZE,
    L_SLOTS,
    L_STATE,
    L_STATE_STRIDE,
    L_UP,
    L_UP_STRIDE,
    L_UPDATES,
    L_VALUE,
    POPULATION,
    S_ELEMENTS,
    S_LANES,
    S_LEARN,
    S_LEARNERS,
    S_RESETS,
    S_VALID,
    S_WIRES,
    STEPS,
    X_ADDRESSES,
    X_COUNT,
    X_LEARNERS,
    X_MESSAGES,
    X_NUMBERS,
    X_RESETS,
    X_WORK,
)
from lava_dyads.native.events.equations import load_value, result, run
from lava_dyads.native.events.memory import (
    add,
    compiled,
    element_row,
    increase,
    put,
    put_real,
    real,
    whole,
)


@compiled
def _events(register: int, n: int) -> int:
    """Return how many numbers are not zero."""
    there = 0
    for i in range(n):
        there += real(register, i) != 0
    return there


@compiled
def _count_pairs(t: int, element: int) -> None:
    """Count where two events meet at a weight of a dense connection."""
    meetings = 0
    for lane in range(whole(t, S_LANES)):
        up = whole(element, E_REG0) + lane * whole(element, E_STRIDE0)
        down = whole(element, E_REG1) + lane * whole(element, E_STRIDE1)
        there = _events(up, whole(element, E_NIN))
        meetings += there * _events(down, whole(element, E_NOUT))
    increase(whole(element, E_LEARNING), 0, meetings * whole(element, E_FACTOR))


@compiled
def _count_settled(t: int, element: int) -> None:
    """Count units, and those whose compartments straddle a kink."""
    n, lanes, valid = whole(element, E_N), whole(t, S_LANES), whole(t, S_VALID)
    increase(whole(element, E_SETTLED), 0, valid * n)
    program = whole(element, E_STRADDLES)
    if program < 0:
        return
    registers = whole(t, X_ADDRESSES) + 8 * whole(element, E_STATE)
    for k in range(whole(element, E_STATES)):
        load_value(t, k, whole(registers, k), whole(element, E_STRIDE), n)
    run(t, program, whole(element, E_STATES), lanes, n)
    value = whole(t, X_WORK) + result(t, program, 0) * 8 * lanes * n
    increase(whole(element, E_STRADDLING), 0, _events(value, valid * n))


@compiled
def _accumulate(t: int, learner: int) -> None:
    """Add the products that meet at every synapse, or a bias's errors."""
    accumulator, n_in = whole(learner, L_ACCUMULATOR), whole(learner, L_NIN)
    for lane in range(whole(t, S_LANES)):
        down = whole(learner, L_DOWN) + lane * whole(learner, L_DOWN_STRIDE)
        up = whole(learner, L_UP) + lane * whole(learner, L_UP_STRIDE)
        for j in range(whole(learner, L_NOUT)):
            error = real(down, j)
            if not whole(learner, L_UP):
                add(accumulator, j, error)
            elif error != 0:
                row = accumulator + 8 * j * n_in
                for i in range(n_in):
                    add(row, i, error * real(up, i))


@compiled
def _step(t: int, learner: int, batch: int) -> None:
    """Take the step of the optimiser, some numbers at a time."""
    size, slots = whole(learner, L_SIZE), whole(learner, L_SLOTS)
    program, stride = whole(learner, L_PROGRAM), whole(learner, L_STATE_STRIDE)
    first, last = whole(learner, L_NUMBERS), whole(learner, L_NUMBERS_END)
    numbers, work = whole(t, X_NUMBERS), whole(t, X_WORK)
    kept, inputs = real(numbers, first), 1 + slots + last - first - 1
    scale = -real(learner, L_BETA) * batch
    for begin in range(0, size, STEPS):
        n = min(STEPS, size - begin)
        accumulator = whole(learner, L_ACCUMULATOR) + 8 * begin
        value = whole(learner, L_VALUE) + 8 * begin
        for i in range(n):
            put_real(work, i, real(accumulator, i) / scale)
            put_real(accumulator, i, 0.0)
        for k in range(slots):
            state = whole(learner, L_STATE) + k * stride + 8 * begin
            for i in range(n):
                put_real(work, (1 + k) * n + i, real(state, i))
        for k in range(first + 1, last):
            for i in range(n):
                put_real(work, (slots + k - first) * n + i, real(numbers, k))
        run(t, program, inputs, 1, n)
        change = work + 8 * n * result(t, program, 0)
        for i in range(n):
            put_real(value, i, real(value, i) * kept + real(change, i))
        for k in range(slots):
            state = whole(learner, L_STATE) + k * stride + 8 * begin
            new = work + 8 * n * result(t, program, 1 + k)
            for i in range(n):
                put_real(state, i, real(new, i))
    increase(whole(learner, L_UPDATES), 0, 1)


@compiled
def even(t: int, updates: int) -> bool:
    """Tell whether all have learnt as often, so that one set of numbers is right for all."""
    for k in range(whole(t, S_LEARNERS)):
        learner = whole(t, X_LEARNERS) + k * B_LEARNER
        if whole(whole(learner, L_UPDATES), 0) != updates:
            return False
    return True


@compiled
def learn(t: int, frozen: int, batch: int) -> None:
    """Count, and learn from what is held; ``batch`` samples are applied, 0: none yet."""
    learns = whole(t, S_LEARN) and whole(t, S_VALID)
    for e in range(whole(t, S_ELEMENTS)):
        element = element_row(t, e)
        if not whole(element, E_NATIVE):
            continue
        if whole(element, E_KIND) == POPULATION:
            put_real(whole(element, E_RESIDUAL), 0, 0.0)  # it has come to rest
            if learns:
                _count_settled(t, element)
        elif whole(element, E_LEARNING) and learns:
            _count_pairs(t, element)
    if not learns or frozen:
        return
    for k in range(whole(t, S_LEARNERS)):
        learner = whole(t, X_LEARNERS) + k * B_LEARNER
        _accumulate(t, learner)
        if batch:
            _step(t, learner, batch)


@compiled
def begin(t: int) -> None:
    """Begin a presentation: all streams of random numbers anew; what was counted is kept."""
    count, messages = whole(t, X_COUNT), whole(t, X_MESSAGES)
    for wire in range(whole(t, S_WIRES)):
        increase(messages, wire, whole(count, wire))
        put(count, wire, 0)
    for e in range(whole(t, S_ELEMENTS)):
        put(element_row(t, e), E_HOLDS, 0)


@compiled
def reset(t: int) -> None:
    """Forget the last presentation."""
    for k in range(whole(t, S_RESETS)):
        row = whole(t, X_RESETS) + 16 * k
        for i in range(whole(row, 1)):
            put_real(whole(row, 0), i, 0.0)
    for e in range(whole(t, S_ELEMENTS)):
        element = element_row(t, e)
        put(element, E_SPOKEN, 0)
        put(element, E_LOOKED, 0)
