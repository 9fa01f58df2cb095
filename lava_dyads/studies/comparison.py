"""Settings compared over their seeds: mean, deviation, and whether a difference is one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lava_dyads.errors import invalid
from lava_dyads.studies.space import text_of
from lava_dyads.training.stopping import lower_is_better

PAIRED, WELCH = "paired", "Welch"
"""t-tests: on the differences of runs with the same seeds, or on two sets of runs."""


@dataclass(frozen=True)
class SettingResult:
    """A setting over its seeds.

    Attributes
    ----------
    number : int
        From 1 on, in the order in which settings were tried.
    setting : dict
        What was tried.
    metric : str
    runs : int
        How many there are to be.
    values : dict of int to float
        The metric, by the seeds of the runs that are finished.
    means : dict of str to float
        Means of everything that was measured.
    p : float or None
        Probability of a difference so large, or larger, to the setting compared with, if there
        were none; by Holm's correction for as many comparisons as there are. None: this is that
        setting, or there are fewer than two seeds.
    test : str
        ``paired`` or ``Welch``.
    """

    number: int
    setting: dict[str, Any]
    metric: str
    runs: int
    values: dict[int, float]
    means: dict[str, float] = field(default_factory=dict, repr=False)
    p: float | None = None
    test: str = ""

    @property
    def mean(self) -> float:
        """Over the seeds; nan: no run is finished."""
        return float(np.mean(list(self.values.values()))) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """Of the sample, over the seeds; nan: fewer than two."""
        values = list(self.values.values())
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan

    @property
    def whole(self) -> bool:
        """Whether all its runs are finished."""
        return len(self.values) == self.runs

    def named(self) -> str:
        """Return what was tried, in words."""
        return ", ".join(f"{name} {text_of(value)}" for name, value in self.setting.items())


def compared(found: Sequence[SettingResult], against: int | None = None) -> list[SettingResult]:
    """Return settings, best first, with how they differ from one of them.

    Settings that lack a run come after those that are whole: their mean is over other seeds.

    Parameters
    ----------
    found : sequence of SettingResult
    against : int or None
        Number of the one; None: the best one.

    Raises
    ------
    ValidationError
        If there is no setting of that number.
    """
    if not found:
        return []
    sign = 1.0 if lower_is_better(found[0].metric) else -1.0

    def key(one: SettingResult) -> tuple[bool, bool, float]:
        return not one.values, not one.whole, sign * one.mean if one.values else 0.0

    ordered = sorted(found, key=key)
    numbers = [one.number for one in ordered]
    if against is not None and against not in numbers:
        invalid("--against", "there is no such setting", against, f"1 .. {len(numbers)}")
    base = ordered[0] if against is None else ordered[numbers.index(against)]
    tests = {one.number: _tested(one.values, base.values) for one in ordered if one is not base}
    there = {number: found for number, found in tests.items() if found is not None}
    corrected = holm([p for p, _ in there.values()])
    chances = dict(zip(there, corrected, strict=True))
    return [
        replace(one, p=chances[one.number], test=there[one.number][1])
        if one.number in chances
        else one
        for one in ordered
    ]


def _tested(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, str] | None:
    """Return p of a difference of means and the test; None: too few seeds."""
    if min(len(ours), len(theirs)) < 2:
        return None
    paired = ours.keys() == theirs.keys()
    one, other = list(ours.values()), [theirs[k] for k in (ours if paired else theirs)]
    spread = np.subtract(one, other) if paired else np.array([np.std(one), np.std(other)])
    largest = max(map(abs, (*one, *other)))
    if (np.ptp(spread) if paired else spread.max()) <= 1e-12 * largest:  # no spread, no t
        same = abs(np.mean(one) - np.mean(other)) <= 1e-12 * largest
        return float(same), PAIRED if paired else WELCH
    from scipy.special import stdtr  # of Student's t; scipy.stats would take seconds to import

    if paired:
        freedom = float(len(one) - 1)
        t = np.mean(spread) / (np.std(spread, ddof=1) / math.sqrt(len(one)))
    else:
        shares = [np.var(values, ddof=1) / len(values) for values in (one, other)]
        t = (np.mean(one) - np.mean(other)) / math.sqrt(sum(shares))
        parts = [v * v / (len(x) - 1) for v, x in zip(shares, (one, other), strict=True)]
        freedom = float(sum(shares) ** 2 / sum(parts))
    return float(2.0 * stdtr(freedom, -abs(t))), PAIRED if paired else WELCH


def holm(chances: Sequence[float]) -> list[float]:
    """Return probabilities corrected for their number (Holm 1979): never less than they were.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(chances, kind="stable")
    made, largest = [1.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[place]))
        made[place] = largest
    return made
