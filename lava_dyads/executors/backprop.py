"""Plain backpropagation: the oracle, and the baseline of every comparison.

On a graph, with g_v = dl/dz_v gathered from everything that v feeds::

    up:     a_v = op_v(z of its sources) + b_v        z_v = f_v(a_v)     sources first
    down:   g_v <- g_v + l'(z_v)                      where v is an output
            delta_v = f_v'(a_v) g_v                   (g_v for a bare op)
            g_source <- g_source + op_v^T delta_v     everything above first
    learn:  dl/dW_v = mean(delta_v z^T)               dl/db_v = mean(delta_v)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.elements.base import Inbox, Outbox, Trainable
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.plasticity import Plasticity
from lava_dyads.plan.chain import chain_vertices
from lava_dyads.plan.vertex import Vertex, only_data
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.ops import Dense, NonlinearOp, Op
from lava_dyads.rules.optimisers import Optimiser


class GradientFactors(NamedTuple):
    """What meets at the weights of an op: the activity below and the error above, (B, n)."""

    op: Op
    up: Array
    down: Array
    above_data: bool
    """Whether nothing below wants the error."""


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass over B samples.

    Attributes
    ----------
    activities : list of arrays (B, n)
        z of the inputs and of every vertex with an activation, in the order of the graph; the
        last one is the output of a chain.
    errors : list of arrays (B, n)
        delta = dl/da of every vertex with an activation.
    factors : list of GradientFactors
        One for every op with weights.
    shares : list of int
        Neurons that share a bias, for every vertex with an activation.
    output : array (B, n_out)
        Of all outputs, side by side.
    """

    activities: list[Array]
    errors: list[Array]
    factors: list[GradientFactors]
    shares: list[int]
    output: Array

    def gradients(self, lane: int | None = None) -> tuple[list[Array], list[Array]]:
        """Return dl/dW and dl/db, means over the batch or of one sample."""
        rows = slice(None) if lane is None else slice(lane, lane + 1)
        count = len(self.output[rows])
        weights: list[Array] = [m.op.outer(m.down[rows], m.up[rows]) / count for m in self.factors]
        pairs = zip(self.errors, self.shares, strict=True)
        return weights, [d[rows].sum(axis=0).reshape(-1, n).sum(axis=1) / count for d, n in pairs]


