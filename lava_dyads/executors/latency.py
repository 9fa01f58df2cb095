"""How long messages travel: latency models, all in units of a mean latency."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lava_dyads.checks import NotNegative, check_fields
from lava_dyads.errors import invalid, nearest

LATENCIES: dict[str, Callable[[float], float]] = {
    "constant": lambda share: 1.0,
    "uniform": lambda share: 2.0 * share,
    "exponential": lambda share: -math.log(1.0 - share),
    "heavy-tailed": lambda share: 1.0 / math.sqrt(1.0 - share) - 1.0,
}
"""The latency that a share of all messages, in [0, 1), stays below, by name; all have mean 1,
heavy-tailed (Pareto, exponent 2) no variance."""


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

    def quantile(self, share: float) -> float:
        """Return the latency that a share of all messages stays below.

        Handed a uniform number it is a random latency.

        Examples
        --------
        >>> Latency("exponential", 2.0).quantile(0.5) == 2 * math.log(2)
        True
        """
        return self.mean * LATENCIES[self.model](share)
