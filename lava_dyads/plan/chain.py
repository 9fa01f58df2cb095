"""Networks without branches: input, connection, population, ..., head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lava_dyads.array_types import Array
from lava_dyads.executors.step import Network
from lava_dyads.plan.build import Vertex, assemble
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.ops import Dense, Op


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


def chain(
    weights: list[Array],
    biases: list[Array],
    *,
    activations: list[Activation],
    loss: Loss,
    ops: Sequence[Op] = (),
    **options: Any,
) -> Network:
    """Build a network of L connections and L populations.

    Parameters
    ----------
    weights : list of L arrays (n_out, n_in)
    biases : list of L arrays (n_out,)
    activations : list of L - 1 activations
        Of the hidden layers; the output is linear.
    loss : Loss
    ops : sequence of L Op, or empty
        Kinds of the connections; empty: dense.
    options
        Those of :func:`~lava_dyads.plan.build.assemble`.

    Returns
    -------
    Network

    Raises
    ------
    ValidationError
        If shapes do not fit or the rule does not support the nudge.
    """
    ops = ops or [Dense(*w.shape) for w in weights]
    return assemble(chain_vertices(ops, activations, loss), weights, biases, **options)
