"""How synapses get to what they learn from, where it is not what they carry.

Of some units the *learning input*, the activity to learn from, is not what they send up, or the
*learning error*, the error to learn from, is not what they send down. Then every connection with
weights becomes a :class:`~lava_dyads.elements.TaughtConnection`, and gets these signals on ports
of their own. Where an op without weights lies between it and neurons, a twin of that op passes
them on. What nonlinear connections send down depends on what they get, so they get learning
inputs, too.
"""

from __future__ import annotations

from lava_dyads.elements import Connection, NonlinearConnection, Population, TaughtConnection
from lava_dyads.errors import invalid
from lava_dyads.plan.plan import OUTSIDE, Link, Plan, Port


def add_teaching_signals(plan: Plan, rule: str) -> None:
    """Add to a plan what its connections need to learn, where its units ask for it.

    Raises
    ------
    ValidationError
        If weights follow each other without neurons between.
    """
    units = plan.units.values()
    if any(unit.learning_error != unit.down or unit.learning_input != unit.up for unit in units):
        _TeachingSignals(plan, rule).add()


class _TeachingSignals:
    """Follows learning inputs up and learning errors down, through twins of what lies between."""

    def __init__(self, plan: Plan, rule: str) -> None:
        self.plan, self.rule = plan, rule
        self.links = list(plan.links)
        self.weighted = plan.weighted
        self._linked: set[tuple[str, bool]] = set()
        self._unlinked: list[tuple[str, bool]] = []  # twins to be, in the place of a recursion
        self._moved = self._moved_ones()

    def _moved_ones(self) -> set[str]:
        """Return the linear ops that get something else than learning inputs."""
        into: dict[str, list[Link]] = {}
        for link in self.links:
            into.setdefault(link.target, []).append(link)
        moved: set[str] = set()
        for name, part in self.plan.parts.items():  # sources before what they feed
            for link in into.get(name, ()) if part.kind is Connection else ():
                unit = self.plan.units.get(link.source)
                told = unit is None or link.output == f"{unit.learning_input}_out"
                if link.input != "difference_in" and (link.source in moved or not told):
                    moved.add(name)
        return moved

    def add(self) -> None:
        """Teach all connections with weights; nonlinear ones get learning inputs first."""
        for i, link in enumerate(self.links):
            part = self.plan.parts.get(link.target)
            if part and part.kind is NonlinearConnection and link.input != "difference_in":
                source = self._behind(link.source, link.output, back=False)
                self.links[i] = self.plan.links[i] = Link(*source, link.target, link.input)
        for name in self.weighted:
            self._pass_on(name, "mean_in", name, "learning_input_in", back=False)
            self._pass_on(name, "difference_in", name, "learning_error_in", back=True)
            part = self.plan.parts[name]
            self.plan.parts[name] = part._replace(kind=TaughtConnection)
        self._link_twins()

    def _pass_on(self, name: str, entry: str, to: str, port: str, *, back: bool) -> None:
        """Send to a port what lies behind all that an element gets at an entry."""
        for link in self.links:
            if (link.target, link.input) == (name, entry):
                source = self._behind(link.source, link.output, back)
                self.plan.links.append(Link(*source, to, port))

    def _behind(self, name: str, port: str, back: bool) -> Port:
        """Return the port of the learning input (error, if ``back``) behind an output port."""
        if name == OUTSIDE:
            return name, port
        if self.plan.parts[name].kind is Population:
            unit = self.plan.units[name]
            return name, f"{unit.learning_error if back else unit.learning_input}_out"
        if not back and name not in self._moved:
            return name, port
        if name in self.weighted:
            limit = f"{self.rule} needs neurons between weights, to tell them what to learn from"
            invalid(f"node {self.plan.parts[name].vertex.name}", limit, "no activation", "one")
        return self._twin(name, back), port

    def _twin(self, name: str, back: bool) -> str:
        """Return the twin of an op without weights, linked for one direction at least."""
        twin, part = f"{name}_teaching", self.plan.parts[name]
        self.plan.parts.setdefault(twin, part)
        if (name, back) not in self._linked:
            self._linked.add((name, back))
            self._unlinked.append((name, back))
        return twin

    def _link_twins(self) -> None:
        """Link the twins that there are to be, and those that these ask for."""
        while self._unlinked:
            name, back = self._unlinked.pop()
            twin, entry = f"{name}_teaching", "difference_in" if back else "mean_in"
            self._pass_on(name, entry, twin, entry, back=back)
            if back and self.plan.parts[name].kind is NonlinearConnection:
                self.plan.links += [
                    Link(link.source, link.output, twin, link.input)
                    for link in self.links
                    if link.target == name and link.input != "difference_in"
                ]
