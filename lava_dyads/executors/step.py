"""The reference engine: elements and links, executed in numpy.

It is the meaning of a network: the Lava models drive the same elements by the same two calls
per step, and the fused ``network`` granularity is this class inside one ProcessModel.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any, Protocol

import numpy as np

from lava_dyads.array_types import AnyArray, Array, Signal
from lava_dyads.elements import (
    Connection,
    Element,
    Head,
    Inbox,
    Outbox,
    Population,
)
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.plasticity import Plasticity
from lava_dyads.errors import invalid
from lava_dyads.executors.settle import Relaxing
from lava_dyads.plan.plan import OUTSIDE, Link

FROM_ABOVE = ("apical_in", "difference_in", "learning_error_in")
"""Input ports that errors come in by."""


class Window(Protocol):
    """A short cut that takes all steps of a presentation at once, where it can."""

    def present(self, clock: Clock, inbox: Inbox, steps: int) -> Outbox | None:
        """Return the answer to a presentation; None, and nothing is done, where it cannot."""


class Network(Relaxing):
    """Populations, connections, nonlinear connections and heads, as one element.

    Ports: ``input_in``, ``target_in``; ``output_out`` carries the output layer's mean as it is in
    the read step.

    Parameters
    ----------
    elements : mapping of str to Element
        By name; populations in the order of the forward pass.
    links : list of Link
        ``OUTSIDE`` is the network itself.
    steps : int
        Steps per presentation.
    read_step : int
        Step in which the output can be read.
    """

    answers = True
    executor: str = "step"
    """Name of the executor that made it."""

    def __init__(
        self,
        elements: Mapping[str, Element],
        links: list[Link],
        *,
        lanes: int,
        steps: int,
        read_step: int,
    ) -> None:
        self.elements, self.links = dict(elements), list(links)
        self.steps, self.read_step = steps, read_step
        self.populations = {k: e for k, e in elements.items() if isinstance(e, Population)}
        linear = {k: e for k, e in elements.items() if isinstance(e, Connection)}
        self.connections = {k: e for k, e in linear.items() if e.op.shape}  # with weights
        self.depth = len(self.connections)
        heads = [e for e in elements.values() if isinstance(e, Head)]
        self.head = heads[0] if heads else None
        inputs, outputs = _outer_ports(self.elements, links)
        numbers = next(iter(self.populations.values())).arithmetic
        super().__init__(lanes, inputs, outputs, numbers)
        units = [population.unit for population in self.populations.values()]
        self.spiking = any(unit.spiking for unit in units)
        frozen = any(e.frozen for e in elements.values() if isinstance(e, Head))
        self.phased = frozen or any(unit.phased for unit in units)
        self._shown = None
        self.baseline = units[-1].baseline
        self._routes: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for link in links:
            self._routes.setdefault(link[:2], []).append(link[2:])
        self.sources = {}
        for link in links:
            self.sources.setdefault((link.target, link.input), []).append(link[:2])
        for name, element in self.elements.items():
            element.listened = {o for o in element.outputs if (name, o) in self._routes}
        self._pending: dict[str, Outbox] = {name: {} for name in (*self.elements, OUTSIDE)}
        # Where every output leads, as the boxes that wait there: nothing is looked up in a step.
        boxes = {
            source: [(self._pending[target], entry) for target, entry in targets]
            for source, targets in self._routes.items()
        }
        self._boxes: dict[str, dict[str, Any]] = {name: {} for name in (*self.elements, OUTSIDE)}
        for (source, port), there in boxes.items():
            self._boxes[source][port] = there
        # Populations first: what they send in a step reaches connections in the same step.
        order = sorted(self.elements, key=lambda name: name not in self.populations)
        self._order = [(n, self.elements[n], self._pending[n], self._boxes[n]) for n in order]
        self._senders = [
            (element, self._boxes[name])
            for name, element in self.elements.items()
            if type(element).before is not Element.before
        ]
        self._narrow = numbers.dtype in _WIDER
        self._said = False  # whether anybody has answered in the last step
        self._clocks: tuple[Clock | None, list[Clock]] = None, []
        self._last_clock: Clock | None = None
        parts = [e for e in self.elements.values() if isinstance(e, Population | Head)]
        self._quiet_from: float = max(part.first_step for part in parts)
        if any(part.anneal for part in parts) or not all(unit.instantaneous for unit in units):
            self._quiet_from = np.inf
        self.adopt_parameters()
        self.window: Window | None = None

    def map_memory(self, place: Callable[[AnyArray], AnyArray]) -> None:
        """Move the registers of all elements; the network's own are those of its elements."""
        super().map_memory(place)
        for element in self.elements.values():
            element.map_memory(place)
        self.adopt_parameters()

    def adopt_parameters(self) -> None:
        """Take the parameters' registers anew from the elements that own them."""
        for k, connection in enumerate(self.connections.values(), 1):
            self.memory[f"weights_{k}"] = connection.memory["weights"]
            if connection.separate:
                self.memory[f"feedback_{k}"] = connection.memory["feedback"]
        for k, population in enumerate(self.populations.values(), 1):
            self.memory[f"biases_{k}"] = population.memory["bias"]

    def tick(self, clock: Clock, inbox: Inbox, active: Container[str] | None = None) -> Outbox:
        """Take one step of the whole network.

        Parameters
        ----------
        clock : Clock
        inbox : mapping
            Messages on the network's own input ports.
        active : container of str, or None
            Populations that update; the messages for the others wait. None: all.
        """
        if inbox:
            deliver(inbox, self._boxes[OUTSIDE])
        midst = not (clock.first or clock.last)
        for element, boxes in self._senders:
            if midst and not element.buffered:
                continue
            outbox = element.before(clock)
            if outbox:
                deliver(outbox, boxes)
        self._said = False
        for name, element, waiting, boxes in self._order:
            if midst and not waiting and element.rests:
                continue
            if active is not None and name in self.populations and name not in active:
                continue
            if self._narrow:  # what has met at a port is rounded once
                waiting.update(self._rounded(waiting))
            outbox = element.after(clock, waiting)
            waiting.clear()
            if outbox:
                self._said = True
                deliver(outbox, boxes)
        outside = self._pending[OUTSIDE]
        outbox = outside.copy()
        outside.clear()
        return outbox

    def _rounded(self, messages: Inbox) -> Outbox:
        """Return messages in the network's number type."""
        dtype = self.arithmetic.dtype
        return {p: m if m is None else m.astype(dtype, copy=False) for p, m in messages.items()}

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Show one presentation: all its steps within one step of the outer clock."""
        if self._narrow:
            inbox = self._rounded(inbox)
        if self.window is not None:
            shown = self.window.present(clock, inbox, self.steps)
            if shown is not None:
                return shown
        if self._rests(clock, inbox):
            return {}
        result: Outbox = {}
        for inner in self._inner_clocks(clock):
            # Who only answers has nothing to do in silence; the last step certifies and learns.
            if inner.step > self._quiet_from and not inner.last and not self._in_flight():
                continue
            sent = self.tick(inner, inbox if inner.first else {})
            if sent and inner.step <= self.read_step:
                for port, message in sent.items():  # in turn, as a sink hears them
                    before = result.get(port)
                    result[port] = (
                        message if before is None or message is None else before + message
                    )
        return result

    def _rests(self, clock: Clock, inbox: Inbox) -> bool:
        """Tell whether nothing can move in a frame: a network at rest hears nothing new."""
        last, self._last_clock = self._last_clock, clock
        if not clock.kept or last is None or any(m is not None for m in inbox.values()):
            return False
        same = (last.learn, last.frozen, last.valid) == (clock.learn, clock.frozen, clock.valid)
        return (
            same
            and not clock.learn  # who is nudged learns, or is counted as if
            and self.at_rest
        )

    @property
    def at_rest(self) -> bool:
        """Whether nothing is on its way, and nothing moved in the last step."""
        return self.settled and not self._in_flight()

    @property
    def settled(self) -> bool:
        """Whether nothing moved in the last step of the last presentation."""
        moved = any(p.noise or p.memory["residual"][0] for p in self.populations.values())
        return not moved

    def _inner_clocks(self, clock: Clock) -> list[Clock]:
        """Return the clocks of a presentation's steps; they seldom differ from the last ones."""
        outer = clock._replace(step=self.steps, first=False, last=True, start=0)
        if outer != self._clocks[0]:
            inner = [
                outer._replace(step=step, first=step == 1, last=False, batch=0)
                for step in range(1, self.steps)
            ]
            self._clocks = outer, [*inner, outer._replace(first=self.steps == 1)]
        return self._clocks[1]

    def means(self) -> dict[str, Array]:
        """Return what populations have sent up in the last presentation, (lanes, n), by name.

        In units of the activity; what spiking outputs carry beyond it is left out.
        """
        return {
            name: p.arithmetic.real(p.memory[f"sent_{p.unit.up}"][:, : p.n]) - p.unit.baseline
            for name, p in self.populations.items()
        }

    def stored(self) -> tuple[list[Array], list[Array]]:
        """Return what a checkpoint keeps: parameters, with latent weights where they are binary."""
        weights, biases = self.parameters()
        learners = [c.plasticity for c in self.connections.values()]
        kept = [p.stored() if isinstance(p, Plasticity) else w
                for p, w in zip(learners, weights, strict=True)]  # fmt: skip
        return kept, biases

    def gradients(self, lane: int | None = None) -> tuple[list[Array], list[Array]]:
        """Return the gradient estimates that the settled signals hold, weights and biases.

        -(1/beta) mean(D zbar^T) over the lanes, or of one lane.
        """
        rows = slice(None) if lane is None else slice(lane, lane + 1)
        count = self.lanes if lane is None else 1
        weights, biases = [], []
        for c in self.connections.values():
            d, z = c.evidence(rows)
            unit = c.arithmetic.unit
            weights.append(c.op.outer(d, z) * unit**2 / (-c.arithmetic.gain(c.beta) * count))
        for p in self.populations.values():
            d = p.by_bias(p.bias_errors[rows])
            biases.append(d.sum(axis=0) * p.arithmetic.unit / (-p.arithmetic.gain(p.beta) * count))
        return weights, biases

    def targets(self, source: str, port: str) -> list[tuple[str, str]]:
        """Return the elements and input ports that an output port leads to."""
        return self._routes.get((source, port), [])

    def reached_by(self, waits: Callable[[str], bool]) -> list[str]:
        """Return the elements in the order in which a wave through some input ports reaches them.

        Heads turn waves back: they wait for nothing.
        """
        order: dict[str, None] = {}
        for start in self.elements:
            path = [start]  # a stack of our own: networks are deep
            while path:
                name, element = path[-1], self.elements[path[-1]]
                ports = [] if isinstance(element, Head) else filter(waits, element.inputs)
                below = [s for port in ports for s, _ in self.sources.get((name, port), ())]
                waiting = [s for s in below if s != OUTSIDE and s not in order]
                if waiting:
                    path += waiting
                else:
                    order.setdefault(path.pop())
        return list(order)

    def _in_flight(self) -> bool:
        return any(self._pending.values()) or any(
            element.buffered for element in self.elements.values()
        )


