"""Who learns, counts and forgets in compiled code, at the end of a presentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements import Connection, Gather, Head, Population, Source
from lava_dyads.elements.plasticity import Plasticity
from lava_dyads.native.events import columns
from lava_dyads.native.programs import TRACED, Program, UntraceableError
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units import Unit
from lava_dyads.runtime.virtual_time.table_maker import TableMaker
from lava_dyads.runtime.virtual_time.tables import address, real_numbers, whole_numbers

_MOVED = [columns.E_SETTLED, columns.E_STRADDLING, columns.E_RESIDUAL]
"""Columns of a population's row that are addresses of its registers."""

LARGEST = 1 << 14
"""Weights up to which the equations of an optimiser are carried out as a program: for more, the
loop that is written for it pays."""


class Learners:
    """The registers that compiled code learns, and the numbers of their optimisers' next step.

    Elements that it does not know, or whose optimiser keeps other weights than it shows, count,
    learn and forget by themselves.

    Parameters
    ----------
    maker : TableMaker
    models : list of ReactiveModel

    Attributes
    ----------
    native : list of bool
        Which elements compiled code takes care of.
    sections : dict of str to array
        For the tables.
    """

    def __init__(self, maker: TableMaker, models: list[Any]) -> None:
        self._maker = maker
        self._rows: list[list[int]] = []
        self._betas: list[float] = []
        self._optimisers: dict[tuple[Optimiser, bool], int] = {}
        self._lengths: list[int] = []
        self.native: list[bool] = []
        for e, (first, model) in enumerate(zip(maker.firsts, models, strict=True)):
            self.native.append(self._enter(e, model.element) if e == first else self.native[first])
        for alike in filter(None, maker.alike.values()):
            alike.move(maker.elements, [columns.E_STRADDLES], _MOVED)
        self._updates: list[AnyArray] = []
        for e, model in enumerate(models):
            maker.elements[e, columns.E_NATIVE] = self.native[e]
            if self.native[e]:
                self._learners(model.element)
        numbers = np.zeros(max(1, sum(self._lengths)))
        self._numbers = numbers
        rows = whole_numbers(self._rows).reshape(-1, len(columns.LEARNER))
        rows.view(np.float64)[:, columns.L_BETA] = self._betas
        stretches = {
            e: _stretches(model.element)
            for e, (model, native) in enumerate(zip(models, self.native, strict=True))
            if native and maker.firsts[e] == e
        }
        for alike in filter(None, maker.alike.values()):
            if alike.first in stretches:
                kept = np.repeat(stretches[alike.first][None], len(alike.numbers), 0)
                kept[:, :, 0] += alike.shifts[:, None]
                stretches[-1 - alike.first] = kept.reshape(-1, 2)
        self.sections = {
            "learners": rows,
            "numbers": real_numbers(numbers),
            "resets": _merged(list(stretches.values())),
        }
        self._numbers = self.sections["numbers"]
        del self._maker  # its lists are large

    @property
    def updates(self) -> int:
        """How often the first of them has learnt."""
        return int(self._updates[0].flat[0]) if self._updates else 0

    def prepare(self, step: int) -> None:
        """Write the numbers of a step, counted from 1."""
        for (optimiser, decays), first in self._optimisers.items():
            numbers = optimiser.numbers(step)
            kept = optimiser.kept(step) if decays and optimiser.loss_per_update else 1.0
            self._numbers[first : first + 1 + len(numbers)] = kept, *numbers

    def numbers_of(self, batches: AnyArray) -> AnyArray:
        """Return the numbers of the steps to come, a row per presentation; 0 where none is made."""
        rows, step = np.zeros((len(batches), len(self._numbers))), self.updates
        for row, batch in zip(rows, batches, strict=True):
            if batch:
                step += 1
                self.prepare(step)
                row[:] = self._numbers
        return rows

    # --- elements

    def _enter(self, e: int, element: Any) -> bool:
        """Tell whether compiled code takes care of an element; enter what it counts."""
        row = self._maker.elements[e]
        if isinstance(element, Head | Gather | Source):
            return bool(row[columns.E_KIND] != columns.CALLED or isinstance(element, Source))
        if row[columns.E_KIND] == columns.POPULATION:
            return self._population(row, element)
        if row[columns.E_KIND] == columns.LINEAR and type(element) is Connection:
            return self._connection(row, element)
        return False

    def _population(self, row: AnyArray, element: Population) -> bool:
        unit, kind = element.unit, type(element.unit)
        plain = kind.bias_error is Unit.bias_error and kind.begin is Unit.begin
        if not (unit.instantaneous and plain and _learnable([element.plasticity])):
            return False
        state = {name: i for i, name in enumerate(unit.state)}
        try:
            program = self._maker.program(
                (unit, "straddling"),
                lambda *values: _straddling(unit, dict(zip(state, values, strict=True))),
                len(state),
            )
        except (UntraceableError, TypeError, AttributeError):
            return False
        row[columns.E_STRADDLES] = program if self._maker.programs[program].results else -1
        counts, places = element.memory["counts"], element._places
        row[columns.E_SETTLED] = address(counts[places["settled"] :])
        row[columns.E_STRADDLING] = address(counts[places["straddling"] :])
        row[columns.E_RESIDUAL] = address(element.memory["residual"])
        return True

    def _connection(self, row: AnyArray, element: Connection) -> bool:
        if element.weightless:
            return True
        if type(element.op) is not Dense or not _learnable(element.learners):
            return False
        row[columns.E_LEARNING] = address(element.memory["counts"][element._places["learning"] :])
        others = element.learners[1:]
        row[columns.E_FACTOR] = 1 + any(learner.optimiser is not None for learner in others)
        return True

    # --- learners

    def _learners(self, element: Any) -> None:
        if isinstance(element, Population):
            error = element.memory[f"sent_{element.unit.learning_error}"]
            self._learner(element.plasticity, error, None)
        elif isinstance(element, Connection) and not element.weightless:
            down, up = element.evidence()
            for learner in element.learners:
                self._learner(learner, down, up)

    def _learner(self, learner: Any, down: Array, up: Array | None) -> None:
        optimiser, name, memory = learner.optimiser, learner.name, learner._memory
        if optimiser is None:
            return
        value, state = memory[name], memory[f"{name}_state"]
        first, last = self._numbers_of(optimiser, learner._decay)
        inputs = 1 + optimiser.slots + last - first - 1
        program = self._maker.program((optimiser, "step"), _equation(optimiser), inputs)
        self._updates.append(memory[f"{name}_updates"])
        addresses = [0, 0] if up is None else [address(up), up.strides[0]]
        self._rows.append([
            address(value), value.size, address(memory[f"{name}_accumulator"]), address(state),
            state.strides[0], optimiser.slots, address(memory[f"{name}_updates"]), program,
            first, last, address(down), down.strides[0], *addresses,
            down.shape[1], 0 if up is None else up.shape[1], 0,
        ])  # fmt: skip
        self._betas.append(learner._beta)

    def _numbers_of(self, optimiser: Optimiser, decays: bool) -> tuple[int, int]:
        """Return where the numbers of an optimiser's step are."""
        length = 1 + len(optimiser.numbers(1))
        if (optimiser, decays) not in self._optimisers:
            self._optimisers[optimiser, decays] = sum(self._lengths)
            self._lengths.append(length)
        first = self._optimisers[optimiser, decays]
        return first, first + length


