"""How messages leave, and how long elements gather before they answer."""

from __future__ import annotations

from lava_dyads.native.events.calendar import note
from lava_dyads.native.events.coding import send_coded
from lava_dyads.native.events.columns import (
    B_PORT,
    B_REALS,
    E_HOLDING,
    E_HOLDS,
    E_NUMBER,
    M_LOAD,
    M_SOURCE,
    P_BASE,
    R_HOLD,
    S_CODED,
    S_HOLD,
    S_LANES,
    S_NOW,
    X_COUNT,
    X_EVENTS,
    X_PORTS,
    X_REALS,
    X_START,
    X_USES,
    X_WAYS,
)
from lava_dyads.native.events.memory import (
    compiled,
    element_row,
    increase,
    load_row,
    put,
    put_real,
    real,
    release,
    share,
    stream,
    travel_time,
    unit,
    whole,
)


@compiled
def send(t: int, port: int, entry: int, load: float, source: int, lanes: int) -> None:
    """Put one entry of a port on its way; ``lanes`` is in how many of them it is not zero."""
    now, shared = real(t, S_NOW), whole(t, S_LANES) > 1
    start = whole(t, X_START)
    ways, count = whole(t, X_WAYS), whole(t, X_COUNT)
    base = whole(whole(t, X_PORTS) + port * B_PORT, P_BASE) + entry
    for target in range(whole(start, base), whole(start, base + 1)):
        wire = whole(ways, target)
        if whole(t, S_CODED):
            send_coded(t, target, wire, load, source)
            continue
        n = whole(count, wire)
        put(count, wire, n + 1)
        row = note(t, now + travel_time(t, wire, n), target)
        put_real(row, M_LOAD, load)
        if shared:
            put(row, M_SOURCE, source)
            increase(whole(t, X_USES), source, 1)
            increase(whole(t, X_EVENTS), wire, lanes)


@compiled
def post(t: int, port: int, load: int, n: int) -> None:
    """Put the entries of a message (lanes, n) on their way that are not zero in every lane."""
    lanes = whole(t, S_LANES)
    for i in range(n):
        if lanes == 1:
            if real(load, i) != 0:
                send(t, port, i, real(load, i), 0, 1)
            continue
        there = 0
        for lane in range(lanes):
            there += real(load, lane * n + i) != 0
        if there:
            slot = share(t)
            for lane in range(lanes):
                put_real(load_row(t, slot), lane, real(load, lane * n + i))
            send(t, port, i, 1.0, slot, there)
            release(t, slot)


@compiled
def rest(t: int, e: int) -> None:
    """Let an element gather for a while before it answers."""
    element = element_row(t, e)
    holds = whole(element, E_HOLDS)
    share = unit(stream(whole(t, S_HOLD), whole(element, E_NUMBER)), holds)
    put(element, E_HOLDS, holds + 1)
    put(element, E_HOLDING, 1)
    hold = real(whole(t, X_REALS) + e * B_REALS, R_HOLD)
    note(t, real(t, S_NOW) + hold * (0.5 + share), -1 - e)
