"""From a computation graph to elements and links: what every network is built by.

A *vertex* takes the activities of its sources through an op. With an activation a population of
neurons stands on it; without one it is a bare op, so that ops can follow each other::

    image -> conv -> max-pool -> [population] -> dense -> [population] -> head

Where several arrows meet they add up: ports do that, so a sum costs nothing. Errors go the same
ways backward. Everything is one step late but what a population answers, so the longest path up
and back is the number of steps that a presentation takes.

The input of the graph is one vector; the first input vertex takes the first entries of it, and so
on. Outputs, too, are parts of one vector.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from lava_dyads.array_types import Array
from lava_dyads.elements import Connection, Element, Head, Instructed, Junction, Population
from lava_dyads.errors import invalid
from lava_dyads.executors.step import OUTSIDE, Link, Network
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.plan.teaching_signals import instruct
from lava_dyads.plan.timing import Timing, default_repeats
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.arithmetic import Arithmetic, Float
from lava_dyads.rules.feedback import TIED, Feedback
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.nudges import LINEARISED, NUDGES, Nudge
from lava_dyads.rules.ops import Dense, Join, Op, Pick, Place
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units import Rule, RuleParameters, Unit


@dataclass(frozen=True)
class Vertex:
    """A node of a computation graph, with everything known about it.

    Attributes
    ----------
    name : str
        Of the population that stands on it, or of the op where none does.
    shape : tuple of int
        Of what it sends up; flat in messages.
    sources : tuple of str
        Vertices below; none: an input.
    op : Op, Join or None
        What the activities go through; None: they are added up, or put side by side.
    activation : Activation or None
        Of the population that stands on it; None: there is none.
    loss : Loss or None
        Nudges it: this is an output.
    biases : int
        How many the population has: one per neuron, or one per channel of an image.
    beside : bool
        Without an op: sources are put side by side.
    op_name : str
        Name of the op where a population stands on it; default: ``<name>_op``.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()
    op: Op | Join | None = None
    activation: Activation | None = None
    loss: Loss | None = None
    biases: int = 0
    beside: bool = False
    op_name: str = ""

    @property
    def n(self) -> int:
        """Entries of what it sends up."""
        return math.prod(self.shape)

    @property
    def weighted(self) -> Op | None:
        """The op, where it has weights."""
        return _weighted(self.op)


def _weighted(op: Op | Join | None) -> Op | None:
    return None if op is None or isinstance(op, Join) or not op.shape else op


class Part(NamedTuple):
    """An element to be: what kind, for which vertex, with which op."""

    kind: type[Element]
    vertex: Vertex
    op: Any = None


Port = tuple[str, str]


