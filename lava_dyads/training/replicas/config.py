"""How replicas work together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Count, Natural, Share, check_fields
from lava_dyads.errors import invalid
from lava_dyads.kinds import Limit

Topology: TypeAlias = Literal["", "ring", "complete"]
Shards: TypeAlias = Literal["drawn", "classes"]
Several: TypeAlias = Annotated[int, Limit("must be at least 2", "2", lambda v: v >= 2)]

LOCAL = "local"
"""In the place of an address: workers of Dask on this machine."""


@dataclass(frozen=True)
class Replicas:
    """How many replicas there are, and what they tell each other.

    Without a topology they learn as one: each adds up what its part of a batch tells, and all make
    the step of the sum. With one they *gossip*: each learns by itself, from its own share of the
    samples, and after every so many updates combines what it has with what its neighbours had,

        psi_k = updates of w_k
        w_k <- sum_l a_kl (last psi_l that has reached k),    A doubly stochastic

    (adapt, then combine; Vlaski and Sayed, arXiv 2003.14366).

    Parameters
    ----------
    count : int
        How many, at least 2.
    topology : str
        Empty: sums of gradients, exact. ``ring`` or ``complete``: who hears whom.
    every : int
        Updates between two exchanges.
    late, lost : float
        Shares of the messages that arrive an exchange later, and never. Meanwhile the one before
        counts.
    shards : str
        Who has which samples: ``drawn``, or by ``classes``, two slices of the sorted classes each.
    seed : int
        Of shares that are drawn, and of what is late and lost.
    scheduler : str
        Where they are: in this process (empty), on workers of Dask at an address, or of a cluster
        on this machine (``local``).

    Raises
    ------
    ValidationError
        If a number is out of range, or something is said of messages that there are not.
    """

    count: Several
    topology: Topology = ""
    every: Count = 1
    late: Share = 0.0
    lost: Share = 0.0
    shards: Shards = "drawn"
    seed: Natural = 0
    scheduler: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.late + self.lost > 1:
            limit = "late and lost are shares of the same messages"
            invalid("Replicas.lost", limit, (self.late, self.lost), "0.5 and 0.5")
        if not self.topology:
            for name in ("every", "late", "lost", "shards"):
                if getattr(self, name) != getattr(Replicas, name):
                    limit = "is for replicas that gossip, and sums are exact"
                    invalid(f"Replicas.{name}", limit, getattr(self, name), 'topology "ring"')

    @property
    def gossip(self) -> bool:
        """Whether each learns by itself."""
        return bool(self.topology)


def mixing(topology: Topology, living: list[int], count: int) -> Array:
    """Return the matrix A by which replicas combine: symmetric, so doubly stochastic.

    Metropolis weights: a_kl = 1 / (1 + the larger number of neighbours) for neighbours. Those who
    are no more stand apart; a ring closes behind them.

    Examples
    --------
    >>> mixing("ring", [0, 1, 2, 3], 4)[0].round(2).tolist()
    [0.33, 0.33, 0.0, 0.33]
    """
    near = np.zeros((count, count), bool)
    for place, k in enumerate(living):
        beside = [living[place - 1], living[(place + 1) % len(living)]]
        others = living if topology == "complete" else beside
        near[k, others] = near[others, k] = True
    np.fill_diagonal(near, False)
    degrees = near.sum(axis=1)
    made = np.where(near, 1.0 / (1.0 + np.maximum.outer(degrees, degrees)), 0.0)
    np.fill_diagonal(made, 1.0 - made.sum(axis=1))
    return made
