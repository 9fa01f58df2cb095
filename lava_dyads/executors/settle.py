"""Relaxation: steps until silence, and how far the state is from rest then."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import repeat
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
)
from lava_dyads.elements.base import Trainable
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import UnsupportedError
from lava_dyads.plan.plan import OUTSIDE, Port

_HOPELESS = 1e50
"""A state beyond this has diverged; there is no need to wait until it overflows."""

_CHATTER = 2e-14
"""Residual per size of the state at which units that relax in small steps are at rest: in many
lanes the rounding of one or another of them is heard for ever."""

_ULPS = 64
"""Units in the last place, of a compartment, that sums in another order may differ by."""

Schedule = Callable[[Any], Iterator[list[str]]]
"""A generator of the populations that update together; see ``executors.schedules``."""


@dataclass(frozen=True)
class Settled:
    """The outcome of a relaxation.

    Attributes
    ----------
    converged : bool
        Whether the residual is within the tolerance. If not, the state is **no** result.
    residual : float
        Largest amount by which a dense re-evaluation of every unit would still move a channel,
        relative to its size: 1 for an activity, beta for an error, and what it carries at most.
        What is within rounding of the compartments that a channel is made of is no change.
    steps : int
        Steps taken.
    """

    converged: bool
    residual: float
    steps: int


class Relaxing(Trainable):
    """A network that relaxes by :meth:`tick`; see :class:`~lava_dyads.executors.step.Network`."""

    elements: dict[str, Element]
    populations: dict[str, Population]
    spiking: bool
    phased: bool
    sources: dict[Port, list[Port]]
    """Output ports that lead to an input port, by that port."""
    _pending: dict[str, Outbox]
    _shown: tuple[Array, Array | None] | None
    _said: bool

    @abstractmethod
    def tick(self, clock: Clock, inbox: Inbox, active: Container[str] | None = None) -> Outbox:
        """Take one step of the whole network."""

    @abstractmethod
    def _in_flight(self) -> bool:
        """Tell whether a message waits to be sent or heard."""

    def settle(
        self,
        x: Array,
        y: Array | None,
        *,
        schedule: Schedule | None = None,
        tolerance: float = 1e-12,
        max_steps: int = 20_000,
        lazy: bool = False,
    ) -> Settled:
        """Relax on one set of lanes until silence; nothing learns.

        Parameters
        ----------
        x : array, shape (lanes, n_in)
        y : array, shape (lanes, n_out), or None
            Targets; None for a free phase.
        schedule : Schedule or None
            Which populations update together; None: all in every step.
        tolerance : float
            Largest residual that counts as converged.
        max_steps : int
            Cap.
        lazy : bool
            Start from the state that the last call has left: only what differs is sent.

        Returns
        -------
        Settled

        Raises
        ------
        UnsupportedError
            If the units spike, for counts have no rest; if a lazy start has nothing to start
            from, or units keep something of the forward pass, which a lazy start leaves out.
        """
        if self.spiking:
            raise UnsupportedError(
                "settle: spiking dyads count over a window and never rest. "
                "Try: lava-dyads check spiking, or rule dp-transpose"
            )
        if lazy and (self.phased or self._shown is None):
            why = "this rule needs a forward pass" if self.phased else "nothing was settled before"
            raise UnsupportedError(f"settle: no lazy start, {why}. Try: lazy=False")
        numbers = self.arithmetic
        shown = numbers.number(x, "x"), None if y is None else numbers.number(y, "y")
        inbox: Outbox = dict(zip(("input_in", "target_in"), shown, strict=True))
        if lazy and self._shown is not None:
            for port, old in zip(inbox, self._shown, strict=True):
                there = inbox[port]
                if there is not None and old is not None:
                    inbox[port] = there - old
        else:
            for box in self._pending.values():
                box.clear()
            for element in self.elements.values():  # also of those a schedule leaves for later
                element.reset()
        self._shown, steps = shown, 0
        if self.phased and y is not None:
            target = inbox.pop("target_in")
            steps = self._relax(schedule, inbox, None, max_steps)
            inbox = {"target_in": target}
        steps += self._relax(schedule, inbox, shown[1], max_steps)
        residual = self.residual(y)
        return Settled(residual <= tolerance, residual, steps)

    def _relax(
        self, schedule: Schedule | None, inbox: Inbox, target: Array | None, max_steps: int
    ) -> int:
        """Follow a schedule until silence, its end or the cap; return the number of steps."""
        everybody = list(self.populations)
        settled = np.full(sum(p.n for p in self.populations.values()), -1)
        starts = np.cumsum([0, *(p.n for p in self.populations.values())]).tolist()
        settled_in = {
            name: settled[begin:end]
            for name, begin, end in zip(everybody, starts, starts[1:], strict=False)
        }
        self_scheduled = not all(p.unit.instantaneous for p in self.populations.values())
        events_at = steps = 0
        wave = max(p.first_step for p in self.populations.values())
        wave = max([wave, *(w for e in self.elements.values() for w in e.awaits.values())])
        for steps, active in enumerate(schedule(self) if schedule else repeat(everybody), 1):
            # Beyond the wave front, so that nobody waits for a turn that a schedule gives.
            clock = Clock(wave + steps, False, False, target is not None, self.lanes)
            self.tick(clock, inbox if steps == 1 else {}, frozenset(active))
            for name in active:  # a neuron is settled if it has updated since the last event
                settled_in[name][self.populations[name].awake] = steps
            if self._said or self._in_flight():
                events_at = steps
            if steps >= max_steps or settled.min() > events_at:
                break
            if steps % 64 == 0:
                largest = self._largest()
                noise = _CHATTER * (1.0 + largest)
                if not largest < _HOPELESS or (self_scheduled and self._moving(target) <= noise):
                    break
        for population in self.populations.values():
            population.awake = slice(None)
        return steps

    def _moving(self, target: Array | None) -> float:
        return max((change for change, _, _ in self._changes(target)), default=0.0)

    def _largest(self) -> float:
        """Return the largest value on any channel; nan where one is."""
        return max(
            float(np.max(np.abs(p.memory[f"sent_{c}"]), initial=0.0))
            for p in self.populations.values()
            for c in (p.unit.up, p.unit.down)
        )

    def residual(self, y: Array | None) -> float:
        """Re-evaluate every unit from the channels around it; return the largest relative change.

        See :class:`Settled`.
        """
        target = None if y is None else self.arithmetic.number(y, "y")
        return max(
            (max(0.0, change - rounding) / size
             for change, size, rounding in self._changes(target)), default=0.0
        )  # fmt: skip

    def _changes(self, y: Array | None) -> Iterator[tuple[float, float, float]]:
        """Yield by how much each channel would move, its size, and what is rounding there.

        In units of the activity, or of beta.
        """
        values: dict[Port, Array] = {}
        with np.errstate(all="ignore"):
            for name, population in self.populations.items():
                unit, m, numbers = population.unit, population.memory, population.arithmetic
                state = {k: m[k].copy() for k in unit.state}
                # As a sum, so that what has become nan stays so.
                drives = {"basal": m["basal"] - m["basal"], "apical": m["apical"] - m["apical"]}
                for drive in drives:
                    for port in self.sources.get((name, f"{drive}_in"), ()):
                        if port not in values:
                            values[port] = self._dense_value(*port, y)
                        drives[drive] = drives[drive] + values[port]
                old = {c: unit.emit(state, c).copy() for c in (unit.up, unit.down)}
                largest = max((_largest_of(register) for register in state.values()), default=0.0)
                basal = unit.drive(state, numbers.basal(drives["basal"]), population.bias)
                apical = None if y is None and not unit.mutual else drives["apical"]
                apical = None if apical is None else numbers.apical(apical)
                unit.step(state, basal, apical, numbers)
                rounding = 0.0 if numbers.exact else _ULPS * float(np.finfo(numbers.dtype).eps)
                for c, value in old.items():
                    there, scale = unit.emit(state, c), population.scale(c)
                    change = _largest_of(there - value)
                    size = 1.0 + _largest_of(value) * numbers.unit / scale
                    chatter = rounding * (1.0 + largest) / scale
                    finite = np.isfinite(change + size + chatter)
                    moved = change * numbers.unit / scale, size, chatter
                    yield moved if finite else (np.inf, 1.0, 0.0)

    def _dense_value(self, name: str, port: str, y: Array | None) -> Array:
        """Return what an output port would have sent if everything were sent again."""
        element = self.elements.get(name)
        if name == OUTSIDE:  # the target, held by an output unit with the loss inside
            return np.zeros((), self.arithmetic.dtype) if y is None else y
        if isinstance(element, Head):
            if y is None:
                return np.zeros((), self.arithmetic.dtype)
            held = element.memory
            return element.drive(held["held_output"], held["held_target"])
        if isinstance(element, NonlinearConnection):
            if port == "basal_out":
                return element.upward()
            return element.downward()[list(element.outputs).index(port) - 1]
        assert isinstance(element, Connection)
        return element.value(port)


def _largest_of(values: AnyArray) -> float:
    """Return the largest absolute value; infinity where there is none."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return largest if np.isfinite(largest) else np.inf
