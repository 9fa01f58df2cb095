"""What elements do with what comes: compiled, and message by message as ``lava_dyads.elements``."""

from __future__ import annotations

from lava_dyads.native.events.columns import (
    B_CHANNEL,
    B_CHANNEL_REALS,
    B_PORT,
    B_REALS,
    C_EVENTS,
    C_HEARD,
    C_MESSAGES,
    C_PORT,
    C_RESULT,
    C_SENT,
    C_STRIDE,
    CR_SCALE,
    CR_THRESHOLD,
    E_B,
    E_BIAS,
    E_BIN,
    E_BOUT,
    E_CH0,
    E_CH1,
    E_COUNT0,
    E_FREE,
    E_FROZEN,
    E_GOT,
    E_INSTANT,
    E_LOOKED,
    E_MUTUAL,
    E_N,
    E_NIN,
    E_NOUT,
    E_NUDGED,
    E_PEND0,
    E_PORT0,
    E_REG0,
    E_SPOKEN,
    E_STATE,
    E_STATES,
    E_STRIDE,
    E_STRIDE0,
    E_TABLE,
    E_UP,
    E_W,
    E_WIN,
    E_WOUT,
    M_LOAD,
    M_SOURCE,
    P_SENDS,
    R_BETA,
    R_THRESHOLD,
    ROUNDING,
    S_LANES,
    S_LEARN,
    S_VALID,
    X_ADDRESSES,
    X_CHANNEL_REALS,
    X_CHANNELS,
    X_MESSAGE,
    X_PENDING,
    X_PORTS,
    X_REALS,
    X_TABLE_COUNT,
    X_TABLE_START,
    X_TABLE_TARGET,
    X_TABLE_VALUE,
    X_TABLE_WEIGHT,
    X_USES,
    X_WORK,
)
from lava_dyads.native.events.equations import load_value, result, run
from lava_dyads.native.events.memory import (
    add,
    carried,
    compiled,
    element_row,
    increase,
    load_row,
    put,
    put_real,
    real,
    release,
    share,
    whole,
)
from lava_dyads.native.events.sending import post, rest, send


@compiled
def _take(t: int, element: int, which: int) -> bool:
    """Add what waits for one of the two slots to its register; tell whether anything came."""
    if not (whole(element, E_GOT) >> which) & 1:
        return False
    n, stride = whole(element, E_N), whole(element, E_STRIDE0 + which)
    for lane in range(whole(t, S_LANES)):
        register = whole(element, E_REG0 + which) + lane * stride
        pending = whole(t, X_PENDING) + 8 * (whole(element, E_PEND0 + which) + lane * n)
        for i in range(n):
            add(register, i, real(pending, i))
            put_real(pending, i, 0.0)
    return True


@compiled
def _changes(t: int, value: int, channel: int, n: int, threshold: float, scale: float) -> int:
    """Write into ``message`` what to send of the values from ``value`` on; return events."""
    lanes, valid, events = whole(t, S_LANES), whole(t, S_VALID), 0
    message = whole(t, X_MESSAGE)
    for lane in range(lanes):
        sent = whole(channel, C_SENT) + lane * whole(channel, C_STRIDE)
        for i in range(n):
            last, change = real(sent, i), 0.0
            if lane < valid:
                change = real(value, lane * n + i) - last
            if abs(change) <= max(threshold, ROUNDING * (scale + abs(last))):
                change = 0.0
            else:  # nan, too: what diverged must never look like silence
                events += 1
                put_real(sent, i, last + change)
            put_real(message, lane * n + i, change)
    return events


@compiled
def _say(t: int, channel: int, n: int, events: int) -> None:
    """Count a message, and send the entries of ``message`` that are not zero in every lane."""
    increase(whole(channel, C_MESSAGES), 0, 1)
    increase(whole(channel, C_EVENTS), 0, events)
    port, message = whole(channel, C_PORT), whole(t, X_MESSAGE)
    if port < 0:
        return
    increase(whole(whole(t, X_PORTS) + port * B_PORT, P_SENDS), 0, 1)
    post(t, port, message, n)


@compiled
def _store(t: int, place: int, register: int, stride: int, n: int, most: float) -> bool:
    """Copy a value of the programs to a register; tell whether an entry moves by more than most.

    Lanes without a sample are 0.
    """
    lanes, valid, moves = whole(t, S_LANES), whole(t, S_VALID), False
    value = whole(t, X_WORK) + place * 8 * lanes * n
    for lane in range(lanes):
        for i in range(n):
            number = real(value, lane * n + i) if lane < valid else 0.0
            moves |= abs(number - real(register + lane * stride, i)) > most
            put_real(register + lane * stride, i, number)
    return moves


