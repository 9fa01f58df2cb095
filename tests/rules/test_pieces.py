"""Activations, losses, optimisers, coding, clock: each against an oracle of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import approx_fprime, minimize

from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import ValidationError
from lava_dyads.rules.activations import ACTIVATIONS, activation
from lava_dyads.rules.losses import LOSSES, loss
from lava_dyads.rules.optimisers import OPTIMISERS, SGD, Adam, Momentum, optimiser
from lava_dyads.rules.send_on_change import send_on_change

numbers = st.floats(-5, 5, allow_subnormal=False)

NAMES = [*LOSSES, "huber:0.3"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_is_that_of_the_function(name):
    f = ACTIVATIONS[name]
    a = np.array([-2.3, -0.4, 0.3, 0.7, 1.9])  # away from kinks
    step = 1e-6
    slope = (f.f(a + step) - f.f(a - step)) / (2 * step)
    np.testing.assert_allclose(f.derivative(a), slope, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_monotone_and_pieces_follow_the_kinks(name):
    f = ACTIVATIONS[name]
    a = np.linspace(-3, 3, 601)
    s = f.f(a)
    assert np.all(np.diff(s) >= 0)
    # Within one piece the slope of a piecewise linear function is constant.
    if name != "tanh":
        slope, piece = f.derivative(a), f.piece(s)
        for number in np.unique(piece):
            assert np.unique(slope[piece == number]).size == 1


def test_relu_has_no_slope_at_its_kink():
    assert ACTIVATIONS["relu"].derivative(np.zeros(1)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_gradient_is_that_of_the_value(name):
    generator = np.random.default_rng(1)
    s, y = generator.normal(size=5), np.eye(5)[2]
    oracle = approx_fprime(s, lambda z: loss(name).value(z[None], y[None])[0], 1e-7)
    np.testing.assert_allclose(loss(name).gradient(s[None], y[None])[0], oracle, atol=1e-6)


def test_losses_are_per_sample():
    s, y = np.random.default_rng(0).normal(size=(2, 3, 4))
    for each in map(loss, NAMES):
        assert each.value(s, y).shape == (3,)
        np.testing.assert_array_equal(each.gradient(s, y)[1], each.gradient(s[1:2], y[1:2])[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("c", [0.4, -0.3])
def test_the_proximal_point_minimises_its_objective(name, c):
    generator = np.random.default_rng(2)
    a, y = generator.normal(size=4), np.eye(4)[1]
    each = loss(name)
    oracle = minimize(
        lambda z: 0.5 * np.sum((z - a) ** 2) + c * each.value(z[None], y[None])[0],
        a,
        method="BFGS",
        options={"gtol": 1e-9},
    )
    np.testing.assert_allclose(each.proximal(a[None], y[None], c)[0], oracle.x, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "c"),
    [("squared-error", -1.0), ("huber", -1.0), ("cross-entropy", 2.0), ("cross-entropy", -2.0),
     ("binary-cross-entropy", 4.0)],
)  # fmt: skip
def test_a_proximal_point_that_does_not_exist_is_refused(name, c):
    with pytest.raises(ValidationError, match="beta"):
        loss(name).check_proximal(c)
    loss(name).check_proximal(0.99 * c)


def test_losses_of_classes_agree_where_there_are_two():
    """A sigmoid of the difference of two logits is their softmax; far off it does not overflow."""
    generator = np.random.default_rng(5)
    s, y = 300 * generator.normal(size=(9, 1)), generator.integers(0, 2, (9, 1)).astype(float)
    pair, both = np.concatenate([s, 0 * s], 1), np.concatenate([y, 1 - y], 1)
    one, two = loss("binary-cross-entropy"), loss("cross-entropy")
    np.testing.assert_allclose(one.value(s, y), two.value(pair, both), atol=1e-12)
    np.testing.assert_allclose(one.gradient(s, y)[:, 0], two.gradient(pair, both)[:, 0], atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_no_loss_is_steeper_than_it_says(name):
    """Its largest second derivative bounds the proximal strengths."""
    each, h = loss(name), 1e-6
    s = np.linspace(-4, 4, 401)[:, None] * np.ones((1, 2)) * [[1, -1]]
    y = np.zeros_like(s)
    y[:, 0] = 1
    steps = h * np.array([[1, 0], [1 / np.sqrt(2), -1 / np.sqrt(2)]])
    slopes = [
        np.linalg.norm(each.gradient(s + step, y) - each.gradient(s, y), axis=1) / h
        for step in steps
    ]
    assert np.max(slopes) == pytest.approx(each.curvature, rel=1e-3)


def test_a_loss_takes_its_option_behind_a_colon():
    assert loss("huber:0.5").label == "huber:0.5"
    assert loss("huber:1").label == "huber"
    for wrong, said in (
        ("huber:x", "huber:1"),
        ("huber:-1", "positive"),
        ("squared-error:2", "no"),
    ):
        with pytest.raises(ValidationError, match=said):
            loss(wrong)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValidationError, match="Try: relu"):
        activation("rellu")
    with pytest.raises(ValidationError, match="Try: cross-entropy"):
        loss("crossentropy")
    with pytest.raises(ValidationError, match="Try: adam"):
        optimiser("adma")


def descend(made, gradients):
    w = np.zeros_like(gradients[0])
    state = np.zeros((max(1, made.slots), *w.shape))
    for step, gradient in enumerate(gradients, 1):
        w = w + made.change(gradient, state, step)
    return w


def test_sgd_and_momentum_are_their_sums():
    g = np.random.default_rng(3).normal(size=(6, 4))
    np.testing.assert_allclose(descend(SGD(0.1), g), -0.1 * g.sum(axis=0))
    # v_t = sum_s mu^(t-s) g_s, so g_s is used (1 - mu^(T-s+1)) / (1 - mu) times in all.
    share = (1 - 0.9 ** np.arange(6, 0, -1)) / (1 - 0.9)
    np.testing.assert_allclose(descend(Momentum(0.1, momentum=0.9), g), -0.1 * share @ g)


def test_adam_is_the_published_algorithm():
    g = np.random.default_rng(4).normal(size=(5, 3))
    m = v = w = np.zeros(3)
    for t in range(1, 6):  # Kingma and Ba, algorithm 1, line by line
        m = 0.9 * m + 0.1 * g[t - 1]
        v = 0.999 * v + 0.001 * g[t - 1] ** 2
        w = w - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(descend(Adam(0.01), g), w, rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_are_local_to_each_weight(name):
    g = np.random.default_rng(5).normal(size=(4, 6))
    order = np.random.default_rng(6).permutation(6)
    made = OPTIMISERS[name]()
    np.testing.assert_array_equal(descend(made, g)[order], descend(made, g[:, order]))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_rate_that_falls_scales_the_steps_and_ends_at_its_horizon(name):
    g = np.random.default_rng(5).normal(size=(6, 3))

    def steps(made):
        places = [np.zeros(3), *(descend(made, g[:t]) for t in range(1, 7))]
        return np.diff(places, axis=0)

    share = np.array([1.0, 0.75, 0.5, 0.25, 0.0, 0.0])[:, None]
    made = OPTIMISERS[name]
    expected = share * steps(made(0.1))
    np.testing.assert_allclose(steps(made(0.1, horizon=4)), expected, rtol=0, atol=1e-12)
    w = np.ones(1)
    OPTIMISERS[name](0.1, weight_decay=0.5, horizon=4).shrink(w, 3)
    np.testing.assert_allclose(w, 1 - 0.5 * 0.1 * 0.5)


def test_weight_decay_shrinks_by_rate_times_decay():
    w = np.ones(3)
    SGD(0.1, weight_decay=0.5).shrink(w, 1)
    np.testing.assert_allclose(w, 0.95)


@given(
    values=st.lists(arrays(float, 3, elements=numbers), min_size=1, max_size=6),
    threshold=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_receivers_hold_the_mirror_and_stay_within_the_threshold(values, threshold):
    last_sent, held, total = np.zeros(3), np.zeros(3), 0
    for value in values:
        message, events = send_on_change(value, last_sent, threshold)
        total += events
        if message is None:
            assert events == 0
        else:
            assert events == np.count_nonzero(message)
            held += message
        np.testing.assert_array_equal(held, last_sent)
        assert np.all(np.abs(value - held) <= threshold + 2e-14 * (1 + np.abs(value)))
    again, _ = send_on_change(values[-1], last_sent, threshold)
    assert again is None


def test_what_diverged_never_looks_like_silence():
    last_sent = np.zeros(2)
    for _ in range(3):
        message, events = send_on_change(np.array([np.nan, 0.0]), last_sent, 0.0)
        assert events == 1
        assert np.isnan(message[0])


def test_small_differences_have_a_floor_of_their_own_scale():
    beta = 1e-3
    value = np.array([1e-15 * beta, 1e-10 * beta])
    message, events = send_on_change(value, np.zeros(2), 0.0, scale=beta)
    assert events == 1
    assert message[1] == value[1]


@given(
    steps=st.integers(1, 5),
    lanes=st.integers(1, 4),
    batches=st.integers(1, 3),
    samples=st.integers(1, 30),
    begin=st.integers(0, 7),
)
def test_every_sample_is_shown_once_and_every_batch_applied_once(
    steps, lanes, batches, samples, begin
):
    schedule = PresentationSchedule(steps, lanes, lanes * batches)
    schedule.window[:] = begin, samples
    total = schedule.presentations(samples) * steps
    clocks = [schedule.at(begin + t) for t in range(1, total + 1)]
    shown = [c.start + i for c in clocks if c.first for i in range(c.valid)]
    assert shown == list(range(samples))
    assert [c.step for c in clocks] == list(range(1, steps + 1)) * schedule.presentations(samples)
    applied = [c.batch for c in clocks if c.batch]
    assert sum(applied) == samples
    assert all(size == lanes * batches for size in applied[:-1])
    assert all(c.last for c in clocks if c.batch)


@pytest.mark.parametrize("period", [0, 1, 2, 5])
def test_calm_steps_are_those_where_no_presentation_begins_or_ends(period):
    schedule = PresentationSchedule(period)
    schedule.window[0] = 3
    for first in range(4, 16):
        for steps in range(1, 8):
            clocks = [schedule.at(t) for t in range(first, first + steps)]
            assert schedule.inside_presentation(first, steps) == (
                not any(c.first or c.last for c in clocks)
            )


def test_a_batch_must_be_a_multiple_of_the_lanes():
    with pytest.raises(ValidationError, match="multiple of lanes = 4"):
        PresentationSchedule(1, lanes=4, batch_size=6)
