"""What is known in closed form about when dyads settle, and what it is computed from."""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.rules.ops import Op


def loop_gain(weights: list[Array], alpha: float, beta: float) -> float:
    """Return rho: plain DP on a linear net settles iff rho < 1 (TT).

    For the squared error and its proximal nudge.

    In order::

        J_k = W_L ... W_{k+1}                         k = 1 .. L - 1
        d = (1 + alpha beta)(1 - (1 - alpha) beta)
        rho = |2 alpha - 1| (beta / d) || sum_k J_k J_k^T ||_2

    For alpha < 1/2 and rho >= 1 the objective has no saddle point, so damping cannot help.

    Parameters
    ----------
    weights : list of arrays (n_out, n_in)
        From the input up.
    alpha, beta : float
        Share of the plus compartment and nudge strength, dimensionless.

    Returns
    -------
    float
        rho, dimensionless; 0 for a single layer or alpha = 1/2.

    Examples
    --------
    >>> loop_gain([np.eye(2), 2 * np.eye(2)], alpha=1.0, beta=0.5)
    1.3333333333333333
    """
    product = np.eye(len(weights[-1]))
    total = np.zeros_like(product)
    for w in reversed(weights[1:]):
        product = product @ w
        total += product @ product.T
    d = (1 + alpha * beta) * (1 - (1 - alpha) * beta)
    return float(abs(2 * alpha - 1) * beta / d * np.linalg.norm(total, 2))


def spectral_norm(op: Op, weights: Array, tolerance: float = 1e-9) -> float:
    """Return ||W||_2 of a connection by power iteration: v <- W^T W v / ||W^T W v||.

    Parameters
    ----------
    op : Op
        Kind of the connection: all that is asked of it is a product forward and one back.
    weights : array
    tolerance : float
        Relative change between two iterations at which it ends.

    Returns
    -------
    float
        From below.

    Examples
    --------
    >>> from lava_dyads.rules.ops import Dense
    >>> round(spectral_norm(Dense(2, 3), np.array([[3.0, 0, 0], [0, 0, 4.0]])), 6)
    4.0
    """
    v: Array = np.random.default_rng(0).normal(size=(1, op.n_in))
    norm = 0.0
    for _ in range(1000):
        v = op.transpose(weights, op.forward(weights, v))
        size = float(np.linalg.norm(v))
        if size == 0:
            return 0.0
        v, before, norm = v / size, norm, size**0.5
        if abs(norm - before) <= tolerance * norm:
            break
    return norm
