"""What each element does in a sweep, see ``executors.sweep``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements import Connection, Head, NonlinearConnection, Population
from lava_dyads.elements.connection import NOTHING
from lava_dyads.executors.step import together
from lava_dyads.rules.meter import events, first_sent
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import SGD, Optimiser

Rows = AnyArray | None
"""Samples that are not silent; None: all lanes."""


@dataclass
class Sweep:
    """The presentation that is being shown.

    Attributes
    ----------
    dtype : dtype
        Of what ports carry.
    lanes, samples : int
        Lanes, and how many of them carry a sample: the first ones.
    active : slice
        Columns of the input outside of which there are zeros only.
    counts : bool
        Whether events and operations are counted.
    """

    dtype: np.dtype[Any]
    lanes: int
    samples: int = 0
    active: slice = field(default_factory=lambda: slice(None))  # Python 3.11 takes no other
    counts: bool = True

    def still(self, registers: Iterable[Array]) -> None:
        """Let lanes without a sample say nothing."""
        for register in registers:
            register[self.samples :] = 0


class Signal:
    """What a port carries in a sweep, (lanes, n)."""

    __slots__ = ("value",)
    value: Array


class Sum:
    """What has met at ports up to a step: what had met before, and the messages of that step."""

    def __init__(self, earlier: list[Signal], messages: list[Signal]) -> None:
        self.signal, self._earlier, self._messages = Signal(), earlier, messages

    def up(self, sweep: Sweep, rows: Rows = None) -> None:
        """Add up, in numbers as wide as ports have, what comes in one step."""
        met = reduce(together, [message.value for message in self._messages])
        met = met.astype(sweep.dtype, copy=False)
        for earlier in self._earlier:
            met = earlier.value + met
        self.signal.value = met

    down = up


class Linear:
    """A connection in a sweep.

    ``below`` and ``above`` are the two signals that meet at the weights, of the samples that are
    not silent: errors (samples, n_out) and activities (samples, n_in).
    """

    below: Array
    above: Array

    def __init__(
        self, connection: Connection, lanes: int, mean: Signal, *, from_data: bool
    ) -> None:
        self.connection, self._mean, self.basal = connection, mean, Signal()
        self.op, zeros = connection.op, connection.arithmetic.zeros
        self.learns = not connection.weightless
        # Looked up each time: registers may move. Feedback is tied where one sweep is enough.
        self._weights = connection.memory if self.learns else {"weights": NOTHING}
        self.plain, self._from_data = type(self.op) is Dense, from_data
        self._workspace = zeros((lanes, self.op.n_out))
        self._product = zeros(self.op.shape)
        self._active = slice(None)
        self.difference: Signal | None = None
        self.apical: Signal | None = None
        self._heard = zeros((lanes, self.op.n_in) if self.learns else (0, 0))
        self._back: Array | None = None

    @property
    def touches_events(self) -> bool:
        """Whether a single lane may touch but the weights where there are events."""
        learner = self.connection.plasticity.optimiser
        return self.plain and isinstance(learner, SGD) and not learner.loss_per_update

    def listen(self, difference: Signal) -> None:
        """Take what comes from above, and pass it on where somebody wants it."""
        self.difference = difference
        if "apical_out" in self.connection.listened:
            self.apical = Signal()
            self._back = self.connection.arithmetic.zeros((len(self._workspace), self.op.n_in))

    def up(self, sweep: Sweep) -> None:
        """W mean."""
        weights, up, active = self._weights["weights"], self._mean.value, sweep.active
        if self.plain and sweep.lanes == 1 and not weights.flags.c_contiguous:
            assert isinstance(self.op, Dense)
            self.op.forward_events(weights, up[0], self._workspace[0])
            self.basal.value = self._workspace
        elif self.plain and self._from_data:
            self.basal.value = self.op.forward(weights[:, active], up[:, active], self._workspace)
        else:
            self.basal.value = self.op.forward(weights, up, self._workspace)
        if sweep.counts:
            counted = self.connection.counted[0]
            self.connection.count(counted, self.op.forward_operations(up))

    def down(self, sweep: Sweep, rows: Rows) -> None:
        """W^T D, where somebody listens."""
        assert self.difference
        connection, op, down = self.connection, self.op, self.difference.value
        up = self._mean.value
        if self.learns:
            if rows is not None:
                up = np.take(up, rows, 0, self._heard[: len(rows)], "clip")
            self.below, self.above = down, up
            self._active = sweep.active if self.plain and self._from_data else slice(None)
        if self.apical is not None:
            assert self._back is not None
            room = self._back[: len(down)]
            self.apical.value = op.transpose(self._weights["weights"], down, room)
        if sweep.counts:
            if self.apical is not None:
                connection.count(connection.counted[1], op.backward_operations(down))
            if self.learns:
                connection.count("learning", op.learning_operations(down, up))

    def outer(self) -> Array:
        """Return the sum of all products that meet at the weights."""
        if self._active == slice(None):
            return self.op.outer(self.below, self.above, self._product)
        active, made = self._active, self._product
        made[:, : active.start] = 0
        made[:, active.stop :] = 0
        self.op.outer(self.below, self.above[:, active], made[:, active])
        return made

    def learn_along(
        self, learner: Optimiser, weights: Array, state: Array, step: int, scale: float
    ) -> bool:
        """Learn at once, where there is a quick way; tell whether there was."""
        workspace = self._product
        return learner.update_along(weights, self.below, self.above, state, step, scale, workspace)


class Nonlinear:
    """A nonlinear connection in a sweep."""

    def __init__(self, connection: NonlinearConnection, means: list[Signal]) -> None:
        self.connection, self._means, self.basal = connection, means, Signal()
        self.difference: Signal | None = None
        self.apical = [Signal() for _ in means]

    def listen(self, difference: Signal) -> None:
        """Take what comes from above."""
        self.difference = difference

    def up(self, sweep: Sweep) -> None:
        """f(means)."""
        connection, held = self.connection, [mean.value for mean in self._means]
        self.basal.value = first_sent(connection.nonlinear_op.forward(*held), 0.0, 1.0)
        if sweep.counts:
            connection.count(
                connection.counted[0], connection.nonlinear_op.forward_operations(*held)
            )

    def down(self, sweep: Sweep, rows: Rows) -> None:
        """(df / dmeans)^T D."""
        assert self.difference
        connection, op, down = self.connection, self.connection.nonlinear_op, self.difference.value
        held = [mean.value if rows is None else mean.value[rows] for mean in self._means]
        if not any(port in connection.listened for port in connection.back_ports(op)):
            return
        for apical, value in zip(self.apical, op.transpose(down, *held), strict=True):
            # An entry of a message is an event: there is nothing left to silence.
            apical.value = value if op.selects else first_sent(value, 0.0, connection.beta)
        if sweep.counts:
            still = [np.zeros((1, n), bool) for n in op.n_in]
            connection.count(connection.counted[1], op.backward_operations(down, *still))


class Units:
    """A population in a sweep."""

    def __init__(self, population: Population, basal: Signal) -> None:
        self.population, self._basal = population, basal
        self._drive = population.arithmetic.zeros((population.lanes, population.n))
        self.activity, self.errors = Signal(), Signal()
        self.apical: Signal | None = None

    def listen(self, apical: Signal) -> None:
        """Take what comes from above."""
        self.apical = apical

    def up(self, sweep: Sweep) -> None:
        """Integrate, and send the activity."""
        population, unit, state = self.population, self.population.unit, self.population.state
        np.add(self._basal.value, population.bias, out=self._drive)
        unit.step(state, self._drive, None, population.arithmetic)
        if sweep.samples < sweep.lanes:
            sweep.still(state.values())
        sent = first_sent(unit.emit(state, unit.up), population.threshold, 1.0)
        self.activity.value = sent
        if sweep.counts:
            population.count_sent(unit.up, events(sent))

    def down(self, sweep: Sweep, rows: Rows) -> None:
        """Take the nudge, and send the error."""
        assert self.apical
        population, unit, state = self.population, self.population.unit, self.population.state
        numbers, apical = population.arithmetic, self.apical.value
        if rows is None:
            unit.perturb(state, self._drive, apical, numbers)
            if sweep.samples < sweep.lanes:
                sweep.still(state.values())
        else:
            there = {name: register[rows] for name, register in state.items()}
            unit.perturb(there, self._drive[rows], apical, numbers)
            for name, register in state.items():
                register[rows] = there[name]
        least = population.error_threshold * population.beta
        shown = state if rows is None else there
        self.errors.value = first_sent(unit.emit(shown, unit.down), least, population.beta)
        if sweep.counts:
            population.count_sent(unit.down, events(self.errors.value))
            if rows is None:
                there = {name: register[: sweep.samples] for name, register in state.items()}
            population.count_settled(there, sweep.samples)

    def total(self) -> Array:
        """Return what the bias learns from: the sum of the errors over lanes."""
        errors = self.population.by_bias(self.errors.value)
        return np.ones(len(errors), errors.dtype) @ errors  # a third of the time of a sum


class Top:
    """A head in a sweep."""

    def __init__(self, head: Head, mean: Signal, target: Signal) -> None:
        self.head, self._mean, self._target, self.drive = head, mean, target, Signal()

    def nudge(self, sweep: Sweep) -> None:
        """-beta l'(mean)."""
        drive = self.head.drive(self._mean.value, self._target.value)
        if sweep.samples < sweep.lanes:
            sweep.still([drive])
        self.drive.value = first_sent(drive, self.head.threshold, self.head.beta)
