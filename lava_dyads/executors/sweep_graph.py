"""One sweep up and one down on graphs in which no message overtakes another.

As in ``executors.sweep``, for rules whose mean no nudge moves: what the elements of a network do in
the steps of a presentation, each of them once, in the order in which the waves reach them::

    up:    connections, junctions, populations       held_mean, a, mean
    top:   heads                                     -beta l'(mean)
    down:  populations, junctions, connections       D, held_difference
    learn: weights from held_difference held_mean^T, biases from D

A graph is *even* if everything that arrives at an element arrives in the same step: chains of any
ops, and branches of the same length. On the others an element answers more than once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements import Connection, Head, Inbox, Junction, Outbox, Population
from lava_dyads.elements.clock import Clock
from lava_dyads.executors.step import OUTSIDE, Network, together
from lava_dyads.rules.meter import events, first_sent

Port = tuple[str, str]


class Held(NamedTuple):
    """What the two signals at a connection are after a sweep, (lanes, n) each."""

    down: Array
    up: Array


class SweptGraph(Network):
    """A network that shows a whole presentation by one sweep up and one down.

    Step by step (:meth:`tick`, :meth:`settle`) it is the :class:`Network` it was made as.
    """

    counting: bool = True
    """Whether learning passes count events and operations; frozen ones always do."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sources: dict[Port, list[Port]] = {}
        for link in self.links:
            self._sources.setdefault((link.target, link.input), []).append(link[:2])
        self._upward = self._order_up()
        zeros = self.arithmetic.zeros
        self._rooms = {
            (name, port): zeros((self.lanes, n))
            for name, element in self.elements.items()
            if isinstance(element, Connection)
            for port, n in element.outputs.items()
            if port in element.listened
        }
        self._basal = {n: zeros((self.lanes, p.n)) for n, p in self.populations.items()}
        self._values: dict[Port, Array] = {}
        self._ups: dict[str, Array] = {}
        self._swept: dict[str, Held] = {}
        self._count = 0
        self._counts = True

    def _order_up(self) -> list[str]:
        """Return the elements in the order in which a forward wave reaches them."""
        order: dict[str, None] = {}
        for start in self.elements:
            path = [start]  # a stack of our own: networks are deep
            while path:
                waiting = [s for s in self._below(path[-1]) if s != OUTSIDE and s not in order]
                if waiting:
                    path += waiting
                else:
                    order.setdefault(path.pop())
        return [name for name in order if not isinstance(self.elements[name], Head)]

    def _below(self, name: str) -> list[str]:
        element = self.elements[name]
        ports = [p for p in element.inputs if p not in ("difference_in", "apical_in")]
        return [source for port in ports for source, _ in self._sources.get((name, port), ())]

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Show one presentation; answer with the output, (lanes, n)."""
        if not clock.valid:
            return {}
        self._count, self._swept = clock.valid, {}
        self._counts = self.counting or clock.frozen
        for connection in self.connections.values():
            connection.plasticity.show(exact=not clock.learn)
        for port in ("input_in", "target_in"):
            message = inbox.get(port)
            if message is None:  # silence is zeros
                message = self.arithmetic.zeros((self.lanes, self.inputs[port]))
            # A source may send other numbers: with those of the weights products are BLAS's.
            numbers = self.arithmetic.dtype
            self._values[OUTSIDE, port] = message.astype(numbers, copy=False)
        self._up()
        if clock.learn:
            self._down()
            if not clock.frozen:
                self._learn(clock.batch)
        return {"output_out": self._at(OUTSIDE, "output_out")}

    def gradients(self, lane: int | None = None) -> tuple[list[Array], list[Array]]:
        """Return the gradient estimates of the last sweep, or of the settled signals."""
        if not self._swept:
            return super().gradients(lane)
        rows = slice(None) if lane is None else slice(lane, lane + 1)
        count = self._count if lane is None else 1
        weights = [
            c.op.outer(*(signal[rows] for signal in self._swept[name])) / (-c.beta * count)
            for name, c in self.connections.items()
        ]
        biases = [
            self._errors(name)[rows].sum(axis=0) / (-p.beta * count)
            for name, p in self.populations.items()
        ]
        return weights, biases

    def settle(self, *arguments: Any, **options: Any) -> Any:
        """Relax step by step, see :class:`Network`."""
        self._swept = {}
        return super().settle(*arguments, **options)

    def _at(self, name: str, port: str) -> Array:
        """Return the sum of what arrives at a port."""
        values = [self._values[source] for source in self._sources[name, port]]
        return reduce(together, values).astype(self.arithmetic.dtype, copy=False)

    def _still(self, registers: Iterable[Array]) -> None:
        """Let lanes without a sample say nothing."""
        if self._count < self.lanes:
            for register in registers:
                register[self._count :] = 0

    def _up(self) -> None:
        for name in self._upward:
            element = self.elements[name]
            if isinstance(element, Connection):
                up = self._ups[name] = self._at(name, "mean_in")
                room = self._rooms[name, "basal_out"]
                value = element.op.forward(element.weights, up, room)
                self._values[name, "basal_out"] = value
                self._tally(name, 0, element.op.forward_operations, up)
            elif isinstance(element, Junction):
                held = [self._at(name, port) for port in element.up_ports(element.join)]
                self._values[name, "basal_out"] = first_sent(element.join.forward(*held), 0.0, 1.0)
                self._tally(name, 0, element.join.forward_operations, *held)
            elif isinstance(element, Population):
                unit, state, basal = element.unit, element.state, self._basal[name]
                np.add(self._at(name, "basal_in"), element.bias, out=basal)
                unit.step(state, basal, None, self.arithmetic)
                self._still(state.values())
                self._send(name, unit.up, unit.emit(state, unit.up), element.threshold, 1.0)

    def _down(self) -> None:
        for name, element in self.elements.items():
            if isinstance(element, Head):
                signals = self._at(name, "mean_in"), self._at(name, "target_in")
                drive = element.drive(*signals)
                self._still([drive])
                self._send(name, "drive", drive, element.threshold, element.beta)
        for name in reversed(self._upward):
            element = self.elements[name]
            if isinstance(element, Population):
                unit, state = element.unit, element.state
                apical = self._at(name, "apical_in")
                unit.perturb(state, self._basal[name], apical, self.arithmetic)
                self._still(state.values())
                least = element.error_threshold * element.beta
                self._send(name, unit.down, unit.emit(state, unit.down), least, element.beta)
                if self._counts:
                    there = {key: register[: self._count] for key, register in state.items()}
                    element.count_settled(there, self._count)
            elif (name, "difference_in") not in self._sources:
                continue  # only data below
            elif isinstance(element, Connection):
                down = self._at(name, "difference_in")
                self._swept[name] = Held(down, self._ups[name])
                if "apical_out" in element.listened:
                    room = self._rooms[name, "apical_out"]
                    value = element.op.transpose(element.feedback, down, room)
                    self._values[name, "apical_out"] = value
                    self._tally(name, 1, element.op.backward_operations, down)
                self._tally(name, 2, element.op.learning_operations, *self._swept[name])
            elif isinstance(element, Junction):
                self._back(name, element)

    def _back(self, name: str, junction: Junction) -> None:
        """Send down what a junction makes of the error."""
        join, down = junction.join, self._at(name, "difference_in")
        held = [self._at(name, port) for port in junction.up_ports(join)]
        ports = junction.back_ports(join)
        if any(port in junction.listened for port in ports):
            for port, value in zip(ports, join.transpose(down, *held), strict=True):
                # An entry of a message is an event: there is nothing left to silence.
                sent = value if join.selects else first_sent(value, 0.0, junction.beta)
                self._values[name, port] = sent
            still = [np.zeros((1, n), bool) for n in join.n_in]
            self._tally(name, 1, join.backward_operations, down, *still)

    def _learn(self, batch: int) -> None:
        for name, connection in self.connections.items():
            for learner in connection.learners:
                learner.learn_pair(connection.op, *self._swept[name], batch)
        for name, population in self.populations.items():
            population.plasticity.learn_alone(self._errors(name), batch)

    def _errors(self, name: str) -> Array:
        """Return what a bias learns from, (lanes, entries of the bias)."""
        population = self.populations[name]
        return population.by_bias(self._values[name, f"{population.unit.down}_out"])

    def _send(self, name: str, channel: str, value: Array, threshold: float, scale: float) -> None:
        """Let a channel carry what exceeds its threshold, and count it."""
        sent = self._values[name, f"{channel}_out"] = first_sent(value, threshold, scale)
        if self._counts:
            self.elements[name].count_sent(channel, events(sent))

    def _tally(self, name: str, way: int, operations: Any, *signals: AnyArray) -> None:
        """Count operations: up, down (1) or of learning (2), where it has a name for them."""
        counted = self.elements[name].counted
        if self._counts and way < len(counted):
            self.elements[name].count(counted[way], operations(*signals))