@dataclass
class Wiring:
    """The elements of a network by name, without their numbers, and how they are linked.

    Attributes
    ----------
    parts : dict of str to Part
    links : list of Link
    units : dict of str to Unit
        Of populations, by name.
    heads : bool
        Whether heads nudge the outputs; else they have the loss inside.
    """

    parts: dict[str, Part]
    links: list[Link]
    units: dict[str, Unit]
    heads: bool
    _times: dict[Port, int] = field(default_factory=dict)

    @cached_property
    def _sources(self) -> dict[Port, list[Port]]:
        found: dict[Port, list[Port]] = {}
        for link in self.links:
            found.setdefault((link.target, link.input), []).append((link.source, link.output))
        return found

    @property
    def weighted(self) -> list[str]:
        """Names of the connections that have weights, in order."""
        return [name for name, part in self.parts.items()
                if issubclass(part.kind, Connection) and part.op.shape]  # fmt: skip

    def awaits(self, name: str) -> dict[str, int]:
        """Return the input ports of an element that hear a sweep in several steps, and the last.

        A population begins when the last message from below has come in any case.
        """
        part = self.parts[name]
        found: dict[str, int] = {}
        if part.kind is Head:
            return {}
        population = part.kind is Population
        sides = [("apical_in",)] if population else [up_ports(part.op), ("difference_in",)]
        for side in sides:
            heard = [port for port in side if (name, port) in self._sources]
            steps = {self.sent(*end) for port in heard for end in self._sources[name, port]}
            if len(steps) > 1:
                found |= dict.fromkeys(heard, max(steps))
        return found

    def links_from(self, name: str, port: str) -> list[Link]:
        """Return where an output port leads."""
        return [link for link in self.links if link[:2] == (name, port)]

    def arrival(self, name: str, entry: str) -> int:
        """Return the step in which the last message of a sweep arrives at a port; 0: none does."""
        return max((self.sent(*port) for port in self._sources.get((name, entry), ())), default=0)

    def sent(self, name: str, port: str) -> int:
        """Return the step in which an output port sends for the last time in a sweep."""
        open_: list[Port] = [(name, port)]  # a stack of our own: networks are deep
        while open_:
            end = open_[-1]
            awaited = [] if end in self._times else self._awaited(*end)
            unknown = [source for source in awaited if source not in self._times]
            if unknown:
                open_ += unknown
                continue
            open_.pop()
            if end not in self._times:
                late = end[0] == OUTSIDE or self.parts[end[0]].kind is not Population
                self._times[end] = max((self._times[s] for s in awaited), default=0) + late
        return self._times[name, port]

    def _awaited(self, name: str, port: str) -> list[Port]:
        """Return the output ports that an output port depends on."""
        if name == OUTSIDE:
            return []
        return [source for entry in self._awaited_entries(name, port)
                for source in self._sources.get((name, entry), ())]  # fmt: skip

    def _awaited_entries(self, name: str, port: str) -> list[str]:
        """Return the input ports that an output port depends on."""
        part = self.parts[name]
        if part.kind is Population:
            up = port in (f"{self.units[name].up}_out", f"{self.units[name].cause}_out")
            return ["basal_in"] if up else ["basal_in", "apical_in"]
        if part.kind is Head:
            return ["mean_in", "target_in"]
        ups = list(up_ports(part.op))
        if port == "basal_out":
            return ups
        linear = issubclass(part.kind, Connection)
        return ["difference_in"] if linear else ["difference_in", *ups]

    def timing(self, repeats: int | None, rule: Rule, parameters: RuleParameters,
               anneal: float) -> Timing:  # fmt: skip
        """Return the steps of a presentation."""
        read = self.arrival(OUTSIDE, "output_out")
        ends = [(n, e) for n, p in self.parts.items() for e in _ENDS.get(p.kind, ())]
        sweep = max(self.arrival(*end) for end in ends)
        round_trip = sweep - (1 if self.heads else 0)
        if repeats is None:
            repeats = default_repeats(rule, parameters, round_trip, anneal)
        return Timing(read, sweep, round_trip, repeats, parameters.window if rule.spiking else 0)


_ENDS: dict[type[Element], tuple[str, ...]] = {
    Connection: ("difference_in",),
    Instructed: ("difference_in", "teacher_in"),
    Population: ("basal_in", "apical_in"),
}
"""Where the messages of a sweep end."""


def up_ports(op: Op | Join) -> tuple[str, ...]:
    """Return the input ports for the activities below, one per source."""
    return Junction.up_ports(op) if isinstance(op, Join) else ("mean_in",)


def back_ports(op: Op | Join) -> tuple[str, ...]:
    """Return the output ports for the errors of the vertices below, one per source."""
    return Junction.back_ports(op) if isinstance(op, Join) else ("apical_out",)


def wire(
    vertices: Sequence[Vertex],
    rule: Rule,
    parameters: RuleParameters,
    nudge: str,
    weights: Sequence[Array] | None = None,
) -> Wiring:
    """Lay out the elements of a graph and their links.

    Parameters
    ----------
    vertices : sequence of Vertex
        Sources before what they feed.
    rule, parameters
        The neuron rule and its numbers.
    nudge : str
        One of ``rules.nudges``.
    weights : sequence of arrays, or None
        Of the vertices that have them, for rules that depend on them; None: not known yet.
    """
    wiring = _Wirer(vertices, rule, parameters, NUDGES[nudge], weights).wiring
    instruct(wiring, rule.name)
    return wiring


