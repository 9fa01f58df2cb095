"""What will happen in virtual time, in the order in which it does."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


class CalendarQueue:
    """What will happen, by time: a heap for the present day, unsorted lists for days to come.

    One heap of everything would be spread over more memory than a cache holds, and every
    message would pay for it.

    Attributes
    ----------
    days_per_unit : float
        Days in a mean latency.
    """

    __slots__ = ("_ahead", "_days", "_end", "_today")

    days_per_unit = 16.0

    def __init__(self) -> None:
        self._today: list[tuple[float, int, Any, int, Any, float]] = []
        self._end = 0.0
        self._days: dict[int, list[tuple[float, int, Any, int, Any, float]]] = {}
        self._ahead: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._today or self._ahead)

    def push(self, entry: tuple[float, int, Any, int, Any, float]) -> None:
        """Note (time, number, target, index, payload, time sent); equal times by number."""
        if entry[0] < self._end:
            heapq.heappush(self._today, entry)
            return
        day = int(entry[0] * self.days_per_unit)
        entries = self._days.get(day)
        if entries is None:
            self._days[day] = [entry]
            heapq.heappush(self._ahead, day)
        else:
            entries.append(entry)

    def pop(self) -> tuple[float, int, Any, int, Any, float]:
        """Return the next entry, and forget it."""
        if not self._today:
            day = heapq.heappop(self._ahead)
            self._today = self._days.pop(day)
            self._end = (day + 1) / self.days_per_unit
            heapq.heapify(self._today)
        return heapq.heappop(self._today)


class Waker:
    """Wakes a task at a time."""

    def __init__(self, engine: VirtualTimeEngine, task: Any) -> None:
        self.engine, self.task = engine, task

    def deliver(self, index: int, payload: Any) -> None:
        """Wake the task."""
        self.engine.ready.append(self.task)
