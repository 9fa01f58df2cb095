"""Weights of one bit: what goes forward is a sign, what learns is a latent number behind it.

=========  ======================================================================
symbol     meaning
=========  ======================================================================
theta      latent weight, in [-1, 1]
w          forward weight, in [-1, 1]; +-1 in evaluation
c          scale of a layer, c = sqrt(2 / fan_in): neurons see W = c w
a, b       AdaSTE's offset, and how strongly it pulls w to a sign
=========  ======================================================================

The published layers have batch normalisation, which knows no scale; ours have none, so W has the
deviation of initial float weights (of relu). Feedback goes through W^T as everywhere.

In order, at the end of a batch::

    d     <- the optimiser's step of W, from dl/dW              (of Adam: -eta m / sqrt(v))
    theta <- clip(theta - q backward(theta, -d / c), -1, 1)     q falls from 1 to 0, as a cosine
    W     <- c forward(theta)

``backward`` is homogeneous, so for plain gradient descent it is applied to the gradient. For
optimisers with a memory it matters that the map comes last: it magnifies whatever pushes theta
through zero and not what pushes it away, so in front of the average it would turn the noise of a
gradient into a drift towards zero.

AdaSTE's b grows from epoch to epoch, b = .01 growth^epoch up to 1/a, where w = sign theta. Growth
is 1.05 as published, or as much more as a short training needs to be there after 9/10 of its
epochs.

Source: AdaSTE = Le, Hoier, Lin, Zach, *AdaSTE: An Adaptive Straight-Through Estimator to Train
Binary Neural Networks*, CVPR 2022. The plain straight-through estimator passes g on as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Count, Natural, Positive
from lava_dyads.errors import invalid, nearest
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.optimisers import Optimiser

OFFSET, BEGIN, GROWTH, LAST = 0.01, 0.01, 1.05, 0.9
"""a; b of the first epoch; its growth per epoch; share of a training after which a b = 1."""


def ste_forward(theta: Array, b: float = np.inf, xp: Namespace = np) -> Array:
    """Return sign theta; 0 at 0, which is where there is no synapse."""
    return xp.sign(theta)  # type: ignore[no-any-return]


def ste_backward(theta: Array, gradient: Array, b: float = np.inf, xp: Namespace = np) -> Array:
    """Return the gradient as it is."""
    return gradient


def adaste_forward(theta: Array, b: float, a: float = OFFSET, xp: Namespace = np) -> Array:
    """Return w = clip((theta + b (1 + a) sign theta) / (1 + b), -1, 1).

    The minimum over |w| <= 1 of 1/2 (w - theta)^2 + b/2 (|w| - (1 + a))^2 on the side of theta;
    sign theta from a b = 1 on.
    """
    pulled = (theta + b * (1 + a) * xp.sign(theta)) / (1 + b)
    return xp.clip(pulled, -1, 1)  # type: ignore[no-any-return]


def adaste_backward(
    theta: Array, gradient: Array, b: float, a: float = OFFSET, xp: Namespace = np
) -> Array:
    """Return the steepest secant of ``adaste_forward`` in the direction of descent, times gradient.

    sup over t > 0 of |w(theta - t g) - w(theta)| / t, with the sign of g: where descent leads

    * away from zero: |g| / (1 + b) if |theta| < 1 - a b, else 0;
    * through zero: |g| max of (|w| + min(1, b (1 + a) / (1 + b))) / |theta|, at which the sign
      flips; (|w| + 1) / (|theta| + 1 - a b), where w saturates, if a b < 1; and the slope above.

    Unbounded as theta -> 0. Shapes are those of theta; 0 where the gradient is 0.
    """
    size = xp.abs(theta)
    w = xp.abs(adaste_forward(theta, b, a, xp))
    away = xp.where(size < 1 - a * b, 1 / (1 + b), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        jump = xp.asarray(xp.minimum(1.0, b * (1 + a) / (1 + b)), dtype=theta.dtype)
        through = xp.maximum(away, (w + jump) / size)
        saturating = xp.where(a * b < 1, (w + 1) / (size + 1 - a * b), 0.0)
        through = xp.maximum(through, saturating)
        made = gradient * xp.where(gradient * theta >= 0, through, away)
    return xp.asarray(xp.where(gradient == 0, 0.0, made), dtype=theta.dtype)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Binary:
    """One way to learn binary weights.

    Attributes
    ----------
    name, summary : str
        Name in specifications and on the command line, and a line on it.
    forward : callable
        (theta, b, xp=namespace) -> w.
    backward : callable
        (theta, dl/dw, b, xp=namespace) -> what theta descends.
    """

    name: str
    summary: str
    forward: Callable[..., Array]
    backward: Callable[..., Array]


FLOAT = "float"
"""Weights that are numbers."""

BINARY: dict[str, Binary] = {
    kind.name: kind
    for kind in (
        Binary("ste", "w = sign theta, straight-through estimator", ste_forward, ste_backward),
        Binary("adaste", "AdaSTE: w becomes sign theta", adaste_forward, adaste_backward),
    )
}
"""Every kind of binary weights by name."""


def check_weights(name: str) -> None:
    """Raise where there is no kind of weights of that name."""
    known = (FLOAT, *BINARY)
    if name not in known:
        invalid("weight_format", "unknown name", name, nearest(name, known))


def scale(theta: Array) -> float:
    """Return c of a layer; where theta is 0 there is no synapse.

    Examples
    --------
    >>> scale(np.ones((3, 8)))
    0.5
    """
    fan_in = np.count_nonzero(theta) / max(1, len(theta))
    return float(np.sqrt(2.0 / max(1.0, fan_in)))


def binary_weights(theta: Array) -> Array:
    """Return W = c sign theta: what is evaluated, and what a chip would store."""
    return scale(theta) * ste_forward(theta)


def growth_for(epochs: int) -> float:
    """Return the growth of b per epoch of a training that long.

    Examples
    --------
    >>> growth_for(300), growth_for(30) > 1.4
    (1.05, True)
    """
    return float(max(GROWTH, (1 / (OFFSET * BEGIN)) ** (1 / max(1.0, LAST * epochs))))


@dataclass(frozen=True)
class Latent(Optimiser):
    """An optimiser of latent weights; the last array of its state is theta.

    Its ``learning_rate`` and decays are those of ``inner``, which also makes the steps of biases.

    Parameters
    ----------
    inner : Optimiser
    kind : Binary
    epoch : int
        Updates per epoch, >= 1.
    growth : float
        Of b per epoch.
    horizon : int
        Updates until q is 0; 0: q stays 1.
    scale : float
        c, known once it has weights.
    """

    name: ClassVar[str] = "latent"

    inner: Optimiser | None = None
    kind: Binary = BINARY["ste"]
    epoch: Count = 1
    growth: Positive = GROWTH
    horizon: Natural = 0
    scale: Positive = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner is not None and self.inner.decorrelates:
            limit = "weights of one bit learn by optimisers of single weights"
            invalid("optimiser", limit, self.inner.name, "adam")

    @property
    def slots(self) -> int:  # type: ignore[override]
        """One more than those of the inner optimiser."""
        return self._inner.slots + 1

    @property
    def _inner(self) -> Optimiser:
        assert self.inner is not None
        return self.inner

    @property
    def for_biases(self) -> Optimiser:
        """The inner optimiser."""
        return self._inner

    def b(self, updates: int) -> float:
        """Return b after so many updates."""
        # A power of a large epoch would overflow.
        epoch = min(updates // self.epoch, 100_000)
        grown = np.log(BEGIN) + epoch * np.log(self.growth)
        return float(np.exp(min(grown, -np.log(OFFSET))))

    def share(self, step: int) -> float:
        """Return q at an update, counted from 1."""
        if not self.horizon:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - 1) / self.horizon)))

    def begin(self, weights: Array, state: Array) -> Latent:
        """Take the weights as theta; turn them into W."""
        state[-1] = np.clip(weights, -1, 1)
        made = replace(self, scale=scale(weights))
        made.show(weights, state, 0, exact=False)
        return made

    def show(self, weights: Array, state: Array, updates: int, exact: bool) -> None:
        """Write W: of training, or of evaluation, with signs alone."""
        theta = state[-1]
        shown = np.sign(theta) if exact else self.kind.forward(theta, self.b(updates))
        weights[...] = self.scale * shown

    def stored(self, weights: Array, state: Array) -> Array:
        """Return a copy of theta."""
        return np.array(state[-1])

    def shrink(self, weights: Array, step: int) -> None:
        """Do nothing: decay is that of theta."""

    def numbers(self, step: int, scale: float = 1.0) -> tuple[float, ...]:
        """Return scale, what is left of theta, q, b before and after, the inner optimiser's."""
        left, b = self._inner.kept(step), (self.b(step - 1), self.b(step))
        return scale, left, self.share(step), *b, *self._inner.numbers(step)

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the change of theta, and the new state."""
        scale, _, _, _, _, *inner = numbers
        change, new = self._inner.moved(gradient * scale, state[:-1], inner, xp)
        theta = self._theta(state[-1], change, numbers, xp)
        return theta - state[-1], (*new, theta)

    def _theta(
        self, theta: Array, change: Array, numbers: Sequence[Any], xp: Namespace = np
    ) -> Array:
        """Return theta after a step of W."""
        _, kept, share, b, *_ = numbers
        if self._inner.loss_per_update:
            theta = theta * kept
        theta = theta - share * self.kind.backward(theta, -(change / self.scale), b, xp=xp)
        return xp.clip(theta, -1, 1)  # type: ignore[no-any-return]

    def updated(
        self,
        weights: Array,
        gradient: Array,
        state: Sequence[Array],
        numbers: Sequence[Any],
        xp: Namespace = np,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return W of the new theta, and the new state."""
        _, new = self.moved(gradient, state, numbers, xp)
        return self.scale * self.kind.forward(new[-1], numbers[4], xp=xp), new

    def update(
        self, weights: Array, gradient: Array, state: Array, step: int, scale: float = 1.0
    ) -> None:
        """Make a step of theta, for ``scale`` times the gradient; write W."""
        change = self._inner.change(gradient * scale, state[:-1], step)
        state[-1] = self._theta(state[-1], change, self.numbers(step))
        self.show(weights, state, step, exact=False)
