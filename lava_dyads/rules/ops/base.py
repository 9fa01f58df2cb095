"""What a kind of connection has to say about itself: forward, transpose, outer product."""

from __future__ import annotations

from typing import Protocol

from lava_dyads.rules._types import Array


class Op(Protocol):
    """A bilinear connection with weights of a fixed shape. Messages are (lanes, n) arrays."""

    @property
    def n_in(self) -> int:
        """Neurons below."""

    @property
    def n_out(self) -> int:
        """Neurons above."""

    def forward(self, weights: Array, up: Array, out: Array | None = None) -> Array:
        """Return what reaches the layer above, (lanes, n_out); floats into ``out`` if given."""

    def transpose(self, weights: Array, down: Array, out: Array | None = None) -> Array:
        """Return what reaches the layer below, (lanes, n_in); floats into ``out`` if given."""

    def outer(self, down: Array, up: Array, out: Array | None = None) -> Array:
        """Return the sum over lanes of the products that meet at each weight."""

    def forward_operations(self, events: int) -> int:
        """Return how many weights `events` entries of an upward message touch."""

    def backward_operations(self, events: int) -> int:
        """Return how many weights `events` entries of a downward message touch."""
