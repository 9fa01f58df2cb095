"""The compiled loop, and what Python calls of it.

What it does, message by message, is what the engine of :mod:`lava_dyads.runtime.virtual_time` does
with the elements one by one; the tables are made in ``runtime.virtual_time.tables``. Everything
lies where the tables say, and is reached by its address: registers stay in the arrays of the
elements, which everybody may read. ``t`` is the address of the header, which has the numbers that
change (``S_``) and the addresses of the sections (``X_``); a row of a section is an address, too.

Equal times keep the order in which they were noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from numba import njit, types
from numba.core import codegen
from numba.core.compiler_lock import global_compiler_lock

from lava_dyads.native.events.calendar import heap_pop, open_day, scout
from lava_dyads.native.events.coding import (
    begin_coded,
    decode,
    let_all_go,
    repeat,
    reset_coded,
    say_again,
    shown,
)
from lava_dyads.native.events.columns import (
    ADD,
    AGAIN,
    B_DESTINATION,
    B_PORT,
    B_TRACE,
    CALL,
    CALLED,
    D_ELEMENT,
    D_INDEX,
    D_OFFSET,
    D_PLACE,
    D_ROLE,
    D_SLOT,
    D_STRIDE,
    D_WIRE,
    DOWN,
    E_COALESCES,
    E_GOT,
    E_HOLDING,
    E_INSTANT,
    E_KIND,
    E_PORT0,
    E_SPOKEN,
    FLUSH,
    GROW,
    HEAD,
    LD_COUNT,
    LD_PHASE,
    LD_PRESENTATION,
    LIMIT,
    M_LOAD,
    M_NEXT,
    M_SENT,
    M_SOURCE,
    M_TARGET,
    M_TIME,
    P_SENDS,
    PEND,
    POPULATION,
    ROUND,
    S_ARGUMENT,
    S_ARRIVED,
    S_CODED,
    S_CODED_ROWS,
    S_CURSOR,
    S_DELIVERIES,
    S_FOLLOWERS,
    S_FREE,
    S_LANES,
    S_LIMIT,
    S_LOAD_SPACE,
    S_NOW,
    S_SPACE,
    S_TODAY,
    S_TRACED,
    S_TRACES,
    S_TRACING,
    S_WAITING,
    S_WIRES,
    S_WORST,
    S_WORST_LOADS,
    SILENT,
    SPEAK,
    UP,
    X_DESTINATIONS,
    X_FOLLOWERS,
    X_PENDING,
    X_PORTS,
    X_TRACE,
)
from lava_dyads.native.events.conducting import (
    FIRST,
    LAST,
    SPEAKING,
    end_presentation,
    open_calendar,
    start_presentation,
    wait,
)
from lava_dyads.native.events.elements import pass_through, update_head, update_population
from lava_dyads.native.events.learning import begin, even, learn, reset
from lava_dyads.native.events.memory import (
    PIECES,
    add,
    carried,
    compiled,
    element_row,
    increase,
    message_row,
    put,
    put_real,
    real,
    release,
    whole,
)
from lava_dyads.native.events.sending import post, rest, send


@compiled
def _pass_on(t: int, port: int, index: int, row: int) -> None:
    """Send a message on as it is."""
    increase(whole(whole(t, X_PORTS) + port * B_PORT, P_SENDS), 0, 1)
    lanes = whole(t, S_LANES)
    there = 0
    for lane in range(lanes):
        there += carried(t, row, lane) != 0
    send(t, port, index, real(row, M_LOAD), whole(row, M_SOURCE) if lanes > 1 else 0, there)


@compiled
def _deliver(t: int, row: int) -> int:
    """Hand a message over; return the element to call from outside, or -1."""
    lanes = whole(t, S_LANES)
    d = whole(t, X_DESTINATIONS) + whole(row, M_TARGET) * B_DESTINATION
    e, role, index = whole(d, D_ELEMENT), whole(d, D_ROLE), whole(d, D_INDEX)
    if role == PEND:
        pending = whole(t, X_PENDING) + 8 * whole(d, D_OFFSET)
        for lane in range(lanes):
            add(pending, lane * whole(d, D_STRIDE), carried(t, row, lane))
        element = element_row(t, e)
        put(element, E_GOT, whole(element, E_GOT) | (1 << whole(d, D_SLOT)))
        if not whole(element, E_COALESCES):
            return e
        if not whole(element, E_HOLDING):
            rest(t, e)
    elif role == UP:
        pass_through(t, e, row, index, 0)
    elif role == DOWN:
        pass_through(t, e, row, index, 1)
    elif role == ADD:
        for lane in range(lanes):
            add(whole(d, D_OFFSET) + lane * whole(d, D_STRIDE), 0, carried(t, row, lane))
    else:
        port = whole(element_row(t, e), E_PORT0)
        if port >= 0:
            _pass_on(t, port, index, row)
    return -1


@compiled
def _note(t: int, row: int) -> None:
    """Write a row per entry of a message into the trace."""
    d = whole(t, X_DESTINATIONS) + whole(row, M_TARGET) * B_DESTINATION
    for lane in range(whole(t, S_LANES)):
        load = shown(t, row, lane) if whole(t, S_CODED) else carried(t, row, lane)
        if load != 0:
            trace = whole(t, X_TRACE) + whole(t, S_TRACED) * B_TRACE
            put_real(trace, 0, real(row, M_SENT))
            put_real(trace, 1, real(t, S_NOW))
            put_real(trace, 2, whole(d, D_WIRE))
            put_real(trace, 3, lane)
            put_real(trace, 4, whole(d, D_PLACE))
            put_real(trace, 5, load)
            increase(t, S_TRACED, 1)


@compiled
def _crowded(t: int) -> bool:
    """Tell whether an element might have no room for what it sends."""
    if whole(t, S_SPACE) < whole(t, S_WORST):
        return True
    return whole(t, S_LANES) > 1 and whole(t, S_LOAD_SPACE) < whole(t, S_WORST_LOADS)


@compiled
def _speak(t: int) -> int:
    """Let those speak who have heard nothing, in the order of followers; return why it ended."""
    while whole(t, S_CURSOR) < whole(t, S_FOLLOWERS):
        e = whole(whole(t, X_FOLLOWERS), whole(t, S_CURSOR))
        if _crowded(t):
            return GROW
        increase(t, S_CURSOR, 1)
        element = element_row(t, e)
        if whole(element, E_KIND) == CALLED:
            put(t, S_ARGUMENT, e)
            return SPEAK
        # A unit that relaxes goes on unasked; one that rests has nothing to add.
        if not (whole(element, E_SPOKEN) and whole(element, E_INSTANT)):
            update_population(t, e)
    return SILENT


@compiled
def _happen(t: int, row: int) -> int:
    """Let a message arrive or a hold time end; return the element to call from outside, or -1."""
    target = whole(row, M_TARGET)
    if target >= 0:
        increase(t, S_ARRIVED, 1)
        if whole(t, S_TRACING):
            _note(t, row)
        called = -1
        if not whole(t, S_CODED) or decode(t, row):
            called = _deliver(t, row)
        if whole(t, S_LANES) > 1:
            release(t, whole(row, M_SOURCE))
        return called
    e = -1 - target
    element = element_row(t, e)
    put(element, E_HOLDING, 0)
    if whole(element, E_KIND) == POPULATION:
        update_population(t, e)
    elif whole(element, E_KIND) == HEAD:
        update_head(t, e)
    else:
        return e
    return -1


@compiled
def _advance(t: int) -> int:
    """Let things happen until there is silence, or a reason to return."""
    turn = whole(t, S_DELIVERIES) + ROUND
    while True:
        if not whole(t, S_TODAY):
            if not whole(t, S_WAITING):
                return SILENT
            open_day(t)
        if _crowded(t):
            return GROW
        if whole(t, S_TRACING) and whole(t, S_TRACED) >= whole(t, S_TRACES):
            return FLUSH
        if whole(t, S_DELIVERIES) >= turn:
            return AGAIN
        m = heap_pop(t)
        scout(t)
        row = message_row(t, m)
        put_real(t, S_NOW, real(row, M_TIME))
        increase(t, S_DELIVERIES, 1)
        called = _happen(t, row)
        put(row, M_NEXT, whole(t, S_FREE))
        put(t, S_FREE, m)
        increase(t, S_SPACE, 1)
        if whole(t, S_DELIVERIES) > whole(t, S_LIMIT):
            return LIMIT
        if called >= 0:
            put(t, S_ARGUMENT, called)
            return CALL


VERSION = crc32(b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py"))))


@compiled
def _conduct(t: int, lead: int) -> int:
    """Lead through presentations until all are done, or there is a reason to return."""
    turn = whole(t, S_DELIVERIES) + ROUND
    while whole(lead, LD_PRESENTATION) < whole(lead, LD_COUNT):
        phase = whole(lead, LD_PHASE)
        if phase == FIRST:
            start_presentation(t, lead)
        elif phase == SPEAKING:
            why = _speak(t)
            if why != SILENT:
                return why
        else:
            why = _advance(t)
            if why != SILENT:
                return why
            if phase == LAST:
                end_presentation(t, lead)
            else:
                wait(t, lead)
        put(lead, LD_PHASE, (phase + 1) % 4)
        if whole(t, S_DELIVERIES) >= turn:
            return AGAIN
    return SILENT


REST, POST, LEARN, RESET, BEGIN, EVEN, ADVANCE, SPEAK_UP, CONDUCT, LET_GO, REPEAT, SAY_AGAIN = (
    range(12)
)


@compiled
def _in_turn(t: int, verb: int) -> int:
    """Send coded messages that nobody has asked for, while there are any and room for them."""
    end = whole(t, S_WIRES) if verb == LET_GO else whole(t, S_CODED_ROWS)
    while whole(t, S_CURSOR) < end:
        if _crowded(t):
            return GROW
        if verb == LET_GO:
            let_all_go(t)
        elif verb == REPEAT:
            repeat(t)
        else:
            say_again(t)
    return SILENT


@compiled
def _go_on(t: int, verb: int, a: int) -> int:
    """Do what may have to be interrupted; return why it ended."""
    if verb == ADVANCE:
        return _advance(t)
    if verb == SPEAK_UP:
        return _speak(t)
    if verb == CONDUCT:
        return _conduct(t, a)
    return _in_turn(t, verb)


@compiled
def _obey(t: int, verb: int, a: int, b: int, c: int) -> int:
    """Do what is done at once; return whether it was."""
    if verb == REST:
        rest(t, a)
    elif verb == POST:
        post(t, a, b, c)
    elif verb == RESET:
        reset(t)
        if whole(t, S_CODED):
            reset_coded(t)
    elif verb == BEGIN:
        open_calendar(t)
        begin(t)
        if whole(t, S_CODED):
            begin_coded(t)
    elif not even(t, c):
        return 0
    elif verb == LEARN:
        learn(t, a, b)
    return 1


def _entry(version: int) -> Callable[..., int]:
    """Return what Python calls, kept on disk once it is compiled; one, or much is compiled twice.

    Numba keeps a function until its own file changes, whatever it calls; but also only as long as
    the numbers that it closes over are the same. So it closes over what all files here are.
    """

    @njit(nogil=True, error_model="numpy", cache=True)
    def act(t: int, verb: int, a: int, b: int, c: int) -> int:
        if verb >= ADVANCE:
            return _go_on(t, verb, a) + 0 * version
        return _obey(t, verb, a, b, c)

    return act


act = _entry(VERSION)
"""``act(t, ADVANCE | SPEAK_UP | LET_GO | REPEAT | SAY_AGAIN, 0, 0, 0)`` and ``act(t, CONDUCT, lead,
0, 0)``: why it ended. ``act(t, REST, element, 0, 0)``, ``act(t, POST, port, address, width)``,
``act(t, RESET | BEGIN, 0, 0, 0)``. ``act(t, LEARN, frozen, batch, updates)``, ``act(t, EVEN, 0, 0,
updates)``: 0, and nothing has happened, where not all have learnt so often."""


def compile_ahead() -> None:
    """Compile, or take from the disk what has been compiled before."""
    with _once():
        act.compile((types.int64,) * 5)  # type: ignore[attr-defined]


@contextmanager
def _once() -> Iterator[None]:
    """Let the whole be optimised, and not every piece with all it calls as well: half the time.

    Numba optimises a function with what it calls, makes machine code of it, and does so once more
    wherever it is called. A piece never runs on its own, so only the last of this is of any use.
    """
    library: Any = codegen.JITCodeLibrary
    steps = ("_optimize_final_module", "_finalize_specific")
    own: dict[str, Any] = {step: getattr(library, step, None) for step in steps}
    if None in own.values():  # another numba: it takes longer
        yield
        return

    def skipping(step: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda made: None if made.name in PIECES else step(made)

    with global_compiler_lock:  # nobody else compiles meanwhile
        try:
            for name, step in own.items():
                setattr(library, name, skipping(step))
            yield
        finally:
            for name, step in own.items():
                setattr(library, name, step)
