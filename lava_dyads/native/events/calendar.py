"""What is on its way, in the order in which it happens: unsorted days to come, a heap for today."""

from __future__ import annotations

import numpy as np

from lava_dyads.native.events.columns import (
    B_DESTINATION,
    B_ELEMENT,
    CACHE_LINE,
    D_ELEMENT,
    D_OFFSET,
    D_ROLE,
    DAYS,
    M_NEXT,
    M_ORDER,
    M_SENT,
    M_TARGET,
    M_TIME,
    PEND,
    S_DAY,
    S_FREE,
    S_NOW,
    S_NUMBER,
    S_PEAK,
    S_RATE,
    S_SCOUT,
    S_SPACE,
    S_TODAY,
    S_WAITING,
    WORDS,
    X_DAYS,
    X_DESTINATIONS,
    X_HEAP,
    X_PENDING,
    X_USED,
)
from lava_dyads.native.events.memory import (
    compiled,
    element_row,
    fetch,
    increase,
    message_row,
    put,
    put_real,
    real,
    whole,
)


@compiled
def _earlier(t: int, time: float, order: int, heap: int, place: int) -> bool:
    """Tell whether a message comes before the one at a place of the heap."""
    other = real(heap, 2 * place)
    if time != other:
        return time < other
    return order < whole(message_row(t, whole(heap, 2 * place + 1)), M_ORDER)


@compiled
def _set_heap(heap: int, place: int, time: float, m: int) -> None:
    put_real(heap, 2 * place, time)
    put(heap, 2 * place + 1, m)


@compiled
def heap_push(t: int, m: int) -> None:
    """Put a message among today's."""
    heap, place, row = whole(t, X_HEAP), whole(t, S_TODAY), message_row(t, m)
    time, order = real(row, M_TIME), whole(row, M_ORDER)
    increase(t, S_TODAY, 1)
    while place > 0:
        parent = (place - 1) >> 1
        if not _earlier(t, time, order, heap, parent):
            break
        _set_heap(heap, place, real(heap, 2 * parent), whole(heap, 2 * parent + 1))
        place = parent
    _set_heap(heap, place, time, m)


@compiled
def heap_pop(t: int) -> int:
    """Return the next of today's messages, and forget it."""
    heap = whole(t, X_HEAP)
    first = whole(heap, 1)
    increase(t, S_TODAY, -1)
    size = whole(t, S_TODAY)
    if size:
        m = whole(heap, 2 * size + 1)
        time, order, place = real(heap, 2 * size), whole(message_row(t, m), M_ORDER), 0
        while 2 * place + 1 < size:
            child = 2 * place + 1
            if child + 1 < size:
                right = whole(heap, 2 * child + 3)
                if _earlier(
                    t, real(heap, 2 * child + 2), whole(message_row(t, right), M_ORDER), heap, child
                ):
                    child += 1
            if _earlier(t, time, order, heap, child):
                break
            _set_heap(heap, place, real(heap, 2 * child), whole(heap, 2 * child + 1))
            place = child
        _set_heap(heap, place, time, m)
    return first


@compiled
def note(t: int, at: float, target: int) -> int:
    """Note something for a time; return its row in the pool."""
    m = whole(t, S_FREE)
    row = message_row(t, m)
    put(t, S_FREE, whole(row, M_NEXT))
    increase(t, S_SPACE, -1)
    increase(t, S_NUMBER, 1)
    put_real(row, M_TIME, at)
    put(row, M_ORDER, whole(t, S_NUMBER))
    put(row, M_TARGET, target)
    put_real(row, M_SENT, real(t, S_NOW))
    day = int(at * real(t, S_RATE))
    if day <= whole(t, S_DAY):
        heap_push(t, m)
    else:
        days, place = whole(t, X_DAYS), day % DAYS
        put(row, M_NEXT, whole(days, place))
        put(days, place, m)
        used = whole(t, X_USED)
        put(used, place >> 6, whole(used, place >> 6) | (1 << (place & 63)))
        increase(t, S_WAITING, 1)
        if whole(t, S_WAITING) > whole(t, S_PEAK):
            put(t, S_PEAK, whole(t, S_WAITING))
    return row


