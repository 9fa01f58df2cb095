"""How the registers of a population lie, and what populations that are alike have in common."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.send_on_change import Thresholds, annealed
from lava_dyads.rules.units import Unit

SMALL = 32
"""Numbers per register up to which all registers of a population lie side by side."""


def owner(array: AnyArray) -> AnyArray:
    """Return the array that another one is a view on, in the end."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Layout(NamedTuple):
    """What populations have in common that differ in their numbers alone; nobody changes it.

    Attributes
    ----------
    channels, counted : tuple of str
    places, inputs, outputs, scales, floors, thresholds : dict
        See :class:`Population`.
    registers : tuple of (str, tuple, bool, slice)
        Name, shape, whether it counts, and place; in the order in which they lie.
    size : int
        Numbers in all of them.
    """

    channels: tuple[str, ...]
    counted: tuple[str, ...]
    places: dict[str, int]
    inputs: dict[str, int]
    outputs: dict[str, int]
    scales: dict[str, float]
    floors: dict[str, float | None]
    thresholds: dict[str, float]
    registers: tuple[tuple[str, tuple[int, ...], bool, slice], ...]
    size: int


def _laid_out(
    unit: Unit,
    arithmetic: Arithmetic,
    thresholds: Thresholds,
    beta: float,
    shape: tuple[int, int],
    biases: int,
    slots: int,
) -> Layout:
    lanes, n = shape
    channels = tuple(dict.fromkeys((unit.up, unit.down, *unit.extra)))
    counted = tuple(f"{kind}_{c}" for c in channels for kind in ("messages", "events"))
    counted += ("straddling", "settled", "spikes", "saturated")
    names = ("basal", "apical", *channels)
    widths = {name: n * unit.blocks.get(name, 1) for name in names}
    scales = {c: 1.0 if c in (unit.up, unit.learning_input) else beta for c in channels}
    # Integers know no rounding chatter: there a channel that moved has moved.
    exact = unit.spiking or arithmetic.exact
    registers: dict[str, tuple[int, ...]] = {"counts": (len(counted),), "sends": (len(channels),)}
    registers |= dict.fromkeys(unit.state, (lanes, n))
    registers |= {name: (lanes, widths[name]) for name in names[:2]}
    registers |= {f"sent_{c}": (lanes, widths[c]) for c in channels}
    registers |= {"bias": (biases,), "residual": (2,), "bias_accumulator": (biases,)}
    registers |= {"bias_state": (slots, biases), "bias_updates": (1,)}
    ends = list(itertools.accumulate(map(math.prod, registers.values())))
    return Layout(
        channels,
        counted,
        {name: i for i, name in enumerate(counted)},
        {f"{name}_in": widths[name] for name in names[:2]},
        {f"{c}_out": widths[c] for c in channels},
        scales,
        {c: None if exact else s for c, s in scales.items()},
        thresholds_at(unit, arithmetic, thresholds, scales, 1),
        tuple(
            (name, shape, name in _COUNTERS, slice(end - math.prod(shape), end))
            for (name, shape), end in zip(registers.items(), ends, strict=True)
        ),
        ends[-1],
    )


_known_layout: Callable[..., Layout] = lru_cache(256)(_laid_out)
_COUNTERS = ("counts", "sends", "bias_updates")


def thresholds_at(
    unit: Unit,
    arithmetic: Arithmetic,
    thresholds: Thresholds,
    scales: dict[str, float],
    step: int,
) -> dict[str, float]:
    """Return the threshold of every channel in a step."""
    left, active = annealed(thresholds.anneal, step), (unit.up, unit.learning_input)
    of_errors = thresholds.of_errors
    return {
        c: max(
            arithmetic.threshold(
                left * scale * (thresholds.threshold if c in active else of_errors)
            ),
            unit.least(c),
        )
        for c, scale in scales.items()
    }


def layout(
    unit: Unit,
    arithmetic: Arithmetic,
    thresholds: Thresholds,
    beta: float,
    shape: tuple[int, int],
    biases: int,
    slots: int,
) -> Layout:
    """Return the layout of a population; of those that are alike the same one.

    Parameters
    ----------
    unit, arithmetic, thresholds, beta
        See :class:`~lava_dyads.elements.population.Population`.
    shape : tuple of int
        (lanes, n).
    biases, slots : int
        Entries of the bias, and registers that its optimiser keeps for each.
    """
    given = (unit, arithmetic, thresholds, beta, shape, biases, slots)
    try:
        return _known_layout(*given)
    except TypeError:  # a unit that holds arrays
        return _laid_out(*given)