def _straddling(unit: Unit, state: Any) -> list[Any]:
    straddles = unit.straddling(state, TRACED)
    return [] if straddles is None else [straddles]


def _equation(optimiser: Optimiser) -> Any:
    """Return a step as a function of the gradient, the state and the numbers."""
    slots = optimiser.slots

    def equation(gradient: Any, *values: Any) -> list[Any]:
        change, new = optimiser.moved(gradient, values[:slots], values[slots:], TRACED)
        return [change, *new]

    return equation


def _learnable(learners: list[Any]) -> bool:
    """Tell whether a program can take the steps of some learners."""
    for learner in learners:
        if not isinstance(learner, Plasticity):
            return False
        optimiser, memory, name = learner.optimiser, learner._memory, learner.name
        if optimiser is None:
            continue
        value, accumulator = memory[name], memory[f"{name}_accumulator"]
        beside = value.flags.c_contiguous and accumulator.flags.c_contiguous
        beside = beside and memory[f"{name}_state"][0].flags.c_contiguous
        shows = type(optimiser).show is not Optimiser.show
        if optimiser.decorrelates or shows or not beside or value.size > LARGEST:
            return False
        try:
            Program(_equation(optimiser), 1 + optimiser.slots + len(optimiser.numbers(1)))
        except (UntraceableError, TypeError, AttributeError):
            return False
    return True


def _kept(element: Any) -> Iterator[AnyArray]:
    """Yield the registers that are 0 in the beginning of a presentation."""
    names: tuple[str, ...] = ()
    if isinstance(element, Population):
        sent = (f"sent_{c}" for c in element.channels)
        names = (*element.unit.state, "basal", "apical", *sent)
    elif isinstance(element, Head):
        names = ("held_output", "held_target", "sent_drive")
    elif isinstance(element, Connection):
        names = ("held_mean", "held_difference")
    for name in names:
        yield element.memory[name]


def _stretches(element: Any) -> AnyArray:
    """Return where the registers begin that are 0 at first, lane by lane, and their lengths."""
    found = [
        (address(register) + lane * register.strides[0], register.shape[1])
        for register in _kept(element)
        for lane in range(len(register))
    ]
    return np.array(found, np.int64).reshape(-1, 2)


def _merged(stretches: list[AnyArray]) -> AnyArray:
    """Return stretches of memory, as few as can be."""
    rows = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *stretches]), axis=0)
    if not len(rows):
        return rows
    ends = rows[:, 0] + 8 * rows[:, 1]
    begins = np.flatnonzero(np.r_[True, rows[1:, 0] != ends[:-1]])
    lengths = np.add.reduceat(rows[:, 1], begins)
    return np.ascontiguousarray(np.column_stack([rows[begins, 0], lengths]))
