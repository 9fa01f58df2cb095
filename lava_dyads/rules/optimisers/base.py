"""Optimisers whose state is local to each weight.

``gradient`` is the estimate of dl/dw that the synapse holds, -(1/beta) mean(D zbar). State
arrays have the shape of the weight. What an
optimiser does is :meth:`Optimiser.moved`, a function of arrays in a namespace
(``rules.namespaces``); numpy's executors write its results over the registers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Natural, NotNegative, Positive, check_fields
from lava_dyads.errors import invalid
from lava_dyads.kinds import Limit
from lava_dyads.rules.namespaces import Into, Namespace

Fading = Annotated[float, Limit("must lie in [0, 1)", "0.9", lambda v: 0 <= v < 1)]
"""What is left of a mean after one step."""


@dataclass(frozen=True)
class Optimiser(ABC):
    """Base of all optimisers.

    Parameters
    ----------
    learning_rate : float
        Step size eta > 0, dimensionless.
    weight_decay : float
        Decoupled decay >= 0, in units of the rate: lambda = eta weight_decay + decay.
    decay : float
        Decoupled decay per update >= 0: w <- (1 - lambda) w before each step. Weights only,
        never biases.
    horizon : int
        Updates over which the rate falls linearly to 0: eta(t) = eta max(0, 1 - (t - 1) / horizon)
        at update t, from 1; 0: it stays. A synapse counts its updates on its own.

    Raises
    ------
    ValidationError
        If a parameter is out of range.
    """

    name: ClassVar[str]
    slots: ClassVar[int]
    """Number of state arrays per weight."""
    decorrelates: ClassVar[bool] = False
    """Whether gradients go through a matrix of the neurons below first, see ``rls``."""
    in_place: ClassVar[bool] = False
    """Whether functions of the namespace may write over the gradient in :meth:`moved`."""

    learning_rate: Positive = 0.001
    weight_decay: NotNegative = 0.0
    decay: NotNegative = 0.0
    horizon: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.weight_decay * self.learning_rate < 1:
            invalid("weight_decay", "needs 0 <= rate * decay < 1", self.weight_decay, "0")
        if not self.loss_per_update < 1:
            limit = "the share of a weight lost per update, weight_decay included, is in [0, 1)"
            invalid("decay", limit, self.decay, "0.001")

    @property
    def loss_per_update(self) -> float:
        """Share lambda of every weight that the first update takes away."""
        return self.learning_rate * self.weight_decay + self.decay

    def rate(self, step: int) -> float:
        """Return eta(t) at an update, counted from 1."""
        return self.learning_rate * self._left(step)

    def _left(self, step: int) -> float:
        return max(0.0, 1.0 - (step - 1) / self.horizon) if self.horizon else 1.0

    def numbers(self, step: int, scale: float = 1.0) -> tuple[float, ...]:
        """Return what the equations of an update depend on beside arrays: (scale, eta(t)).

        Parameters
        ----------
        step : int
            Number of the update, from 1.
        scale : float
            What the gradient still has to be multiplied by.
        """
        return scale, self.rate(step)

    @abstractmethod
    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the change of the weights and the new state; nothing that is given changes.

        Parameters
        ----------
        gradient : array
            Estimate of the gradient.
        state : sequence of arrays
            State per weight, one for each of ``slots``.
        numbers
            What :meth:`numbers` returned.
        xp : namespace
            Of the arrays.
        """

    def updated(
        self,
        weights: Array,
        gradient: Array,
        state: Sequence[Array],
        numbers: Sequence[Any],
        xp: Namespace = np,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the new weights and the new state, parameters as for :meth:`moved`."""
        change, new = self.moved(gradient, state, numbers, xp)
        return weights + change, new

    def change(self, gradient: Array, state: Array, step: int) -> Array:
        """Return the change of the weights and update the state (slots, ...) in place."""
        change, new = self.moved(gradient, tuple(state), self.numbers(step))
        for register, value in zip(state, new, strict=False):
            register[...] = value
        return change

    @property
    def for_biases(self) -> Optimiser:
        """The optimiser of biases."""
        return self

    def begin(self, weights: Array, state: Array) -> Optimiser:
        """Prepare weights and state, all zeros; return the optimiser that knows them."""
        return self

    def show(self, weights: Array, state: Array, updates: int, exact: bool) -> None:  # noqa: B027
        """Write the weights that stand for a state, where they are not what learns.

        Parameters
        ----------
        weights : array
        state : array, shape (slots, shape of the weights)
        updates : int
            How many there have been.
        exact : bool
            For evaluation instead of training.
        """

    def stored(self, weights: Array, state: Array) -> Array:
        """Return a copy of the numbers that learning continues from."""
        return weights.copy()

    def kept(self, step: int) -> float:
        """Return the share of a weight that the decoupled decay leaves before an update."""
        return 1.0 - (self.rate(step) * self.weight_decay + self.decay)

    def shrink(self, weights: Array, step: int) -> None:
        """Apply the decoupled decay in place, before an update (counted from 1)."""
        if self.loss_per_update:
            weights *= self.kept(step)

    def update(
        self, weights: Array, gradient: Array, state: Array, step: int, scale: float = 1.0
    ) -> None:
        """Make a step in place: w <- w + change(scale * gradient).

        Parameters
        ----------
        weights : array
        gradient : array
            Used as work space: its values are lost.
        state, step
            See :meth:`change`.
        scale : float
            What the gradient still has to be multiplied by.
        """
        xp = Into(gradient) if self.in_place else np
        change, new = self.moved(gradient, tuple(state), self.numbers(step, scale), xp)
        for register, value in zip(state, new, strict=False):
            register[...] = value
        weights += change

    def update_along(
        self,
        weights: Array,
        down: Array,
        up: Array,
        state: Array,
        step: int,
        scale: float,
        workspace: Array,
    ) -> bool:
        """Make the step of :meth:`update` along down^T up, where there is a quick way.

        Within :func:`lava_dyads.native.registry.overlap` it may be made only at the end.

        Parameters
        ----------
        weights : array (n_out, n_in)
        down, up : arrays (samples, n_out), (samples, n_in)
        state, step, scale
            See :meth:`update`.
        workspace : array (n_out, n_in)
            To work in.

        Returns
        -------
        bool
            Whether it was made; else nothing has changed.
        """
        return False


OPTIMISERS: dict[str, type[Optimiser]] = {}
"""Every optimiser by name: adam, momentum, rls, sgd."""


Chosen = TypeVar("Chosen", bound=Optimiser)


def register(chosen: type[Chosen]) -> type[Chosen]:
    """Enter an optimiser under its name; a class decorator.

    Raises
    ------
    ValidationError
        If there is one of that name.
    """
    if chosen.name in OPTIMISERS:
        invalid("optimiser", "two have one name", chosen.name, "another name")
    OPTIMISERS[chosen.name] = chosen
    return chosen


def flat(*arrays: Array) -> bool:
    """Tell whether all of them lie row by row in memory."""
    return all([array.flags.c_contiguous for array in arrays])  # noqa: C419 (half the time)


def alike(*arrays: Array) -> bool:
    """Tell whether compiled code may go through the memory of all of them alike."""
    return flat(*arrays) and all([array.dtype == arrays[0].dtype for array in arrays])  # noqa: C419
