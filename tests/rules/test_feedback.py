"""Separate feedback weights against their closed form, backprop through B, and fractions."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lava_dyads.elements import Connection
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.trace_plasticity import TracePlasticity, decay_parts
from lava_dyads.errors import FixedPointError, ValidationError
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.feedback import KOLEN_POLLACK, RANDOM, drift, feedback
from lava_dyads.rules.losses import loss
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import OPTIMISERS, SGD, ChipSGD, optimiser
from lava_dyads.rules.units import RULES

LAYERS = (6, 9, 7, 4)


def batches(seed, count, samples=5, layers=LAYERS):
    generator = np.random.default_rng(seed)
    for _ in range(count):
        x = generator.uniform(size=(samples, layers[0]))
        yield x, np.eye(layers[-1])[generator.integers(layers[-1], size=samples)]


PAIRED = [name for name, rule in RULES.items() if not rule.lifted]
"""Rules that may have feedback weights of their own."""


def pair_spec(rule, kind, **options):
    """A small network of any rule; it need not have settled to learn as a pair."""
    activation = (RULES[rule].activations or ("relu",))[0]
    short = {"window": 8} if rule == "spiking" else {"repeats": 1}
    return NetworkSpec(LAYERS, activation, rule=rule, feedback=kind, **short, **options)


def learnt(spec, count, teacher, arithmetic=None, samples=5):
    """A network after some updates on fresh batches."""
    network = spec.build(lanes=samples, optimiser=teacher, arithmetic=arithmetic)
    clock = Clock(1, True, True, True, samples, batch=samples)
    for x, y in batches(spec.seed, count, samples, spec.layers):
        write = network.arithmetic.number
        network.after(clock, {"input_in": write(x), "target_in": write(y)})
    return network


@pytest.mark.sampled(4)
@pytest.mark.parametrize("decay", [0.0, 0.003])
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("rule", PAIRED)
def test_the_difference_of_a_pair_decays_whatever_is_learnt(rule, name, decay):
    spec = pair_spec(rule, "kolen_pollack", seed=3)
    apart = [
        b if b is None else b - w
        for w, b in zip(spec.initial_parameters()[0], spec.initial_feedback(), strict=True)
    ]
    updates = 30
    network = learnt(spec, updates, optimiser(name, decay=decay))
    weights, back = network.parameters()[0], network.feedback()
    assert apart[0] is None
    assert back[0] is None
    for w, b, begin, start in zip(
        weights[1:], back[1:], apart[1:], spec.initial_parameters()[0][1:], strict=True
    ):
        np.testing.assert_allclose(b - w, (1 - decay) ** updates * begin, rtol=0, atol=1e-13)
        assert np.linalg.norm(w - start) > 0.01


@pytest.mark.parametrize("rule", PAIRED)
def test_random_feedback_stays_and_the_weights_learn(rule):
    spec = pair_spec(rule, "random")
    network = learnt(spec, 20, SGD(0.1))
    for b, begin in zip(network.feedback(), spec.initial_feedback(), strict=True):
        np.testing.assert_array_equal(b, begin)
    begin, weights = spec.initial_parameters()[0], network.parameters()[0]
    assert all(np.linalg.norm(w - b) > 1e-3 for w, b in zip(weights, begin, strict=True))


def test_feedback_alignment_is_a_hand_written_product():
    w1, w2, b2 = np.eye(2), np.array([[1.0, 2.0]]), np.array([[5.0, -3.0]])
    x, y = np.array([[1.0, 2.0]]), np.array([[0.0]])
    biases, hidden = [np.zeros(2), np.zeros(1)], [ACTIVATIONS["linear"]]
    run = backpropagate(x, y, [w1, w2], biases, hidden, loss("squared-error"), [None, b2])
    # The output is 5, and so is its error.
    np.testing.assert_array_equal(run.errors[1], [[5.0]])
    np.testing.assert_array_equal(run.errors[0], [[25.0, -15.0]])


@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100))
def test_the_drift_is_a_distance_and_an_angle(seed, scale):
    generator = np.random.default_rng(seed)
    w, other = generator.normal(size=(2, 3, 4))
    across = other - (other * w).sum() / (w * w).sum() * w
    across *= np.linalg.norm(w) / np.linalg.norm(across)
    for degrees in (0.0, 1e-6, 30.0, 90.0, 150.0, 180.0):
        turned = scale * (np.cos(np.radians(degrees)) * w + np.sin(np.radians(degrees)) * across)
        found = drift(w, turned)
        assert found.angle == pytest.approx(degrees, rel=1e-6, abs=1e-12)
        c = np.cos(np.radians(degrees))
        law = np.sqrt(max(0.0, scale**2 + 1 - 2 * scale * c))
        assert found.relative == pytest.approx(law, rel=1e-6, abs=1e-6)
    assert drift(np.zeros((2, 2)), np.zeros((2, 2))).relative == 0
    assert drift(np.zeros((2, 2)), np.ones((2, 2))).relative == np.inf


def chip_pair(updates, decay=0.0, starts=(0, 0), up=0.75, down=0.5, eta=2.0**-8):
    """W and B of 20 x 30 synapses after updates with one pair of signals."""
    numbers = Loihi2(fraction=11, layer=2, depth=2)
    made = []
    for start, side in zip(starts, (numbers, numbers.backward()), strict=True):
        memory = {"w": np.full((20, 30), start, np.int32)}
        learner = TracePlasticity("w", memory, 1.0, ChipSGD(eta, decay=decay), side)
        pre, post = side.number(np.full((1, 30), up)), side.number(np.full((1, 20), down))
        for _ in range(updates):
            learner.learn_pair(Dense(20, 30), post, pre, 1)
        made.append(memory["w"])
    return made


def test_both_synapses_of_a_pair_learn_the_same_on_average_by_draws_of_their_own():
    w, b = chip_pair(40)
    # 40 steps of eta 2^7 x y = 0.1875 units; each rounding deviates by at most 1/2.
    ideal, deviation = 40 * 0.1875, np.sqrt(40) / 2
    for made in (w, b):
        assert np.all(np.abs(made - ideal) <= 6 * deviation)
        assert abs(made.mean() - ideal) <= 6 * deviation / np.sqrt(made.size)
    correlation = np.corrcoef(w.ravel(), b.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(w.size)
    assert np.any(w != b)


@given(decay=st.floats(2.0**-16, 0.9))
@example(decay=5e-5)  # 3.28 in units of 2^-16, 6.55 in halves of them: rounded twice it would be 4
def test_a_decay_is_what_the_engine_can_say(decay):
    mantissa, shift, period = decay_parts(decay)
    assert 1 <= mantissa <= 7
    assert shift <= 7
    assert period in [2**k for k in range(10)]
    # Three bits, but for the smallest, which are whole multiples of 2^-16.
    assert abs(mantissa * 2.0**-shift / period - decay) <= max(decay / 8, 2.0**-17)
    assert decay_parts(2.0**-18)[0] == 0


@pytest.mark.parametrize("decay", [2.0**-4, 2.0**-8])
def test_weights_decay_on_the_chip_at_their_rate(decay):
    updates = round(1 / decay)
    for made in chip_pair(updates, decay, starts=(96, 96), down=0.0):
        ideal = 96 * (1 - decay) ** updates
        # Roundings of variance up to 1/4, one per decaying step.
        steps = updates // decay_parts(decay)[2]
        assert abs(made.mean() - ideal) <= 1 + 6 * np.sqrt(steps / 4 / made.size)
        assert made.std() <= 2 * np.sqrt(steps / 4) + 1e-9


def test_rate_and_decay_fall_together():
    rule = ChipSGD(2.0**-6, decay=2.0**-8, horizon=4)
    assert [rule.decay_at(step) * 2**8 for step in range(1, 6)] == [1, 0.75, 0.5, 0.25, 0]
    assert ChipSGD(2.0**-6, decay=2.0**-8).decay_at(10**6) == 2.0**-8


def test_a_chip_with_separate_exponents_sees_the_same_feedback():
    spec = NetworkSpec((5, 6, 3), beta=1.0, feedback="random", gain=0.6)
    ((x, y),) = batches(1, 1, 2, (5, 6, 3))
    drives = []
    for exponent in (5, 7):
        numbers = Loihi2(fraction=11, weight_exponents=(6, 6), feedback_exponents=(0, exponent))
        # Multiples of 2^-5 are exact in both.
        back = [None, np.rint(spec.initial_feedback()[1] * 32) / 32]
        network = spec.build(lanes=2, arithmetic=numbers, feedback_weights=back)
        assert network.settle(x, y).converged
        np.testing.assert_array_equal(network.feedback()[1], back[1])
        population = network.populations["population_1"]
        drives.append(population.arithmetic.apical(population.memory["apical"]))
    np.testing.assert_array_equal(*drives)
    assert np.any(drives[0])


@pytest.mark.parametrize("decay", [2.0**-5, 2.0**-9])
def test_a_pair_on_the_chip_forgets_its_beginnings_and_keeps_what_it_learns(decay):
    updates = round(1 / decay)
    w, b = chip_pair(updates, decay, starts=(0, 64), eta=decay)
    # Every step rounds twice in either, with a variance of up to 1/4 each.
    noise = np.sqrt(updates) / np.sqrt(w.size)
    assert abs((b - w).mean() - 64 * (1 - decay) ** updates) <= 6 * noise
    kept = 0.75 * 0.5 * 2**7 * (1 - (1 - decay) ** updates)  # eta = lambda
    assert kept > 4 * (6 * noise + 0.5)
    assert abs(w.mean() - kept) <= 6 * noise + 0.5


def test_the_chip_learns_both_in_strict_mode_within_eight_bits():
    spec = NetworkSpec(LAYERS, beta=1.0, feedback="kolen_pollack", gain=0.7)
    numbers = Loihi2(feedback_exponents=(7,))
    begin = spec.build(arithmetic=numbers)
    network = learnt(spec, 100, ChipSGD(2.0**-2, decay=2.0**-8), numbers, samples=1)
    for before, after in zip(begin.connections.values(), network.connections.values(), strict=True):
        for name in ("weights", "feedback"):
            if name in after.memory:
                made = after.memory[name]
                assert made.dtype == np.int32
                assert -128 <= made.min() < made.max() <= 127
                assert np.any(made != before.memory[name])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: feedback("kolen-pollack"), "unknown name.*Try: kolen_pollack"),
        (lambda: NetworkSpec(LAYERS, feedback="tide"), "unknown name.*Try: tied"),
        (lambda: NetworkSpec(LAYERS, rule="backprop", feedback="random"), "by definition"),
        (lambda: RANDOM.decay_of(0.1), "decay: .*feedback random.*Try: weight_decay"),
        (lambda: SGD(decay=1.0), "decay: "),
        (lambda: SGD(1.0, weight_decay=0.5, decay=0.5), "decay: "),
        (lambda: SGD(decay=-0.1), "decay: "),
        (lambda: ChipSGD(decay=2.0**-17), "smallest is 2\\^-16"),
        (lambda: Connection(np.eye(2), feedback=np.eye(3)), r"Connection.feedback: .*\(2, 2\)"),
        (lambda: Connection(np.eye(2), feedback=np.full((2, 2), np.nan)), "finite"),
        (lambda: Loihi2(feedback_exponents=(16,)), "feedback_exponents: must lie"),
        (lambda: Loihi2(feedback_exponents=(7, 7, 7), layer=1, depth=2), "needs 1 or 2"),
        (
            lambda: NetworkSpec((3, 2)).build(arithmetic=Loihi2(feedback_exponents=(7,))),
            "exponents of the weights",
        ),
        (
            lambda: NetworkSpec((2, 2, 2), feedback="random").build(feedback_weights=[None, None]),
            "random needs one per layer, 2",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(make, words):
    with pytest.raises(ValidationError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_feedback_that_does_not_fit_the_chip_is_refused():
    spec = NetworkSpec((2, 2, 2), feedback="random", gain=0.2)
    back = [None, np.full((2, 2), 9.0)]
    with pytest.raises(FixedPointError, match="feedback"):
        spec.build(arithmetic=Loihi2(feedback_exponents=(7,)), feedback_weights=back)


def test_decay_is_the_kinds_own_where_none_is_given():
    assert KOLEN_POLLACK.decay_of(None) == KOLEN_POLLACK.decay > 0
    assert KOLEN_POLLACK.decay_of(None, on_chip=True) == KOLEN_POLLACK.chip_decay > 0
    assert KOLEN_POLLACK.decay_of(0.0) == 0
    assert RANDOM.decay_of(None) == RANDOM.decay_of(0.0) == 0


def test_where_no_pair_learns_nothing_decays():
    # The connection above the input has no feedback: its weights keep what they have.
    for kind, decaying in (("tied", 0), ("random", 0), ("kolen_pollack", 2)):
        network = NetworkSpec(LAYERS, feedback=kind).build(optimiser=SGD(decay=0.5))
        losses = [
            learner.optimiser.decay
            for c in network.connections.values()
            for learner in c.learners
            if learner.optimiser
        ]
        assert losses.count(0.5) == 2 * decaying
