"""Messages with a coding of their own, on which things go wrong: as ``executors.message_faults``.

Message by message what ``runtime.virtual_time.faults.FaultyWire`` does: it decides about each lane
by the number of the message, keeps for every destination what was sent and heard, and hands over
changes, like messages without faults.
"""

from __future__ import annotations

import math

import numpy as np

from lava_dyads.native.events.calendar import note
from lava_dyads.native.events.columns import (
    B_DESTINATION,
    B_WIRE,
    BY_VALUE,
    CHECKED,
    D_WIRE,
    DEAD,
    DEAF,
    F_DELAY,
    F_DELAY_TIME,
    F_DROP,
    F_DUPLICATE,
    F_FLIP,
    F_NOISE,
    F_NOISE_SIZE,
    F_REORDER,
    M_LOAD,
    M_NUMBER,
    M_SOURCE,
    M_TARGET,
    MUTE,
    S_ARGUMENT,
    S_CODED,
    S_CODED_ROWS,
    S_CURSOR,
    S_FAULT,
    S_LANES,
    S_NOW,
    S_PRESENTATION,
    S_UNDERSTOOD,
    S_WIRES,
    W_FLAGS,
    W_KEPT,
    W_KEPT_NUMBER,
    W_KEY,
    X_COUNT,
    X_DESTINATIONS,
    X_EVENTS,
    X_FAULTS,
    X_HEARD,
    X_KEPT,
    X_LAST,
    X_NEWEST,
    X_PARTS,
    X_SAID,
    X_SAYS,
    X_STUCK,
    X_TURNS,
    X_WIRES,
)
from lava_dyads.native.events.memory import (
    compiled,
    delay,
    increase,
    load_row,
    put,
    put_real,
    real,
    share,
    stream,
    travel_time,
    unit,
    whole,
)

NOBODY = 0x7FF8DEAD0BEEF000
"""Bits of what stands for 'not for this lane' among the numbers that a message carries."""
_PLAIN, _TWICE, _LATE, _BEHIND = 1, 2, 4, 8
"""What happens in a lane."""
_TOP = 1 << 23


@compiled
def _wire(t: int, wire: int) -> int:
    return whole(t, X_WIRES) + wire * B_WIRE


@compiled
def _payload(value: float) -> int:
    scaled = np.rint(value * 65536.0)
    if scaled != scaled:
        scaled = 0.0
    return int(min(max(scaled, float(-_TOP)), float(_TOP - 1))) & (2 * _TOP - 1)


@compiled
def _flipped(value: float, bit: int) -> float:
    bits = _payload(value) ^ (1 << bit)
    return float(bits - 2 * _TOP if bits >= _TOP else bits) / 65536.0


@compiled
def _check(value: float) -> int:
    bits = _payload(value)
    return (bits ^ (bits >> 8) ^ (bits >> 16)) & 255


@compiled
def _corrupted(faults: int, lane: int, value: float) -> float:
    """Return what arrives of a number that is sent; ``lane``: the key of the lane."""
    if unit(lane, F_NOISE) < real(faults, F_NOISE):
        normal = math.sqrt(-2.0 * math.log(1.0 - unit(lane, 7)))
        normal *= math.cos(2.0 * math.pi * unit(lane, 8))
        value *= 1.0 + real(faults, F_NOISE_SIZE) * normal
    if unit(lane, F_FLIP) < real(faults, F_FLIP):
        value = _flipped(value, int(unit(lane, 6) * 24))
    return value


@compiled
def _happens(t: int, lane: int, row: int, free: bool) -> int:
    """Return what happens in a lane; what arrives is written in the place of what is sent."""
    faults, sent = whole(t, X_FAULTS), real(whole(t, X_SAYS), row)
    value = _corrupted(faults, lane, sent)
    put_real(whole(t, X_SAYS), row, value)
    if whole(t, S_CODED) & CHECKED and _check(value) != _check(sent):
        return 0
    if unit(lane, F_DROP) < real(faults, F_DROP):
        return 0
    parts = _TWICE if unit(lane, F_DUPLICATE) < real(faults, F_DUPLICATE) else 0
    if free and unit(lane, F_REORDER) < real(faults, F_REORDER):
        return parts | _BEHIND
    if unit(lane, F_DELAY) < real(faults, F_DELAY):
        return parts | _LATE
    return parts | _PLAIN