class _Wirer:
    """Lays a graph out, vertex by vertex.

    ``taps`` of a vertex are the ports that its activity comes out of, ``backs`` those that want
    its error: none where only data lie below.
    """

    def __init__(
        self,
        vertices: Sequence[Vertex],
        rule: Rule,
        parameters: RuleParameters,
        nudge: Nudge,
        weights: Sequence[Array] | None,
    ) -> None:
        self.rule, self.parameters, self.nudge = rule, parameters, nudge
        self.fed = {} if weights is None else _fed(vertices, weights)
        self.wiring = Wiring({}, [], {}, nudge.head)
        self.taps: dict[str, list[Port]] = {}
        self.backs: dict[str, list[Port]] = {}
        inputs = [v for v in vertices if not v.sources]
        self.used = {source for v in vertices for source in v.sources}
        self.widths = {v.name: v.n for v in vertices}
        outputs = [v for v in vertices if v.loss]
        self._slices = {v.name: start for v, start in zip(inputs, _starts(inputs), strict=True)}
        self._width = sum(v.n for v in inputs)
        for vertex in vertices:
            if vertex.sources:
                self._place(vertex)
            else:
                self._input(vertex, alone=len(inputs) == 1)
        for vertex, start in zip(outputs, _starts(outputs), strict=True):
            self._output(vertex, start, outputs)

    def _input(self, vertex: Vertex, alone: bool) -> None:
        self.backs[vertex.name] = []
        port = (OUTSIDE, "input_in")
        if not alone:
            taken = Pick(self._width, vertex.n, self._slices[vertex.name])
            self._part(vertex.name, Part(Connection, vertex, taken))
            self._link(port, (vertex.name, "mean_in"))
            port = (vertex.name, "basal_out")
        self.taps[vertex.name] = [port]

    def _place(self, vertex: Vertex) -> None:
        """Lay out the op of a vertex, and the population on it."""
        taps, backs = self._op(vertex)
        if vertex.activation is None:
            self.taps[vertex.name], self.backs[vertex.name] = taps, backs
            return
        unit = self._unit(vertex, above_data=not any(map(self.backs.get, vertex.sources)))
        here = vertex.name
        self._part(here, Part(Population, vertex))
        self.wiring.units[here] = unit
        for tap in taps:
            self._link(tap, (here, "basal_in"))
        for back in backs:
            self._link((here, f"{unit.down}_out"), back)
        self.taps[here], self.backs[here] = [(here, f"{unit.up}_out")], [(here, "apical_in")]

    def _unit(self, vertex: Vertex, above_data: bool) -> Unit:
        rule, parameters = self.rule, self.parameters
        assert vertex.activation
        if vertex.loss and not self.nudge.head:
            unit = rule.output(vertex.loss, parameters, self.nudge.frozen)
        elif vertex.loss and vertex.activation.name == "linear" and vertex.name not in self.used:
            unit = rule.read_out(parameters)
        else:
            fed = self.fed.get(vertex.name, [])
            unit = rule.hidden(vertex.activation, rule.below(fed, parameters))
        return rule.above_input(unit) if above_data else unit

    def _op(self, vertex: Vertex) -> tuple[list[Port], list[Port]]:
        """Lay out what the activities go through; return its taps and backs."""
        name = vertex.name
        if vertex.activation is not None:
            name = vertex.op_name or f"{vertex.name}_op"
        if vertex.op is None:
            return self._together(vertex, name)
        self._part(name, Part(_kind(vertex.op), vertex, vertex.op))
        ports = zip(vertex.sources, up_ports(vertex.op), back_ports(vertex.op), strict=True)
        for source, entry, back in ports:
            self._feed(source, name, entry, back)
        wanted = vertex.weighted or any(self.backs[source] for source in vertex.sources)
        return [(name, "basal_out")], [(name, "difference_in")] if wanted else []

    def _together(self, vertex: Vertex, name: str) -> tuple[list[Port], list[Port]]:
        """Add sources up, or put them side by side."""
        taps: list[Port] = []
        backs: list[Port] = []
        start = 0
        met = Counter(tap for source in vertex.sources for tap in self.taps[source])
        for i, source in enumerate(vertex.sources, 1):
            # A port hears another one once: what arrives in several ways takes a step in each.
            again = any(met[tap] > 1 for tap in self.taps[source])
            if vertex.beside or again or self._needs_step(source, vertex):
                n = self.widths[source]
                op = Place(n, vertex.n, start if vertex.beside else 0)
                part = f"{name}_{i}" if len(vertex.sources) > 1 else name
                self._part(part, Part(Connection, vertex, op))
                self._feed(source, part, "mean_in", "apical_out")
                taps.append((part, "basal_out"))
                backs += [(part, "difference_in")] if self.backs[source] else []
                start += n
            else:
                taps += self.taps[source]
                backs += self.backs[source]
        return taps, backs

    def _needs_step(self, source: str, vertex: Vertex) -> bool:
        """Tell whether nothing that takes a step lies between two populations, or data and one."""
        instant = [name == OUTSIDE or self.wiring.parts[name].kind is Population
                   for name, _ in self.taps[source]]  # fmt: skip
        return vertex.activation is not None and any(instant)

    def _feed(self, source: str, name: str, entry: str, back: str) -> None:
        for tap in self.taps[source]:
            self._link(tap, (name, entry))
        for end in self.backs[source]:
            self._link((name, back), end)

    def _output(self, vertex: Vertex, start: int, outputs: list[Vertex]) -> None:
        here = vertex.name
        up: Port = (here, f"{self.wiring.units[here].cause}_out")
        alone = len(outputs) == 1
        width = sum(v.n for v in outputs)
        target: Port = (OUTSIDE, "target_in")
        if not alone:
            taken, placed = f"{here}_target", f"{here}_output"
            self._part(taken, Part(Connection, vertex, Pick(width, vertex.n, start)))
            self._link(target, (taken, "mean_in"))
            target = (taken, "basal_out")
            self._part(placed, Part(Connection, vertex, Place(vertex.n, width, start)))
        if self.nudge.head:
            head = "head" if alone else f"{here}_head"
            self._part(head, Part(Head, vertex))
            self._link(up, (head, "mean_in"))
            self._link(target, (head, "target_in"))
            self._link((head, "drive_out"), (here, "apical_in"))
        else:
            self._link(target, (here, "apical_in"))
        if not alone:
            self._link(up, (placed, "mean_in"))
            up = (placed, "basal_out")
        self._link(up, (OUTSIDE, "output_out"))

    def _part(self, name: str, part: Part) -> None:
        if name in self.wiring.parts:
            invalid("graph", "two parts have one name", name, "another name for the node")
        self.wiring.parts[name] = part

    def _link(self, source: Port, target: Port) -> None:
        self.wiring.links.append(Link(*source, *target))


