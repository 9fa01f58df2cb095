"""One forward and one backward sweep: all that a network needs whose mean no nudge moves.

For a finite rule (DP-transpose at alpha 0 and 1, activation relaxation at rate 1) the messages of
a presentation add up to::

    up:    a_k = W_k mean_{k-1} + b_k             unit.step(a_k, nothing)       k = 1 .. L
    top:   u_L = -beta l'(mean_L)                 for samples that are not silent
    down:  unit.perturb(a_k, u_k)                   D_k = unit's error channel    k = L .. 1
           u_{k-1} = W_k^T D_k
    (what does not exceed a threshold is not sent: theta for means, theta' beta for the rest)
    learn: W_k from sum_lanes D_k mean_{k-1}^T, b_k from sum_lanes D_k, each times -1 / (beta N)

The equations are those of the units, the head, the connections and the optimisers; only their
order is fixed here and no message is made. A sample is *silent* if no output error |l'(mean_L)_i|
exceeds ``silence``: it sends no error event, so nothing below works for it and no weight learns
from it.

With one lane and plain gradient descent, weights lie in memory column by column: then an entry of
the activity that is zero costs nothing, neither on the way up nor when weights learn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lava_dyads.rules._types import AnyArray, Array
from lava_dyads.rules.clock import Clock
from lava_dyads.rules.coding import FLOOR
from lava_dyads.rules.elements import Connection, Head, Inbox, Outbox, Population
from lava_dyads.rules.engine import Network
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import SGD

Step = Callable[[], None]

WORTH_SHARING = 1 << 21
"""Products of a sweep up (lanes times weights) from which on several threads share a sweep."""

WORTH_A_THREAD = 16
"""Lanes from which on a thread takes a part of them: for fewer, products cost what weights cost."""


@dataclass
class _Layer:
    """A connection, the population above it, and the arrays that every sweep writes anew.

    ``heard`` is what the connection has heard from below, of the samples that are not silent;
    ``down`` is what the population answers for them.
    """

    connection: Connection
    population: Population
    basal: Array
    apical: Array
    heard: Array
    down: Array
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
    threads: int = 1
    """Threads that share a sweep: lanes on the way up and down, weights when they learn."""
    _helpers: Executor | None = None
    sharing: bool = False
    """Whether whoever shows it samples should let threads share sweeps, :meth:`shared_by`."""
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
                down=zeros((self.lanes, population.n)),
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
        self._output = self._ones
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
        output[: clock.valid] = self.present(x[: clock.valid], y[: clock.valid], clock)
        return {"output_out": output}

    def present(
        self,
        x: Array,
        y: Array,
        clock: Clock,
        active: slice = slice(None),
        beside: Step | None = None,
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
        output = self._up(x, y if clock.learn else None)
        if counts:
            self._count_up()
        steps = [beside] if beside else []
        if clock.learn:
            rows = self._down(len(x))
            if counts:
                self._count_down(rows)
            if not clock.frozen:
                steps = self._learning(clock.batch) + steps
        side_by_side(steps, self._helpers, self.threads)
        self._begun = self._begun if not clock.learn or clock.frozen else not clock.batch
        return output

    @contextmanager
    def shared_by(self, threads: int) -> Iterator[None]:
        """Let some threads share the work; afterwards none of them is left.

        Then a product has one thread: those of a BLAS library would wait for each other at every
        product. With the cores to themselves they are the faster way, among others the slower.
        """
        weights = sum(layer.product.size for layer in self._layers)
        if threads == 1 or self.lanes * weights < WORTH_SHARING:
            yield
            return
        with ThreadPoolExecutor(threads - 1) as self._helpers, threadpool_limits(1, "blas"):
            self.threads = threads
            try:
                yield
            finally:
                self.threads, self._helpers = 1, None

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

    def _up(self, x: Array, y: Array | None) -> Array:
        """Go up, and find the drive of the output if there is a target; return the output."""
        self._count, self._downs = len(x), []
        self._in_parts(partial(self._lanes_up, x, y), len(x))
        self._ups = [x]
        for layer in self._layers:
            state, unit = self._state(layer, slice(0, len(x))), layer.population.unit
            self._ups.append(_sent(unit.emit(state, unit.up), layer.population.threshold))
        self._output = self._ups.pop()
        return self._output

    def _in_parts(self, work: Callable[[slice], None], rows: int) -> None:
        """Do some work on all rows, as many at a time as there are threads."""
        number = min(self.threads, max(1, rows // WORTH_A_THREAD))
        steps: list[Step] = [partial(work, part) for part in _parts(rows, number)]
        side_by_side(steps, self._helpers, self.threads)

    def _lanes_up(self, x: Array, y: Array | None, lanes: slice) -> None:
        """Go up with some of the lanes, and find what drives the output."""
        up = x[lanes]
        for layer in self._layers:
            basal, op, unit = layer.basal[lanes], layer.connection.op, layer.population.unit
            if self._single and isinstance(op, Dense):
                op.forward_events(layer.weights, up[0], basal[0])
            elif layer is self._layers[0]:
                op.forward(layer.weights[:, self._active], up[:, self._active], basal)
            else:
                op.forward(layer.weights, up, basal)
            basal += layer.population.memory["bias"]
            state = self._state(layer, lanes)
            unit.step(state, basal, None, self.arithmetic)
            up = _sent(unit.emit(state, unit.up), layer.population.threshold)
        if y is not None:
            self._drive[lanes] = _sent(self._top.drive(up, y[lanes]), self._top.threshold)

    def _state(self, layer: _Layer, lanes: Any) -> dict[str, Array]:
        return {name: register[lanes] for name, register in layer.population.state.items()}

    def _down(self, count: int) -> AnyArray | None:
        """Nudge from the top down; return which samples are not silent, None for all."""
        drive = self._drive[:count]
        loud = np.abs(drive).max(axis=1) > self.silence * self._top.beta
        rows = None if loud.all() else np.flatnonzero(loud)
        count = count if rows is None else len(rows)
        self._in_parts(partial(self._lanes_down, drive, rows), count)
        self._downs = [layer.down[:count] for layer in self._layers]
        if rows is not None:
            self._ups = [layer.heard[:count] for layer in self._layers]
        return rows

    def _lanes_down(self, drive: Array, rows: AnyArray | None, part: slice) -> None:
        """Nudge a part of the samples that are not silent."""
        chosen: Any = part if rows is None else rows[part]
        apical = drive[chosen]
        for k in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[k]
            unit, state = layer.population.unit, self._state(layer, chosen)
            unit.perturb(state, layer.basal[chosen], apical, self.arithmetic)
            if rows is not None:
                for name, register in layer.population.state.items():
                    register[chosen] = state[name]
                np.take(self._ups[k], chosen, 0, layer.heard[part], "clip")
            least = layer.population.error_threshold * layer.population.beta
            down = layer.down[part]
            down[:] = _sent(unit.emit(state, unit.down), least)
            if k:
                below = self._layers[k - 1].apical[part]
                apical = layer.connection.op.transpose(layer.weights, down, below)

    def _learning(self, batch: int) -> list[Step]:
        """Return what has to be done for all weights and biases to learn."""
        if self._single and batch == 1 and not self._begun:
            return [self._learn_events]
        steps: list[Step] = []
        for layer, down, up in zip(self._layers, self._downs, self._ups, strict=True):
            if layer.connection.plasticity.optimiser is None:
                continue
            if batch:
                layer.connection.memory["weights_updates"] += 1
                layer.population.memory["bias_updates"] += 1
            work = partial(self._neurons_learn, layer, down, up, batch)
            steps += [partial(work, part) for part in _parts(len(layer.product), self.threads)]
        return steps

    def _neurons_learn(
        self, layer: _Layer, down: Array, up: Array, batch: int, neurons: slice
    ) -> None:
        """Let some neurons of a layer learn their weights and biases."""
        down, scale = down[:, neurons], -1.0 / (layer.connection.beta * max(1, batch))
        for owner, name in ((layer.connection, "weights"), (layer.population, "bias")):
            memory, learner = owner.memory, owner.plasticity.optimiser
            assert learner is not None
            values, state = memory[name][neurons], memory[f"{name}_state"][:, neurons]
            step, alone = int(memory[f"{name}_updates"][0]), batch and not self._begun
            if name == "weights":
                if batch:
                    learner.shrink(values, step)
                if alone and learner.update_from_events(values, down, up, state, step, scale):
                    continue
                found = self._product(layer, down, up, neurons)
            else:
                found = self._ones[: len(down)] @ down
            if self._whole(memory[f"{name}_accumulator"][neurons], found, batch):
                learner.update(values, found, state, step, scale)

    def _product(self, layer: _Layer, down: Array, up: Array, neurons: slice) -> Array:
        """Return the sum of all products that meet at the synapses of some neurons."""
        product = layer.product[neurons]
        active = self._active if layer is self._layers[0] else slice(None)
        if active != slice(None):
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

    def _count_up(self) -> None:
        """Count what goes up: an entry that is not zero is an event."""
        below = self._ups[0]
        for k, layer in enumerate(self._layers):
            events = _events(below, 0.0)
            layer.connection.count("forward", events * layer.connection.op.n_out)
            up = layer.population.unit.up
            below = self._ups[k + 1] if k + 1 < len(self._layers) else self._output
            sent = _events(below, FLOOR)
            layer.population.count(f"events_{up}", sent)
            layer.population.count(f"messages_{up}", int(sent > 0))

    def _count_down(self, rows: AnyArray | None) -> None:
        """Count what goes down, what meets at the synapses, and what straddles a kink."""
        head, chosen = self._top, slice(0, self._count) if rows is None else rows
        for k, (layer, down, up) in enumerate(
            zip(self._layers, self._downs, self._ups, strict=True)
        ):
            population, connection = layer.population, layer.connection
            name, floor = population.unit.down, FLOOR * population.beta
            per_lane = _per_lane(down, floor)
            sent = int(per_lane.sum())
            population.count(f"events_{name}", sent)
            population.count(f"messages_{name}", int(sent > 0))
            connection.count("learning", int(per_lane @ _per_lane(up, 0.0)))
            if k:
                connection.count("backward", sent * connection.op.n_in)
            state = {n: register[chosen] for n, register in population.state.items()}
            straddling = population.unit.straddling(state)
            population.count("settled", self._count * population.n)
            if straddling is not None:
                population.count("straddling", int(np.count_nonzero(straddling)))
        # The output is linear: what it answers with is what the head has driven it by.
        population = self._layers[-1].population
        driven = _events(self._downs[-1], FLOOR * population.beta)
        head.count("events_drive", driven)
        head.count("messages_drive", int(driven > 0))


def _parts(rows: int, number: int) -> list[slice]:
    """Cut rows into a number of parts of about the same size."""
    edges = [rows * i // number for i in range(number + 1)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def side_by_side(steps: list[Step], helpers: Executor | None, threads: int) -> None:
    """Do everything; each thread takes the next step when it is done with one.

    Numpy and compiled kernels let go of the interpreter, so threads do work side by side.
    """
    left = deque(steps)

    def work() -> None:
        while True:
            try:
                step = left.popleft()
            except IndexError:
                return
            step()

    others = [helpers.submit(work) for _ in range(min(threads, len(steps)) - 1)] if helpers else []
    work()
    for other in others:
        other.result()


def _sent(values: Array, threshold: float) -> Array:
    """Return what a channel sends: what exceeds its threshold, else nothing."""
    if not threshold:
        return values
    return np.where(np.abs(values) > threshold, values, values.dtype.type(0))


def _moved(values: Array, floor: float) -> AnyArray:
    """Return which entries are events: more than rounding."""
    return np.not_equal(values, 0) if floor == 0.0 else np.abs(values) > floor


def _events(values: Array, floor: float) -> int:
    return int(np.count_nonzero(_moved(values, floor)))


def _per_lane(values: Array, floor: float) -> AnyArray:
    return np.asarray(_moved(values, floor).sum(axis=1))
