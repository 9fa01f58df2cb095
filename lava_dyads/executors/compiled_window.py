"""Compiled code that takes the steps of a spiking window, where numba is installed.

The dyads of all layers run the program that their equations are (``native.programs``); spikes
reach other dyads one by one, and where nothing spikes nothing is multiplied. What a dyad receives
in a step is a sum over spikes, in the order of the senders, where a matrix product of numpy has an
order of its own: so where such sums are rounded, potentials differ by that, 1e-16 of a threshold at
a time, and a spike comes a step earlier or later where a potential meets the threshold as closely.
Everything else, and everything where sums are exact, is the same to the bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.native.programs import CODES, Program, UntraceableError
from lava_dyads.native.registry import spiking_steps
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.units.spiking import SpikingDyadUnit, SpikingOutput

if TYPE_CHECKING:
    from lava_dyads.executors.window import Layer

_LOG = logging.getLogger(__name__)


class CompiledSteps:
    """Takes the steps of a chain of spiking layers.

    Parameters
    ----------
    layers : sequence of Layer
        From the input up.
    drives, sums : arrays, shapes (5, n) and (4, n)
        Of the window: what the dyads compute with, and what they have counted.
    native : module
        ``native.spiking``.
    """

    def __init__(self, layers: Sequence[Layer], drives: Array, sums: Array, native: Any) -> None:
        self._layers, self._native = layers, native
        unit, output = layers[0].unit, cast(SpikingOutput, layers[-1].unit)
        dtype, n = drives.dtype, drives.shape[1]
        self._dyads = [self._program(_potentials(unit, learn), 5, dtype) for learn in (False, True)]
        self._output = self._program(_self_nudge(output), 2, dtype)
        self._drives, self._sums, self._totals = drives, sums, np.zeros((n, 4), dtype)
        nothing_plus_minus_both = np.array([[0, 1, 0, 1], [0, 0, 1, 1]])
        self._rises = unit.rises(nothing_plus_minus_both, dtype)
        self._ends = np.array([0, *(layer.here.stop for layer in layers)])
        self._widths = np.array([layer.population.n for layer in layers])
        sizes = [0, 0, *(above * below for below, above in pairwise(self._widths.tolist()))]
        self._starts = np.cumsum(sizes)[:-1]
        self._up, self._down = np.zeros((2, sum(sizes)), dtype)
        self._room = np.zeros(n, np.uint8), np.zeros(n, np.int64)
        self._pulls = np.zeros((3, layers[-1].mean.size), dtype)

    def _program(
        self, equation: Callable[..., Any], inputs: int, dtype: Any
    ) -> tuple[AnyArray, ...]:
        """Return instructions, places of the results, and room with the constants in it."""
        program, known = Program(equation, inputs), self._native.INSTRUCTIONS
        rows = program.rows.copy()
        for row in rows:
            name = CODES[row[0]]
            if name not in known:
                raise UntraceableError(name)
            row[0] = known.index(name)
        made = np.zeros((len(rows), self._native.BLOCK), dtype)
        made[:] = program.constants[:, None]
        results = np.array(program.results) - inputs
        assert min(results) >= 0, "what is given comes out as it was"
        return rows, results, made

    def run(self, learn: bool, steps: int, trains: AnyArray) -> IntArray:
        """Take all steps from the second one on; return the events in them."""
        layers = self._layers
        for k, layer in enumerate(layers):
            layer.wake()
            if k:
                shape = layer.population.n, layers[k - 1].population.n
                here = slice(self._starts[k], self._starts[k] + shape[0] * shape[1])
                self._up[here].reshape(shape[::-1])[...] = layer.below.weights.T
                self._down[here].reshape(shape)[...] = layer.below.feedback
        output, memory = cast(SpikingOutput, layers[-1].unit), layers[-1].population.memory
        self._room[0].fill(0)
        self._totals.fill(0)
        self._pulls.fill(0)
        self._pulls[0] = output.aim(memory["apical"]).ravel()
        events = np.zeros((steps - 1, len(layers), 2), np.int64)
        self._native.take_steps(
            self._dyads[bool(learn)],
            self._output,
            (self._ends, self._widths, self._starts, self._up, self._down),
            self._drives,
            self._pulls,
            self._totals,
            self._rises,
            self._room,
            events,
            trains,
            bool(learn),
        )
        self._sums[...] = self._totals.T
        memory["pull"][...] = self._pulls[2].reshape(memory["pull"].shape)
        return events


def compiled_steps(layers: Sequence[Layer], drives: Array, sums: Array) -> CompiledSteps | None:
    """Return compiled code for these layers; None where there is none, with a word about it."""
    native = spiking_steps()
    if native is None:
        _say("numpy, for numba is not installed. Try: pip install 'lava-dyads[fast]'")
        return None
    others = [op.process_name for layer in layers if type(op := layer.below.op) is not Dense]
    try:
        made = None if others else CompiledSteps(layers, drives, sums, native)
    except UntraceableError as error:
        made, others = None, [f"{error} in an equation"]
    _say(f"numpy, for there is {others[0]}" if others else "compiled")
    return made


@cache
def _say(what: str) -> None:
    level = logging.WARNING if "numba" in what else logging.INFO
    _LOG.log(level, "spiking presentations: %s", what)


def _potentials(unit: SpikingDyadUnit, learn: bool) -> Callable[..., Any]:
    """Return what a step makes of V+, V-, basal, steady and apical drive: V+, V-, S+, S-."""

    def equation(v_plus: Any, v_minus: Any, basal: Any, steady: Any, apical: Any) -> list[Any]:
        drive, apical = unit.arriving(basal, steady), apical if learn else None
        both = zip((v_plus, v_minus), unit.signed_gains, strict=True)
        (plus, s_plus), (minus, s_minus) = [unit.advance(v, drive, apical, g) for v, g in both]
        return [plus, minus, s_plus, s_minus]

    return equation


def _self_nudge(output: SpikingOutput) -> Callable[..., Any]:
    """Return what an output makes of its aim and the change of its mean: pull and apical drive."""

    def equation(aim: Any, change: Any) -> list[Any]:
        pull = output.left(aim, change)
        return [pull, output.nudge(pull)]

    return equation
