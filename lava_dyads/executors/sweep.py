"""One forward and one backward sweep: all that a network needs whose mean no nudge moves.

For a finite rule (DP-transpose at alpha 0 and 1, activation relaxation at rate 1) the messages of
a presentation add up to::

    up:    a = sum of what meets at basal_in + b       unit.step(a, nothing)   from the input up
           W mean of a connection, f(means) of a nonlinear one
    top:   u = -beta l'(mean)                          for samples that are not silent
    down:  unit.perturb(a, u)                          D = unit's error channel
           u = W^T D of a connection, (df/dmean)^T D of a nonlinear one
    (what is no event is not sent, see ``rules.meter``)
    learn: W from sum_lanes D mean^T, b from sum_lanes D, each times -1 / (beta N)

The equations are those of the units, the heads, the ops and the optimisers; only their order is
fixed here and no message is made. It is the order in which the waves of a presentation reach the
elements, each of which waits for the last of its messages, whatever the graph. A sample is
*silent* if no output error |l'(mean)_i| exceeds ``skip_error``: it sends no error event, so nothing
below works for it and no weight learns from it.

With one lane and plain gradient descent, dense weights lie in memory column by column: then an
entry of the activity that is zero costs nothing, neither on the way up nor when weights learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements import (
    Connection,
    Element,
    Head,
    Inbox,
    NonlinearConnection,
    Outbox,
    Population,
    TaughtConnection,
)
from lava_dyads.elements.clock import Clock
from lava_dyads.executors.registry import Executor, register, why_steps
from lava_dyads.executors.step import FROM_ABOVE, Network
from lava_dyads.executors.sweep_stages import (
    Linear,
    Nonlinear,
    Rows,
    Signal,
    Sum,
    Sweep,
    Top,
    Units,
)
from lava_dyads.native.registry import overlap
from lava_dyads.plan.plan import OUTSIDE, Link, Plan, Port
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.meter import events
from lava_dyads.rules.ops import Dense


def why_not(plan: Plan, arithmetic: Arithmetic) -> str | None:
    """Return why the sweep in place cannot carry out a plan; None if it can."""
    settings = plan.settings
    if settings.feedback.separate:
        return f"feedback {settings.feedback.name} has weights of its own"
    if any(part.kind is TaughtConnection for part in plan.parts.values()):
        return f"with {settings.rule.name} synapses learn from other signals than they carry"
    return why_steps(plan, arithmetic)


class SweptNetwork(Network):
    """A network that shows a whole presentation by one sweep up and one down.

    Step by step (:meth:`tick`, :meth:`settle`) it is the :class:`Network` it was made as.

    Parameters
    ----------
    sent : mapping of (element, output port) to int
        The step of a presentation in which a port sends: what comes in earlier steps is added up
        first, as the elements do.
    skip_error : float
        Largest output error |l'| of a silent sample, in units of the loss's gradient; 0: only
        samples without any error are silent.

    Other parameters are those of :class:`Network`.
    """

    executor = "sweep"
    skip_error: float = 0.0
    counting: bool = True
    """Whether learning passes count events and operations; frozen ones always do."""

    def __init__(
        self,
        elements: Mapping[str, Element],
        links: list[Link],
        *,
        sent: Mapping[Port, int],
        skip_error: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(elements, links, **options)
        self.skip_error = skip_error
        self._now = Sweep(self.arithmetic.dtype, self.lanes)
        self._swept = self._begun = False  # begun: accumulators hold a part of a batch
        layout = _Layout(self, sent)
        self._upward, self._downward = layout.upward, layout.downward
        self._x, self._y = (layout.carried[OUTSIDE, port] for port in ("input_in", "target_in"))
        self._answer = layout.answer
        self._heads = layout.heads
        self._linear = [s for s in self._upward if isinstance(s, Linear) and s.learns]
        self._units = [stage for stage in self._upward if isinstance(stage, Units)]
        self._single = (
            self.lanes == 1
            and all(stage.touches_events for stage in self._linear)
            and all(stage.population.sharing == 1 for stage in self._units)
        )
        if self._single:
            for stage in self._linear:
                memory = stage.connection.memory
                memory["weights"] = np.asfortranarray(memory["weights"])
        self.adopt_parameters()

    def map_memory(self, place: Callable[[AnyArray], AnyArray]) -> None:
        """Move the registers; what is moved lies row by row."""
        super().map_memory(place)
        self._single = False

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Show one presentation; answer with the output, (lanes, n)."""
        if not clock.valid:
            return {}
        shown = []
        for port in ("input_in", "target_in"):
            message = inbox.get(port)
            if message is None:  # silence is zeros
                message = self.arithmetic.zeros((self.lanes, self.inputs[port]))
            # A source may send other numbers: with those of the weights products are BLAS's.
            shown.append(message[: clock.valid].astype(self.arithmetic.dtype, copy=False))
        output = self.arithmetic.zeros((self.lanes, self.outputs["output_out"]))
        output[: clock.valid] = self.present(shown[0], shown[1], clock)
        return {"output_out": output}

    def present(
        self,
        x: Array,
        y: Array,
        clock: Clock,
        active: slice = slice(None),
        beside: Callable[[], None] | None = None,
    ) -> Array:
        """Show the samples of a presentation; nudge and learn where the clock says so.

        Parameters
        ----------
        x, y : arrays (valid, n_in), (valid, n_out)
        clock : Clock
        active : slice
            Columns of x outside of which there are zeros only; no product is made with them.
        beside : callable or None
            What else has to be done, while weights learn: to fetch the next samples.

        Returns
        -------
        array (valid, n_out)
            The free mean of the output; to be read before the next presentation.
        """
        counts, self._swept = self.counting or clock.frozen, False
        self._now = Sweep(self.arithmetic.dtype, self.lanes, len(x), active, counts)
        for connection in self.connections.values():
            connection.plasticity.show(exact=not clock.learn)
        self._x.value, self._y.value = self._all_lanes(x), self._all_lanes(y)
        for stage in self._upward:
            stage.up(self._now)
        if clock.learn:
            rows = self._nudge()
            for stage in self._downward:
                stage.down(self._now, rows)
            self._swept = True
            if not clock.frozen:
                with overlap():
                    self._learn(clock.batch)
                    if beside:
                        beside()
                        beside = None
        if beside:
            beside()
        self._begun = self._begun if not clock.learn or clock.frozen else not clock.batch
        answer: Array = self._answer.value[: self._now.samples]
        return answer

    def means(self) -> dict[str, Array]:
        """Return what populations have sent up in the last presentation, see :class:`Network`."""
        sent = {id(stage.population): stage.activity.value for stage in self._units}
        return {name: sent[id(p)] - p.unit.baseline for name, p in self.populations.items()}

    def gradients(self, lane: int | None = None) -> tuple[list[Array], list[Array]]:
        """Return the gradient estimates of the last sweep, or of the settled signals."""
        if not self._swept:
            return super().gradients(lane)
        rows = slice(None) if lane is None else slice(lane, lane + 1)
        count = self._now.samples if lane is None else 1
        weights, biases = [], []
        for linear in self._linear:
            found = linear.connection.op.outer(linear.below[rows], linear.above[rows])
            weights.append(found / (-linear.connection.beta * count))
        for units in self._units:
            errors = units.population.by_bias(units.errors.value[rows])
            biases.append(errors.sum(axis=0) / (-units.population.beta * count))
        return weights, biases

    def settle(self, *arguments: Any, **options: Any) -> Any:
        """Relax step by step, see :class:`Network`."""
        self._swept = False
        return super().settle(*arguments, **options)

    def _all_lanes(self, rows: Array) -> Array:
        """Return rows and, in the lanes without a sample, zeros.

        A product's rounding depends on how many rows it has: so it is that of the elements.
        """
        if len(rows) == self.lanes:
            return rows
        padded = self.arithmetic.zeros((self.lanes, rows.shape[1]))
        padded[: len(rows)] = rows
        return padded

    def _nudge(self) -> Rows:
        """Find the drives of the outputs; return which samples are not silent, None for all."""
        active: Any = False
        for top in self._heads:
            top.nudge(self._now)
            least = self.skip_error * top.head.beta
            active = active | (np.abs(top.drive.value).max(axis=1) > least)
        rows = None if active[: self._now.samples].all() else np.flatnonzero(active)
        for top in self._heads:
            if rows is not None:
                top.drive.value = top.drive.value[rows]
            if self._now.counts:
                top.head.count_sent("drive", events(top.drive.value))
        return rows

    def _learn(self, batch: int) -> None:
        """Let all weights and biases learn."""
        if self._single and batch == 1 and not self._begun:
            self._learn_events()
            return
        for linear in self._linear:
            along = linear.learn_along if linear.plain else None
            self._learn_from(linear.connection, "weights", linear.outer, batch, along)
        for units in self._units:
            self._learn_from(units.population, "bias", units.total, batch)

    def _learn_from(
        self,
        owner: Connection | Population,
        name: str,
        product: Callable[[], Array],
        batch: int,
        along: Callable[..., bool] | None = None,
    ) -> None:
        """Let a register learn from the product of what meets there, or along it at once."""
        memory, learner = owner.memory, owner.plasticity.optimiser
        if learner is None:
            return
        if not batch:
            memory[f"{name}_accumulator"] += product()
            return
        memory[f"{name}_updates"] += 1
        values, state = memory[name], memory[f"{name}_state"]
        step, scale = int(memory[f"{name}_updates"][0]), -1.0 / (owner.beta * batch)
        if name == "weights":
            learner.shrink(values, step)
        if along and not self._begun and along(learner, values, state, step, scale):
            return
        found = product()
        if self._begun:
            found += memory[f"{name}_accumulator"]
            memory[f"{name}_accumulator"].fill(0)
        learner.update(values, found, state, step, scale)

    def _learn_events(self) -> None:
        """Descend from one sample: w <- w + (eta / beta) D mean^T where mean is not zero."""
        for linear in self._linear:
            memory, learner = linear.connection.memory, linear.connection.plasticity.optimiser
            memory["weights_updates"] += 1
            if len(linear.below):
                assert isinstance(linear.op, Dense)
                assert learner is not None
                rate = learner.rate(int(memory["weights_updates"][0])) / linear.connection.beta
                step = linear.below[0] * linear.below.dtype.type(rate)
                linear.op.learn_events(memory["weights"], step, linear.above[0])
        for units in self._units:
            memory, learner = units.population.memory, units.population.plasticity.optimiser
            memory["bias_updates"] += 1
            errors = units.errors.value
            if learner is not None and len(errors):
                rate = learner.rate(int(memory["bias_updates"][0])) / units.population.beta
                memory["bias"] += errors[0] * errors.dtype.type(rate)


