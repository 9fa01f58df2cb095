"""A presentation as a function of arrays, in any array namespace.

The sweep of ``executors.sweep``, of the same elements and the same equations, with nothing kept
from one presentation to the next but what is returned: so libraries that trace and compile
functions can carry it out (``executors.jax_sweep``)::

    signals, counts = sweep.show(parameters, x, y, ...)       up, top and down
    found = sweep.products(signals)                           what meets at weights and biases
    learnt = sweep.learn(parameters, found, numbers)          the optimisers

*Parameters* are a mapping of (element, register) to (value, state of its optimiser). Samples that
are silent, and lanes without a sample, are zeros in all that is sent down: array libraries want
shapes that stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from lava_dyads.elements import (
    Connection,
    Element,
    Head,
    NonlinearConnection,
    Population,
    TaughtConnection,
)
from lava_dyads.elements.plasticity import Plasticity
from lava_dyads.executors.registry import why_steps
from lava_dyads.executors.step import FROM_ABOVE, Network
from lava_dyads.plan.plan import OUTSIDE, Plan, Port
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.meter import events, first_sent
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units import Unit

Values = dict[Port, Any]
Parameters = Mapping[Port, tuple[Any, tuple[Any, ...]]]
Counts = dict[Port, Any]
"""Of (element, counter)."""


def why_not(plan: Plan, arithmetic: Arithmetic) -> str | None:
    """Return why a plan cannot be carried out as a function of arrays; None if it can."""
    for unit in plan.units.values():
        if type(unit).next_state is Unit.next_state:
            return f"{plan.settings.rule.name} writes its registers in place"
    return why_steps(plan, arithmetic)


class Register(NamedTuple):
    """What learns: a register of an element, by what, and whether it decays."""

    element: Element
    name: str
    learner: Optimiser | None
    decays: bool

    @property
    def slots(self) -> int:
        """Number of arrays of its optimiser's state."""
        return self.learner.slots if self.learner else 0

    @property
    def beta(self) -> float:
        """The nudge strength: a sum of products over N samples is -beta N times a gradient."""
        assert isinstance(self.element, Connection | Population)
        return self.element.beta


class ArraySweep:
    """The presentations of a network, in a namespace.

    Parameters
    ----------
    network : Network
        Of a rule that settles in one sweep, in floating point; its elements are read, not changed.
    xp : namespace
        See ``rules.namespaces``.

    Attributes
    ----------
    registers : dict of (element, register) to Register
        All that learns, or could.
    """

    def __init__(self, network: Network, xp: Namespace) -> None:
        self.network, self.xp = network, xp
        self.numbers = network.arithmetic.over(xp)  # type: ignore[attr-defined]
        self._sources = network.sources
        self._upward = network.reached_by(lambda port: port not in FROM_ABOVE)
        self._downward = network.reached_by(lambda port: port in FROM_ABOVE)
        self.registers: dict[Port, Register] = {}
        for name, connection in network.connections.items():
            for learner in connection.learners:
                assert isinstance(learner, Plasticity)
                kept = Register(connection, learner.name, learner.optimiser, True)
                self.registers[name, learner.name] = kept
        for name, population in network.populations.items():
            optimiser = population.plasticity.optimiser
            self.registers[name, "bias"] = Register(population, "bias", optimiser, False)
        self.counters = [(n, c) for n, e in network.elements.items() for c in e.counted]

    def show(
        self,
        parameters: Parameters,
        x: Any,
        y: Any,
        *,
        learn: bool,
        there: Any = None,
        samples: Any = 0,
        skip_error: float = 0.0,
        counting: bool = True,
    ) -> tuple[Values, Counts]:
        """Show a presentation.

        Parameters
        ----------
        parameters
            Values and states of what learns.
        x, y : arrays (lanes, n_in), (lanes, n_out)
        learn : bool
            Whether the outputs are nudged.
        there : array of bool (lanes, 1), or None
            Lanes with a sample; None: all.
        samples : int
            How many these are.
        skip_error : float
            See :class:`~lava_dyads.executors.sweep.SweptNetwork`.
        counting : bool
            Whether to count events and operations.

        Returns
        -------
        values : dict of (element, output port) to array
            What every port has sent; ``(OUTSIDE, "output_out")`` is the answer.
        counts : dict of (element, counter) to int
        """
        shown = _Presentation(self, parameters, there, samples, counting)
        shown.values[OUTSIDE, "input_in"], shown.values[OUTSIDE, "target_in"] = x, y
        for name in self._upward:
            shown.up(name, self.network.elements[name])
        if learn:
            shown.nudge(skip_error)
            for name in self._downward:
                shown.down(name, self.network.elements[name])
        shown.values[OUTSIDE, "output_out"] = shown.at(OUTSIDE, "output_out")
        return shown.values, shown.counts

    def at(self, values: Values, name: str, port: str) -> Any:
        """Return the sum of what arrives at a port, added up in numbers as wide as ports have."""
        arrived = [values[source] for source in self._sources[name, port]]
        if len(arrived) == 1:
            return arrived[0]
        wide = self.xp.float64
        total = reduce(self.xp.add, [self.xp.asarray(a, dtype=wide) for a in arrived])
        return self.xp.asarray(total, dtype=self.numbers.dtype)

    def hears(self, name: str, port: str) -> bool:
        """Tell whether anything arrives at a port."""
        return (name, port) in self._sources

    def evidence(self, values: Values, name: str) -> tuple[Any, Any]:
        """Return the two signals that meet at the weights of a connection: error and activity."""
        taught = isinstance(self.network.elements[name], TaughtConnection)
        ports = (
            ("learning_error_in", "learning_input_in") if taught else ("difference_in", "mean_in")
        )
        down, up = [self.at(values, name, port) for port in ports]
        return down, up

    def products(self, values: Values) -> Values:
        """Return, for every register that learns, the sum over lanes of what meets there."""
        found: Values = {}
        for (name, register), kept in self.registers.items():
            if kept.learner is None:
                continue
            if isinstance(kept.element, Population):
                sent = values[name, f"{kept.element.unit.learning_error}_out"]
                errors = kept.element.by_bias(kept.element.unit.bias_error(sent))
                found[name, register] = self.xp.sum(errors, axis=0)
            elif isinstance(kept.element, Connection):
                down, up = self.evidence(values, name)
                found[name, register] = kept.element.op.outer(down, up, xp=self.xp)
        return found

    def learn(
        self, parameters: Parameters, products: Values, numbers: Mapping[Port, Sequence[Any]]
    ) -> Parameters:
        """Return the parameters after an update.

        Parameters
        ----------
        parameters
        products
            Sums over all samples of the batch.
        numbers : mapping of (element, register) to numbers
            What the decay leaves of a value, and ``Optimiser.numbers`` of the update.
        """
        learnt = dict(parameters)
        for port, product in products.items():
            (value, state), kept = parameters[port], self.registers[port]
            left, *others = numbers[port]
            assert kept.learner is not None
            if kept.decays and kept.learner.loss_per_update:
                value = value * left
            learnt[port] = kept.learner.updated(value, product, state, others, self.xp)
        return learnt


