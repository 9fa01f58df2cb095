"""Optimisers whose state is local to each weight.

``gradient`` is the estimate of dl/dw that the synapse holds, -(1/beta) mean(D zbar). State
arrays have the shape of the weight. A new optimiser is one class, entered in ``OPTIMISERS``: what
it does is :meth:`Optimiser.moved`, a function of arrays in a namespace (``rules.namespaces``);
numpy's executors write its results over the registers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Natural, NotNegative, Positive, check_fields
from lava_dyads.errors import invalid, nearest
from lava_dyads.kinds import Limit
from lava_dyads.native.registry import kernel
from lava_dyads.rules.arithmetic.limits import DECIMATION, EXPONENT_MIN
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
        state : array, shape (slots, *weights.shape)
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


@dataclass(frozen=True)
class SGD(Optimiser):
    """Plain gradient descent: w <- w - eta g, eta 0.1 by default."""

    name: ClassVar[str] = "sgd"
    slots: ClassVar[int] = 0
    in_place: ClassVar[bool] = True

    learning_rate: Positive = 0.1

    def numbers(self, step: int, scale: float = 1.0) -> tuple[float, ...]:
        """Return (-eta(t) scale,)."""
        return (-self.rate(step) * scale,)

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -eta g."""
        return xp.multiply(gradient, numbers[0]), ()

    def update(
        self, weights: Array, gradient: Array, state: Array, step: int, scale: float = 1.0
    ) -> None:
        """Make a step in place, w <- w - eta scale g."""
        compiled = kernel("descend")
        if compiled and _flat(weights, gradient):
            numbers = np.array(self.numbers(step, scale), weights.dtype)
            compiled(weights.reshape(-1), gradient.reshape(-1), numbers)
            return
        super().update(weights, gradient, state, step, scale)


@dataclass(frozen=True)
class Momentum(Optimiser):
    """Heavy ball: v <- mu v + g;  w <- w - eta v, eta 0.05 and mu 0.9 by default."""

    name: ClassVar[str] = "momentum"
    slots: ClassVar[int] = 1
    in_place: ClassVar[bool] = True

    learning_rate: Positive = 0.05
    momentum: Fading = 0.9

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -eta v with the new v."""
        scale, rate = numbers
        velocity = state[0] * self.momentum
        velocity += xp.multiply(gradient, scale)  # an array of its own
        return xp.multiply(velocity, -rate), (velocity,)


@dataclass(frozen=True)
class Adam(Optimiser):
    """Adam (Kingma and Ba 2015, algorithm 1).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    w <- w - eta (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    name: ClassVar[str] = "adam"
    slots: ClassVar[int] = 2
    in_place: ClassVar[bool] = True

    beta_1: Fading = 0.9
    beta_2: Fading = 0.999
    epsilon: Positive = 1e-8

    def numbers(self, step: int, scale: float = 1.0) -> tuple[float, ...]:
        """Return scale (1 - b1), (1 - b2) / (1 - b1)^2, eta q / (1 - b1^t) and eps q, see below."""
        q, left = math.sqrt(1.0 - self.beta_2**step), 1.0 - self.beta_1
        size = self.rate(step) * q / (1.0 - self.beta_1**step)
        return scale * left, (1.0 - self.beta_2) / left**2, size, self.epsilon * q

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the bias-corrected step, and both moments.

        With q = sqrt(1 - b2^t), the step eta m q / ((1 - b1^t) (sqrt(v) + eps q)) is that above.
        """
        share, ratio, size, epsilon = numbers
        # Arrays of its own: where they can be written to, the lines with two signs do.
        part = xp.multiply(gradient, share)
        first = state[0] * self.beta_1
        first += part
        part *= part
        part *= ratio
        second = state[1] * self.beta_2
        second += part
        root = xp.sqrt(second)
        root += epsilon
        change = xp.divide(first, root)
        change *= -size
        return change, (first, second)

    def change(self, gradient: Array, state: Array, step: int) -> Array:
        """Return the bias-corrected step and update the state in place."""
        change = np.zeros_like(gradient)
        self.update(change, gradient.copy(), state, step)
        return change

    def update(
        self, weights: Array, gradient: Array, state: Array, step: int, scale: float = 1.0
    ) -> None:
        """Make a step in place, in pieces that fit the cache."""
        compiled = kernel("adam", weights.size)
        if compiled and _alike(weights, gradient, *state):
            compiled(weights, gradient, *state, self._numbers(step, scale, weights.dtype))
            return
        numbers, flush = self.numbers(step, scale), step % _FLUSH_EVERY == 0
        for w, g, m, v in pieces(weights, gradient, *state):
            change, (m[...], v[...]) = self.moved(g, (m, v), numbers, Into(g))
            w += change
            if flush:
                m[np.abs(m) < _TINY[weights.dtype.type]] = 0

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
        """Make the step event by event for a few samples, and while a product is made for more."""
        few = len(down) <= _FEW
        compiled = kernel("adam_events" if few else "descent", weights.size)
        down = np.ascontiguousarray(down)
        if not compiled or not _alike(weights, down, up, workspace, *state):
            return False
        numbers = self._numbers(step, scale, weights.dtype)
        if few:
            compiled(weights, down, up, *state, numbers)
        else:
            compiled(weights, down, up, workspace, *state, numbers)
        return True

    def _numbers(self, step: int, scale: float, dtype: np.dtype[Any]) -> Array:
        """Return what the compiled loops take."""
        first, _, size, epsilon = self.numbers(step, scale)
        second = scale**2 * (1.0 - self.beta_2)
        numbers = first, second, self.beta_1, self.beta_2, size, epsilon, _TINY[dtype.type]
        return np.array(numbers, dtype)


_PIECE = 1 << 15
"""Weights that are worked on at a time: all passes over them stay in the cache."""

_FEW = 20
"""Samples up to which a product is not worth forming: measured, a quarter of the entries events."""

_FLUSH_EVERY = 64
_TINY: dict[type, float] = {np.float32: 1e-30, np.float64: 1e-290}
"""First moments below are set to 0: as subnormal numbers they would slow every pass down."""


def _flat(*arrays: Array) -> bool:
    return all([array.flags.c_contiguous for array in arrays])  # noqa: C419 (half the time)


def _alike(*arrays: Array) -> bool:
    """Tell whether compiled code may go through the memory of all of them alike."""
    return _flat(*arrays) and all([array.dtype == arrays[0].dtype for array in arrays])  # noqa: C419


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Cut arrays of one shape into the same flat pieces (views), where their memory permits."""
    if not _flat(*arrays):
        yield arrays
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, _PIECE):
        yield tuple(array[start : start + _PIECE] for array in flat)