@compiled
def _post(t: int, target: int, number: int, after: float, part: int, says: int) -> None:
    """Put the lanes of a message on their way of which ``parts`` says so."""
    lanes, parts, any_ = whole(t, S_LANES), whole(t, X_PARTS), 0
    for lane in range(lanes):
        any_ |= whole(parts, lane) & part
    if not any_:
        return
    row = note(t, real(t, S_NOW) + after, target)
    put(row, M_NUMBER, number)
    if lanes == 1:
        put_real(row, M_LOAD, real(says, 0))
        return
    slot = share(t)
    put_real(row, M_LOAD, 1.0)
    put(row, M_SOURCE, slot)
    for lane in range(lanes):
        if whole(parts, lane) & part:
            put_real(load_row(t, slot), lane, real(says, lane))
        else:
            put(load_row(t, slot), lane, NOBODY)


@compiled
def _keep(t: int, wire: int, target: int, number: int) -> None:
    """Keep lanes back until another message has overtaken them."""
    lanes, parts, any_ = whole(t, S_LANES), whole(t, X_PARTS), 0
    for lane in range(lanes):
        any_ |= whole(parts, lane) & _BEHIND
    if not any_:
        return
    put(_wire(t, wire), W_KEPT, target)
    put(_wire(t, wire), W_KEPT_NUMBER, number)
    for lane in range(lanes):
        place = wire * lanes + lane
        if whole(parts, lane) & _BEHIND:
            put_real(whole(t, X_KEPT), place, real(whole(t, X_SAYS), lane))
        else:
            put(whole(t, X_KEPT), place, NOBODY)


@compiled
def _let_go(t: int, wire: int, target: int, number: int, further: bool) -> None:
    """Send what was kept back; ``further``: behind the one that is just being sent."""
    lanes, parts = whole(t, S_LANES), whole(t, X_PARTS)
    kept = whole(t, X_KEPT) + 8 * wire * lanes
    own = stream(stream(whole(_wire(t, wire), W_KEY), number - 1), 0)
    after = delay(t, wire, unit(own, 2))
    if further:
        after = after + (1.0 + 4 * delay(t, wire, unit(own, 3)))
    for lane in range(lanes):
        put(parts, lane, _PLAIN if whole(kept, lane) != NOBODY else 0)
    _post(t, target, number, after, _PLAIN, kept)


@compiled
def _go(t: int, target: int, wire: int) -> None:
    """Put a message on its way: in the lanes that ``parts`` names, what ``says`` has for them."""
    lanes, parts, says = whole(t, S_LANES), whole(t, X_PARTS), whole(t, X_SAYS)
    row = _wire(t, wire)
    n = whole(whole(t, X_COUNT), wire)
    increase(whole(t, X_COUNT), wire, 1)
    key, kept = stream(whole(row, W_KEY), n), whole(row, W_KEPT)
    kept_number, moved = whole(row, W_KEPT_NUMBER), 0
    own = stream(key, 0)
    for lane in range(lanes):
        if whole(parts, lane):
            moved += 1
            if whole(t, S_CODED) & CHECKED:
                put(whole(t, X_LAST), target * lanes + lane, n + 1)
            put(parts, lane, _happens(t, stream(key, 1 + lane), lane, kept < 0))
    if lanes > 1:
        increase(whole(t, X_EVENTS), wire, moved)
    after = travel_time(t, wire, n)
    _post(t, target, n + 1, delay(t, wire, unit(own, 0)), _TWICE, says)
    if kept < 0:
        _keep(t, wire, target, n + 1)
    extra = real(whole(t, X_FAULTS), F_DELAY_TIME) * -math.log(1.0 - unit(own, 1))
    _post(t, target, n + 1, after + extra, _LATE, says)
    _post(t, target, n + 1, after, _PLAIN, says)
    if kept >= 0:
        put(row, W_KEPT, -1)
        for lane in range(lanes):  # they may lie where the next one's will
            put(parts, lane, 0)
        _let_go(t, wire, kept, kept_number, True)


@compiled
def send_coded(t: int, target: int, wire: int, load: float, source: int) -> None:
    """Put a change on its way, as the coding has it."""
    flags = whole(_wire(t, wire), W_FLAGS)
    if flags & DEAD or (flags & MUTE and whole(t, S_PRESENTATION) > 0):
        return
    lanes, parts, says = whole(t, S_LANES), whole(t, X_PARTS), whole(t, X_SAYS)
    said = whole(t, X_SAID) + 8 * target * lanes
    for lane in range(lanes):
        change = load * real(load_row(t, source), lane) if lanes > 1 else load
        total = real(said, lane) + change
        put_real(said, lane, total)
        put_real(says, lane, total if whole(t, S_CODED) & BY_VALUE else change)
        put(parts, lane, change != 0)
    _go(t, target, wire)


@compiled
def shown(t: int, row: int, lane: int) -> float:
    """Return what a coded message carries in a lane; 0 where it is not for it."""
    if whole(t, S_LANES) == 1:
        return real(row, M_LOAD)
    source = load_row(t, whole(row, M_SOURCE))
    return 0.0 if whole(source, lane) == NOBODY else real(source, lane)


