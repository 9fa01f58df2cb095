"""The dense connection: one weight for every pair of neurons."""

from __future__ import annotations

from dataclasses import dataclass

from lava_dyads.rules._types import Array


@dataclass(frozen=True)
class Dense:
    """forward W x, transpose W^T d, outer d x^T, for weights of shape (n_out, n_in).

    Parameters
    ----------
    n_out, n_in : int
        Neurons above and below.
    """

    n_out: int
    n_in: int

    def forward(self, weights: Array, up: Array) -> Array:
        """Return W x per lane: (lanes, n_in) -> (lanes, n_out)."""
        return up @ weights.T

    def transpose(self, weights: Array, down: Array) -> Array:
        """Return W^T d per lane: (lanes, n_out) -> (lanes, n_in)."""
        return down @ weights

    def outer(self, down: Array, up: Array) -> Array:
        """Return sum over lanes of d x^T, (n_out, n_in)."""
        return down.T @ up

    def forward_operations(self, events: int) -> int:
        """Every entry below touches n_out weights."""
        return events * self.n_out

    def backward_operations(self, events: int) -> int:
        """Every entry above touches n_in weights."""
        return events * self.n_in
