"""Learning in the chip's arithmetic against Python's fractions and the float gradient."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lava_dyads.elements.trace_plasticity import TracePlasticity, hashed, mantissa_and_shift
from lava_dyads.errors import FixedPointError, ValidationError
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import ChipSGD

ETA = 2.0**-6


def learnt(up, down, *, numbers=None, beta=1.0, start=0, eta=ETA, horizon=0, updates=1):
    """Weights after some updates with the same pair of signals, in units of the activity."""
    numbers = numbers or Loihi2(fraction=11)
    up, down = numbers.number([up]), numbers.number([down])
    shape = down.shape[1], up.shape[1]
    memory = {"weights": np.full(shape, start, np.int32)}
    made = TracePlasticity("weights", memory, beta, ChipSGD(eta, horizon=horizon), numbers)
    for _ in range(updates):
        made.learn_pair(Dense(*shape), down, up, 1)
    return memory["weights"]


RATES = st.floats(0, exclude_min=True, allow_infinity=False)
"""Every number that a rate can be: from 5e-324 to 1.8e308."""


def power(shift):
    return Fraction(2) ** shift


@given(rate=RATES, exponent=st.integers(-12, 12))
def test_a_rate_is_a_mantissa_of_three_bits_and_a_shift(rate, exponent):
    mantissa, shift = mantissa_and_shift(rate, exponent)
    assert 1 <= mantissa <= 7
    # Three bits hold every number to half a step of a quarter to an eighth: 1/8 at most.
    assert abs(mantissa * power(-shift) / (Fraction(rate) * power(exponent)) - 1) <= Fraction(1, 8)


@given(rate=RATES, beta=st.sampled_from([2.0**-7, 1.0, 100.0]), sign=st.sampled_from([-1, 1]))
@example(rate=1e-17, beta=1.0, sign=1)
@example(rate=5e-324, beta=2.0**-7, sign=-1)
@example(rate=1.7e308, beta=2.0**-7, sign=-1)
def test_a_step_is_in_proportion_to_its_rate_whatever_that_is(rate, beta, sign):
    """Traces are exact here, so floor and ceiling of the exact step are all that it can be."""
    numbers = Loihi2(fraction=11)
    error_bits = 7 - round(np.log2(beta))
    x1, y = 96, sign * 64
    down = y * 2.0**-error_bits
    memory = {"weights": np.zeros((1, 1), np.int32), "bias": np.zeros(1, np.int32)}
    made = {
        name: TracePlasticity(name, memory, beta, ChipSGD(rate), numbers) for name in tuple(memory)
    }
    error = numbers.number([[down]])
    made["weights"].learn_pair(Dense(1, 1), error, numbers.number([[0.75]]), 1)
    made["bias"].learn_alone(error, 1)
    exact = {"weights": power(7 - 7 - error_bits) * x1 * y, "bias": power(11 - error_bits) * y}
    limits = {"weights": (-128, 127), "bias": (-(2**23) + 1, 2**23 - 1)}
    for name, unscaled in exact.items():
        step = unscaled * Fraction(rate) / Fraction(beta)
        ends = sorted((step * 7 / 8, step * 9 / 8))
        least, most = limits[name]
        low, high = (min(max(e, least), most) for e in ends)
        assert floor(low) <= memory[name].item() <= ceil(high)


def test_what_no_rate_can_be_is_a_line():
    for rate in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValidationError, match="learning_rate: must be positive"):
            ChipSGD(rate)
    for beta in (2.0**-9, 2.0**16, 1e308):
        with pytest.raises(ValidationError, match="gains"):
            learnt([0.5], [0.5], beta=beta)
    for decay in (2.0**-17, 0.99, 1.0, np.nan):
        with pytest.raises(ValidationError, match="decay: "):
            ChipSGD(1.0, decay=decay)


@pytest.mark.parametrize("beta", [0.25, 1.0])
@pytest.mark.parametrize("layer", [1, 2])
def test_the_mean_update_is_the_gradient_step(layer, beta):
    # Both signals are exact in 7 bits, so only the last rounding is random: floor or floor + 1.
    numbers = Loihi2(fraction=11, layer=layer, depth=2)
    up, down = np.array([0.75, 0.25, 0.0]), beta * np.array([0.5, -0.25, 0.0])
    ideal = ETA / beta * np.outer(down, up) * 2.0**7
    updates = 4000
    made = learnt(up, down, numbers=numbers, beta=beta, updates=updates, eta=ETA / 64)
    # A sum of n roundings deviates by at most sqrt(n) / 2 (standard deviation): six of them.
    assert np.all(np.abs(made - updates * ideal / 64) <= 6 * np.sqrt(updates) / 2)
    assert np.all(made[ideal == 0] == 0)
    one = learnt(up, down, numbers=numbers, beta=beta)
    assert np.all((one == np.floor(ideal)) | (one == np.floor(ideal) + 1))


@given(up=st.integers(0, 2**11), down=st.integers(-(2**11), 2**11), seed=st.integers(0, 2**32))
def test_an_update_is_within_the_range_of_its_three_roundings(up, down, seed):
    numbers = Loihi2(fraction=11, seed=seed)
    made = int(learnt([up / 2**11], [down / 2**11], numbers=numbers)[0, 0])
    x = [min(127, v) for v in (up // 16, up // 16 + (up % 16 > 0))]
    y = [min(127, v) for v in (abs(down) // 16, abs(down) // 16 + (abs(down) % 16 > 0))]
    sign = (down > 0) - (down < 0)
    # eta 2^(e - t_x - t_y) = 2^-13
    ends = [Fraction(sign * a * b, 2**13) for a in x for b in y]
    assert min(ends).__floor__() <= made <= max(ends).__ceil__()


def test_weights_saturate_at_eight_bits():
    up, down = [0.99], [0.99, -0.99]
    made = learnt(up, down, updates=200, eta=1.0)
    assert made[:, 0].tolist() == [127, -128]


def test_both_compartments_may_be_negative_but_a_mean_may_not():
    with pytest.raises(FixedPointError, match=r"cannot be negative \(got -1024\).*relu"):
        learnt([-0.5], [0.5])


def test_the_rate_falls_linearly_to_nothing():
    rule = ChipSGD(1.0, horizon=4)
    assert [rule.rate(step) for step in range(1, 7)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    up, down = [0.5], [0.5]
    moved = learnt(up, down, eta=0.5, horizon=4, updates=4)
    assert np.all(moved == learnt(up, down, eta=0.5, horizon=4, updates=40))
    for options in ({"horizon": -1}, {"weight_decay": 0.1}):
        with pytest.raises(ValidationError):
            ChipSGD(1.0, **options)


def bias_after(numbers, down, index=0):
    memory = {"bias": np.zeros(len(down), np.int32)}
    made = TracePlasticity("bias", memory, 1.0, ChipSGD(ETA), numbers, index)
    for _ in range(50):
        made.learn_alone(numbers.number([down]), 1)
    return memory["bias"]


def test_a_bias_learns_the_same_in_a_layer_and_cut_into_neurons():
    numbers, down = Loihi2(fraction=11), [0.3, -0.2, 0.011]
    whole = bias_after(numbers, down)
    for i in range(3):
        assert bias_after(numbers, down[i : i + 1], i).tolist() == whole[i : i + 1].tolist()
    # Each trace moves by a step or less, each bias by half a step more: 50 (16 2^-6 + 1 / 2).
    ideal = 50 * ETA * np.array(down) / numbers.unit
    assert np.all(np.abs(whole - ideal) <= 50 * (2.0**4 * ETA + 1))


def test_random_numbers_are_uniform_and_depend_on_every_part_of_the_key():
    index = np.arange(200_000)
    drawn = hashed((0, 1, 2, 3), index) >> np.uint64(60)
    counts = np.bincount(drawn.astype(int), minlength=16)
    # 16 bins: a count deviates by sqrt(n p (1 - p)) (standard deviation).
    assert np.all(np.abs(counts - 12_500) < 5 * np.sqrt(12_500 * 15 / 16))
    for key in ((1, 1, 2, 3), (0, 2, 2, 3), (0, 1, 3, 3), (0, 1, 2, 4)):
        same = np.mean(hashed(key, index) >> np.uint64(60) == drawn)
        assert abs(same - 1 / 16) < 5 * np.sqrt(15 / 16 / 16 / len(index))
