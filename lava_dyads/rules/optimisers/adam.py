"""Adam, in compiled loops where numba is installed and in pieces of the cache where not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Positive
from lava_dyads.native.registry import kernel
from lava_dyads.rules.namespaces import Into, Namespace
from lava_dyads.rules.optimisers.base import Fading, Optimiser, alike, flat, register

_PIECE = 1 << 15
"""Weights that are worked on at a time: all passes over them stay in the cache."""

_FEW = 20
"""Samples up to which a product is not worth forming: measured, a quarter of the entries events."""

_FLUSH_EVERY = 64
_TINY: dict[type, float] = {np.float32: 1e-30, np.float64: 1e-290}
"""First moments below are set to 0: as subnormal numbers they would slow every pass down."""


@register
@dataclass(frozen=True)
class Adam(Optimiser):
    """Adam (Kingma and Ba 2015, algorithm 1).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    w <- w - eta (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    Parameters
    ----------
    beta_1, beta_2 : float
        Share of the mean (of the mean of squares) that is left after an update, in [0, 1).
    epsilon : float
        What is added to the root of the mean of squares, > 0.
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
        if compiled and alike(weights, gradient, *state):
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
        if not compiled or not alike(weights, down, up, workspace, *state):
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


def pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Cut arrays of one shape into the same flat pieces (views), where their memory permits."""
    if not flat(*arrays):
        yield arrays
        return
    rows = [array.reshape(-1) for array in arrays]
    for start in range(0, rows[0].size, _PIECE):
        yield tuple(array[start : start + _PIECE] for array in rows)