@compiled
def decode(t: int, row: int) -> bool:
    """Make a change of what a message says; tell whether there is anything to hand over."""
    target, lanes = whole(row, M_TARGET), whole(t, S_LANES)
    wire = whole(whole(t, X_DESTINATIONS) + target * B_DESTINATION, D_WIRE)
    flags = whole(_wire(t, wire), W_FLAGS)
    if flags & DEAD or (flags & DEAF and whole(t, S_PRESENTATION) > 0):
        return False
    by_value, number, new = whole(t, S_CODED) & BY_VALUE, whole(row, M_NUMBER), False
    for lane in range(lanes):
        here = lanes == 1 or whole(load_row(t, whole(row, M_SOURCE)), lane) != NOBODY
        change, place = shown(t, row, lane), target * lanes + lane
        if by_value and here and number > whole(whole(t, X_NEWEST), place):
            put(t, S_UNDERSTOOD, 1)
            put(whole(t, X_NEWEST), place, number)
            held = real(whole(t, X_HEARD), place)
            put_real(whole(t, X_HEARD), place, change)
            change -= held
        elif by_value:
            change = 0.0
        new |= change != 0 or not by_value
        if lanes == 1:
            put_real(row, M_LOAD, change)
        else:
            put_real(load_row(t, whole(row, M_SOURCE)), lane, change)
    return new


@compiled
def let_all_go(t: int) -> None:
    """Send the next thing that was kept back and not overtaken; the cursor says from where on."""
    while whole(t, S_CURSOR) < whole(t, S_WIRES):
        wire = whole(t, S_CURSOR)
        row = _wire(t, wire)
        kept = whole(row, W_KEPT)
        increase(t, S_CURSOR, 1)
        if kept >= 0:
            put(row, W_KEPT, -1)
            _let_go(t, wire, kept, whole(row, W_KEPT_NUMBER), False)
            return


@compiled
def _turn(t: int) -> int:
    """Return the next destination, in the order of wires and entries."""
    increase(t, S_CURSOR, 1)
    return whole(whole(t, X_TURNS), whole(t, S_CURSOR) - 1)


@compiled
def repeat(t: int) -> None:
    """Send the next value again that its receiver has not understood; the cursor goes on."""
    lanes, parts, says = whole(t, S_LANES), whole(t, X_PARTS), whole(t, X_SAYS)
    while whole(t, S_CURSOR) < whole(t, S_CODED_ROWS):
        target, missing = _turn(t), 0
        for lane in range(lanes):
            place = target * lanes + lane
            here = whole(whole(t, X_LAST), place) > whole(whole(t, X_NEWEST), place)
            put(parts, lane, here)
            put_real(says, lane, real(whole(t, X_SAID), place))
            missing += here
        if missing:
            put(t, S_ARGUMENT, 1)
            wire = whole(whole(t, X_DESTINATIONS) + target * B_DESTINATION, D_WIRE)
            _go(t, target, wire)
            return


@compiled
def say_again(t: int) -> None:
    """Let a frozen element say the next thing that it said first; the cursor goes on."""
    lanes, parts, says = whole(t, S_LANES), whole(t, X_PARTS), whole(t, X_SAYS)
    while whole(t, S_CURSOR) < whole(t, S_CODED_ROWS):
        target, moved = _turn(t), 0
        wire = whole(whole(t, X_DESTINATIONS) + target * B_DESTINATION, D_WIRE)
        flags = whole(_wire(t, wire), W_FLAGS)
        if flags & DEAD or not flags & MUTE:
            continue
        for lane in range(lanes):
            value = real(whole(t, X_STUCK), target * lanes + lane)
            put_real(whole(t, X_SAID), target * lanes + lane, value)
            put_real(says, lane, value)
            put(parts, lane, value != 0)
            moved += value != 0
        if moved:
            _go(t, target, wire)
            return


@compiled
def begin_coded(t: int) -> None:
    """Begin a presentation: the faults of all channels anew."""
    for wire in range(whole(t, S_WIRES)):
        put(_wire(t, wire), W_KEY, stream(whole(t, S_FAULT), wire))


@compiled
def reset_coded(t: int) -> None:
    """Forget what was sent and heard; keep what was said first, for the frozen to repeat it."""
    first = whole(t, S_PRESENTATION) == 0
    for place in range(whole(t, S_CODED_ROWS) * whole(t, S_LANES)):
        if first:
            put_real(whole(t, X_STUCK), place, real(whole(t, X_SAID), place))
        put_real(whole(t, X_SAID), place, 0.0)
        put_real(whole(t, X_HEARD), place, 0.0)
        put(whole(t, X_LAST), place, 0)
        put(whole(t, X_NEWEST), place, 0)
