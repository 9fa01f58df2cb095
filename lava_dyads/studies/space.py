"""What a study tries: choices and ranges of options, and the ways through them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from lava_dyads.checks import Count, Natural, check_fields
from lava_dyads.errors import ValidationError, invalid, nearest
from lava_dyads.files import plain

Method: TypeAlias = Literal["grid", "random", "optuna"]
Setting: TypeAlias = dict[str, Any]
"""A value of every option that is tried."""

MOST = 1_000_000
"""Settings of a grid: more are a slip."""


@dataclass(frozen=True)
class Range:
    """Numbers from one to another, both included.

    Parameters
    ----------
    low, high : int or float
        Two whole numbers: whole numbers alone are drawn.
    log : bool
        Whether it is the logarithm that is drawn evenly.

    Raises
    ------
    ValidationError
        If there is nothing between them, or no logarithm.

    Examples
    --------
    >>> round(Range(1e-4, 1e-1, log=True).at(0.5), 6)
    0.003162
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                invalid(f"Range.{name}", "must be a number", value, "0.001")
            if not math.isfinite(value):
                invalid(f"Range.{name}", "must be finite", value, "0.001")
        if not isinstance(self.log, bool):
            invalid("Range.log", "must be true or false", self.log, "true")
        if not self.low < self.high:
            invalid("Range", "needs low < high", (self.low, self.high), "low = 0.001, high = 0.1")
        if self.log and self.low <= 0:
            invalid("Range.low", "must be positive where log is on", self.low, "0.001")

    @property
    def whole(self) -> bool:
        """Whether it is one of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> float | int:
        """Return the number at a share of the way, in [0, 1]."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        rounded = min(max(round(value), self.low), self.high)
        return int(rounded) if self.whole else min(max(value, self.low), self.high)


Space: TypeAlias = Mapping[str, "Sequence[Any] | Range"]


@dataclass(frozen=True)
class Search:
    """Which settings of a space are tried.

    Parameters
    ----------
    method : str
        ``grid``: all of them; ``random``: drawn independently; ``optuna``: chosen by Optuna's
        tree-structured Parzen estimator from what was measured so far (extra ``search``).
    trials : int or None
        Settings to try; None: all of a grid. The others need a number.
    seed : int
        Of what is drawn.

    Raises
    ------
    ValidationError
        If trials are missing, or given for a grid.
    """

    method: Method = "grid"
    trials: Count | None = None
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.method == "grid" and self.trials is not None:
            invalid("trials", "a grid tries all its settings", self.trials, 'search = "random"')
        if self.method != "grid" and self.trials is None:
            invalid("trials", f"{self.method} needs a number of settings", None, "trials = 20")


def space_of(held: object) -> dict[str, list[Any] | Range]:
    """Return a space, checked: of each option a list of values, or a range.

    A range may be a mapping of ``low``, ``high`` and ``log``, as files have it.

    Raises
    ------
    ValidationError
        If it is something else.
    """
    hint = "learning_rate = [0.001, 0.01], or {low = 0.001, high = 0.1, log = true}"
    if not isinstance(held, Mapping) or not held:
        invalid("space", "must hold options to try", held, hint)
    made: dict[str, list[Any] | Range] = {}
    for name, values in held.items():
        if isinstance(values, Range):
            made[name] = values
        elif isinstance(values, Mapping):
            known = ("low", "high", "log")
            for key in values:
                if key not in known:
                    invalid(f"space.{name}", "unknown key of a range", key, nearest(key, known))
            if not {"low", "high"} <= set(values):
                invalid(f"space.{name}", "a range needs low and high", dict(values), hint)
            try:
                made[name] = Range(**values)
            except ValidationError as error:
                raise ValidationError(f"space.{name}: {error}") from error
        elif isinstance(values, Sequence | np.ndarray) and not isinstance(values, str):
            made[name] = _distinct(name, list(values))
        else:
            invalid(f"space.{name}", "must be a list of values, or a range", values, hint)
    return made


def _distinct(name: str, values: list[Any]) -> list[Any]:
    texts = [text_of(value) for value in values]
    if not values:
        invalid(f"space.{name}", "needs a value", values, "a list of values")
    for i, text in enumerate(texts):
        if text in texts[:i]:
            invalid(f"space.{name}", "has a value twice", values[i], "each value once")
    return values


def text_of(value: object) -> str:
    """Return a value of an option as it is shown and compared, sizes with commas between.

    Examples
    --------
    >>> text_of([64, 32]), text_of(0.001), text_of("adam")
    ('64,32', '0.001', 'adam')
    """
    value = plain(value)
    if isinstance(value, list) and all(isinstance(v, int | str) for v in value):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.5g}" if float(f"{value:.5g}") == value else repr(value)
    return value if isinstance(value, str) else json.dumps(value)


class Way(Protocol):
    """A way through a space."""

    def ask(self) -> Setting | None:
        """Return a setting to try; None: all have been asked for."""

    def tell(self, setting: Setting, value: float | None) -> None:
        """Learn what a setting has reached, larger is better; None: it has failed."""


class Listed:
    """Settings that are known before the first is tried."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self._left = list(reversed(settings))

    def ask(self) -> Setting | None:
        """Return the next one."""
        return self._left.pop() if self._left else None

    def tell(self, setting: Setting, value: float | None) -> None:
        """Take no notice."""


def listed(space: Mapping[str, list[Any] | Range], search: Search) -> list[Setting]:
    """Return the settings of a grid, or those that are drawn.

    More trials are the same ones and further ones.

    Raises
    ------
    ValidationError
        If a grid has a range, or far too many settings.
    """
    if search.method == "grid":
        for name, values in space.items():
            if isinstance(values, Range):
                got = (values.low, values.high)
                invalid(f"space.{name}", "a grid needs values, not a range", got,
                        'a list, or search = "random"')  # fmt: skip
        choices = [values for values in space.values() if isinstance(values, list)]
        size = math.prod(map(len, choices))
        if size > MOST:
            invalid("space", f"a grid may have {MOST:,} settings", size, 'search = "random"')
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*choices)]
    assert search.trials is not None
    return [_drawn(space, np.random.default_rng([search.seed, k])) for k in range(search.trials)]


def _drawn(space: Mapping[str, list[Any] | Range], generator: np.random.Generator) -> Setting:
    found: Setting = {}
    for name, values in space.items():
        share = float(generator.random())
        if isinstance(values, Range):
            found[name] = values.at(share)
        else:
            found[name] = values[int(share * len(values))]
    return found
