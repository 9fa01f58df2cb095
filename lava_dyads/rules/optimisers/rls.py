"""Recursive least squares: gradients that a population's correlations have been taken out of.

=========  =================================================================================
symbol     meaning
=========  =================================================================================
x          mean of what the neurons below have sent, over the batch (and places of an image)
P          what decorrelates it, (inputs, inputs), I in the beginning
G          gradient of the weights, (outputs, inputs)
k          scaling of the average, mu of the gradient, lambda share that is remembered
=========  =================================================================================

In order of execution, at the end of a batch::

    u = P x                        h = lambda + k x^T u
    W <- W - (mu / h) G P          P <- (P - (k / h) u u^T) / lambda

G is a sum of products D z^T, so G P is that of D (P z)^T: each synapse still multiplies two numbers
that meet at it, where neurons below have lateral connections P through which they answer with P z.
On linear networks, sample by sample with k = mu = lambda = 1, W is at every time the solution of
ridge regression with the penalty |W|^2 / 2 for the sum of all squared errors so far.

Source: Zhang, Song et al., *Revisiting Recursive Least Squares for Training Deep Neural Networks*,
arXiv 2109.03220, in the form of its later notation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Positive
from lava_dyads.errors import DivergedError
from lava_dyads.kinds import Limit
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.optimisers.base import Optimiser, register

LARGEST = 1e8
"""Of the mean of P's diagonal: beyond, it has grown while its inputs were silent."""

Remembered = Annotated[float, Limit("must lie in (0, 1]", "1", lambda v: 0 < v <= 1)]


@register
@dataclass(frozen=True)
class RLS(Optimiser):
    """Recursive least squares (equations in the module docstring), mu = learning_rate.

    Biases, whose input is 1, have a P of one number.

    Parameters
    ----------
    average : float
        k > 0, dimensionless.
    remembered : float
        lambda in (0, 1]; below 1 the past fades.
    """

    name: ClassVar[str] = "rls"
    slots: ClassVar[int] = 0
    decorrelates: ClassVar[bool] = True

    learning_rate: Positive = 1.0
    average: Positive = 1.0
    remembered: Remembered = 1.0

    def moved(
        self, gradient: Array, state: Sequence[Array], numbers: Sequence[Any], xp: Namespace = np
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return -mu g: of a gradient that has been decorrelated."""
        scale, rate = numbers
        return gradient * (-rate * scale), ()

    def decorrelated(self, gradient: Array, p: Array, x: Array) -> Array:
        """Return G P / h, and update P in place.

        Parameters
        ----------
        gradient : array, shape (outputs, inputs)
        p : array, shape (inputs, inputs)
            **Updated in place**.
        x : array, shape (inputs,)
            The mean of the inputs.

        Raises
        ------
        DivergedError
            If P has grown beyond ``LARGEST``.
        """
        u = p @ x
        h = self.remembered + self.average * float(x @ u)
        made: Array = gradient @ p / h
        p -= np.outer(u * (self.average / h), u)
        if self.remembered < 1:
            p /= self.remembered
            if not np.trace(p) < LARGEST * len(p):
                raise DivergedError(
                    f"optimiser rls: P has grown beyond {LARGEST:g} on average, since inputs were "
                    f"silent while {1 - self.remembered:.3g} of the past was forgotten in every "
                    "update. Try: remembered=1, or nearer to it"
                )
        return made
