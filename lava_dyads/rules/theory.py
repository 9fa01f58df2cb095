"""What is known in closed form about when dual propagation settles."""

from __future__ import annotations

import numpy as np

from lava_dyads.rules._types import Array


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