@compiled
def update_population(t: int, e: int) -> None:
    """Let a population answer what has come, as ``Population.after`` says."""
    element = element_row(t, e)
    _take(t, element, 0)
    _take(t, element, 1)
    put(element, E_GOT, 0)
    if not whole(t, S_VALID):
        return
    put(element, E_SPOKEN, 1)
    n, states, stride = whole(element, E_N), whole(element, E_STATES), whole(element, E_STRIDE)
    registers = whole(t, X_ADDRESSES) + 8 * whole(element, E_STATE)
    for k in range(states):
        load_value(t, k, whole(registers, k), stride, n)
    for k in range(2):
        load_value(t, states + k, whole(element, E_REG0 + k), whole(element, E_STRIDE0 + k), n)
    load_value(t, states + 2, whole(element, E_BIAS), 0, n)
    nudged = whole(t, S_LEARN) or whole(element, E_MUTUAL)
    program, lanes = whole(element, E_NUDGED if nudged else E_FREE), whole(t, S_LANES)
    run(t, program, states + 3, lanes, n)
    said, most = False, real(whole(t, X_REALS) + e * B_REALS, R_THRESHOLD)
    for k in range(states):
        said |= _store(t, result(t, program, k), whole(registers, k), stride, n, most)
    for c in range(whole(element, E_CH0), whole(element, E_CH1)):
        channel, reals = (
            whole(t, X_CHANNELS) + c * B_CHANNEL,
            whole(t, X_CHANNEL_REALS) + c * B_CHANNEL_REALS,
        )
        place = result(t, program, states + whole(channel, C_RESULT))
        value = whole(t, X_WORK) + place * 8 * lanes * n
        threshold, scale = real(reals, CR_THRESHOLD), real(reals, CR_SCALE)
        events = _changes(t, value, channel, n, threshold, scale)
        if events and whole(channel, C_HEARD):
            said = True
            _say(t, channel, n, events)
    if said and not whole(element, E_INSTANT):
        rest(t, e)


@compiled
def update_head(t: int, e: int) -> None:
    """Let a head answer what has come, as ``Head.after`` says."""
    element, reals = element_row(t, e), whole(t, X_REALS) + e * B_REALS
    n, lanes = whole(element, E_N), whole(t, S_LANES)
    if whole(element, E_LOOKED) and whole(element, E_GOT) & 1:
        put(element, E_GOT, whole(element, E_GOT) & ~1)
        for i in range(lanes * n):
            put_real(whole(t, X_PENDING) + 8 * whole(element, E_PEND0), i, 0.0)
    moved = _take(t, element, 0)
    moved |= _take(t, element, 1)
    put(element, E_GOT, 0)
    if not moved or not whole(t, S_LEARN):
        return
    for k in range(2):
        load_value(t, k, whole(element, E_REG0 + k), whole(element, E_STRIDE0 + k), n)
    program = whole(element, E_NUDGED)
    run(t, program, 2, lanes, n)
    put(element, E_LOOKED, whole(element, E_FROZEN))
    channel = whole(t, X_CHANNELS) + whole(element, E_CH0) * B_CHANNEL
    value = whole(t, X_WORK) + result(t, program, 0) * 8 * lanes * n
    events = _changes(t, value, channel, n, real(reals, R_THRESHOLD), real(reals, R_BETA))
    if events:
        _say(t, channel, n, events)


@compiled
def _hold(t: int, element: int, row: int, index: int, down: int) -> int:
    """Add a message to what a connection holds; return in how many lanes it is not zero."""
    held, stride = whole(element, E_REG0 + down), whole(element, E_STRIDE0 + down)
    there = 0
    for lane in range(whole(t, S_LANES)):
        load = carried(t, row, lane)
        add(held + lane * stride, index, load)
        there += load != 0
    return there


@compiled
def _origin(t: int, row: int) -> int:
    """Return shared numbers that are what a message carries, one more use of them."""
    slot, load = whole(row, M_SOURCE), real(row, M_LOAD)
    if load == 1.0:
        increase(whole(t, X_USES), slot, 1)
        return slot
    made = share(t)
    for lane in range(whole(t, S_LANES)):
        put_real(load_row(t, made), lane, load * real(load_row(t, slot), lane))
    return made


@compiled
def pass_through(t: int, e: int, row: int, index: int, down: int) -> None:
    """Hold an entry, send it through the weights: ``Connection.after`` and ``before``."""
    element = element_row(t, e)
    there = _hold(t, element, row, index, down)
    port, table = whole(element, E_PORT0 + down), whole(element, E_TABLE)
    if down and port < 0:
        return
    if table:
        entry = whole(element, E_UP + down) + index
        operations = whole(whole(t, X_TABLE_COUNT), entry)
    else:
        entry = index
        operations = whole(element, E_NIN if down else E_NOUT)
    increase(whole(element, E_COUNT0 + down), 0, there * operations)
    if port < 0:
        return
    increase(whole(whole(t, X_PORTS) + port * B_PORT, P_SENDS), 0, 1)
    shared = whole(t, S_LANES) > 1
    slot = _origin(t, row) if shared else 0
    factor = 1.0 if shared else real(row, M_LOAD)
    if table:
        _send_table(t, port, entry, factor, slot, there)
    else:
        _send_dense(t, element, port, entry, factor, slot, there, down)
    if shared:
        release(t, slot)


@compiled
def _send_dense(
    t: int, element: int, port: int, index: int, factor: float, slot: int, there: int, down: int
) -> None:
    """Send an entry through the weights to every neuron."""
    if down:
        weights = whole(element, E_B) + index * whole(element, E_BOUT)
        step, n = whole(element, E_BIN), whole(element, E_NIN)
    else:
        weights = whole(element, E_W) + index * whole(element, E_WIN)
        step, n = whole(element, E_WOUT), whole(element, E_NOUT)
    for j in range(n):
        product = real(weights + j * step, 0) * factor
        if product != 0:
            send(t, port, j, product, slot, there)


@compiled
def _send_table(t: int, port: int, entry: int, factor: float, slot: int, there: int) -> None:
    """Send an entry through the weights that a table lists for it."""
    starts, targets = whole(t, X_TABLE_START), whole(t, X_TABLE_TARGET)
    for k in range(whole(starts, entry), whole(starts, entry + 1)):
        place = whole(whole(t, X_TABLE_WEIGHT), k)
        weight = real(place, 0) if place else real(whole(t, X_TABLE_VALUE), k)
        if weight * factor != 0:
            send(t, port, whole(targets, k), weight * factor, slot, there)