@compiled
def _next_used(t: int, place: int) -> int:
    """Return how many days after a place the next day with messages is; there is one."""
    used = whole(t, X_USED)
    for k in range(WORDS + 1):
        word = np.uint64(whole(used, ((place >> 6) + k) % WORDS))
        first = 64 * ((place >> 6) + k)
        if k == 0:
            word = word >> np.uint64(place & 63)
            first = place
        if word:
            while not word & np.uint64(1):
                word = word >> np.uint64(1)
                first += 1
            if first - place < DAYS:
                return first - place
    return DAYS


@compiled
def _look_ahead(t: int) -> None:
    """Fetch what today's messages are for: in a large network it is in no cache."""
    heap, destinations = whole(t, X_HEAP), whole(t, X_DESTINATIONS)
    for place in range(whole(t, S_TODAY)):
        target = whole(message_row(t, whole(heap, 2 * place + 1)), M_TARGET)
        if target >= 0:
            fetch(destinations + target * B_DESTINATION)
    for place in range(whole(t, S_TODAY)):
        target = whole(message_row(t, whole(heap, 2 * place + 1)), M_TARGET)
        if target >= 0:
            d = destinations + target * B_DESTINATION
            fetch(element_row(t, whole(d, D_ELEMENT)))
            if whole(d, D_ROLE) == PEND:
                fetch(whole(t, X_PENDING) + 8 * whole(d, D_OFFSET))
        else:
            for line in range(0, B_ELEMENT, CACHE_LINE):
                fetch(element_row(t, -1 - target) + line)


@compiled
def scout(t: int) -> None:
    """Fetch one more of tomorrow's messages, and what it is for; called once per message today."""
    m = whole(t, S_SCOUT)
    if m < 0:
        return
    row = message_row(t, m)
    following, target = whole(row, M_NEXT), whole(row, M_TARGET)
    put(t, S_SCOUT, following)
    if following >= 0:
        fetch(message_row(t, following))
    if target >= 0:
        fetch(whole(t, X_DESTINATIONS) + target * B_DESTINATION)


@compiled
def open_day(t: int) -> None:
    """Turn to the next day on which something happens; there is one."""
    _turn_page(t)
    _look_ahead(t)
    m = whole(whole(t, X_DAYS), (whole(t, S_DAY) + 1) % DAYS)
    put(t, S_SCOUT, m)
    if m >= 0:
        fetch(message_row(t, m))


@compiled
def _turn_page(t: int) -> None:
    last = whole(t, S_DAY) + DAYS
    while whole(t, S_DAY) < last:
        ahead = _next_used(t, (whole(t, S_DAY) + 1) % DAYS)
        increase(t, S_DAY, 1 + ahead)
        if _sort_in(t):
            return
    earliest, days = np.inf, whole(t, X_DAYS)
    for place in range(DAYS):
        m = whole(days, place)
        while m >= 0:
            row = message_row(t, m)
            earliest = min(earliest, real(row, M_TIME))
            m = whole(row, M_NEXT)
    put(t, S_DAY, int(earliest * real(t, S_RATE)))
    _sort_in(t)


@compiled
def _sort_in(t: int) -> bool:
    """Move the messages of today into the heap; tell whether there are any."""
    days, day = whole(t, X_DAYS), whole(t, S_DAY)
    m, kept = whole(days, day % DAYS), -1
    if m < 0:
        return False
    while m >= 0:
        row = message_row(t, m)
        following = whole(row, M_NEXT)
        if int(real(row, M_TIME) * real(t, S_RATE)) <= day:
            heap_push(t, m)
            increase(t, S_WAITING, -1)
        else:
            put(row, M_NEXT, kept)
            kept = m
        m = following
    put(days, day % DAYS, kept)
    if kept < 0:
        used, place = whole(t, X_USED), day % DAYS
        put(used, place >> 6, whole(used, place >> 6) & ~(1 << (place & 63)))
    return whole(t, S_TODAY) > 0
