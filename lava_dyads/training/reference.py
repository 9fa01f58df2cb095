"""Presentations in this process: the numpy engine."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_info

from lava_dyads.array_types import Array, IntArray
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import Clock, PresentationSchedule
from lava_dyads.executors.backprop import BackpropNetwork
from lava_dyads.executors.step import Network
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.native.thread_pool import WORTH, thread_team

Poll = Callable[[], None]

POLL_SECONDS = 0.1
"""Time between two looks at the progress."""


class Backend(Protocol):
    """Runs presentations; the elements it was made with hold the results."""

    def run(self, order: IntArray, learn: int, poll: Poll) -> None:
        """Show the rows of ``order`` once.

        ``learn``: 1 train, 0 evaluate, 2 nudge without learning. ``poll`` is called meanwhile.
        """

    def state(self) -> dict[str, Any]:
        """Return the state of a run that no element holds, for JSON."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` has returned elsewhere."""

    def stop(self, kill: bool = False) -> None:
        """Release everything; ``kill``: do not ask the models to end by themselves first."""


class ReferenceBackend:
    """The numpy engine: ticks the three elements in this process, without Lava."""

    def __init__(
        self,
        source: Source,
        network: Network | BackpropNetwork,
        sink: Sink,
        schedule: PresentationSchedule,
    ) -> None:
        self._source, self._network, self._sink, self._schedule = source, network, sink, schedule
        self._time = 0
        self._stored: StoredRows | None = None
        if isinstance(network, SweptNetwork):
            self._stored = StoredRows(source, network.arithmetic.dtype)

    def run(self, order: IntArray, learn: int, poll: Poll) -> None:
        """Show the rows of ``order`` once."""
        announce(self._source, self._schedule, order, learn, self._time)
        with thread_team(threads_for(self._network)):
            if self._stored and isinstance(self._network, SweptNetwork):
                self._stream(self._network, self._stored, order, poll)
            else:
                self._step(order, poll)

    def _step(self, order: IntArray, poll: Poll) -> None:
        """Show rows by messages, a presentation in one step."""
        for _ in range(self._schedule.presentations(len(order))):
            self._time += 1
            clock = self._schedule.at(self._time)
            rows = self._source.before(clock)
            inbox = {"input_in": rows.get("x_out"), "target_in": rows.get("y_out")}
            answer = self._network.after(clock, inbox)
            outputs = {"output_in": answer.get("output_out"), "target_in": rows.get("y_out")}
            self._sink.after(clock, outputs)
            poll()

    def _stream(
        self, network: SweptNetwork, stored: StoredRows, order: IntArray, poll: Poll
    ) -> None:
        """Show rows without a message: from the data into one buffer, from there into the sweep."""
        schedule, asked = self._schedule, time.monotonic()
        clocks = [
            schedule.at(self._time + 1 + p) for p in range(schedule.presentations(len(order)))
        ]
        self._time += len(clocks)
        places = [slice(clock.start, clock.start + clock.valid) for clock in clocks]
        active, events = stored.extents(order, [place.start for place in places])
        self._source.count("events_input", events)
        self._source.count("messages_input", len(places))
        width = stored.y.shape[1]
        most, stops = max(self._source.lanes, _ENTRIES // width), [place.stop for place in places]
        totals, outputs, begun = self._sink.memory["totals"], np.zeros((0, width)), 0
        ahead = [stored.fetch(order[place]) for place in places[:1]]
        for number, (clock, place) in enumerate(zip(clocks, places, strict=True), 1):

            def fetch(number: int = number) -> None:
                if number < len(places):
                    ahead.append(stored.fetch(order[places[number]], number % 2))

            if place.start == begun + len(outputs):
                begun = place.start
                end = stops[bisect_right(stops, begun + most) - 1]
                targets = stored.y[order[begun:end]]
                outputs = np.zeros_like(targets)
            here = slice(place.start - begun, place.stop - begun)
            x, columns = ahead.pop(), active[number - 1]
            outputs[here] = network.present(x, targets[here], clock, columns, fetch)
            totals[0] += clock.valid
            if here.stop == len(outputs):
                # Measured at once: a hundred rows at a time would cost as much as a layer.
                totals[0] -= len(outputs)
                measure(self._sink, outputs, targets, begun)
            if time.monotonic() - asked > POLL_SECONDS:
                asked = time.monotonic()
                poll()
        poll()

    def state(self) -> dict[str, Any]:
        """Nothing: the elements hold everything."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to set."""

    def stop(self, kill: bool = False) -> None:
        """Nothing to release."""


def measure(sink: Sink, outputs: Array, targets: Array, begun: int) -> None:
    """Add what many samples measure, from a number of the run on, to the registers of a sink."""
    whole = Sink(
        sink.loss,
        outputs.shape[1],
        lanes=len(outputs),
        capacity=len(outputs),
        baseline=sink.baseline,
        arithmetic=sink.arithmetic,
        keep=sink.keep,
        scores=sink.scores,
    )
    whole.memory["scores"] = sink.memory["scores"]  # added to where they are
    clock = Clock(1, True, True, False, len(outputs), read=True)
    whole.after(clock, {"output_in": outputs, "target_in": targets})
    sink.memory["totals"] += whole.memory["totals"]
    for name in ("predicted", "outputs") if sink.keep else ("predicted",):
        sink.memory[name][begun : begun + len(outputs)] = whole.memory[name]


class StoredRows:
    """The rows of a source in the number system of a network, and room for two presentations."""

    def __init__(self, source: Source, dtype: np.dtype[Any]) -> None:
        self.x, self.y = source.x.astype(dtype, copy=False), source.y.astype(dtype)
        self._events, self._first, self._last = _extents(self.x)
        self._buffers = np.zeros((2, source.lanes, self.x.shape[1]), dtype)

    def fetch(self, rows: IntArray, buffer: int = 0) -> Array:
        """Return the inputs of some rows in one of two buffers."""
        return np.take(self.x, rows, axis=0, out=self._buffers[buffer, : len(rows)], mode="clip")

    def extents(self, rows: IntArray, starts: list[int]) -> tuple[list[slice], int]:
        """Return the columns with events from each start to the next, and how many events."""
        first = np.minimum.reduceat(self._first[rows], starts).tolist()
        last = np.maximum.reduceat(self._last[rows], starts).tolist()
        return list(map(slice, first, last)), int(self._events[rows].sum())


_ENTRIES = 1 << 23
"""Of targets, and of outputs, that are held until they are measured: 64 MiB each."""

_PIECE = 4096
"""Rows that are looked at a time: notes on all entries of a data set would need as much memory."""


def _extents(x: Array) -> tuple[IntArray, IntArray, IntArray]:
    """Return the events in each row, and where they begin and end; 0 to 1 if there are none."""
    events, first, last = np.zeros((3, len(x)), np.int64)
    for begin in range(0, len(x), _PIECE):
        rows = slice(begin, begin + _PIECE)
        there = x[rows] != 0
        events[rows] = np.count_nonzero(there, axis=1)
        first[rows] = there.argmax(axis=1)
        last[rows] = x.shape[1] - there[:, ::-1].argmax(axis=1)
    last[events == 0] = 1
    return events, first, last


def threads_for(network: Network | BackpropNetwork) -> int:
    """Return the number of threads for the products of a network: as many as numpy's.

    None, if no product is worth it.
    """
    if not isinstance(network, Network):
        return 0  # backprop is the baseline: plain numpy
    ops = [connection.op for connection in network.connections.values()]
    if all(network.lanes * op.n_out * op.fan_in < WORTH for op in ops):
        return 0
    found = [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]
    return int(max([1, *found]))


def announce(
    source: Source, schedule: PresentationSchedule, order: IntArray, learn: int, time: int
) -> None:
    """Tell everybody, through the registers they share, what the next run shows."""
    source.memory["order"][: len(order)] = order
    schedule.learn[0] = learn
    schedule.window[:] = time, len(order)
