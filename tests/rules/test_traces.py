"""Learning in the chip's arithmetic against Python's fractions and the float gradient."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_dyads.errors import FixedPointError, ValidationError
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.elements.traces import TracePlasticity, hashed, mantissa_and_shift
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


@given(rate=st.floats(2.0**-12, 0.99), exponent=st.integers(-12, 12))
def test_a_rate_is_a_mantissa_of_three_bits_and_a_shift(rate, exponent):
    mantissa, shift = mantissa_and_shift(rate, exponent)
    assert 1 <= mantissa <= 7
    # Three bits hold every number to half a step of a quarter to an eighth: 1/8 at most.
    assert abs(mantissa * 2.0**-shift / (rate * 2.0**exponent) - 1) <= 1 / 8


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
