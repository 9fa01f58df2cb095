"""How many steps a presentation takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lava_dyads.rules.units import Rule


@dataclass(frozen=True)
class Timing:
    """The steps of a presentation.

    In a chain of L connections the forward wave reaches population l in step l + 1; a head adds
    one step; the backward wave takes L - 1 more. So the learning sweep has T = 2 L steps with the
    loss inside the output population and 2 L + 1 with a head; on a graph it is the longest path
    up and back. One step more certifies: no event in it means that the network is at rest. Where
    one sweep does not reach the fixed point, ``repeats`` round trips (2 L steps) follow.

    In networks that count spikes, each population starts with its wave, too, and the output
    counts for ``window`` steps: T + L in all. Started together, every layer would lack the first
    spikes of the one below, which for short windows is the largest error (additive, O(1 / T)).

    Attributes
    ----------
    arrival : int
        Step in which the output's forward wave arrives.
    sweep : int
        Steps up and back.
    round_trip : int
    repeats : int
    window : int
    """

    arrival: int
    sweep: int
    round_trip: int
    repeats: int = 0
    window: int = 0

    @property
    def read_step(self) -> int:
        """Step in which the output can be read."""
        return self.steps if self.window else self.arrival

    @property
    def steps(self) -> int:
        """Steps per presentation, with repeats and the certifying one."""
        if self.window:
            return self.window + self.arrival - 1
        return self.sweep + self.repeats * self.round_trip + 1


REPEATS = 8
"""Round trips given to rules that do not settle in one sweep, by default."""

PATIENCE = 20.0
"""Time constants of an annealed threshold in a presentation, by default: exp(-20) is 2e-9."""


def default_repeats(rule: Rule, round_trip: int, anneal: float) -> int:
    """Return the round trips, of so many steps, that follow the first sweep."""
    if anneal:
        return math.ceil(PATIENCE * anneal / round_trip)
    return 0 if rule.settles_in_one_sweep() else REPEATS
