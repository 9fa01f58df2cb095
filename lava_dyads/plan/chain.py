"""Networks without branches: input, connection, population, ..., head."""

from __future__ import annotations

from collections.abc import Sequence

from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.ops import Op


def chain_vertices(
    ops: Sequence[Op], activations: Sequence[Activation], loss: Loss | None = None
) -> list[Vertex]:
    """Return the graph of a chain: ``connection_k`` and ``population_k``, k = 1 .. L.

    Parameters
    ----------
    ops : sequence of L Op
    activations : sequence of L - 1 activations
        Of the hidden layers; the output is linear.
    loss : Loss or None
        None: the output is read and never nudged.
    """
    depth, below = len(ops), "input"
    vertices = [Vertex(below, (ops[0].n_in,))]
    for k, op in enumerate(ops, 1):
        vertices.append(
            Vertex(
                f"population_{k}",
                (op.n_out,),
                (below,),
                op,
                activations[k - 1] if k < depth else ACTIVATIONS["linear"],
                loss if k == depth else None,
                biases=op.n_out,
                op_name=f"connection_{k}",
            )
        )
        below = f"population_{k}"
    return vertices