def evaluate(
    vertices: Sequence[Vertex], x: Array, weights: Sequence[Array], biases: Sequence[Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the pre-activations a of vertices with an activation, and z of all, by name."""
    z: dict[str, Array] = {}
    pre: dict[str, Array] = {}
    given, thresholds, start = iter(weights), iter(biases), 0
    for v in vertices:
        if not v.sources:
            z[v.name] = x[:, start : start + v.n]
            start += v.n
            continue
        below = [z[source] for source in v.sources]
        if v.op is None:
            a = np.concatenate(below, axis=1) if v.beside else sum(below[1:], below[0])
        elif isinstance(v.op, NonlinearOp):
            a = v.op.forward(*below)
        else:
            a = v.op.forward(next(given) if v.weighted else _NONE, below[0])
        if v.activation is not None:
            pre[v.name] = a = a + np.repeat(next(thresholds), v.n // v.biases)
            a = v.activation.f(a)
        z[v.name] = a
    return pre, z


_NONE = np.zeros(())


def differentiate(
    vertices: Sequence[Vertex],
    x: Array,
    y: Array,
    weights: Sequence[Array],
    biases: Sequence[Array],
    feedback_weights: Sequence[Array | None] = (),
) -> Pass:
    """Run one pass over a graph.

    Parameters
    ----------
    vertices : sequence of Vertex
        Sources before what they feed.
    x, y : arrays (B, n_in), (B, n_out)
        Inputs and targets, those of several vertices side by side.
    weights, biases : sequences of arrays
        Of the ops that have weights, and of the vertices with an activation.
    feedback_weights : sequence of arrays in the shapes of the weights, or None
        B^T where it is not W: feedback alignment instead of backprop.
    """
    pre, z = evaluate(vertices, x, weights, biases)
    outputs = [v for v in vertices if v.loss]
    gathered: dict[str, Array] = {}
    start = 0
    for v in outputs:
        assert v.loss
        gathered[v.name] = v.loss.gradient(z[v.name], y[:, start : start + v.n])
        start += v.n
    data = only_data(vertices)
    back = list(feedback_weights) or [None] * len(weights)
    k = len(weights)
    errors: dict[str, Array] = {}
    factors: list[GradientFactors] = []
    for v in reversed([v for v in vertices if v.sources]):
        delta = gathered.get(v.name)
        if delta is None:
            delta = np.zeros_like(z[v.name])
        if v.activation is not None:
            delta = errors[v.name] = delta * v.activation.derivative(pre[v.name])
        through = weights[0] if weights else _NONE
        if v.weighted:
            k -= 1
            b = back[k]
            through = weights[k] if b is None else b
            up, above_data = z[v.sources[0]], data[v.sources[0]]
            factors.insert(0, GradientFactors(v.weighted, up, delta, above_data))
        if all(data[source] for source in v.sources):
            continue
        for source, part in zip(v.sources, _downward(v, delta, through, z), strict=True):
            gathered[source] = gathered[source] + part if source in gathered else part
    standing = [v for v in vertices if v.activation is not None]
    return Pass(
        [z[v.name] for v in vertices if not v.sources or v.activation is not None],
        [errors[v.name] for v in standing],
        factors,
        [v.n // v.biases for v in standing],
        np.concatenate([z[v.name] for v in outputs], axis=1),
    )


def _downward(v: Vertex, delta: Array, through: Array, z: dict[str, Array]) -> Sequence[Array]:
    """Return what reaches each source."""
    if v.op is None and v.beside:
        edges = np.cumsum([z[source].shape[1] for source in v.sources])[:-1]
        return np.split(delta, edges, axis=1)
    if v.op is None:
        return [delta] * len(v.sources)
    if isinstance(v.op, NonlinearOp):
        return v.op.transpose(delta, *(z[source] for source in v.sources))
    return [v.op.transpose(through, delta)]


def forward(
    x: Array, weights: list[Array], biases: list[Array], activations: list[Activation]
) -> tuple[list[Array], list[Array]]:
    """Return a_1 .. a_L and z_0 .. z_L of a chain of dense layers (output linear)."""
    ops = [Dense(*w.shape) for w in weights]
    pre, z = evaluate(chain_vertices(ops, activations), x, weights, biases)
    return list(pre.values()), list(z.values())


def backpropagate(
    x: Array,
    y: Array,
    weights: list[Array],
    biases: list[Array],
    activations: list[Activation],
    loss: Loss,
    feedback_weights: Sequence[Array | None] | None = None,
    ops: Sequence[Op] = (),
) -> Pass:
    """Run one pass over a chain.

    delta_L = l'(z_L);  delta_k = f'(a_k) (B_{k+1} delta_{k+1}), B = W^T for backprop.

    Parameters
    ----------
    x, y : arrays (B, n_in), (B, n_out)
    weights, biases : lists of arrays (n_out, n_in), (n_out,)
    activations : list of the hidden layers' activations
    loss : Loss
    feedback_weights : sequence of arrays (n_out, n_in) or None per layer, or None
        B^T where it is not W: feedback alignment instead of backprop.
    ops : sequence of Op, or empty
        Kinds of the connections; empty: dense.
    """
    vertices = chain_vertices(ops or [Dense(*w.shape) for w in weights], activations, loss)
    return differentiate(vertices, x, y, weights, biases, feedback_weights or ())


def dense_operations(sizes: tuple[int, ...] | list[int]) -> int:
    """Return the products of one sample of dense backprop in a chain.

    All forward products, all backward products except into the input, all weight gradients.
    """
    products = [below * above for below, above in pairwise(sizes)]
    return sum(products) * 2 + sum(products[1:])


def graph_operations(vertices: Sequence[Vertex]) -> int:
    """Return the products of one sample of dense backprop: of dense weights even where masked."""
    data, total = only_data(vertices), 0
    for v in vertices:
        op = v.weighted
        if op is None:
            continue
        up, down = np.ones((1, op.n_in)), np.ones((1, op.n_out))
        sweeps = 2 if data[v.sources[0]] else 3
        if isinstance(op, Dense):
            total += op.n_in * op.n_out * sweeps
            continue
        total += op.forward_operations(up) + op.learning_operations(down, up)
        total += op.backward_operations(down) * (sweeps - 2)
    return total


def zero_skipping_operations(run: Pass) -> int:
    """Return the products of a pass over all its samples, leaving out exact zeros."""
    total = 0
    for op, up, down, above_data in run.factors:
        total += op.forward_operations(up) + op.learning_operations(down, up)
        total += 0 if above_data else op.backward_operations(down)
    return total


class BackpropNetwork(Trainable):
    """Backprop behind the ports of a network, so that the same trainer runs both.

    The learning step is the dyads' own (``Plasticity`` with beta = 1 and product -delta z^T).

    Parameters
    ----------
    vertices : sequence of Vertex
    weights, biases : sequences of arrays
        Of the ops that have weights, and of the vertices with an activation.
    lanes : int
    optimiser : Optimiser or None
    feedback_weights : sequence of arrays or None
        B^T where it is not W: feedback alignment. It stays as it is.
    """

    answers = True
    baseline = 0.0

    def __init__(
        self,
        vertices: Sequence[Vertex],
        weights: Sequence[Array],
        biases: Sequence[Array],
        *,
        lanes: int,
        optimiser: Optimiser | None,
        feedback_weights: Sequence[Array | None] = (),
    ) -> None:
        self.vertices = list(vertices)
        n_in = sum(v.n for v in vertices if not v.sources)
        n_out = sum(v.n for v in vertices if v.loss)
        super().__init__(lanes, {"input_in": n_in, "target_in": n_out}, {"output_out": n_out})
        self._n_out, self.depth = n_out, len(weights)
        for k, b in enumerate(feedback_weights, 1):
            if b is not None:
                self.memory[f"feedback_{k}"] = b.copy()
        self._on: dict[str, list[Plasticity]] = {"weights": [], "biases": []}
        for kind, values in (("weights", weights), ("biases", biases)):
            for k, value in enumerate(values, 1):
                name = f"{kind}_{k}"
                self.memory[name] = value.copy()
                learner = Plasticity(name, self.memory, 1.0, optimiser, decay=kind == "weights")
                self._on[kind].append(learner)

    def stored(self) -> tuple[list[Array], list[Array]]:
        """Return what a checkpoint keeps, see :class:`Network`."""
        return [learner.stored() for learner in self._on["weights"]], self.parameters()[1]

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Answer a presentation; learn from it."""
        x, y = inbox.get("input_in"), inbox.get("target_in")
        if x is None or not clock.valid:
            return {}
        for on_weights in self._on["weights"]:
            on_weights.show(exact=not clock.learn)
        weights, biases = self._registers("weights"), self._registers("biases")
        rows = slice(0, clock.valid)
        output = np.zeros((self.lanes, self._n_out))
        if clock.learn and y is not None:
            settings = weights, biases, self.feedback()
            run = differentiate(self.vertices, x[rows], y[rows], *settings)
            output[rows] = run.output
            if not clock.frozen:
                for kind, gradients in zip(self._on.values(), run.gradients(), strict=True):
                    for learner, gradient in zip(kind, gradients, strict=True):
                        learner.learn(-gradient * clock.valid, clock.batch)
        else:
            z = evaluate(self.vertices, x[rows], weights, biases)[1]
            output[rows] = np.concatenate([z[v.name] for v in self.vertices if v.loss], axis=1)
        return {"output_out": output}