@dataclass(frozen=True)
class ChipSGD(Optimiser):
    """Gradient descent in the chip's arithmetic, with rate and decay that fall linearly.

    w <- (1 - lambda(t)) w - eta(t) g with lambda(t) = lambda eta(t) / eta: a decay that stayed
    would win over a rate that falls. The number system rounds rate and decay to a mantissa of 3
    bits and the step stochastically; this is what it stands for.
    """

    name: ClassVar[str] = "sgd"
    slots: ClassVar[int] = 0

    learning_rate: Positive = 2.0**-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight_decay:
            limit = "the chip's decay does not follow the rate"
            invalid("weight_decay", limit, self.weight_decay, "decay")
        least = 2.0 ** -(DECIMATION.value - EXPONENT_MIN.value)
        if 0 < self.decay < least:
            limit = f"the chip's smallest is 2^-16 = {least:.3g}"
            invalid("decay", limit, self.decay, f"{least:.3g}")
        if self.decay > 7 / 8:
            invalid("decay", "the chip's largest is 7/8", self.decay, "0.001")

    def decay_at(self, step: int) -> float:
        """Return lambda at an update, counted from 1."""
        return self.decay * self._left(step)

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -eta g."""
        scale, rate = numbers
        return gradient * (-rate * scale), ()


OPTIMISERS: dict[str, type[Optimiser]] = {cls.name: cls for cls in (SGD, Momentum, Adam)}
"""Every optimiser by name: sgd, momentum, adam."""


def optimiser(
    name: str,
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    decay: float = 0.0,
    horizon: int = 0,
) -> Optimiser:
    """Return an optimiser by name, with its own default learning rate if none is given.

    Raises
    ------
    ValidationError
        If the name is unknown or a parameter is out of range.
    """
    if name not in OPTIMISERS:
        invalid("optimiser", "unknown name", name, nearest(name, OPTIMISERS))
    cls = OPTIMISERS[name]
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    return cls(**rate, weight_decay=weight_decay, decay=decay, horizon=horizon)
