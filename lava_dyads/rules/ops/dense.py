"""The dense connection: one weight for every pair of neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.native.registry import active, kernel
from lava_dyads.rules.meter import events, events_by_lane
from lava_dyads.rules.namespaces import Namespace, whole


@dataclass(frozen=True)
class Dense:
    """forward W x, transpose W^T d, outer d x^T, for weights of shape (n_out, n_in).

    Parameters
    ----------
    n_out, n_in : int
        Neurons above and below.
    """

    process_name: ClassVar[str] = "DyadDense"
    feedback_process_name: ClassVar[str] = "DyadDenseFeedback"

    n_out: int
    n_in: int

    def forward(
        self, weights: Array, up: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return W x per lane: (lanes, n_in) -> (lanes, n_out)."""
        return product(up, weights.T, out, xp)

    def transpose(
        self, weights: Array, down: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return W^T d per lane: (lanes, n_out) -> (lanes, n_in)."""
        return product(down, weights, out, xp)

    def outer(self, down: Array, up: Array, out: Array | None = None, xp: Namespace = np) -> Array:
        """Return sum over lanes of d x^T, (n_out, n_in)."""
        return product(down.T, up, out, xp)

    def forward_events(self, weights: Array, up: Array, out: Array) -> Array:
        """Do what :meth:`forward` does for one lane, from the columns where there is an event.

        Parameters
        ----------
        weights : array (n_out, n_in)
            Column after column in memory (Fortran order).
        up, out : arrays (n_in,), (n_out,)
        """
        compiled = kernel("spread")
        if compiled:
            compiled(weights.T, up, out)
            return out
        there = np.flatnonzero(up)
        return np.asarray(np.matmul(up[there], weights.T[there], out=out))

    def learn_events(self, weights: Array, down: Array, up: Array) -> None:
        """Add down up^T to the weights, only to the columns where there is an event.

        Parameters
        ----------
        weights : array (n_out, n_in)
            In Fortran order.
        down, up : arrays (n_out,), (n_in,)
        """
        compiled = kernel("imprint")
        if compiled:
            compiled(weights.T, up, down)
            return
        there = np.flatnonzero(up)
        weights.T[there] += np.outer(up[there], down)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_out, n_in)."""
        return self.n_out, self.n_in

    @property
    def fan_in(self) -> int:
        """n_in."""
        return self.n_in

    @property
    def mask(self) -> AnyArray | None:
        """None: there is a synapse everywhere."""
        return None

    @property
    def synapses(self) -> int:
        """How many there are."""
        return self.n_out * self.n_in

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Every event below touches n_out weights."""
        return events(up, xp) * self.n_out

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Every event above touches n_in weights."""
        return events(down, xp) * self.n_in

    def learning_operations(self, down: AnyArray, up: AnyArray, xp: Namespace = np) -> int:
        """Two events meet at every weight between their neurons."""
        return whole(events_by_lane(up, xp) @ events_by_lane(down, xp))


_EXACT = 2.0**53


def product(left: Array, right: Array, out: Array | None = None, xp: Namespace = np) -> Array:
    """Return left @ right, floats into ``out`` if one is given; integers exactly (int64).

    A float64 product of integers is exact, whatever the order of its sums, as long as no partial
    sum can reach 2^53; numpy multiplies integer matrices some twenty times more slowly.

    Raises
    ------
    OverflowError
        If an integer product might not be exact.
    """
    if xp is not np:
        return xp.matmul(left, right)  # type: ignore[no-any-return]
    if left.dtype.kind == "f":
        if active.team:
            out = np.empty((len(left), right.shape[1]), left.dtype) if out is None else out
            if active.team.product(left, right, out):
                return out
        made: Array = np.matmul(left, right, out=out)
        return made
    if left.shape[0] == 1:
        there = np.flatnonzero(left[0])
        return np.asarray(left[:, there].astype(np.int64) @ right[there].astype(np.int64))
    largest = [float(np.max(np.abs(m.astype(np.int64)), initial=0)) for m in (left, right)]
    if largest[0] * largest[1] * left.shape[1] >= _EXACT:
        raise OverflowError("an integer matrix product leaves 2^53")
    return np.asarray((left.astype(float) @ right.astype(float)).astype(np.int64))
