"""A network as plain data: what stands where, what is linked to what, and when each part speaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from lava_dyads.elements import (
    Connection,
    Element,
    Head,
    NonlinearConnection,
    Population,
    TaughtConnection,
)
from lava_dyads.elements.population import Noise
from lava_dyads.plan.timing import Timing, default_repeats
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.feedback import TIED, Feedback
from lava_dyads.rules.nudges import LINEARISED, NUDGES
from lava_dyads.rules.ops import NonlinearOp, Op
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.units import Rule, Unit

OUTSIDE = "network"
"""Name of the network itself in links from and to its own ports."""

Port = tuple[str, str]
"""An element and one of its ports."""


class Link(NamedTuple):
    """One arrow of the graph: an output port of one element to an input port of another."""

    source: str
    output: str
    target: str
    input: str


class Part(NamedTuple):
    """An element to be: what kind, for which vertex, with which op."""

    kind: type[Element]
    vertex: Vertex
    op: Any = None


@dataclass(frozen=True)
class Settings:
    """How the neurons of a network compute and speak; nothing about its wiring.

    Attributes
    ----------
    rule : Rule
        The neuron rule with its options.
    nudge : str
        One of ``rules.nudges``.
    thresholds : Thresholds
        What changes have to exceed to be sent.
    repeats : int or None
        Round trips after the first; None: those of :func:`~lava_dyads.plan.timing.default_repeats`.
    noise : Noise
        Analog noise of the compartments.
    feedback : Feedback
        Kind of feedback weights.
    """

    rule: Rule
    nudge: str = LINEARISED.name
    thresholds: Thresholds = Thresholds()
    repeats: int | None = None
    noise: Noise = Noise()
    feedback: Feedback = TIED


@dataclass
class Plan:
    """A network as data: its elements by name, without their weights, and how they are linked.

    Made by :func:`~lava_dyads.plan.wire.wire`; executors read it, and nothing else knows how a
    network is wired.

    Attributes
    ----------
    vertices : list of Vertex
        The computation graph it carries out, sources before what they feed.
    settings : Settings
    parts : dict of str to Part
        What stands where.
    links : list of Link
    units : dict of str to Unit
        Of populations, by name.
    """

    vertices: list[Vertex]
    settings: Settings
    parts: dict[str, Part] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    units: dict[str, Unit] = field(default_factory=dict)
    _times: dict[Port, int] = field(default_factory=dict)

    @property
    def heads(self) -> bool:
        """Whether heads nudge the outputs; else they have the loss inside."""
        return NUDGES[self.settings.nudge].head

    @cached_property
    def _sources(self) -> dict[Port, list[Port]]:
        found: dict[Port, list[Port]] = {}
        for link in self.links:
            found.setdefault((link.target, link.input), []).append((link.source, link.output))
        return found

    @cached_property
    def _targets(self) -> dict[Port, list[Link]]:
        found: dict[Port, list[Link]] = {}
        for link in self.links:
            found.setdefault(link[:2], []).append(link)
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
        return self._targets.get((name, port), [])

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
            up = port in (f"{self.units[name].up}_out", f"{self.units[name].learning_input}_out")
            return ["basal_in"] if up else ["basal_in", "apical_in"]
        if part.kind is Head:
            return ["mean_in", "target_in"]
        ups = list(up_ports(part.op))
        if port == "basal_out":
            return ups
        linear = issubclass(part.kind, Connection)
        return ["difference_in"] if linear else ["difference_in", *ups]

    @cached_property
    def timing(self) -> Timing:
        """The steps of a presentation."""
        s = self.settings
        read = self.arrival(OUTSIDE, "output_out")
        ends = [(n, e) for n, p in self.parts.items() for e in _ENDS.get(p.kind, ())]
        sweep = max(self.arrival(*end) for end in ends)
        round_trip, repeats = sweep - (1 if self.heads else 0), s.repeats
        if repeats is None:
            repeats = default_repeats(s.rule, round_trip, s.thresholds.anneal)
        return Timing(read, sweep, round_trip, repeats, s.rule.counted_steps)


_ENDS: dict[type[Element], tuple[str, ...]] = {
    Connection: ("difference_in",),
    TaughtConnection: ("difference_in", "learning_error_in"),
    Population: ("basal_in", "apical_in"),
}
"""Where the messages of a sweep end."""


def up_ports(op: Op | NonlinearOp) -> tuple[str, ...]:
    """Return the input ports for the activities below, one per source."""
    return NonlinearConnection.up_ports(op) if isinstance(op, NonlinearOp) else ("mean_in",)


def back_ports(op: Op | NonlinearOp) -> tuple[str, ...]:
    """Return the output ports for the errors of the vertices below, one per source."""
    return NonlinearConnection.back_ports(op) if isinstance(op, NonlinearOp) else ("apical_out",)
