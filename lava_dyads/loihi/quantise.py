"""From a trained float network to the chip's numbers: exponents of weights, fraction of states.

=========  ==========================================================
symbol     meaning
=========  ==========================================================
e_k        weight exponent of layer k: w is stored as round(w 2^e_k)
F          fractional bits of states and messages
a_k, u_k   sums of the basal and apical messages of layer k
=========  ==========================================================
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Natural, checked, real_array
from lava_dyads.errors import FixedPointError, invalid
from lava_dyads.executors.step import Network
from lava_dyads.networks.checks import check_on_chip
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.arithmetic.limits import STATE
from lava_dyads.rules.arithmetic.loihi2 import feedback_exponents, fitting_exponent

MOST_EXPONENT, MOST_FRACTION = 12, 14
"""More fractional bits than these say nothing: the 8 bits of the weights decide before."""


@checked
def calibrated(
    spec: NetworkSpec,
    weights: list[Array],
    biases: list[Array],
    x: Array,
    y: Array,
    *,
    headroom: Natural = 1,
    seed: Natural = 0,
    feedback_weights: list[Array | None] | None = None,
) -> Loihi2:
    """Return the number system with the finest steps in which a network fits on this data.

    In order::

        e_k = the largest e with |round(w 2^e)| <= 127 for all weights of layer k
        A_k = max |a_k - b_k|      U_k = max |u_k|         over all samples and neurons
        F   = the largest F with A_k 2^(F + e_k), U_k 2^(F + e_(k+1)) <= 2^(23 - headroom)
              and |bias| 2^F < 2^23

    A and U are those of the dyads themselves, settled in floating point with the weights as they
    will be stored: backprop's u would miss the kinks that the nudge crosses.

    Parameters
    ----------
    spec : NetworkSpec
    weights, biases : lists of arrays (n_out, n_in), (n,)
        Of the trained network.
    x, y : arrays (samples, n_in), (samples, n_out)
        Representative data and targets.
    headroom : int
        Bits kept free in the accumulators, >= 0.
    seed : int
        Of the stochastic rounding, should it learn on.
    feedback_weights : list of arrays (n_out, n_in) or None per layer, or None
        Separate feedback weights, with exponents chosen like those of the weights; None: the
        specification's initial ones.

    Returns
    -------
    Loihi2
        To be given to ``spec.build`` or ``Trainer``, with the same parameters: they round.

    Raises
    ------
    ValidationError
        If a part of the network has no place on the chip, there is no data, or it does not settle.
    FixedPointError
        If not even F = 1 fits.
    """
    spec.check_parameters(weights, biases, feedback_weights)
    x, y = real_array(x, "calibrated.x", 2), real_array(y, "calibrated.y", 2)
    widths, wanted = (x.shape[1], y.shape[1]), (spec.layers[0], spec.layers[-1])
    if widths != wanted:
        invalid("calibrated", f"x and y must have {wanted} columns", widths, "data of its layers")
    if not len(x) or len(x) != len(y):
        invalid("calibrated", "needs as many rows of x as of y, at least 1", (len(x), len(y)))
    exponents = tuple(fitting_exponent(w, MOST_EXPONENT) for w in weights)
    back = feedback_weights or spec.initial_feedback()
    back_exponents = feedback_exponents(back, MOST_EXPONENT)
    made = Loihi2(weight_exponents=exponents, feedback_exponents=back_exponents, seed=seed)
    check_on_chip(spec, made)
    stored = [np.rint(w * 2.0**e) / 2.0**e for w, e in zip(weights, exponents, strict=True)]
    fraction = min(
        MOST_FRACTION,
        min(
            STATE.value - 1 - headroom - _bits(a)
            for a in _accumulated(spec, stored, biases, back, made, x, y)
        ),
        min(STATE.value - 2 - _bits(float(np.max(np.abs(b), initial=0.0))) for b in biases),
    )
    # A dyad that rounding moves over its kink sends an error where in floating point none was.
    while fraction >= 1:
        numbers = replace(made, fraction=fraction)
        if _fits(spec, (weights, biases), back, numbers, x, y, headroom):
            return numbers
        fraction -= 1
    raise FixedPointError(
        f"fraction: {fraction} bits are left for states, 1 is needed. Try: smaller weights, "
        "inputs of about 0 .. 1, or less headroom"
    )


_ROUNDING = 1.01
"""By how much sums of rounded numbers may exceed those of the numbers."""


def _fits(
    spec: NetworkSpec,
    parameters: tuple[list[Array], list[Array]],
    back: list[Array | None],
    numbers: Loihi2,
    x: Array,
    y: Array,
    headroom: int,
) -> bool:
    """Tell whether the network settles in these integers, with some bits kept free."""
    strict = replace(numbers, strict=True)
    network = spec.build(
        lanes=len(x), arithmetic=strict, parameters=parameters, feedback_weights=back
    )
    assert isinstance(network, Network)
    try:
        network.settle(x, y)
    except FixedPointError:
        return False
    largest = 0.0
    for connection in network.connections.values():
        ports = [port for port in connection.outputs if port in connection.listened]
        largest = max(largest, *(float(np.max(np.abs(connection.value(p)))) for p in ports))
    return largest <= _ROUNDING * 2.0 ** (STATE.value - 1 - headroom)


def _bits(largest: float) -> int:
    """Return the smallest whole n with largest <= 2^n; -23 for nothing."""
    return max(-STATE.value, math.ceil(math.log2(largest))) if largest > 0 else -STATE.value


def _accumulated(
    spec: NetworkSpec,
    weights: list[Array],
    biases: list[Array],
    back: list[Array | None],
    numbers: Loihi2,
    x: Array,
    y: Array,
) -> list[float]:
    """Return the largest sums of messages, basal and apical, times 2^e of their synapses."""
    parameters = weights, biases
    network = spec.build(lanes=len(x), parameters=parameters, feedback_weights=back)
    assert isinstance(network, Network)  # backprop has no place on the chip
    outcome = network.settle(x, y, tolerance=1e-6)
    if not outcome.converged:
        limit = "the network must settle on the calibration data"
        invalid("calibrated", limit, f"residual {outcome.residual:.2g}", "alpha 0 or 1, less beta")
    largest = []
    for k, connection in enumerate(network.connections.values(), 1):
        m, op, up = connection.memory, connection.op, numbers.at(k, network.depth)
        down = up.backward()
        sums = [(op.forward(m["weights"], m["held_mean"]), up.exponent)]
        if k > 1:
            sums.append((op.transpose(connection.feedback, m["held_difference"]), down.exponent))
        largest += [float(np.max(np.abs(s))) * 2.0**e for s, e in sums]
    return largest
