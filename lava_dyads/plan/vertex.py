"""Nodes of a computation graph, with everything known about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lava_dyads.rules.activations import Activation
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.ops import Dense, NonlinearOp, Op


@dataclass(frozen=True)
class Vertex:
    """A node of a computation graph, with everything known about it.

    Attributes
    ----------
    name : str
        Of the population that stands on it, or of the op where none does.
    shape : tuple of int
        Of what it sends up; flat in messages.
    sources : tuple of str
        Vertices below; none: an input.
    op : Op, NonlinearOp or None
        What the activities go through; None: they are added up, or put side by side.
    activation : Activation or None
        Of the population that stands on it; None: there is none.
    loss : Loss or None
        Nudges it: this is an output.
    biases : int
        How many the population has: one per neuron, or one per channel of an image.
    beside : bool
        Without an op: sources are put side by side.
    op_name : str
        Name of the op where a population stands on it; default: ``<name>_op``.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()
    op: Op | NonlinearOp | None = None
    activation: Activation | None = None
    loss: Loss | None = None
    biases: int = 0
    beside: bool = False
    op_name: str = ""

    @property
    def n(self) -> int:
        """Entries of what it sends up."""
        return math.prod(self.shape)

    @property
    def weighted(self) -> Op | None:
        """The op, where it has weights."""
        return _weighted(self.op)


def _weighted(op: Op | NonlinearOp | None) -> Op | None:
    return None if op is None or isinstance(op, NonlinearOp) or not op.shape else op


def only_data(vertices: Sequence[Vertex]) -> dict[str, bool]:
    """Return, by name, whether nothing below a vertex, itself included, learns."""
    data: dict[str, bool] = {}
    for v in vertices:
        learns = v.weighted or v.activation is not None
        data[v.name] = not learns and all(data[source] for source in v.sources)
    return data


def is_chain(vertices: Sequence[Vertex]) -> bool:
    """Tell whether every vertex has neurons on dense weights from the one before, nudged last."""
    return all(
        type(v.op) is Dense
        and v.activation is not None
        and v.sources == (below.name,)
        and bool(v.loss) == (v is vertices[-1])
        for below, v in pairwise(vertices)
    )
