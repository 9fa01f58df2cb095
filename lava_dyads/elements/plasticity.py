"""The one learning step of weights and biases."""

from __future__ import annotations

import math

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements.trace_plasticity import TracePlasticity
from lava_dyads.errors import invalid
from lava_dyads.rules.arithmetic import Arithmetic, Loihi2
from lava_dyads.rules.ops import Op
from lava_dyads.rules.optimisers import RLS, ChipSGD, Optimiser

OF_DECORRELATION = ("_decorrelation", "_input_sum")
"""How the names of registers end that optimisers have alone which decorrelate."""


class Plasticity:
    """Accumulate products over a batch, then let the optimiser make one step.

    With P the sum over the samples of down_post up_pre (weights) or down_post (biases)::

        accumulator <- accumulator + P
        at the end of a batch of N:  gradient = -accumulator / (beta N)
                                     updates <- updates + 1, accumulator <- 0
                                     value <- (1 - lambda) value
                                              + optimiser(gradient, state, updates)

    Of binary weights (``rules.binary``) it is the optimiser's state that learns, and writes them.

    One that decorrelates (``rls``) sees the gradient through a matrix P, which follows the mean of
    the inputs over the batch and, where weights are shared, over the places they are used at.

    Registers in ``memory``: ``<name>_accumulator``, ``<name>_state`` (slots and
    the shape of the value), ``<name>_updates`` (1,); where it decorrelates ``<name>_decorrelation``
    (inputs, inputs) and ``<name>_input_sum`` (inputs,), their sum.

    Parameters
    ----------
    name : str
        Register that learns.
    memory : dict of str to array
        The registers of the owner; three are added, where they are not there.
    beta : float
        Nudge strength.
    optimiser : Optimiser or None
        None: the register is constant.
    decay : bool
        Whether the optimiser's weight decay applies.
    """

    def __init__(
        self,
        name: str,
        memory: dict[str, AnyArray],
        beta: float,
        optimiser: Optimiser | None,
        decay: bool = True,
    ) -> None:
        self.name, self._memory, self._beta, self._decay = name, memory, beta, decay
        if optimiser and not decay:
            optimiser = optimiser.for_biases
        value = memory[name]
        slots = max(1, optimiser.slots if optimiser else 0)
        if f"{name}_updates" not in memory:
            memory[f"{name}_accumulator"] = np.zeros_like(value)
            memory[f"{name}_state"] = np.zeros((slots, *value.shape), value.dtype)
            memory[f"{name}_updates"] = np.zeros(1, np.int64)
        if optimiser and optimiser.decorrelates and f"{name}_decorrelation" not in memory:
            inputs = math.prod(value.shape[1:])
            memory[f"{name}_decorrelation"] = np.eye(inputs, dtype=value.dtype)
            memory[f"{name}_input_sum"] = np.zeros(inputs, value.dtype)
        self.optimiser = optimiser.begin(value, memory[f"{name}_state"]) if optimiser else None

    def show(self, exact: bool) -> None:
        """Write the weights of evaluation (exact) or of training, where they differ."""
        if self.optimiser:
            m, name = self._memory, self.name
            updates = int(m[f"{name}_updates"].flat[0])
            self.optimiser.show(m[name], m[f"{name}_state"], updates, exact)

    def stored(self) -> Array:
        """Return a copy of what to keep: of binary weights, what is behind them."""
        value, state = self._memory[self.name], self._memory[f"{self.name}_state"]
        return value.copy() if self.optimiser is None else self.optimiser.stored(value, state)

    def learn_pair(self, op: Op, down: Array, up: Array, batch: int) -> None:
        """Learn weights from the error above and the activity below, (lanes, n) each."""
        if self.optimiser is None:
            return
        if self.optimiser.decorrelates:
            places = op.n_out // op.shape[0]
            one = np.zeros_like(down)
            one[:, :places] = 1.0  # what reaches the first neuron, or channel, reaches all of them
            self._memory[f"{self.name}_input_sum"] += op.outer(one, up)[0].ravel() / places
        self.learn(op.outer(down, up), batch)

    def learn_alone(self, down: Array, batch: int) -> None:
        """Learn a bias from the error, (lanes, n)."""
        self.learn(down.sum(axis=0), batch)

    def learn(self, product: Array, batch: int) -> None:
        """Take the products of one presentation; apply them where ``batch`` is not 0."""
        if self.optimiser is None:
            return
        m, name = self._memory, self.name
        accumulator = m[f"{name}_accumulator"]
        accumulator += product
        if batch:
            gradient = accumulator / (-self._beta * batch)
            accumulator.fill(0)
            m[f"{name}_updates"] += 1
            step = int(m[f"{name}_updates"].flat[0])
            if self._decay:
                self.optimiser.shrink(m[name], step)
            if self.optimiser.decorrelates:
                update = self._decorrelated(gradient, batch)
                self.optimiser.update(m[name], update, m[f"{name}_state"], step)
                return
            self.optimiser.update(m[name], gradient, m[f"{name}_state"], step)

    def _decorrelated(self, gradient: Array, batch: int) -> Array:
        """Return the gradient through P, and let P follow the mean of the inputs."""
        assert isinstance(self.optimiser, RLS)
        inputs = self._memory[f"{self.name}_input_sum"]
        rows = gradient.reshape(len(gradient), -1)
        p = self._memory[f"{self.name}_decorrelation"]
        mean = inputs / batch if gradient.ndim > 1 else np.ones_like(inputs)  # a bias hears 1
        made = self.optimiser.decorrelated(rows, p, mean)
        inputs.fill(0)
        return made.reshape(gradient.shape)


def plasticity(
    name: str,
    memory: dict[str, AnyArray],
    beta: float,
    optimiser: Optimiser | None,
    numbers: Arithmetic,
    decay: bool = True,
    index: int = 0,
) -> Plasticity | TracePlasticity:
    """Return how a register learns in a number system.

    Raises
    ------
    ValidationError
        If the optimiser has no place on the chip.
    """
    if not isinstance(numbers, Loihi2):
        return Plasticity(name, memory, beta, optimiser, decay)
    if optimiser is not None and not isinstance(optimiser, ChipSGD):
        limit = "precision loihi2 learns by traces alone: a synapse has no room for other state"
        invalid("optimiser", limit, optimiser.name, "sgd")
    return TracePlasticity(name, memory, beta, optimiser, numbers, index)