class _Layout:
    """What is done on the way up and on the way down, in order.

    Attributes
    ----------
    upward, downward : lists of stages
    heads : list of Top
    carried : dict of (element, output port) to signal
    answer : signal
        What arrives at the network's own output.
    """

    def __init__(self, network: Network, sent: Mapping[Port, int]) -> None:
        self._network, self._sent = network, sent
        self._sources = network.sources
        self._met: dict[tuple[int, tuple[Port, ...]], Signal] = {}
        self.carried = {(OUTSIDE, p): Signal() for p in ("input_in", "target_in")}
        self.upward: list[Any] = []
        self.downward: list[Any] = []
        self.heads: list[Top] = []
        self._adds = self.upward
        reached = network.reached_by(lambda port: port not in FROM_ABOVE)
        stages: dict[str, Any] = {name: self._stage(name) for name in reached
                                  if not isinstance(network.elements[name], Head)}  # fmt: skip
        self.answer = self._meet(OUTSIDE, "output_out")
        self._adds = self.downward
        for name, element in network.elements.items():
            if isinstance(element, Head):
                top = Top(element, self._meet(name, "mean_in"), self._meet(name, "target_in"))
                self.carried[name, "drive_out"] = top.drive
                self.heads.append(top)
        for name, stage in reversed(stages.items()):
            entry = "apical_in" if isinstance(stage, Units) else "difference_in"
            if (name, entry) in self._sources:  # else only data below
                stage.listen(self._meet(name, entry))
                self.downward.append(stage)
                self._carry_down(name, stage)

    def _stage(self, name: str) -> Any:
        """Return what an element does in a sweep, put in its place on the way up."""
        element = self._network.elements[name]
        stage: Linear | Nonlinear | Units
        if isinstance(element, Connection):
            from_data = self._sources[name, "mean_in"] == [(OUTSIDE, "input_in")]
            mean = self._meet(name, "mean_in")
            stage = Linear(element, self._network.lanes, mean, from_data=from_data)
            self.carried[name, "basal_out"] = stage.basal
        elif isinstance(element, NonlinearConnection):
            means = [self._meet(name, port) for port in element.up_ports(element.nonlinear_op)]
            stage = Nonlinear(element, means)
            self.carried[name, "basal_out"] = stage.basal
        else:
            assert isinstance(element, Population)
            stage = Units(element, self._meet(name, "basal_in"))
            self.carried[name, f"{element.unit.up}_out"] = stage.activity
            self.carried[name, f"{element.unit.down}_out"] = stage.errors
        self.upward.append(stage)
        return stage

    def _carry_down(self, name: str, stage: Any) -> None:
        """Note what an element sends down."""
        if isinstance(stage, Linear) and stage.apical is not None:
            self.carried[name, "apical_out"] = stage.apical
        elif isinstance(stage, Nonlinear):
            ports = stage.connection.back_ports(stage.connection.nonlinear_op)
            self.carried |= {(name, p): s for p, s in zip(ports, stage.apical, strict=True)}

    def _meet(self, name: str, port: str) -> Signal:
        """Return what meets at a port, added up in the order in which it comes.

        Ports that have heard the same so far share the sum: a network of many skips would need
        the square of its depth otherwise.
        """
        sources = sorted(self._sources[name, port], key=lambda source: self._sent[source])
        met: Signal | None = None
        for _, group in groupby(sources, key=lambda source: self._sent[source]):
            messages = tuple(group)
            if met is None and len(messages) == 1:
                met = self.carried[messages[0]]
                continue
            known = id(met), messages
            if known not in self._met:
                signals = [self.carried[message] for message in messages]
                addition = Sum([] if met is None else [met], signals)
                self._adds.append(addition)
                self._met[known] = addition.signal
            met = self._met[known]
        assert met is not None
        return met


def _build(elements: Mapping[str, Element], plan: Plan, lanes: int) -> SweptNetwork:
    steps, read = plan.timing.steps, plan.timing.read_step
    sent = {link[:2]: plan.sent(*link[:2]) for link in plan.links}
    return SweptNetwork(elements, plan.links, sent=sent, lanes=lanes, steps=steps, read_step=read)


register(Executor("sweep", "one sweep up and one down", 2, why_not, _build))
