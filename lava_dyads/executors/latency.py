"""How long messages travel: latency models, all in units of a mean latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import NotNegative, check_fields
from lava_dyads.errors import invalid, nearest

Draw = Callable[[np.random.Generator, int], Array]

LATENCIES: dict[str, Draw] = {
    "constant": lambda generator, n: np.ones(n),
    "uniform": lambda generator, n: generator.uniform(0.0, 2.0, n),
    "exponential": lambda generator, n: generator.exponential(1.0, n),
    "heavy-tailed": lambda generator, n: generator.pareto(2.0, n),
}
"""Draws n latencies, by name; all have mean 1, heavy-tailed (Pareto, exponent 2) no variance."""

_BLOCK = 1024


@dataclass(frozen=True)
class Latency:
    """A latency model: a distribution by name and its mean.

    Parameters
    ----------
    model : str
        ``constant``, ``uniform`` (0 to twice the mean), ``exponential`` or ``heavy-tailed``.
    mean : float
        In units of virtual time, >= 0; 0: messages arrive at once.

    Raises
    ------
    ValidationError
        If the model is unknown or the mean negative.
    """

    model: str = "exponential"
    mean: NotNegative = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.model not in LATENCIES:
            invalid("latency", "unknown model", self.model, nearest(self.model, LATENCIES))

    def stream(
        self, generator: np.random.Generator, ahead: list[float] | None = None
    ) -> Callable[[], float]:
        """Return a function that gives the next latency.

        Parameters
        ----------
        generator : numpy Generator
        ahead : list of float or None
            Where it keeps what it has drawn ahead, the next one last.
        """
        draw, mean = LATENCIES[self.model], self.mean
        if self.model == "constant":
            return lambda: mean
        block: list[float] = [] if ahead is None else ahead

        def following() -> float:
            if not block:
                block.extend((mean * draw(generator, _BLOCK)).tolist())
            return block.pop()

        return following