class _Presentation:
    """What is on its way in a presentation."""

    def __init__(
        self, sweep: ArraySweep, parameters: Parameters, there: Any, samples: Any, counting: bool
    ) -> None:
        self.sweep, self.parameters, self.xp = sweep, parameters, sweep.xp
        self.there, self.samples, self.counting = there, samples, counting
        self.values: Values = {}
        self.counts: Counts = {}
        self._drives: dict[str, Any] = {}
        self._states: dict[str, dict[str, Any]] = {}

    def at(self, name: str, port: str) -> Any:
        """Return the sum of what arrives at a port."""
        return self.sweep.at(self.values, name, port)

    def _weights(self, name: str, register: str) -> Any:
        return self.parameters[name, register][0] if (name, register) in self.parameters else None

    def _still(self, value: Any) -> Any:
        """Let lanes without a sample say nothing."""
        return value if self.there is None else value * self.there

    def _count(self, name: str, counter: str, amount: Callable[[], Any]) -> None:
        if self.counting:
            self.counts[name, counter] = self.counts.get((name, counter), 0) + amount()

    def _send(self, name: str, channel: str, value: Any, least: float, scale: float) -> None:
        """Let a channel carry what exceeds its threshold, and count it."""
        sent = self.values[name, f"{channel}_out"] = first_sent(value, least, scale, self.xp)
        self._tally(name, channel, sent)

    def _tally(self, name: str, channel: str, sent: Any) -> None:
        self._count(name, f"events_{channel}", lambda: events(sent, self.xp))
        self._count(name, f"messages_{channel}", lambda: self.xp.any(sent != 0))

    def up(self, name: str, element: Element) -> None:
        """Let an element answer what comes from below."""
        if isinstance(element, Connection):
            if self.sweep.hears(name, "mean_in"):
                mean, weights = self.at(name, "mean_in"), self._weights(name, "weights")
                self.values[name, "basal_out"] = element.op.forward(weights, mean, xp=self.xp)
                made = element.op.forward_operations
                self._count(name, element.counted[0], lambda: made(mean, self.xp))
        elif isinstance(element, NonlinearConnection):
            means = [self.at(name, port) for port in element.up_ports(element.nonlinear_op)]
            value = element.nonlinear_op.forward(*means, xp=self.xp)
            self.values[name, "basal_out"] = first_sent(value, 0.0, 1.0, self.xp)
            of = element.nonlinear_op.forward_operations
            self._count(name, element.counted[0], lambda: of(*means, xp=self.xp))
        elif isinstance(element, Population):
            unit, numbers = element.unit, self.sweep.numbers
            shape = (element.lanes, element.n)
            state = {r: self.xp.zeros(shape, dtype=numbers.dtype) for r in unit.state}
            bias = self._weights(name, "bias")
            bias = bias if element.sharing == 1 else self.xp.repeat(bias, element.sharing)
            drive = self._drives[name] = unit.drive(state, self.at(name, "basal_in"), bias)
            self._store(name, element, {**state, **unit.next_state(state, drive, None, numbers)})
            channels = {c for c in (unit.up, unit.learning_input) if self._sends(element, c)}
            for channel in channels:
                value = unit.emit(self._states[name], channel)
                self._send(name, channel, value, element.threshold, 1.0)

    @staticmethod
    def _sends(population: Population, channel: str) -> bool:
        extra = channel in population.unit.extra
        return not extra or f"{channel}_out" in population.listened

    def _store(self, name: str, population: Population, state: Mapping[str, Any]) -> None:
        self._states[name] = {register: self._still(value) for register, value in state.items()}

    def nudge(self, skip_error: float) -> None:
        """Find the drives of the outputs, of samples that are not silent."""
        drives: dict[str, Any] = {}
        loud: Any = None
        heads = {n: e for n, e in self.sweep.network.elements.items() if isinstance(e, Head)}
        for name, head in heads.items():
            signals = self.at(name, "mean_in"), self.at(name, "target_in")
            drive = self._still(head.drive(*signals, self.sweep.numbers))
            drives[name] = first_sent(drive, head.threshold, head.beta, self.xp)
            if skip_error:
                largest = self.xp.max(self.xp.abs(drives[name]), axis=1, keepdims=True)
                above = largest > skip_error * head.beta
                loud = above if loud is None else loud | above
        for name, drive in drives.items():
            sent = self.values[name, "drive_out"] = drive if loud is None else drive * loud
            self._tally(name, "drive", sent)

    def down(self, name: str, element: Element) -> None:
        """Let an element answer what comes from above."""
        if isinstance(element, Population):
            unit, numbers = element.unit, self.sweep.numbers
            apical, before = self.at(name, "apical_in"), self._states[name]
            moved = unit.next_state(before, self._drives[name], apical, numbers)
            self._store(name, element, {**before, **moved})
            state, least = self._states[name], element.error_threshold * element.beta
            self._send(name, unit.down, unit.emit(state, unit.down), least, element.beta)
            if unit.learning_error != unit.down:
                value = unit.emit(state, unit.learning_error)
                sent = first_sent(value, least, element.beta, self.xp)
                self.values[name, f"{unit.learning_error}_out"] = sent
                if self._sends(element, unit.learning_error):
                    self._tally(name, unit.learning_error, sent)
            self._count(name, "settled", lambda: self.samples * element.n)
            straddling = unit.straddling(state, self.xp)
            if straddling is not None:
                self._count(name, "straddling", lambda: events(straddling, self.xp))
        elif isinstance(element, Connection) and self.sweep.hears(name, "difference_in"):
            self._back(name, element)
        elif isinstance(element, NonlinearConnection) and self.sweep.hears(name, "difference_in"):
            self._back_nonlinear(name, element)

    def _back(self, name: str, connection: Connection) -> None:
        """Send down what a connection makes of the error."""
        op, down = connection.op, self.at(name, "difference_in")
        if "apical_out" in connection.listened:
            through = self._weights(name, "feedback" if connection.separate else "weights")
            self.values[name, "apical_out"] = op.transpose(through, down, xp=self.xp)
            self._count(name, connection.counted[1], lambda: op.backward_operations(down, self.xp))
        if not connection.weightless:
            pair = self.sweep.evidence(self.values, name)
            learn = 1 + any(other.optimiser is not None for other in connection.learners[1:])
            of = op.learning_operations
            self._count(name, "learning", lambda: of(*pair, self.xp) * learn)

    def _back_nonlinear(self, name: str, connection: NonlinearConnection) -> None:
        """Send down what a nonlinear connection makes of the error."""
        op, down = connection.nonlinear_op, self.at(name, "difference_in")
        means = [self.at(name, port) for port in connection.up_ports(op)]
        ports = connection.back_ports(op)
        if any(port in connection.listened for port in ports):
            for port, value in zip(ports, op.transpose(down, *means, xp=self.xp), strict=True):
                # An entry of a message is an event: there is nothing left to skip.
                sent = value if op.selects else first_sent(value, 0.0, connection.beta, self.xp)
                self.values[name, port] = sent
            still = [np.zeros((1, n), bool) for n in op.n_in]
            of = op.backward_operations
            self._count(name, connection.counted[1], lambda: of(down, *still, xp=self.xp))
