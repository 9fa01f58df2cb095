"""Relaxation by asynchronous messages: a discrete-event simulation of a network's elements.

There is no common step. Every message takes its own random time, so messages may overtake each
other; what the elements do about it stands in :mod:`~lava_dyads.elements.reactive`. The simulation
ends at silence: no message in flight and no answer due.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.elements import Outbox
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.reactive import HOLD_TIME, Command, Reactive
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.executors.latency import Latency
from lava_dyads.executors.settle import Settled
from lava_dyads.executors.step import Network
from lava_dyads.plan.plan import OUTSIDE


@dataclass(frozen=True)
class AsyncSettled(Settled):
    """The outcome of an asynchronous relaxation; ``steps`` counts deliveries.

    Attributes
    ----------
    silent : bool
        Whether it ended by silence and not at its cap.
    time : float
        Virtual time of the last event, in mean latencies.
    """

    silent: bool = True
    time: float = 0.0


def settle_asynchronously(
    network: Network,
    x: Array,
    y: Array | None,
    *,
    latency: str = "exponential",
    hold_time: float = HOLD_TIME,
    per_event: bool = True,
    seed: int = 0,
    tolerance: float = 1e-12,
    max_deliveries: int = 200_000,
) -> AsyncSettled:
    """Relax on one set of lanes by asynchronous messages; nothing learns.

    The network's registers hold the result, as after ``Network.settle``; its gradients can be
    read. For dual propagation in its adjoint form at alpha 0 and 1 the fixed point does not
    depend on latencies and order, beyond the rounding of sums.

    Parameters
    ----------
    network : Network
    x : array, shape (lanes, n_in)
    y : array, shape (lanes, n_out), or None
        Targets; None for a free phase.
    latency : str
        ``constant``, ``uniform``, ``exponential`` or ``heavy-tailed``, mean 1.
    hold_time : float
        Mean refractory time of populations and heads, in mean latencies, > 0.
    per_event : bool
        Every entry of a message travels alone, with a latency of its own; False: the message
        of a layer travels as one.
    seed : int
        Of latencies and jitter; the same seed gives the same trace.
    tolerance : float
        Largest residual that counts as converged.
    max_deliveries : int
        Cap.

    Returns
    -------
    AsyncSettled

    Raises
    ------
    ValidationError
        If the latency is unknown or the hold_time not positive.
    UnsupportedError
        If units keep something of the forward pass: without steps nobody knows when it is over.
    """
    model = Latency(latency)
    if network.phased and y is not None:
        raise UnsupportedError(
            "settle_asynchronously: this rule or nudge keeps something of the forward pass, whose "
            "end asynchronous messages do not show. Try: Network.settle"
        )
    if not hold_time > 0:
        invalid("hold_time", "must be positive", hold_time, "3")
    simulation = _Simulation(network, y is not None, model, hold_time, per_event, seed)
    simulation.send(OUTSIDE, {"input_in": x, "target_in": y})
    deliveries = simulation.run(max_deliveries)
    if not simulation.queue:
        simulation.command(Command.SEND)
        deliveries += simulation.run(max_deliveries - deliveries)
    residual = network.residual(y)
    silent = not simulation.queue
    converged = silent and residual <= tolerance
    return AsyncSettled(converged, residual, deliveries, silent, simulation.now)


class _Simulation:
    """The queue of what will happen, and virtual time."""

    def __init__(
        self,
        network: Network,
        nudged: bool,
        latency: Latency,
        hold_time: float,
        per_event: bool,
        seed: int,
    ) -> None:
        self.network, self.hold_time, self.per_event = network, hold_time, per_event
        self.generator = np.random.default_rng(seed)
        self.latency = latency
        self.now = 0.0
        self.queue: list[tuple[float, int, str, str, Any]] = []
        self._numbers = itertools.count()
        schedule = PresentationSchedule(lanes=network.lanes)
        schedule.learn[0] = nudged
        self.elements = {name: Reactive(e, schedule) for name, e in network.elements.items()}
        self._waiting: dict[str, Outbox] = {name: {} for name in self.elements}
        self._due: set[str] = set()
        self.command(Command.RESET)

    def command(self, command: Command) -> None:
        """Give a command to all elements."""
        for name, element in self.elements.items():
            self.send(name, element.handle(command, 0))
            if element.self_scheduled:
                self._rest(name)

    def send(self, source: str, outbox: Any) -> None:
        """Put the messages of one element on their way."""
        for port, message in outbox.items():
            if message is None:
                continue
            parts = _single_events(message) if self.per_event else [message]
            for target, entry in self.network.targets(source, port):
                for part in parts:
                    delay = self.latency.quantile(self.generator.random())
                    self._push(self.now + delay, target, entry, part)

    def run(self, limit: int) -> int:
        """Let things happen until silence or the limit; return the number of deliveries."""
        deliveries = 0
        while self.queue and deliveries < limit:
            self.now, _, name, entry, message = heapq.heappop(self.queue)
            if not entry:
                self._update(name)
                continue
            deliveries += 1
            if name != OUTSIDE:
                self._deliver(name, entry, message)
        return deliveries

    def _deliver(self, name: str, entry: str, message: Array) -> None:
        reactive = self.elements[name]
        if not reactive.element.coalescing:
            self.send(name, reactive.receive({entry: message}))
            return
        box = self._waiting[name]
        waiting = box.get(entry)
        box[entry] = message if waiting is None else waiting + message
        self._rest(name)

    def _update(self, name: str) -> None:
        self._due.discard(name)
        waiting, self._waiting[name] = self._waiting[name], {}
        reactive = self.elements[name]
        self.send(name, reactive.receive(waiting))
        if reactive.self_scheduled:
            self._rest(name)

    def _rest(self, name: str) -> None:
        if name not in self._due:
            self._due.add(name)
            delay = self.hold_time * self.generator.uniform(0.5, 1.5)
            self._push(self.now + delay, name, "", None)

    def _push(self, at: float, name: str, entry: str, message: Any) -> None:
        heapq.heappush(self.queue, (at, next(self._numbers), name, entry, message))


def _single_events(message: Array) -> list[Array]:
    """Return one message per neuron that has something to say."""
    parts = []
    for i in np.flatnonzero(message.any(axis=0)):
        part = np.zeros_like(message)
        part[:, i] = message[:, i]
        parts.append(part)
    return parts
