"""Presentations by the dozen in jitted JAX (extra ``jax``): the sweep of ``executors.array_sweep``.

Whole batches are shown, and learnt from, within one compiled loop. The registers of the network's
elements are read before and written after a run; in between everything is JAX's, on whatever
device it has. Numbers have the type of the network's, whatever the caller's JAX is set to.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import UnsupportedError
from lava_dyads.executors.array_sweep import ArraySweep, Counts, Values
from lava_dyads.executors.step import Network
from lava_dyads.plan.plan import OUTSIDE, Port
from lava_dyads.starts import tell, took

BATCHES = 64
"""Batches that are shown in one call, at most: whoever wants to end it waits that long."""


def missing_jax() -> str | None:
    """Return why there is no JAX here, with the command that brings it; None if there is."""
    if find_spec("jax") is None:
        return "backend jax: JAX is not installed. Try: pip install 'lava_dyads[jax]'"
    return None


@contextmanager
def _numbers() -> Iterator[None]:
    """Let JAX have float64 and full products in here, and nowhere else."""
    import jax

    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with ExitStack() as stack:
        stack.enter_context(enable(True))
        stack.enter_context(jax.default_matmul_precision("highest"))
        yield


class Rows(NamedTuple):
    """The data, on the device: inputs (rows, n_in) and targets, as (rows, n_out) or as classes."""

    x: Any
    y: Any


class Way(NamedTuple):
    """How presentations are shown: nudged, learnt from, counted."""

    learn: bool
    trains: bool
    counts: bool


Numbers = Mapping[Port, list[Any]]
"""What each register's equations depend on, update by update."""


