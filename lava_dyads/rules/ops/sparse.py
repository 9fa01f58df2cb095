"""The sparse connection: weights only where a mask says that there is a synapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.errors import invalid
from lava_dyads.rules.namespaces import Namespace, over, whole
from lava_dyads.rules.ops.dense import Dense


@dataclass(frozen=True, eq=False)
class Sparse(Dense):
    """forward W x, transpose W^T d, outer d x^T where the mask M is 1, for weights W = M W.

    Weights are a matrix (n_out, n_in) with zeros where there is no synapse; nothing ever changes
    these, so all products are those of the dense connection. What is counted is what synapses do.

    Parameters
    ----------
    n_out, n_in : int
        Neurons above and below.
    there : array of bool, shape (n_out, n_in)
        M: where there is a synapse.

    Raises
    ------
    ValidationError
        If it has another shape.
    """

    process_name: ClassVar[str] = "DyadSparse"

    there: AnyArray

    def __post_init__(self) -> None:
        if self.there.shape != (self.n_out, self.n_in) or self.there.dtype != bool:
            limit = f"must be an array of bool, shape {(self.n_out, self.n_in)}"
            invalid("Sparse.there", limit, f"{self.there.dtype} {self.there.shape}")

    @property
    def mask(self) -> AnyArray:
        """M."""
        return self.there

    @property
    def fan_in(self) -> int:
        """Synapses of a neuron above, on average, rounded."""
        return round(self.synapses / self.n_out)

    @property
    def synapses(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.mask))

    def outer(self, down: Array, up: Array, out: Array | None = None, xp: Namespace = np) -> Array:
        """Return sum over lanes of d x^T where there is a synapse, (n_out, n_in)."""
        made = super().outer(down, up, out, xp)
        return over(made, xp).multiply(made, self.mask)  # type: ignore[no-any-return]

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Every event below touches the synapses of its neuron."""
        return whole(xp.sum((up != 0) @ self.mask.sum(axis=0)))

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Every event above touches the synapses of its neuron."""
        return whole(xp.sum((down != 0) @ self.mask.sum(axis=1)))

    def learning_operations(self, down: AnyArray, up: AnyArray, xp: Namespace = np) -> int:
        """Synapses where two events meet."""
        return whole(xp.sum(((down != 0).astype(int) @ self.mask) * (up != 0)))
