"""Every part of a network in integers against floating point on the same inputs.

All bounds are in units of 2^-F, with a gain written g (a multiple of 2^-7), [..] being 1 or 0::

    connection     0
    drives         |a|, |u| <= 1/2
    dyad           |s+| <= 1/2 + g+ / 2 + [g+ not 0 or 1] / 2        s- with g- likewise
                   |mean| <= alpha |s+| + (1 - alpha) |s-| + [alpha not 0 or 1] / 2
                   |difference| <= |s+| + |s-|
    relaxation     E_0 = 0, E_(t+1) = (1 - eta) E_t + eta / 2 + [eta < 1] / 2     off the kink
    head           squared error [beta < 1] / 2; cross-entropy beta 2^(F - 7) more (F >= 11)
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from lava_dyads.elements import Connection, Head
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.units.dyad import DyadUnit
from lava_dyads.rules.units.relaxation import RelaxationUnit

F, E = 12, (7, 6)
CHIP = Loihi2(fraction=F, weight_exponents=E).at(1, 2)
gains = st.integers(0, 128).map(lambda n: n / 128)
seeds = st.integers(0, 10**6)


def drives(seed, n=32):
    """Accumulated messages as the chip holds them, and the same in units of 2^-F."""
    generator = np.random.default_rng(seed)
    basal, apical = generator.integers(-(2**20), 2**20, (2, 1, n)).astype(np.int32)
    bias = generator.integers(-(2**12), 2**12, n).astype(np.int32)
    exact = basal / 2 ** E[0] + bias, apical / 2 ** E[1]
    return (CHIP.basal(basal) + bias, CHIP.apical(apical)), exact


def whole(gain):
    """Whether scaling by it rounds."""
    return 0.0 if gain in (0.0, 1.0) else 0.5


@given(seed=seeds)
def test_drives(seed):
    made, exact = drives(seed)
    for one, other in zip(made, exact, strict=True):
        assert np.all(np.abs(one - other) <= 0.5)


@given(seed=seeds, name=st.sampled_from(["relu", "linear"]), alpha=gains, adjoint=st.booleans())
def test_dyad(seed, name, alpha, adjoint):
    unit = DyadUnit(ACTIVATIONS[name], alpha, adjoint)
    (a, u), (exact_a, exact_u) = drives(seed)
    state = {register: CHIP.zeros(a.shape) for register in unit.state}
    unit.step(state, a, u, CHIP)
    share = 1 - alpha if adjoint else alpha
    f = ACTIVATIONS[name].f
    plus, minus = f(exact_a + share * exact_u), f(exact_a - (1 - share) * exact_u)
    bounds = [0.5 + g / 2 + whole(g) for g in (share, 1 - share)]
    mean = alpha * plus + (1 - alpha) * minus
    for channel, expected, bound in (
        ("plus", plus, bounds[0]),
        ("minus", minus, bounds[1]),
        ("mean", mean, alpha * bounds[0] + (1 - alpha) * bounds[1] + whole(alpha)),
        ("difference", plus - minus, sum(bounds)),
    ):
        assert np.all(np.abs(unit.emit(state, channel) - expected) <= bound + 1e-9), channel


@given(seed=seeds, eta=gains.filter(bool), steps=st.integers(1, 40))
def test_relaxation(seed, eta, steps):
    unit = RelaxationUnit(ACTIVATIONS["relu"], eta)
    (a, u), (exact_a, exact_u) = drives(seed)
    state = {register: CHIP.zeros(a.shape) for register in unit.state}
    x, bound = np.zeros(a.shape), 0.0
    for _ in range(steps):
        unit.step(state, a, u, CHIP)
        x = x + eta * (exact_u - x)
        bound = (1 - eta) * bound + eta / 2 + whole(eta)
    assert np.all(np.abs(state["activity"] - np.maximum(exact_a, 0)) <= 0.5)
    error = unit.emit(state, "error")
    clear = np.abs(exact_a) > 0.5
    assert np.all((np.abs(error - (exact_a > 0) * x) <= bound + 1e-9)[clear])


@given(seed=seeds)
def test_connection(seed):
    generator = np.random.default_rng(seed)
    weights = generator.integers(-128, 128, (4, 5)) / 2 ** E[0]
    up, down = generator.integers(-(2**13), 2**13, (1, 5)), generator.integers(-500, 500, (1, 4))
    made = Connection(weights, arithmetic=CHIP)
    op, stored = made.op, made.memory["weights"]
    scale = 2.0 ** E[0]
    np.testing.assert_array_equal(op.forward(stored, up) / scale, up @ weights.T)
    np.testing.assert_array_equal(op.transpose(stored, down) / scale, down @ weights)


@given(seed=seeds, beta=gains.filter(bool), loss=st.sampled_from(list(LOSSES)))
def test_head(seed, beta, loss):
    generator = np.random.default_rng(seed)
    output = generator.integers(-(2**15), 2**15, (1, 6)).astype(np.int32)
    target = CHIP.number(np.eye(6)[:1])
    made = Head(LOSSES[loss], 6, beta=beta, arithmetic=CHIP).drive(output, target)
    error = output - target
    bound = whole(beta)
    if loss == "huber":
        error = np.clip(error, -(2**F), 2**F)
    if loss == "binary-cross-entropy":
        error = expit(output / 2**F) * 2**F - target
        bound += beta * 2 ** (F - 7)
    if loss == "cross-entropy":
        error = softmax(output / 2**F, axis=-1) * 2**F - target
        bound += beta * 2 ** (F - 7)
    assert np.all(np.abs(made + beta * error) <= bound + 1e-9)
