"""Messages with random latencies, in any order: one fixed point, no storm, silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.data import load
from lava_dyads.errors import ValidationError
from lava_dyads.executors.counter import draw, seed_key, unit
from lava_dyads.executors.events import settle_asynchronously
from lava_dyads.executors.latency import LATENCIES, Latency
from lava_dyads.networks import NetworkSpec

DIGITS = load("digits")


def sample(layers, seed, lanes=1):
    generator = np.random.default_rng([seed, 7])
    x = generator.normal(size=(lanes, layers[0]))
    return x, np.eye(layers[-1])[generator.integers(layers[-1], size=lanes)]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    alpha=st.sampled_from([0.0, 1.0]),
    loss=st.sampled_from(["squared-error", "cross-entropy"]),
    latency=st.sampled_from(sorted(LATENCIES)),
    hold_time=st.sampled_from([0.1, 1.0, 3.0]),
    per_event=st.booleans(),
)
def test_the_fixed_point_depends_on_no_latency_and_no_order(
    seed, sizes, alpha, loss, latency, hold_time, per_event
):
    spec = NetworkSpec(tuple(sizes), alpha=alpha, loss=loss, seed=seed, bias_deviation=0.1)
    x, y = sample(sizes, seed, lanes=2)
    ours, reference = spec.build(lanes=2), spec.build(lanes=2)
    outcome = settle_asynchronously(
        ours, x, y, latency=latency, hold_time=hold_time, per_event=per_event, seed=seed
    )
    assert outcome.silent
    assert outcome.converged
    assert reference.settle(x, y).converged
    for mine, other in zip(
        (*ours.gradients()[0], *ours.gradients()[1]),
        (*reference.gradients()[0], *reference.gradients()[1]),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, atol=1e-10)


def test_the_trace_belongs_to_the_seed_and_the_result_does_not():
    spec = NetworkSpec((6, 8, 7, 3))
    x, y = sample((6, 8, 7, 3), 1)
    outcomes, gradients = [], []
    for seed in (1, 1, 2):
        network = spec.build()
        outcomes.append(settle_asynchronously(network, x, y, seed=seed))
        gradients.append(network.gradients()[0][0])
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].time != outcomes[2].time
    np.testing.assert_array_equal(gradients[0], gradients[1])
    np.testing.assert_allclose(gradients[0], gradients[2], atol=1e-13)


def test_there_is_no_storm():
    """At most 3 mean and 5 difference events per neuron and sample, exponential latencies."""
    network = NetworkSpec((64, 32, 10)).build()
    up = down = 0
    for i in range(20):
        for population in network.populations.values():
            population.memory["counts"].fill(0)
        row = slice(i, i + 1)
        assert settle_asynchronously(network, DIGITS.x[row], DIGITS.one_hot[row], seed=i).converged
        up += sum(p.counts["events_mean"] for p in network.populations.values())
        down += sum(p.counts["events_difference"] for p in network.populations.values())
    assert up / (42 * 20) <= 3
    assert down / (42 * 20) <= 5


def test_what_does_not_settle_ends_at_its_cap_and_is_no_result():
    spec = NetworkSpec(
        (5, 8, 8, 4), rule="dp", alpha=0.0, beta=0.5, gain=3.0, activations="linear",
        loss="squared-error",
    )  # fmt: skip
    with np.errstate(all="ignore"):
        outcome = settle_asynchronously(spec.build(), *sample((5, 8, 8, 4), 0), max_deliveries=3000)
    assert not outcome.silent
    assert not outcome.converged
    assert outcome.steps == 3000
    assert not outcome.residual < 1


def test_a_free_phase_is_the_forward_pass():
    spec = NetworkSpec((4, 5, 3), bias_deviation=0.2)
    x, _ = sample((4, 5, 3), 3)
    network = spec.build()
    assert settle_asynchronously(network, x, None).converged
    (w1, w2), (b1, b2) = network.parameters()
    expected = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(network.populations["population_2"].memory["s_plus"], expected)
    # Silent input: the biases speak all the same.
    assert settle_asynchronously(network, 0 * x, None).converged
    expected = np.maximum(b1, 0) @ w2.T + b2
    np.testing.assert_allclose(network.populations["population_2"].memory["s_plus"][0], expected)


@pytest.mark.parametrize("latency", LATENCIES)
def test_latencies_have_mean_one(latency):
    key = seed_key(3)
    drawn = [Latency(latency, 2.0).quantile(unit(key, n)) for n in range(20_000)]
    assert min(drawn) >= 0
    assert np.mean(drawn) == pytest.approx(2, abs=0.1)


def test_random_numbers_by_counter_are_those_of_the_reference_and_of_their_place_alone():
    # The first five of SplitMix64 for the seed 1234567, as its authors' C code gives them.
    reference = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [draw(1234567, n) for n in range(5)] == reference
    shares = np.array(
        [
            [unit(draw(seed_key(s), k), n) for n in range(500)]
            for s in (0, 1 << 70)
            for k in range(4)
        ]
    )
    assert ((shares >= 0) & (shares < 1)).all()
    correlation = np.corrcoef(shares) - np.eye(8)
    assert np.abs(correlation).max() < 5 / np.sqrt(500)
    assert shares.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * shares.size))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"latency": "exponental"}, "Try: exponential"),
        ({"hold_time": 0.0}, "hold_time: must be positive"),
    ],
)
def test_bad_options_are_refused(options, text):
    network = NetworkSpec((2, 1)).build()
    with pytest.raises(ValidationError, match=text):
        settle_asynchronously(network, np.ones((1, 2)), None, **options)
