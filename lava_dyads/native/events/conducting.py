"""Presentation after presentation without a word to Python: a conductor's commands, compiled.

What there is to do lies in a list of whole numbers (``LEAD``), with the addresses of what sources
say and of where sinks' registers are put by; the list keeps how far it is.
"""

from __future__ import annotations

import numpy as np

from lava_dyads.native.events.columns import (
    LD_BATCHES,
    LD_CAP,
    LD_FIRST,
    LD_FROZEN,
    LD_NUMBERS,
    LD_NUMBERS_SIZE,
    LD_PRESENTATION,
    LD_SEED,
    LD_SINKS,
    LD_SIZE,
    LD_SOURCES,
    LEAD_SINK,
    LEAD_SOURCE,
    S_CURSOR,
    S_DAY,
    S_DELIVERIES,
    S_HOLD,
    S_LANES,
    S_LATENCY,
    S_LIMIT,
    S_NOW,
    S_PEAK,
    S_RATE,
    X_NUMBERS,
)
from lava_dyads.native.events.learning import begin, learn, reset
from lava_dyads.native.events.memory import compiled, put, put_real, real, stream, whole
from lava_dyads.native.events.sending import post

PER_DAY = 16
"""Messages in a day of the calendar, where it is full: a heap of more is slower."""
FIRST, SETTLING, SPEAKING, LAST = range(4)
"""Phases of a presentation: it begins; until silence; who has heard nothing; until silence."""


@compiled
def open_calendar(t: int) -> None:
    """Begin with nothing on its way; the days are as long as it was busy before."""
    busy = np.ceil(np.log2(whole(t, S_PEAK) / PER_DAY + 1.0))
    rate = 2.0 ** min(max(busy, 4.0), 12.0)
    put_real(t, S_RATE, rate)
    put(t, S_DAY, int(real(t, S_NOW) * rate))
    put(t, S_PEAK, 0)


@compiled
def start_presentation(t: int, lead: int) -> None:
    """Begin the next presentation: random numbers and calendar anew, then what sources say."""
    i, lanes = whole(lead, LD_PRESENTATION), whole(t, S_LANES)
    key = stream(whole(lead, LD_SEED), whole(lead, LD_FIRST) + i + 1)
    put(t, S_LATENCY, stream(key, 0))
    put(t, S_HOLD, stream(key, 1))
    open_calendar(t)
    begin(t)
    for k in range(whole(lead, LD_SOURCES)):
        port = lead + 8 * (LD_SIZE + LEAD_SOURCE * k)
        width = whole(port, 2)
        post(t, whole(port, 0), whole(port, 1) + 8 * i * lanes * width, width)
    wait(t, lead)


@compiled
def wait(t: int, lead: int) -> None:
    """Wait for silence through at most so many messages."""
    put(t, S_LIMIT, whole(t, S_DELIVERIES) + whole(lead, LD_CAP))
    put(t, S_CURSOR, 0)


@compiled
def end_presentation(t: int, lead: int) -> None:
    """Let sinks' registers be put by, and all learn and forget."""
    i, lanes = whole(lead, LD_PRESENTATION), whole(t, S_LANES)
    batch, size = whole(whole(lead, LD_BATCHES), i), whole(lead, LD_NUMBERS_SIZE)
    if batch:
        for k in range(size):
            put_real(whole(t, X_NUMBERS), k, real(whole(lead, LD_NUMBERS), i * size + k))
    learn(t, whole(lead, LD_FROZEN), batch)
    sinks = lead + 8 * (LD_SIZE + LEAD_SOURCE * whole(lead, LD_SOURCES))
    for k in range(whole(lead, LD_SINKS)):
        row = sinks + 8 * LEAD_SINK * k
        width, kept = whole(row, 2), whole(row, 3) + 8 * i * lanes * whole(row, 2)
        for lane in range(lanes):
            register = whole(row, 0) + lane * whole(row, 1)
            for j in range(width):
                put_real(kept, lane * width + j, real(register, j))
                put_real(register, j, 0.0)
    reset(t)
    put(lead, LD_PRESENTATION, i + 1)
