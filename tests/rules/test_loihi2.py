"""The chip's integers against Python's, and integer networks against floating point."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from lava_dyads.errors import FixedPointError, ValidationError
from lava_dyads.executors.schedules import parallel, random_layer, sweep
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float, Loihi2, blended
from lava_dyads.rules.arithmetic.limits import LIMITS, STATE, WEIGHT
from lava_dyads.rules.arithmetic.loihi2 import fitting_exponent, integer_softmax, rounded
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import Adam
from lava_dyads.rules.units.dyad import DualPropagation, DualPropagationAdjoint
from lava_dyads.rules.units.relaxation import ActivationRelaxation

TOP = 2**23 - 1
words = st.integers(-(2**23), TOP)


def modulo(value):
    """A sum in 24 bits of two's complement, in Python's integers."""
    return (value + 2**23) % 2**24 - 2**23


@given(value=words, shift=st.integers(0, 16))
def test_rounding_is_to_the_nearest_halves_up(value, shift):
    exact = Fraction(value, 2**shift) + Fraction(1, 2)
    assert int(rounded(np.array(value), shift)) == exact.numerator // exact.denominator


@given(messages=st.lists(words, min_size=1, max_size=12), seed=st.integers(0, 9))
def test_what_is_added_up_wraps_so_no_order_or_grouping_can_matter(messages, seed):
    numbers = Loihi2(strict=False)
    registers = [numbers.zeros((1,)) for _ in range(3)]
    shuffled = np.random.default_rng(seed).permutation(messages)
    for register, order in zip(registers, (messages, shuffled), strict=False):
        for message in order:
            numbers.accumulate(register, np.array([message], np.int32), "basal")
    joined = numbers.total(np.array([sum(messages)]), "basal")
    numbers.accumulate(registers[2], joined, "basal")
    assert [int(r[0]) for r in registers] == [modulo(sum(messages))] * 3


def test_what_a_neuron_computes_saturates():
    register = Loihi2().zeros((3,))
    Loihi2(strict=False).store(register, np.array([2**23, -(2**40), 5]))
    assert register.tolist() == [TOP, -TOP, 5]


def test_strict_mode_names_layer_variable_value_and_bits():
    numbers = Loihi2().at(2, 3)
    with pytest.raises(FixedPointError, match=r"layer 2 s_plus: 8388608 .* 24 bits"):
        numbers.store(numbers.zeros((1,)), np.array([2**23]), "s_plus")
    with pytest.raises(FixedPointError, match=r"layer 2 basal: -8388609 .* 24 bits"):
        numbers.accumulate(numbers.zeros((1,)) - 2**23, np.array([-1]), "basal")
    with pytest.raises(FixedPointError, match=r"layer 2 basal: must hold integers .*float64"):
        numbers.accumulate(numbers.zeros((1,)), np.array([0.5]), "basal")
    with pytest.raises(FixedPointError, match=r"weights_1: 128 .* 8 bits, -128 .. 127"):
        Loihi2(weight_exponents=(7,)).weights([0.5, 1.0], "weights_1")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"fraction": 23}, "fraction"),
        ({"weight_exponents": (16,)}, "weight_exponents"),
        ({"weight_exponents": (1, 2), "depth": 3}, "needs 1 or 3"),
        ({"layer": 2}, "layer"),
    ],
)
def test_numbers_out_of_range_are_refused(options, word):
    with pytest.raises(ValidationError, match=word):
        Loihi2(**options)


def test_every_limit_has_a_source():
    assert {"WEIGHT", "STATE", "PAYLOAD", "TRACE"} <= set(LIMITS)
    assert all(limit.source and limit.value and limit.what for limit in LIMITS.values())


@given(gain=st.integers(-256, 256), value=words)
def test_gains_are_multiples_of_an_eighth_of_a_sixteenth(gain, value):
    exact = Fraction(gain * value, 128) + Fraction(1, 2)
    made = Loihi2().scale(gain / 128, np.array([value], np.int32))
    assert int(made[0]) == exact.numerator // exact.denominator


@given(share=st.integers(0, 128), plus=words, minus=words)
def test_the_mean_of_two_integers_is_rounded_once(share, plus, minus):
    exact = Fraction(share * plus + (128 - share) * minus, 128) + Fraction(1, 2)
    made = blended(share / 128, *np.array([[plus], [minus]], np.int32))
    assert int(made[0]) == exact.numerator // exact.denominator


@given(seed=st.integers(0, 10**6), lanes=st.sampled_from([1, 3]))
def test_integer_products_are_those_of_python(seed, lanes):
    generator = np.random.default_rng(seed)
    weights = generator.integers(-128, 128, (4, 5)).astype(np.int32)
    up = generator.integers(-(2**23), 2**23, (lanes, 5)).astype(np.int32)
    up[:, generator.integers(5)] = 0
    down = generator.integers(-(2**23), 2**23, (lanes, 4)).astype(np.int32)
    dense, exact = Dense(4, 5), object
    np.testing.assert_array_equal(
        dense.forward(weights, up), up.astype(exact) @ weights.T.astype(exact)
    )
    np.testing.assert_array_equal(
        dense.transpose(weights, down), down.astype(exact) @ weights.astype(exact)
    )
    np.testing.assert_array_equal(dense.outer(down, up), down.T.astype(exact) @ up.astype(exact))


def test_a_product_that_floating_point_could_not_do_exactly_is_refused():
    large = np.full((2, 4), 2**30, np.int64)
    with pytest.raises(OverflowError, match="2\\^53"):
        Dense(2, 4).forward(large, large)


@given(
    logits=arrays(float, (1, 6), elements=st.floats(-12, 12)), fraction=st.sampled_from([6, 11, 16])
)
def test_the_integer_softmax_is_the_softmax_within_its_bound(logits, fraction):
    written = Loihi2(fraction=fraction).number(logits)
    made = integer_softmax(written, fraction) / 2**fraction
    # Relative error of each 2^-t: table and exponent rounding; log2(e) in 14 bits (t <= 35).
    relative = 2 ** (2.0**-9 + 2.0**-fraction + 35 * 2.0**-14) - 1
    floor = 2.0**-15 + 2.0**-16  # shifted down, and the table's own half step
    bound = (2 * relative + 7 * floor) / (1 - relative - 6 * floor) + 2.0**-fraction
    assert fraction < 11 or bound < 2.0**-7
    np.testing.assert_allclose(made, softmax(written / 2**fraction, axis=-1), atol=bound)


def network(seed, sizes, *, numbers, rule="dp-transpose", loss="squared-error", lanes=2, **options):
    """A network whose weights and biases the chip holds exactly."""
    spec = NetworkSpec(sizes, rule=rule, loss=loss, beta=0.5, seed=seed, gain=0.1, **options)
    generator = np.random.default_rng(seed)
    chip = Loihi2(fraction=11)
    made = spec.build(lanes=lanes, arithmetic=numbers)
    shapes = [w.shape for w in spec.initial_parameters()[0]]
    weights = [generator.integers(-128, 128, shape) / 128 for shape in shapes]
    biases = [generator.integers(-200, 200, shape[0]) * chip.unit for shape in shapes]
    made.set_parameters(weights, biases)
    x = generator.uniform(0, 1, (lanes, sizes[0]))
    y = np.eye(sizes[-1])[generator.integers(sizes[-1], size=lanes)]
    return made, weights, x, y


def bounds(weights, beta):
    """Largest |integer - float| of s+, s- per layer and of the difference, in units of 2^-F.

    At alpha 1 the plus compartment is the forward pass. Forward: an input is rounded to 1/2, a
    drive is shifted and rounded once (1/2), biases are exact, relu is 1-Lipschitz. Backward: the
    head's drive is beta times output - target (1/2 for the target), rounded once more; then each
    u = W^T D is rounded by 1/2, and D = f(a) - f(a - u).
    """
    a = [np.full(weights[0].shape[1], 0.5)]
    for w in weights:
        a.append(np.abs(w) @ a[-1] + 0.5)
    u = beta * (a[-1] + 0.5) + 0.5
    result = []
    for k in range(len(weights), 0, -1):
        result.insert(0, (a[k], a[k] + u, 2 * a[k] + u))
        u = np.abs(weights[k - 1]).T @ result[0][2] + 0.5
    return result


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=4),
)
def test_integer_states_lie_within_the_derived_bound_of_floating_point(seed, sizes):
    chip = Loihi2(fraction=11)
    ours, weights, x, y = network(seed, tuple(sizes), numbers=chip)
    theirs, *_ = network(seed, tuple(sizes), numbers=Float())
    assert ours.settle(x, y).converged
    assert theirs.settle(x, y).converged
    exact = bounds(weights, 0.5)
    for bound, name in zip(exact, ours.populations, strict=True):
        one, other = ours.elements[name].memory, theirs.elements[name].memory
        for register, limit in zip(("s_plus", "s_minus", "sent_difference"), bound, strict=True):
            distance = np.abs(one[register] - other[register] / chip.unit)
            assert np.all(distance <= limit + 1e-9)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    order=st.integers(0, 10**6),
    loss=st.sampled_from(["squared-error", "cross-entropy"]),
    rule=st.sampled_from(
        [DualPropagationAdjoint(alpha=0.0), DualPropagationAdjoint(), ActivationRelaxation()]
    ),
)
def test_no_order_of_messages_changes_a_bit(seed, order, loss, rule):
    states = []
    for schedule in (parallel, sweep, random_layer(order)):
        made, _, x, y = network(seed, (5, 6, 4, 3), numbers=Loihi2(), loss=loss, rule=rule)
        outcome = made.settle(x, y, schedule=schedule)
        assert outcome.converged
        assert outcome.residual == 0
        kept = ("basal", "apical", "sent_", "s_plus", "s_minus", "relaxation", "held")
        states.append(
            [
                value.copy()
                for element in made.elements.values()
                for name, value in element.memory.items()
                if name.startswith(kept)
            ]
        )
    for other in states[1:]:
        for ours, theirs in zip(states[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("rule", "strict"),
    [
        (DualPropagationAdjoint(alpha=0.5), True),
        (DualPropagationAdjoint(alpha=1.0), True),
        (DualPropagation(alpha=0.5), True),
        (DualPropagation(alpha=1.0), False),  # diverges for these weights
        (ActivationRelaxation(), True),
    ],
    ids=repr,
)
def test_every_register_holds_integers_within_its_width(rule, strict):
    made, _, x, y = network(
        0, (5, 6, 3), numbers=Loihi2(strict=strict), rule=rule, nudge="linearised"
    )
    made.settle(x, y, max_steps=200)
    for name, element in made.elements.items():
        for register, value in element.memory.items():
            assert np.issubdtype(value.dtype, np.integer), (name, register)
            bits = WEIGHT.value if register == "weights" else STATE.value
            assert -(2 ** (bits - 1)) <= value.min(initial=0)
            assert value.max(initial=0) < 2 ** (bits - 1)


def test_what_diverges_overflows_by_name():
    options = {"rule": "dp", "alpha": 1.0, "nudge": "linearised"}
    made, _, x, y = network(0, (5, 6, 3), numbers=Loihi2(), **options)
    with pytest.raises(FixedPointError, match=r"layer 2 apical: .* 24 bits"):
        made.settle(x, y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activations": "tanh"}, "activation: precision loihi2 knows relu, linear.*Try: relu"),
        ({"activations": "hard-sigmoid"}, "Try: relu"),
        ({"rule": "dp", "loss": "squared-error"}, "nudge: .*divide.*Try: linearised"),
        ({"compartment_noise": 0.1}, "compartment_noise: .*Try: 0"),
        ({"beta": 0.001}, "beta: .*multiples of 2\\^-7"),
        ({"gain": 9.0}, "weights: .* does not fit into 8 bits"),
    ],
)
def test_what_has_no_place_on_the_chip_is_named(options, words):
    spec = NetworkSpec((5, 6, 3), **options)
    with pytest.raises(ValidationError, match=words):
        spec.build(arithmetic=Loihi2())


def test_a_rule_with_state_at_the_synapse_is_refused():
    with pytest.raises(ValidationError, match=r"optimiser: .*Try: sgd"):
        NetworkSpec((5, 3), gain=0.1).build(arithmetic=Loihi2(), optimiser=Adam())


@given(largest=st.floats(1e-3, 100), most=st.sampled_from([7, 15]))
def test_the_fitting_exponent_is_the_largest_that_fits(largest, most):
    exponent = fitting_exponent(np.array([-largest, largest]), most)
    assert round(largest * 2**exponent) <= 127
    assert exponent == most or round(largest * 2 ** (exponent + 1)) > 127


def test_weights_beyond_every_exponent_are_refused():
    with pytest.raises(FixedPointError, match="8 bits"):
        fitting_exponent(np.array([128.0]), 7)


def test_parameters_go_in_and_out_in_units_of_the_activity():
    made, weights, *_ = network(3, (4, 5, 2), numbers=Loihi2(weight_exponents=(7, 7)))
    for ours, theirs in zip(made.parameters()[0], weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_losses_and_activations_of_the_registry_are_known_or_refused():
    chip = Loihi2()
    for loss in LOSSES.values():
        assert chip.error(loss, chip.zeros((1, 3)), chip.zeros((1, 3))).dtype.kind == "i"
    refused = []
    for activation in ACTIVATIONS.values():
        try:
            assert chip.apply(activation, chip.zeros((1, 3))).dtype.kind == "i"
        except ValidationError:
            refused.append(activation.name)
    assert refused == ["hard-sigmoid", "tanh"]
