"""The update as a rule of Loihi's learning engine: Lava's model of it against ours."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_dyads.elements.trace_plasticity import TracePlasticity
from lava_dyads.errors import ValidationError
from lava_dyads.loihi.engine import rule_text, run_engine
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import ChipSGD

pytestmark = pytest.mark.timeout(120)


def problem(seed, x_step, y_step, steps=8):
    """Weights and traces that are multiples of a step; one compartment is 0."""
    generator = np.random.default_rng(seed)
    weights = generator.integers(-60, 60, (4, 5))
    x1 = generator.integers(0, 127 // x_step + 1, (steps, 5)) * x_step
    x1[2:3] = 0  # a step in which everybody is silent
    y = generator.integers(-(127 // y_step), 127 // y_step + 1, (steps, 4)) * y_step
    return weights, x1, np.maximum(y, 0), np.maximum(-y, 0)


@pytest.mark.parametrize("seed", range(3))
def test_where_no_bit_is_dropped_the_engine_learns_our_weights_exactly(seed):
    # Multiples of 32 and of 64: every product is a whole number of 2^11.
    weights, x1, y1, y2 = problem(seed, 32, 64)
    theirs, output = run_engine(weights, x1, y1, y2, rule_text(1, 11))

    numbers = Loihi2(fraction=11, seed=seed)  # layer 1: t_x = 7; beta 1: t_y = 7; e = 7
    memory = {"weights": weights.astype(np.int32)}
    ours = TracePlasticity("weights", memory, 1.0, ChipSGD(2.0**-4), numbers)  # r = 4 + 7
    for x, plus, minus in zip(x1, y1, y2, strict=True):
        down = ((plus - minus) * 2**4)[None].astype(np.int32)
        ours.learn_pair(Dense(4, 5), down, (x * 2**4)[None].astype(np.int32), 1)
    np.testing.assert_array_equal(theirs, memory["weights"])
    exact = weights + sum(np.outer(p - m, x) for x, p, m in zip(x1, y1, y2, strict=True)) // 2**11
    np.testing.assert_array_equal(theirs, exact)
    assert np.any(theirs != weights)
    # What passes up goes through the weights as they were before the step's learning.
    np.testing.assert_array_equal(output[1], weights @ x1[0])


@pytest.mark.parametrize(("mantissa", "shift"), [(1, 11), (5, 11), (7, 8)])
def test_elsewhere_it_stays_within_its_documented_rounding(mantissa, shift):
    weights, x1, y1, y2 = problem(7, 1, 1, steps=1)
    theirs, _ = run_engine(weights // 4, x1, y1, y2, rule_text(mantissa, shift))
    ideal = weights // 4 + mantissa * np.outer(y1[0] - y2[0], x1[0]) / 2**shift
    # In units of half a weight: one for the stochastic rounding, and 3 bits that are dropped of
    # each of the two products, 2^k of them.
    bound = (1 + 2 * 2.0 ** (4 - shift)) / 2
    inside = np.abs(ideal) < 127
    assert inside.sum() > 10
    assert np.all(np.abs(theirs - ideal)[inside] <= bound)


def test_a_feedback_synapse_learns_the_transpose_in_two_epochs_of_unsigned_traces():
    weights, x1, y1, y2 = problem(5, 32, 64)
    forward, _ = run_engine(weights, x1, y1, y2, rule_text(1, 11))
    back = np.random.default_rng(6).integers(-60, 60, (5, 4))
    # The error is pre here, its positive part first; the mean is post, in y1 and then in y2.
    error = np.stack([y1, y2], axis=1).reshape(-1, 4)
    silent = np.zeros_like(x1)
    first, second = (np.stack(pair, axis=1).reshape(-1, 5) for pair in ((x1, silent), (silent, x1)))
    backward, output = run_engine(back, error, first, second, rule_text(1, 11))
    np.testing.assert_array_equal(backward - back, (forward - weights).T)
    # The neuron below takes what the second epoch brings with the other sign.
    apical = output[1] - output[2]
    np.testing.assert_array_equal(apical, (y1 - y2)[0] @ back.T)


@pytest.mark.parametrize(("decay", "updates"), [(0.25, 2), (2.0**-16, 512), (2.0**-15, 512)])
def test_the_engine_knows_the_decay_and_takes_it_when_we_do(decay, updates):
    # Shares of these weights that are whole numbers, so that nothing is rounded.
    weights = np.array([[-128, 0, 64, 16, -48]]) if decay == 0.25 else np.array([[-128, 0, 0]])
    n = weights.shape[1]
    silent = np.zeros((updates, n), int), np.zeros((updates, 1), int)
    rule = rule_text(1, 11, decay)
    theirs, _ = run_engine(weights, silent[0], silent[1], silent[1], rule)
    memory = {"weights": weights.astype(np.int32)}
    optimiser = ChipSGD(2.0**-4, decay=decay)
    ours = TracePlasticity("weights", memory, 1.0, optimiser, Loihi2(fraction=11))
    for _ in range(updates):
        ours.learn_pair(Dense(1, n), np.zeros((1, 1), np.int32), np.zeros((1, n), np.int32), 1)
    if decay == 0.25:
        np.testing.assert_array_equal(theirs, [[-72, 0, 36, 9, -27]])  # times 9 / 16
    else:
        assert theirs[0, 0] == pytest.approx(-128 * (1 - decay) ** updates, abs=0.6)
        assert theirs[0, 0] > -128
    np.testing.assert_allclose(theirs, memory["weights"], atol=0.5 if decay < 2.0**-15 else 1)


def test_a_silent_neuron_below_moves_no_weight():
    weights, _, y1, y2 = problem(0, 32, 64, steps=3)
    x1 = np.zeros((3, 5), int)
    x1[0] = 96  # spoke once; its trace stays
    after_one, _ = run_engine(weights, x1[:1], y1[:1], y2[:1], rule_text(1, 11))
    after_three, _ = run_engine(weights, x1, y1, y2, rule_text(1, 11))
    np.testing.assert_array_equal(after_one, after_three)


@given(mantissa=st.integers(1, 7), shift=st.integers(-4, 11))
def test_the_rule_says_mantissa_and_exponent(mantissa, shift):
    text = rule_text(mantissa, shift)
    first, second = text.split(" - ")
    assert first.replace("y1", "y2") == second
    found = re.fullmatch(r"(?:(\d)\*)?2\^(-?\d+)\*x0\*x1\*y1", first)
    assert int(found[1] or 1) * 2.0 ** (int(found[2]) - 4) == mantissa * 2.0**-shift


def test_what_the_engine_cannot_hold_is_refused():
    for mantissa, shift, word in ((8, 5, "mantissa"), (0, 5, "mantissa"), (1, 12, "Try: -4 .. 11")):
        with pytest.raises(ValidationError, match=word):
            rule_text(mantissa, shift)
    weights, x1, y1, y2 = problem(0, 1, 1, steps=1)
    with pytest.raises(ValidationError, match=r"run_engine.y2: .*7 bits.*got -1"):
        run_engine(weights, x1, y1, y2 * 0 - 1, rule_text(1, 11))
    with pytest.raises(ValidationError, match=r"run_engine.weights"):
        run_engine(weights * 4, x1, y1, y2, rule_text(1, 11))
    with pytest.raises(ValidationError, match=r"learning engine rejects it"):
        run_engine(weights, x1, y1, y2, "u0*x1*(y1-y2)")