class JaxSweep:
    """Shows presentations of a network in JAX.

    Parameters
    ----------
    network : Network
        As for :class:`~lava_dyads.executors.array_sweep.ArraySweep`.
    x : array (rows, n_in)
    y : array (rows, n_out), or int array (rows,) of classes
        The data.
    batch_size : int
        Samples per update.
    skip_error : float
    counting : bool
        As for :class:`~lava_dyads.executors.sweep.SweptNetwork`.

    Raises
    ------
    UnsupportedError
        If there is no JAX.
    """

    def __init__(
        self,
        network: Network,
        x: Array,
        y: AnyArray,
        *,
        batch_size: int,
        skip_error: float = 0.0,
        counting: bool = True,
    ) -> None:
        lack = missing_jax()
        if lack:
            raise UnsupportedError(lack)
        import jax

        self._jax, self.network = jax, network
        self.lanes, self._dtype = network.lanes, network.arithmetic.dtype
        self._parts = batch_size // network.lanes
        self._skip_error, self._counting = skip_error, counting
        self._outputs, self._classes = network.outputs["output_out"], y.ndim == 1
        with _numbers():
            import jax.numpy as jnp

            self._jnp = jnp
            self._sweep = ArraySweep(network, jnp)
            self._rows = Rows(jnp.asarray(x.astype(self._dtype, copy=False)), jnp.asarray(
                y if self._classes else y.astype(self._dtype, copy=False)))  # fmt: skip
        _watch(jax)
        self._compiled: dict[Any, Any] = {}
        self._learning = [p for p, r in self._sweep.registers.items() if r.learner is not None]

    def run(self, order: IntArray, clocks: list[Clock]) -> Iterator[tuple[int, Array]]:
        """Show the presentations of a run; return how many were shown, and their outputs, in turn.

        Parameters
        ----------
        order : int array
            Rows of the data, those of a presentation one after another.
        clocks : list of Clock
            Of the presentations.
        """
        if not clocks:
            return
        if not self._compiled:
            tell("JAX compiles how batches are shown: seconds", logging.DEBUG)
        learn, frozen = clocks[0].learn, clocks[0].frozen
        for connection in self.network.connections.values():
            connection.plasticity.show(exact=not learn)
        way = Way(learn, learn and not frozen, self._counting or frozen)
        with _numbers():
            state = self._loaded(way)
        size = self._parts * self.lanes if way.trains else self.lanes
        whole, updates = len(order) // size, 0
        for begin in range(0, whole, BATCHES):
            count = min(BATCHES, whole - begin)
            rows = np.zeros((BATCHES, size), np.int32)
            rows[:count] = order[begin * size : (begin + count) * size].reshape(count, size)
            numbers = self._coefficients(updates, BATCHES, size) if way.trains else {}
            with _numbers():  # not while the caller is at work with what it gets
                state, outputs = self._batches(way)(state, self._rows, rows, numbers, count)
                shown = np.asarray(outputs[:count]).reshape(-1, self._outputs)
            updates += count
            yield count * size // self.lanes, shown
        begun = None
        for clock in clocks[whole * size // self.lanes :]:
            row = np.zeros(self.lanes, np.int32)
            row[: clock.valid] = order[clock.start : clock.start + clock.valid]
            ends, numbers = way.trains and clock.batch > 0, {}
            if ends:
                numbers = self._coefficients(updates, 1, clock.batch)
                updates += 1
            with _numbers():
                state, begun, outputs = self._one(way, ends)(
                    state, self._rows, row, numbers, clock.valid, begun
                )
                shown = np.asarray(outputs[: clock.valid])
            yield 1, shown
        self._store(state, updates if way.trains else 0)

    def _coefficients(self, done: int, count: int, samples: int) -> dict[Port, list[Array]]:
        """Return what each register's equations depend on in the next updates, (updates,) each."""
        found: dict[Any, list[Array]] = {}
        made: dict[Port, list[Array]] = {}
        for port in self._learning:
            kept = self._sweep.registers[port]
            learner = kept.learner
            assert learner is not None
            first = done + 1 + int(kept.element.memory[f"{port[1]}_updates"][0])
            scale = -1.0 / (kept.beta * samples)
            if (learner, first, scale) not in found:
                times = range(first, first + count)
                each = [(learner.kept(t), *learner.numbers(t, scale)) for t in times]
                found[learner, first, scale] = list(np.array(each, self._dtype).T)
            made[port] = found[learner, first, scale]
        return made

    def _loaded(self, way: Way) -> Any:
        """Return what all registers hold, and counters at 0."""
        parameters = {}
        for port, kept in self._sweep.registers.items():
            memory = kept.element.memory
            slots = kept.learner.slots if kept.learner and way.trains else 0
            state = [self._jnp.array(s) for s in memory[f"{port[1]}_state"][:slots]]
            parameters[port] = self._jnp.array(memory[port[1]]), tuple(state)
        return parameters, self._jnp.zeros(len(self._sweep.counters), self._jnp.int64)

    def _store(self, state: Any, updates: int) -> None:
        """Write what has been counted, and learnt in so many updates, to the registers."""
        parameters, counts = state
        for (name, counter), amount in zip(self._sweep.counters, np.asarray(counts), strict=True):
            self.network.elements[name].count(counter, int(amount))
        for port in self._learning if updates else ():
            memory = self._sweep.registers[port].element.memory
            value, slots = parameters[port]
            memory[port[1]][...] = np.asarray(value)
            for register, slot in zip(memory[f"{port[1]}_state"], slots, strict=False):
                register[...] = np.asarray(slot)
            memory[f"{port[1]}_updates"] += updates

    def _present(
        self, state: Any, data: Rows, rows: Any, way: Way, valid: Any = None
    ) -> tuple[Values, Any, Any]:
        """Show a presentation; return the signals, its output and the counters."""
        jnp, (parameters, counts) = self._jnp, state
        x, y = data.x[rows], data.y[rows]
        if self._classes:
            y = jnp.asarray(y[:, None] == jnp.arange(self._outputs), dtype=self._dtype)
        there, samples = None, self.lanes
        if valid is not None:
            there, samples = jnp.arange(self.lanes)[:, None] < valid, valid
            x, y = x * there, y * there
        values, counted = self._sweep.show(
            parameters,
            x,
            y,
            learn=way.learn,
            there=there,
            samples=samples,
            skip_error=self._skip_error,
            counting=way.counts,
        )
        if way.counts:
            counts = counts + self._vector(counted)
        return values, values[OUTSIDE, "output_out"], counts

    def _vector(self, counted: Counts) -> Any:
        amounts = [counted.get(counter, 0) for counter in self._sweep.counters]
        return self._jnp.stack([self._jnp.asarray(a, dtype=self._jnp.int64) for a in amounts])

    def _batches(self, way: Way) -> Any:
        """Return the compiled function that shows batches."""
        key = "batches", way
        if key not in self._compiled:
            self._compiled[key] = self._jax.jit(partial(self._loop, way), donate_argnums=0)
        return self._compiled[key]

    def _loop(
        self, way: Way, state: Any, data: Rows, rows: Any, numbers: Numbers, count: Any
    ) -> Any:
        """Show so many batches; return what is held then, and all outputs."""
        jnp = self._jnp

        def batch(i: Any, carried: Any) -> Any:
            (parameters, counts), outputs = carried
            total: Values = {}
            answers = []
            for part in range(0, rows.shape[1], self.lanes):
                here = rows[i, part : part + self.lanes]
                values, answer, counts = self._present((parameters, counts), data, here, way)
                answers.append(answer)
                if way.trains:
                    total = _sums(total, self._sweep.products(values))
            if way.trains:
                now = {port: [n[i] for n in each] for port, each in numbers.items()}
                parameters = self._sweep.learn(parameters, total, now)
            return (parameters, counts), outputs.at[i].set(jnp.concatenate(answers))

        outputs = jnp.zeros((*rows.shape, self._outputs), self._dtype)
        return self._jax.lax.fori_loop(0, count, batch, (state, outputs))

    def _one(self, way: Way, ends: bool) -> Any:
        """Return the compiled function that shows one presentation, some lanes without a sample."""
        key = "one", way, ends
        if key not in self._compiled:
            shown = partial(self._presentation, way, ends)
            self._compiled[key] = self._jax.jit(shown, donate_argnums=0)
        return self._compiled[key]

    def _presentation(
        self,
        way: Way,
        ends: bool,
        state: Any,
        data: Rows,
        rows: Any,
        numbers: Numbers,
        valid: Any,
        begun: Any,
    ) -> Any:
        """Show one, which may end a batch; return what is held then, sums so far, the output."""
        values, answer, counts = self._present(state, data, rows, way, valid)
        parameters = state[0]
        if way.trains:
            begun = _sums(begun or {}, self._sweep.products(values))
        if ends:
            now = {port: [n[0] for n in each] for port, each in numbers.items()}
            parameters, begun = self._sweep.learn(parameters, begun, now), None
        return (parameters, counts), begun, answer


@functools.cache
def _watch(jax: Any) -> None:
    """Take the seconds for which JAX compiles off those of whoever measures."""

    def compiled(event: str, seconds: float, **others: Any) -> None:
        if event in _COMPILES:
            took(seconds)

    jax.monitoring.register_event_duration_secs_listener(compiled)


_COMPILES = [
    f"/jax/core/compile/{part}_duration" for part in ("jaxpr_to_mlir_module", "backend_compile")
]


def _sums(one: Values, other: Values) -> Values:
    """Return the sums of products, port by port."""
    return {port: value + one[port] if port in one else value for port, value in other.items()}
