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

from collections import Counter
from collections.abc import Sequence

from lava_dyads.array_types import Array
from lava_dyads.elements import Connection, Element, Head, NonlinearConnection, Population
from lava_dyads.errors import invalid
from lava_dyads.plan.plan import (
    OUTSIDE,
    Link,
    Part,
    Plan,
    Port,
    Settings,
    back_ports,
    up_ports,
)
from lava_dyads.plan.teaching_signals import add_teaching_signals
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.nudges import NUDGES
from lava_dyads.rules.ops import Embed, NonlinearOp, Op, Slice
from lava_dyads.rules.units import Unit


def wire(
    vertices: Sequence[Vertex], settings: Settings, weights: Sequence[Array] | None = None
) -> Plan:
    """Lay out the elements of a graph and their links.

    Parameters
    ----------
    vertices : sequence of Vertex
        Sources before what they feed.
    settings : Settings
    weights : sequence of arrays, or None
        Of the vertices that have them, for rules that depend on them; None: not known yet.

    Raises
    ------
    ValidationError
        If the rule does not support the nudge or a loss.
    """
    chosen = settings.rule
    if settings.nudge not in chosen.nudges:
        invalid("nudge", f"{chosen.name} supports {', '.join(chosen.nudges)}", settings.nudge)
    for vertex in vertices:
        if vertex.loss and vertex.loss.name not in chosen.losses:
            invalid("loss", f"{chosen.name} supports {', '.join(chosen.losses)}", vertex.loss.name)
    plan = _Wirer(vertices, settings, weights).plan
    add_teaching_signals(plan, chosen.name)
    return plan


class _Wirer:
    """Lays a graph out, vertex by vertex.

    ``taps`` of a vertex are the ports that its activity comes out of, ``backs`` those that want
    its error: none where only data lie below.
    """

    def __init__(
        self,
        vertices: Sequence[Vertex],
        settings: Settings,
        weights: Sequence[Array] | None,
    ) -> None:
        self.rule = settings.rule
        self.nudge = NUDGES[settings.nudge]
        self.fed = {} if weights is None else _fed(vertices, weights)
        self.plan = Plan(list(vertices), settings)
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
            taken = Slice(self._width, vertex.n, self._slices[vertex.name])
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
        self.plan.units[here] = unit
        for tap in taps:
            self._link(tap, (here, "basal_in"))
        for back in backs:
            self._link((here, f"{unit.down}_out"), back)
        self.taps[here], self.backs[here] = [(here, f"{unit.up}_out")], [(here, "apical_in")]

    def _unit(self, vertex: Vertex, above_data: bool) -> Unit:
        rule = self.rule
        assert vertex.activation
        if vertex.loss and not self.nudge.head:
            unit = rule.output(vertex.loss, self.nudge.frozen)
        elif vertex.loss and vertex.activation.name == "linear" and vertex.name not in self.used:
            unit = rule.read_out()
        else:
            unit = rule.feeding(vertex.activation, self.fed.get(vertex.name, []))
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
                op = Embed(n, vertex.n, start if vertex.beside else 0)
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
        instant = [name == OUTSIDE or self.plan.parts[name].kind is Population
                   for name, _ in self.taps[source]]  # fmt: skip
        return vertex.activation is not None and any(instant)

    def _feed(self, source: str, name: str, entry: str, back: str) -> None:
        for tap in self.taps[source]:
            self._link(tap, (name, entry))
        for end in self.backs[source]:
            self._link((name, back), end)

    def _output(self, vertex: Vertex, start: int, outputs: list[Vertex]) -> None:
        here = vertex.name
        up: Port = (here, f"{self.plan.units[here].learning_input}_out")
        alone = len(outputs) == 1
        width = sum(v.n for v in outputs)
        target: Port = (OUTSIDE, "target_in")
        if not alone:
            taken, placed = f"{here}_target", f"{here}_output"
            self._part(taken, Part(Connection, vertex, Slice(width, vertex.n, start)))
            self._link(target, (taken, "mean_in"))
            target = (taken, "basal_out")
            self._part(placed, Part(Connection, vertex, Embed(vertex.n, width, start)))
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
        if name in self.plan.parts:
            invalid("graph", "two parts have one name", name, "another name for the node")
        self.plan.parts[name] = part

    def _link(self, source: Port, target: Port) -> None:
        self.plan.links.append(Link(*source, *target))


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


def _kind(op: Op | NonlinearOp) -> type[Element]:
    return NonlinearConnection if isinstance(op, NonlinearOp) else Connection


def _starts(vertices: Sequence[Vertex]) -> list[int]:
    starts, end = [], 0
    for vertex in vertices:
        starts.append(end)
        end += vertex.n
    return starts