def _fed(vertices: Sequence[Vertex], weights: Sequence[Array]) -> dict[str, list[tuple[Op, Array]]]:
    """Return the weights that every vertex feeds, at once or through ops without any."""
    found: dict[str, list[tuple[Op, Array]]] = {v.name: [] for v in vertices}
    own = dict(zip([v.name for v in vertices if v.weighted], weights, strict=False))
    for v in reversed(vertices):
        for source in v.sources:
            if v.weighted:
                found[source].append((v.weighted, own[v.name]))
            elif v.activation is None:
                found[source] += found[v.name]
    return found


def _kind(op: Op | Join) -> type[Element]:
    return Junction if isinstance(op, Join) else Connection


def _starts(vertices: Sequence[Vertex]) -> list[int]:
    starts, end = [], 0
    for vertex in vertices:
        starts.append(end)
        end += vertex.n
    return starts


def assemble(
    vertices: Sequence[Vertex],
    weights: Sequence[Array],
    biases: Sequence[Array],
    *,
    rule: Rule,
    parameters: RuleParameters,
    nudge: str = LINEARISED.name,
    lanes: int = 1,
    threshold: float = 0.0,
    error_threshold: float | None = None,
    anneal: float = 0.0,
    optimiser: Optimiser | None = None,
    repeats: int | None = None,
    arithmetic: Arithmetic | None = None,
    noise: float = 0.0,
    noise_seed: int = 0,
    feedback: Feedback = TIED,
    feedback_weights: Sequence[Array | None] = (),
    swept: bool = False,
) -> Network:
    """Build the network of a graph.

    Parameters
    ----------
    vertices : sequence of Vertex
        Sources before what they feed.
    weights, biases : sequences of arrays
        Of the vertices that have weights, and of those with a population, in their order.
    rule, parameters
        The neuron rule and its numbers.
    nudge : str
        One of ``rules.nudges``.
    lanes : int
        Samples side by side.
    threshold : float
        Send-on-change threshold theta of the activity.
    error_threshold : float or None
        Of errors, in units of beta; None: theta.
    anneal : float
        Time constant, in steps, with which theta falls; 0: it stays.
    optimiser : Optimiser or None
        Its ``decay`` applies where W and B learn as a pair, and nowhere else.
    repeats : int or None
        Round trips after the first; None: those of :func:`default_repeats`.
    arithmetic : Arithmetic or None
        Number system; None: float64.
    noise, noise_seed
        Analog noise of the compartments, see :class:`Population`.
    feedback : Feedback
        Kind of feedback weights.
    feedback_weights : sequence of arrays or None
        Where it is separate, in the shapes of the weights; those above data stand for nothing.
    swept : bool
        Show presentations by one sweep up and one down (:class:`SweptNetwork`), where that is all
        the rule needs.

    Raises
    ------
    ValidationError
        If shapes do not fit or the rule does not support the nudge or a loss.
    """
    if nudge not in rule.nudges:
        invalid("nudge", f"{rule.name} supports {', '.join(rule.nudges)}", nudge)
    for vertex in vertices:
        if vertex.loss and vertex.loss.name not in rule.losses:
            invalid("loss", f"{rule.name} supports {', '.join(rule.losses)}", vertex.loss.name)
    wiring = wire(vertices, rule, parameters, nudge, weights)
    timing = wiring.timing(repeats, rule, parameters, anneal)
    arithmetic = arithmetic or Float()
    shared: dict[str, Any] = {"lanes": lanes, "beta": parameters.beta}
    error_threshold = threshold if error_threshold is None else error_threshold
    undecayed = replace(optimiser, decay=0.0) if optimiser else None
    depth = len(wiring.units)
    learns = wiring.weighted
    above_data = [not wiring.links_from(name, "apical_out") for name in learns]
    _check_feedback(feedback, feedback_weights, above_data)
    elements: dict[str, Element] = {}
    # Weights and the population on them have one number system, counted from the input.
    level, here, k = 0, "", 0
    for name, part in wiring.parts.items():
        if part.vertex.name != here:
            here, level = part.vertex.name, min(level + 1, depth)
        shared["arithmetic"] = arithmetic.at(level, depth)
        if issubclass(part.kind, Connection) and name in learns:
            separate = feedback.separate and not above_data[k]
            elements[name] = part.kind(
                weights[k],
                op=part.op,
                optimiser=optimiser if feedback.learns and not above_data[k] else undecayed,
                feedback=feedback_weights[k] if separate else None,
                feedback_learns=feedback.learns,
                **shared,
            )
            k += 1
        elif part.kind is Connection:
            elements[name] = Connection(None, op=part.op, **shared)
        elif part.kind is Junction:
            elements[name] = Junction(part.op, **shared)
        elif part.kind is Population:
            number = list(wiring.units).index(name)
            elements[name] = Population(
                wiring.units[name],
                biases[number],
                sharing=part.vertex.n // part.vertex.biases,
                first_step=wiring.arrival(name, "basal_in"),
                optimiser=optimiser,
                threshold=threshold,
                error_threshold=error_threshold,
                anneal=anneal,
                noise=noise,
                noise_seed=(noise_seed, number + 1),
                **shared,
            )
        else:
            first_step = wiring.arrival(name, "mean_in")
            loss = part.vertex.loss
            assert loss
            frozen, n = NUDGES[nudge].frozen, part.vertex.n
            elements[name] = Head(
                loss,
                n,
                first_step=first_step,
                frozen=frozen,
                threshold=error_threshold,
                anneal=anneal,
                **shared,
            )
    if not rule.spiking:  # spikes are counted as they come
        for name, element in elements.items():
            element.awaits = wiring.awaits(name)
    plain = timing.repeats == 0 and not (anneal or noise or feedback.separate)
    swept = (
        swept
        and plain
        and rule.settles_in_one_sweep(parameters)
        and wiring.heads
        and isinstance(arithmetic, Float)
        and not any(part.kind is Instructed for part in wiring.parts.values())
    )
    steps = {"steps": timing.steps, "read_step": timing.read_step}
    if not swept:
        return Network(elements, wiring.links, lanes=lanes, **steps)
    sent = {link[:2]: wiring.sent(*link[:2]) for link in wiring.links}
    return SweptNetwork(elements, wiring.links, sent=sent, lanes=lanes, **steps)


def only_data(vertices: Sequence[Vertex]) -> dict[str, bool]:
    """Return, by name, whether nothing below a vertex, itself included, learns."""
    data: dict[str, bool] = {}
    for v in vertices:
        learns = v.weighted or v.activation is not None
        data[v.name] = not learns and all(data[source] for source in v.sources)
    return data


def is_chain(vertices: Sequence[Vertex]) -> bool:
    """Tell whether every vertex has neurons on dense weights from the one before, nudged last."""
    return all(
        type(v.op) is Dense
        and v.activation is not None
        and v.sources == (below.name,)
        and bool(v.loss) == (v is vertices[-1])
        for below, v in pairwise(vertices)
    )


def _check_feedback(
    feedback: Feedback, weights: Sequence[Array | None], above_data: list[bool]
) -> None:
    there = [w is not None for w in weights]
    missing = [k for k, (w, data) in enumerate(zip(there, above_data, strict=False), 1)
               if not (w or data)]  # fmt: skip
    if feedback.separate and (len(there) != len(above_data) or missing):
        limit = f"{feedback.name} needs one per layer, {len(above_data)}, the first of no account"
        invalid("feedback_weights", limit, there)
