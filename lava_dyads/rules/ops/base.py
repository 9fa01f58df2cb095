"""What a kind of connection has to say about itself: forward, transpose, outer product."""

from __future__ import annotations

from typing import Protocol

from lava_dyads.rules._types import AnyArray, Array


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

    @property
    def mask(self) -> AnyArray | None:
        """Where there is a synapse, (n_out, n_in); None: everywhere."""

    @property
    def synapses(self) -> int:
        """How many there are."""

    def forward_operations(self, up: AnyArray) -> int:
        """Return how many weights the events of an upward message (lanes, n_in) touch."""

    def backward_operations(self, down: AnyArray) -> int:
        """Return how many weights the events of a downward message (lanes, n_out) touch."""

    def learning_operations(self, down: AnyArray, up: AnyArray) -> int:
        """Return at how many weights, over all lanes, two events meet."""
