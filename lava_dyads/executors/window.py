"""A whole presentation of a chain of spiking dyads, with all layers end to end in one array.

Stepped one by one, the elements cost a dozen calls of numpy per layer; here it is a dozen for all
of them, or none where compiled code takes the steps (``executors.compiled_window``). The equations
are those of the units (``rules.units.spiking``), which take arrays of any shape; and what elements
hold and count is the same to the bit afterwards, but for the potentials that compiled code leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import cast

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.elements import Connection, Element, Inbox, Outbox, Population
from lava_dyads.elements.clock import Clock
from lava_dyads.executors.compiled_window import CompiledSteps, compiled_steps
from lava_dyads.executors.registry import Executor, register, stepped
from lava_dyads.executors.step import Network
from lava_dyads.plan.plan import Plan
from lava_dyads.plan.vertex import is_chain
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.units.spiking import SpikingDyadUnit, SpikingOutput

_UNWATCHED = np.zeros((0, 2, 0), bool)


@dataclass
class Layer:
    """One population: its part of the flat arrays, and what it has sent, mean and difference."""

    population: Population
    below: Connection
    here: slice
    steady: Array
    basal: Array
    apical: Array
    mean: Array
    difference: Array
    events: int = 0  # of the last step
    events_apart: int = 0

    @property
    def unit(self) -> SpikingDyadUnit:
        """The neuron rule."""
        return cast(SpikingDyadUnit, self.population.unit)

    def wake(self) -> None:
        """Let every step add what it adds, from now on: the wave has arrived."""
        m = self.population.memory
        self.steady[...] = self.unit.steady(m["basal"], m["bias"])


def why_not(plan: Plan, arithmetic: Arithmetic) -> str | None:
    """Return why a plan cannot take its steps for all populations at once; None if it can."""
    units = list(plan.units.values())
    if not plan.settings.rule.spiking:
        return f"{plan.settings.rule.name} does not count spikes"
    if not is_chain(plan.vertices) or len(plan.parts) != 2 * len(units):
        return "needs a chain of dense layers"
    if plan.settings.noise.deviation:
        return "noise needs steps"
    for k, unit in enumerate(units, 1):
        kind = SpikingOutput if k == len(units) else SpikingDyadUnit
        if type(unit) is not kind or unit.level != (k == 1):
            return f"{unit.process_name} is no spiking dyad of a chain"
        if unit.hysteresis > 1:
            return "hysteresis needs steps"
    if len({(unit.alpha, unit.adjoint, unit.rate) for unit in units}) > 1:  # type: ignore[attr-defined]
        return "all dyads must have the same alpha and rate"
    return None


class SpikingWindow:
    """The steps of a presentation, taken for all populations at once.

    In every step, in this order, for the dyads of all layers::

        da <- W mean, du <- B difference of the last step's spikes     (layer by layer)
        du of the output <- beta pull
        d = c T da + what every step adds; V+- <- V+- + d +- c T g+- du; fire
        mean, difference <- what this step's spikes add
        pull <- (y + o) / T - mean of the output

    The first step brings the input to the first population; population k takes part from step
    k + 1 on, with the wave.

    Parameters
    ----------
    populations : sequence of Population
        From the input up.
    connections : sequence of Connection
        The one below each of them.
    lanes : int
    """

    def __init__(
        self, populations: Sequence[Population], connections: Sequence[Connection], lanes: int
    ) -> None:
        self._made_of = populations, connections, lanes
        self.lanes = lanes
        dtype = populations[0].arithmetic.dtype
        ends = np.cumsum([0, *(lanes * p.n for p in populations)]).tolist()
        n = ends[-1]
        self.drives = np.zeros((5, n), dtype)  # V+, V-, basal, steady, apical
        self.rises, self.sums = np.zeros((2, 4, n), dtype)  # s+, s-, mean, difference
        flat = (*self.drives[:1:-1], *self.rises[2:])
        self.layers = []
        for k, (p, c) in enumerate(zip(populations, connections, strict=True)):
            here = slice(ends[k], ends[k + 1])
            apical, steady, basal, *said = (row[here].reshape(lanes, -1) for row in flat)
            self.layers.append(Layer(p, c, here, steady, basal, apical, *said))

    @cached_property
    def compiled(self) -> CompiledSteps | None:
        """What takes the steps in the place of numpy, if there is something."""
        return compiled_steps(self.layers, self.drives, self.sums)

    def __reduce__(self) -> tuple[object, ...]:
        """Make copies afresh: copied views would no longer be views."""
        return type(self), self._made_of

    def present(
        self, clock: Clock, inbox: Inbox, steps: int, trains: AnyArray = _UNWATCHED
    ) -> Outbox | None:
        """Take all steps of a presentation; learn and count in the last one.

        Parameters
        ----------
        clock : Clock
            Of the presentation.
        inbox : mapping
            Messages on the network's ports ``input_in`` and ``target_in``.
        steps : int
            Steps of the presentation, at least 2.
        trains : bool array, shape (steps - 1, 2, dyads of all layers), or (0, 2, 0)
            Takes where compartments spike, from the second step on.

        Returns
        -------
        outbox : dict or None
            Sum of the output's messages; None, and nothing is done, where a lane has no sample.
        """
        x, y = inbox.get("input_in"), inbox.get("target_in")
        if x is None or y is None or clock.valid < self.lanes:
            return None
        for layer in self.layers:
            layer.below.plasticity.show(exact=not clock.learn)
        self._begin(x, y)
        run = self.compiled.run if self.compiled else self._run
        events = run(clock.learn, steps, trains)
        self._end(clock, x, events)
        output = self.layers[-1].population.memory["sent_mean"]
        return {"output_out": output.copy()} if events[:, -1, 0].any() else {}

    def _begin(self, x: Array, y: Array) -> None:
        """Take the first step: the input passes its connection."""
        for flat in (self.drives, self.rises, self.sums):
            flat.fill(0)
        for layer in self.layers:
            layer.population.reset()
            layer.below.reset()
            m = layer.population.memory
            for row, name in zip(self.drives, ("v_plus", "v_minus"), strict=False):
                row[layer.here] = m[name].ravel()
            layer.events = layer.events_apart = 0
        first, last = self.layers[0], self.layers[-1]
        first.population.memory["basal"] += first.below.upward(x)
        last.population.memory["apical"] += y

    def _run(self, learn: bool, steps: int, trains: AnyArray) -> IntArray:
        """Take all further steps; return the events in them, of each layer's two channels."""
        layers, depth = self.layers, len(self.layers)
        unit, output = layers[0].unit, cast(SpikingOutput, layers[-1].unit)
        memory, said = layers[-1].population.memory, layers[-1].mean
        aim, pull, nudge = output.aim(memory["apical"]), memory["pull"], layers[-1].apical
        potentials, basal, steady = self.drives[:2], self.drives[2], self.drives[3]
        apical = self.drives[4] if learn else None
        gains = np.array(unit.signed_gains, potentials.dtype)[:, None]
        events = np.zeros((steps - 1, depth, 2), np.int64)
        for step in range(2, steps + 1):
            if step <= depth + 1:
                layers[step - 2].wake()
            for below, above in pairwise(layers):
                above.basal[...] = above.below.upward(below.mean) if below.events else 0
                back = above.events_apart
                below.apical[...] = above.below.downward(above.difference) if back else 0
            if learn:
                nudge[...] = output.nudge(pull)
            drive = unit.arriving(basal, steady)
            potentials[...], fired = unit.advance(potentials, drive, apical, gains)
            self.rises[...] = unit.rises(fired, potentials.dtype)
            self.sums += self.rises
            if learn and step > depth:
                pull[...] = output.left(aim, said)
            for k, layer in enumerate(layers):
                layer.events = int(np.count_nonzero(layer.mean))
                layer.events_apart = int(np.count_nonzero(layer.difference))
                events[step - 2, k] = layer.events, layer.events_apart
            if len(trains):
                trains[step - 2] = fired
        return events

    def _end(self, clock: Clock, x: Array, events: IntArray) -> None:
        """Write the registers and counters of all elements, and let them learn."""
        for k, layer in enumerate(self.layers):
            p, c, here = layer.population, layer.below, layer.here
            rows = (*self.sums[:, here], *self.drives[:2, here])
            names = ("s_plus", "s_minus", "sent_mean", "sent_difference", "v_plus", "v_minus")
            for name, row in zip(names, rows, strict=True):
                p.memory[name][...] = row.reshape(self.lanes, -1)
            for channel, said in zip((p.unit.up, p.unit.down), events[:, k].T, strict=True):
                p.count(f"messages_{channel}", int(np.count_nonzero(said)))
                p.count(f"events_{channel}", int(said.sum()))
            if k:
                ups = events[:-1, k - 1, 0].tolist()
                c.memory["held_mean"][...] = self.layers[k - 1].population.memory["sent_mean"]
                downs = events[:-1, k, 1].tolist()
            else:
                c.memory["held_mean"] += x
                ups, downs = [np.count_nonzero(x)], []
            c.memory["held_difference"][...] = p.memory["sent_difference"]
            c.count("forward", sum(ups) * c.op.n_out)
            c.count("backward", sum(downs) * c.op.n_in)
        for layer in self.layers:
            layer.population.finish(clock)
            layer.below.finish(clock)


def _build(elements: Mapping[str, Element], plan: Plan, lanes: int) -> Network:
    network = stepped(elements, plan, lanes)
    layers = list(network.populations.values()), list(network.connections.values())
    network.window, network.executor = SpikingWindow(*layers, lanes), "window"
    return network


register(Executor("window", "all steps of layers that count spikes at once", 1, why_not, _build))
