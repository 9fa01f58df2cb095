"""Plain backpropagation: the oracle, and the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lava_dyads.rules._types import Array
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.clock import Clock
from lava_dyads.rules.elements.base import Inbox, Outbox, Trainable
from lava_dyads.rules.elements.plasticity import Plasticity
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.ops import Dense, Op
from lava_dyads.rules.optimisers import Optimiser


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass over B samples.

    Attributes
    ----------
    activities : list of arrays (B, n_k), k = 0 .. L
        z_0 = x, z_k = f_k(a_k), the output linear.
    errors : list of arrays (B, n_k), k = 1 .. L
        dl/da_k of each sample.
    ops : sequence of Op, or empty
        Kinds of the connections; empty: dense.
    """

    activities: list[Array]
    errors: list[Array]
    ops: Sequence[Op] = ()

    @property
    def connections(self) -> Sequence[Op]:
        """Kinds of the connections, from the input up."""
        return self.ops or [
            Dense(d.shape[1], z.shape[1])
            for d, z in zip(self.errors, self.activities[:-1], strict=True)
        ]

    def gradients(self, lane: int | None = None) -> tuple[list[Array], list[Array]]:
        """Return dl/dW_k = mean(delta_k z_{k-1}^T) and dl/db_k, over the batch or of one sample."""
        rows = slice(None) if lane is None else slice(lane, lane + 1)
        count = len(self.errors[0][rows])
        parts = zip(self.connections, self.errors, self.activities[:-1], strict=True)
        weights = [op.outer(d[rows], z[rows]) / count for op, d, z in parts]
        return weights, [d[rows].sum(axis=0) / count for d in self.errors]


def forward(
    x: Array, weights: list[Array], biases: list[Array], activations: list[Activation]
) -> tuple[list[Array], list[Array]]:
    """Return the pre-activations a_1 .. a_L and the activities z_0 .. z_L (output linear)."""
    z, pre, activities = x, [], [x]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        a = z @ w.T + b
        z = activations[k].f(a) if k < len(activations) else a
        pre.append(a)
        activities.append(z)
    return pre, activities


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
    """Run one pass.

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
    back = feedback_weights or [None] * len(weights)
    pre, activities = forward(x, weights, biases, activations)
    delta = loss.gradient(activities[-1], y)
    errors = [delta]
    for k in range(len(weights) - 1, 0, -1):
        b = back[k]
        down = delta @ (weights[k] if b is None else b)
        delta = down * activations[k - 1].derivative(pre[k - 1])
        errors.insert(0, delta)
    return Pass(activities, errors, ops)


def dense_operations(sizes: tuple[int, ...] | list[int]) -> int:
    """Return the products of one sample of dense backprop.

    All forward products, all backward products except into the input, all weight gradients.
    """
    products = [below * above for below, above in pairwise(sizes)]
    return sum(products) * 2 + sum(products[1:])


def zero_skipping_operations(run: Pass) -> int:
    """Return the products of a pass over all its samples, leaving out exact zeros."""
    total = 0
    for k, (op, delta) in enumerate(zip(run.connections, run.errors, strict=True)):
        z = run.activities[k]
        total += op.forward_operations(z) + op.learning_operations(delta, z)
        if k > 0:
            total += op.backward_operations(delta)
    return total


class BackpropNetwork(Trainable):
    """Backprop behind the ports of a network, so that the same trainer runs both.

    The learning step is the dyads' own (``Plasticity`` with beta = 1 and product -delta z^T).
    """

    answers = True
    baseline = 0.0

    def __init__(
        self,
        weights: list[Array],
        biases: list[Array],
        *,
        activations: list[Activation],
        loss: Loss,
        lanes: int,
        optimiser: Optimiser | None,
        ops: Sequence[Op] = (),
    ) -> None:
        sizes = [weights[0].shape[1], *(len(b) for b in biases)]
        super().__init__(
            lanes, {"input_in": sizes[0], "target_in": sizes[-1]}, {"output_out": sizes[-1]}
        )
        self.activations, self.loss = activations, loss
        self.depth = len(weights)
        self._ops = ops
        self._plasticities = []
        for k, (w, b) in enumerate(zip(weights, biases, strict=True), 1):
            self.memory[f"weights_{k}"], self.memory[f"biases_{k}"] = w.copy(), b.copy()
            self._plasticities += [
                Plasticity(f"weights_{k}", self.memory, 1.0, optimiser),
                Plasticity(f"biases_{k}", self.memory, 1.0, optimiser, decay=False),
            ]

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Answer a presentation; learn from it."""
        x, y = inbox.get("input_in"), inbox.get("target_in")
        if x is None or not clock.valid:
            return {}
        weights, biases = self.parameters()
        rows = slice(0, clock.valid)
        output = np.zeros((self.lanes, len(biases[-1])))
        if clock.learn and y is not None:
            settings = weights, biases, self.activations, self.loss
            run = backpropagate(x[rows], y[rows], *settings, ops=self._ops)
            output[rows] = run.activities[-1]
            for k in range(0 if clock.frozen else self.depth):
                on_weights, on_biases = self._plasticities[2 * k : 2 * k + 2]
                product = run.connections[k].outer(-run.errors[k], run.activities[k])
                on_weights.learn(product, clock.batch)
                on_biases.learn(-run.errors[k].sum(axis=0), clock.batch)
        else:
            output[rows] = forward(x[rows], weights, biases, self.activations)[1][-1]
        return {"output_out": output}
