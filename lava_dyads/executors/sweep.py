"""One forward and one backward sweep: all that a network needs whose mean no nudge moves.

For a finite rule (DP-transpose at alpha 0 and 1, activation relaxation at rate 1) the messages of
a presentation add up to::

    up:    a_k = W_k mean_{k-1} + b_k             unit.step(a_k, nothing)       k = 1 .. L
    top:   u_L = -beta l'(mean_L)                 for samples that are not silent
    down:  unit.perturb(a_k, u_k)                   D_k = unit's error channel    k = L .. 1
           u_{k-1} = W_k^T D_k
    (what is no event is not sent, see ``rules.meter``)
    learn: W_k from sum_lanes D_k mean_{k-1}^T, b_k from sum_lanes D_k, each times -1 / (beta N)

The equations are those of the units, the head, the connections and the optimisers; only their
order is fixed here and no message is made. A sample is *silent* if no output error |l'(mean_L)_i|
exceeds ``silence``: it sends no error event, so nothing below works for it and no weight learns
from it.

With one lane and plain gradient descent, weights lie in memory column by column: then an entry of
the activity that is zero costs nothing, neither on the way up nor when weights learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements import Connection, Head, Inbox, Outbox, Population
from lava_dyads.elements.clock import Clock
from lava_dyads.executors.step import Network
from lava_dyads.native.registry import later
from lava_dyads.rules.meter import events, first_sent
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import SGD


@dataclass
class _Layer:
    """A connection, the population above it, and the arrays that every sweep writes anew.

    ``heard`` is what the connection has heard from below, of the samples that are not silent.
    """

    connection: Connection
    population: Population
    basal: Array
    apical: Array
    heard: Array
    product: Array

    @property
    def weights(self) -> Array:
        return self.connection.memory["weights"]


class SweptNetwork(Network):
    """A network that shows a whole presentation by one sweep up and one down.

    Step by step (:meth:`tick`, :meth:`settle`) it is the :class:`Network` it was made as.

    Parameters
    ----------
    silence : float
        Largest output error |l'| of a silent sample, in units of the loss's gradient; 0: only
        samples without any error are silent.
    """

    silence: float = 0.0
    counting: bool = True
    """Whether learning passes count events and operations; frozen ones always do."""

    def __init__(self, *arguments: Any, silence: float = 0.0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.silence = silence
        assert self.head is not None
        self._top: Head = self.head
        pairs = zip(self.connections.values(), self.populations.values(), strict=True)
        zeros = self.arithmetic.zeros
        self._layers = [
            _Layer(
                connection,
                population,
                basal=zeros((self.lanes, population.n)),
                apical=zeros((self.lanes, population.n)),
                heard=zeros((self.lanes, connection.op.n_in)),
                product=zeros((population.n, connection.op.n_in)),
            )
            for connection, population in pairs
        ]
        self._single = self.lanes == 1 and all(self._by_columns(layer) for layer in self._layers)
        self.adopt_parameters()
        self._ones = zeros((self.lanes,)) + 1
        self._drive = zeros((self.lanes, self._layers[-1].population.n))
        self._active = slice(None)
        self._begun = False  # whether the accumulators hold a part of a batch
        self._count = 0
        self._ups: list[Array] = []
        self._downs: list[Array] = []

    @staticmethod
    def _by_columns(layer: _Layer) -> bool:
        """Put the weights in order for a single lane, where no optimiser wants them otherwise."""
        learner, op = layer.connection.plasticity.optimiser, layer.connection.op
        if not (isinstance(learner, SGD) and isinstance(op, Dense)) or learner.loss_per_update:
            return False
        memory = layer.connection.memory
        memory["weights"] = np.asfortranarray(memory["weights"])
        return True

    def map_memory(self, place: Callable[[AnyArray], AnyArray]) -> None:
        """Move the registers; what is moved lies row by row."""
        super().map_memory(place)
        self._single = False

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Show one presentation; answer with the output, (lanes, n)."""
        if not clock.valid:
            return {}
        x, y = inbox.get("input_in"), inbox.get("target_in")
        output = self.arithmetic.zeros((self.lanes, self._layers[-1].population.n))
        if x is None:  # silence is zeros
            x = self.arithmetic.zeros((self.lanes, self._layers[0].connection.op.n_in))
        if y is None:
            y = np.zeros_like(output)
        # A source may send other numbers: with those of the weights every product is one of BLAS.
        x, y = x.astype(output.dtype, copy=False), y.astype(output.dtype, copy=False)
        output[: clock.valid] = self.present(x[: clock.valid], y[: clock.valid], clock)
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
            The free mean of the output.
        """
        counts = self.counting or clock.frozen
        self._active = active
        for layer in self._layers:
            layer.connection.plasticity.show(exact=not clock.learn)
        self._count = len(x)
        output = self._up(self._all_lanes(x))
        if counts:
            self._count_up(output)
        if clock.learn:
            self._nudge(output, self._all_lanes(y))
            rows = self._down()
            if counts:
                self._count_down(rows)
            if not clock.frozen:
                with later():
                    self._learn(clock.batch)
                    if beside:
                        beside()
                        beside = None
        if beside:
            beside()
        self._begun = self._begun if not clock.learn or clock.frozen else not clock.batch
        return output[: self._count]

    def gradients(self, lane: int | None = None) -> tuple[list[Array], list[Array]]:
        """Return the gradient estimates of the last sweep, or of the settled signals."""
        if not self._downs:
            return super().gradients(lane)
        rows = slice(None) if lane is None else slice(lane, lane + 1)
        scale = -1.0 / (self._top.beta * (self._count if lane is None else 1))
        pairs = zip(self._layers, self._downs, self._ups, strict=True)
        weights = [scale * la.connection.op.outer(d[rows], up[rows]) for la, d, up in pairs]
        return weights, [scale * d[rows].sum(axis=0) for d in self._downs]

    def settle(self, *arguments: Any, **options: Any) -> Any:
        """Relax step by step, see :class:`Network`."""
        self._downs = []
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

    def _still(self, registers: Iterable[Array]) -> None:
        """Let lanes without a sample say nothing."""
        if self._count < self.lanes:
            for register in registers:
                register[self._count :] = 0

    def _up(self, up: Array) -> Array:
        """Go up; return the output."""
        self._downs, self._ups = [], []
        for layer in self._layers:
            self._ups.append(up)
            basal, op, population = layer.basal, layer.connection.op, layer.population
            if self._single and isinstance(op, Dense):
                op.forward_events(layer.weights, up[0], basal[0])
            elif layer is self._layers[0]:
                op.forward(layer.weights[:, self._active], up[:, self._active], basal)
            else:
                op.forward(layer.weights, up, basal)
            basal += population.memory["bias"]
            unit, state = population.unit, population.state
            unit.step(state, basal, None, self.arithmetic)
            self._still(state.values())
            up = first_sent(unit.emit(state, unit.up), population.threshold, 1.0)
        return up

    def _nudge(self, output: Array, target: Array) -> None:
        """Find the drive of the output."""
        head = self._top
        self._drive = first_sent(head.drive(output, target), head.threshold, head.beta)
        self._still([self._drive])

    def _down(self) -> AnyArray | None:
        """Go down from the drive; return which samples are not silent, None for all."""
        drive = self._drive
        loud = np.abs(drive).max(axis=1) > self.silence * self._top.beta
        rows = None if loud[: self._count].all() else np.flatnonzero(loud)
        apical = drive if rows is None else drive[rows]
        for k in range(len(self._layers) - 1, -1, -1):
            layer, count = self._layers[k], len(apical)
            unit, state = layer.population.unit, layer.population.state
            if rows is None:
                unit.perturb(state, layer.basal, apical, self.arithmetic)
                self._still(state.values())
            else:
                state = {name: register[rows] for name, register in state.items()}
                unit.perturb(state, layer.basal[rows], apical, self.arithmetic)
                for name, register in layer.population.state.items():
                    register[rows] = state[name]
                self._ups[k] = np.take(self._ups[k], rows, 0, layer.heard[:count], "clip")
            least = layer.population.error_threshold * layer.population.beta
            down = first_sent(unit.emit(state, unit.down), least, layer.population.beta)
            self._downs.append(down)
            if k:
                below = self._layers[k - 1].apical[:count]
                apical = layer.connection.op.transpose(layer.weights, down, below)
        self._downs.reverse()
        return rows

    def _learn(self, batch: int) -> None:
        """Let all weights and biases learn."""
        if self._single and batch == 1 and not self._begun:
            self._learn_events()
            return
        for layer, down, up in zip(self._layers, self._downs, self._ups, strict=True):
            for owner, name in ((layer.connection, "weights"), (layer.population, "bias")):
                memory, learner = owner.memory, owner.plasticity.optimiser
                if learner is None:
                    continue
                if batch:
                    memory[f"{name}_updates"] += 1
                values, state = memory[name], memory[f"{name}_state"]
                step = int(memory[f"{name}_updates"][0])
                scale = -1.0 / (layer.connection.beta * max(1, batch))
                if name == "weights":
                    if batch:
                        learner.shrink(values, step)
                    alone = batch and not self._begun
                    if alone and learner.update_along(
                        values, down, up, state, step, scale, layer.product
                    ):
                        continue
                    found = self._product(layer, down, up)
                else:
                    found = self._ones[: len(down)] @ down
                if self._whole(memory[f"{name}_accumulator"], found, batch):
                    learner.update(values, found, state, step, scale)

    def _product(self, layer: _Layer, down: Array, up: Array) -> Array:
        """Return the sum of all products that meet at the synapses."""
        product, active = layer.product, self._active
        if layer is not self._layers[0] or active == slice(None):
            return layer.connection.op.outer(down, up, product)
        product[:, : active.start] = 0
        product[:, active.stop :] = 0
        layer.connection.op.outer(down, up[:, active], product[:, active])
        return product

    def _learn_events(self) -> None:
        """Descend from one sample: w <- w + (eta / beta) D mean^T where mean is not zero."""
        for layer, down, up in zip(self._layers, self._downs, self._ups, strict=True):
            learner, op = layer.connection.plasticity.optimiser, layer.connection.op
            assert isinstance(learner, SGD)
            assert isinstance(op, Dense)
            for memory, name in ((layer.connection.memory, "weights"),
                                 (layer.population.memory, "bias")):  # fmt: skip
                memory[f"{name}_updates"] += 1
            if len(down):
                rate = learner.rate(int(layer.connection.memory["weights_updates"][0]))
                step = down[0] * down.dtype.type(rate / layer.connection.beta)
                op.learn_events(layer.weights, step, up[0])
                layer.population.memory["bias"] += step

    def _whole(self, accumulator: Array, product: Array, batch: int) -> bool:
        """Add up the products of a batch in one of the two; tell whether it is complete."""
        if not batch:
            accumulator += product
        elif self._begun:
            product += accumulator
            accumulator.fill(0)
        return bool(batch)

    def _count_up(self, output: Array) -> None:
        """Count what goes up."""
        for layer, below, up in zip(self._layers, self._ups, [*self._ups[1:], output], strict=True):
            connection, population = layer.connection, layer.population
            connection.count("forward", connection.op.forward_operations(below))
            population.count_sent(population.unit.up, events(up))

    def _count_down(self, rows: AnyArray | None) -> None:
        """Count what goes down, what meets at the synapses, and what straddles a kink."""
        self._top.count_sent("drive", events(self._drive if rows is None else self._drive[rows]))
        chosen = slice(0, self._count) if rows is None else rows
        for layer, down, up in zip(self._layers, self._downs, self._ups, strict=True):
            population, connection = layer.population, layer.connection
            population.count_sent(population.unit.down, events(down))
            connection.count("learning", connection.op.learning_operations(down, up))
            if layer is not self._layers[0]:
                connection.count("backward", connection.op.backward_operations(down))
            state = {name: register[chosen] for name, register in population.state.items()}
            population.count_settled(state, self._count)