def deliver(outbox: Inbox, boxes: Mapping[str, list[tuple[Outbox, str]]]) -> None:
    """Put messages where they lead."""
    for port, message in outbox.items():
        if message is not None:
            for box, entry in boxes.get(port, ()):
                _add(box, entry, message)


def _add(box: Outbox, port: str, message: Signal) -> None:
    """Add a message to what waits at a port."""
    waiting = box.get(port)
    box[port] = message if waiting is None or message is None else together(waiting, message)


_WIDER = {np.dtype(np.float32): np.dtype(np.float64)}
"""Where Lava's ports add up."""


def together(one: Array, other: Array) -> Array:
    """Return the sum of two messages that meet at a port, as wide as Lava's ports are.

    So it does not depend on their order, nor on who adds up.
    """
    return np.add(one, other, dtype=_WIDER.get(other.dtype))


def _outer_ports(
    elements: Mapping[str, Element], links: list[Link]
) -> tuple[dict[str, int], dict[str, int]]:
    """Check both ends of every link; return the widths of the network's own ports."""
    inputs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    for link in links:
        source = None if link.source == OUTSIDE else elements[link.source].outputs[link.output]
        target = None if link.target == OUTSIDE else elements[link.target].inputs[link.input]
        if source is not None and target is not None and source != target:
            invalid(
                f"{link.source}.{link.output} -> {link.target}.{link.input}",
                "both ends must have the same width",
                (source, target),
            )
        if source is None and target is not None:
            inputs[link.output] = target
        elif target is None and source is not None:
            outputs[link.input] = source
    return inputs, outputs
