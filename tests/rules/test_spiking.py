"""The spiking unit against closed forms: a count is the relu of an integral."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.elements import Population
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors.backprop import forward
from lava_dyads.networks import Execution, describe
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import check_on_grid, on_grid
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.units import rule

WINDOW, SCALE = 64, 0.25
RATE = WINDOW * SCALE


def population(alpha=0.5, bias=0.0, hysteresis=1, output=False, beta=0.25):
    own = {"window": WINDOW, "scale": SCALE, "hysteresis": hysteresis}
    chosen = rule("spiking", {"alpha": alpha, "beta": beta, **own})
    unit = chosen.output(LOSSES["squared-error"]) if output else chosen.hidden(ACTIVATIONS["relu"])
    return Population(unit, np.atleast_1d(float(bias)), beta=beta)


def run(element, basal=(), apical=(), steps=WINDOW, learn=True):
    """Feed impulses step by step; return what was sent, by port, and the potentials."""
    sent = {f"{c}_out": np.zeros(steps) for c in element.channels}
    potentials = np.zeros((steps, 2))
    for t in range(steps):
        inbox = {}
        for port, series in (("basal_in", basal), ("apical_in", apical)):
            if t < len(series) and series[t]:
                inbox[port] = np.array([[series[t]]])
        outbox = element.after(Clock(t + 1, t == 0, False, learn, 1), inbox)
        for port, message in outbox.items():
            sent[port][t] = message[0, 0]
        potentials[t] = element.memory["v_plus"][0, 0], element.memory["v_minus"][0, 0]
    return sent, potentials


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-255, 255), min_size=1, max_size=WINDOW),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_running_count_is_the_largest_rounded_integral_so_far(steps, alpha):
    """N(t) = max(0, max over t' <= t of floor(I(t') + 1/2)) while no step brings a threshold."""
    increments = np.array(steps) / 256 / RATE  # in units of activity, below one threshold
    sent, potentials = run(population(alpha), basal=increments, steps=len(steps))
    integral = np.cumsum(increments) * RATE
    expected = np.maximum(0, np.maximum.accumulate(np.floor(integral + 0.5)))
    for port in ("plus_out", "minus_out"):
        np.testing.assert_array_equal(np.cumsum(sent[port]) * RATE, expected)
    # Nothing is lost: V = 1/2 + integral - N, whatever has happened.
    np.testing.assert_array_equal(potentials[:, 0], 0.5 + integral - expected)


@pytest.mark.parametrize("bias", [-0.5, 0.0, 0.3, 1.7, 3.9])
def test_a_constant_level_is_counted_to_half_a_spike(bias):
    element = population(bias=bias)
    run(element)
    assert element.memory["s_plus"][0, 0] == np.floor(max(bias, 0) * RATE + 0.5) / RATE


@pytest.mark.parametrize(("alpha", "plus", "minus"), [(0.0, 1.5, 1.0), (1.0, 1.0, 0.5)])
def test_the_nudge_goes_to_the_compartment_of_the_adjoint_gain(alpha, plus, minus):
    # Activity 1, feedback 1/2 as impulses: s+ = 1 + (1 - alpha)/2, s- = 1 - alpha/2.
    feedback = np.full(WINDOW, 0.5 / WINDOW)
    element = population(alpha, bias=1.0)
    sent, _ = run(element, apical=feedback)
    assert element.memory["s_plus"][0, 0] == plus
    assert element.memory["s_minus"][0, 0] == minus
    assert sent["difference_out"].sum() == 0.5
    assert sent["mean_out"].sum() == alpha * plus + (1 - alpha) * minus


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("hysteresis", [1, 2, 3])
def test_the_difference_is_reported_when_it_has_moved_by_h_spikes(alpha, hysteresis):
    generator = np.random.default_rng(0)
    feedback = np.round(256 * generator.normal(0.3, 0.4, WINDOW)) / 256 / RATE
    element = population(alpha, bias=1.5, hysteresis=hysteresis)
    sent, _ = run(element, apical=feedback)
    gap = np.cumsum(sent["plus_out"] - sent["minus_out"]) * RATE
    told, expected = 0.0, np.zeros(WINDOW)
    for t, now in enumerate(gap):
        if abs(now - told) >= hysteresis:
            expected[t], told = now - told, now
    assert np.count_nonzero(expected) > 3, "nothing was tested"
    np.testing.assert_array_equal(sent["difference_out"] * RATE, expected)


def test_an_output_settles_at_its_target_and_its_baseline():
    # Strongly nudged towards y: s- = a - alpha beta (y - s), s+ likewise; alpha = 0 leaves s-.
    element = population(0.0, bias=-0.5, output=True, beta=0.5)
    assert element.unit.baseline == 1.0
    run(element, apical=[0.25])  # the target comes once, as a level
    # s- = -1/2 + 1; s+ = s- + beta (y + 1 - s-) = 1/2 + 3/8
    assert element.memory["s_minus"][0, 0] == pytest.approx(0.5, abs=1 / RATE)
    assert element.memory["s_plus"][0, 0] == pytest.approx(0.875, abs=1 / RATE)


def test_without_a_target_both_compartments_are_the_forward_pass():
    spec = NetworkSpec((6, 9, 4), rule="spiking", alpha=0.5, window=1024, bias_deviation=0.1)
    weights, biases = spec.initial_parameters()
    x = np.random.default_rng(0).uniform(size=(5, 6)) / 2
    network = spec.build(lanes=5)
    clock = Clock(1, True, True, False, 5)
    out = network.after(clock, {"input_in": x, "target_in": np.ones((5, 4))})["output_out"]
    expected = forward(x, weights, biases, [ACTIVATIONS["relu"]])[1][-1]
    assert expected.min() > -1
    np.testing.assert_allclose(out - network.baseline, expected, atol=4 / (1024 / 4))
    m = network.populations["population_1"].memory
    np.testing.assert_array_equal(m["s_plus"], m["s_minus"])
    assert not m["sent_difference"].any()


def test_the_trainer_measures_outputs_without_their_baseline_and_counts_spikes():
    spec = NetworkSpec((64, 16, 10), rule="spiking", alpha=1.0, window=512, scale=0.25)
    with Trainer(spec, load("digits"), TrainingConfig(), Execution(runtime="reference")) as t:
        rows = t.test_rows[:64]
        measured = t.run(rows, 0)
        states = [
            p.memory[name] for p in t.network.populations.values() for name in p.unit.state[:2]
        ]
        spikes = sum(s.sum() for s in states) * spec.rule.scale * spec.rule.window
    hidden = [ACTIVATIONS["relu"]]
    out = forward(t.data.x[rows], *spec.initial_parameters(), hidden)[1][-1]
    clipped = np.maximum(out, -1)  # what a count can say
    expected = LOSSES["squared-error"].value(clipped, t.data.one_hot[rows]).mean()
    assert measured.loss == pytest.approx(expected, rel=0.05)
    assert measured.residual == 0
    with Trainer(spec, load("digits"), TrainingConfig(), Execution(runtime="reference")) as t:
        one = t.run(rows[-32:], 0)  # the registers above are those of the last presentation
    assert one.spikes * 32 == pytest.approx(spikes)


def test_a_spiking_network_has_no_rest_to_settle_to():
    network = NetworkSpec((3, 4, 2), rule="spiking").build()
    with pytest.raises(UnsupportedError, match=r"never rest\. Try: lava-dyads check spiking"):
        network.settle(np.ones((1, 3)), None)
    assert describe(NetworkSpec((3, 4, 2), rule="spiking"), quiet=True).spoken_messages is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": "cross-entropy"}, "loss: rule spiking supports squared-error"),
        ({"activations": "tanh"}, "activations: rule spiking supports relu"),
        ({"nudge": "linearised"}, "nudge: rule spiking supports proximal"),
        ({"window": 0}, "window: must be at least 1 step"),
        ({"scale": 0.0}, "scale: must be positive"),
        ({"scale": float("nan")}, "scale: must be positive"),
        ({"hysteresis": 0}, "hysteresis: must be at least 1 spike"),
        ({"threshold": 0.1}, "threshold: spikes are events already"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(options, text):
    with pytest.raises(ValidationError, match=text) as caught:
        NetworkSpec(**{"layers": (3, 4, 2), "rule": "spiking", **options})
    assert "\n" not in str(caught.value)


def test_asynchronous_spiking_is_refused_with_the_reason():
    with pytest.raises(UnsupportedError, match="spikes are counted in steps"):
        Execution("layer", "async").check("spiking")


def test_what_is_not_exactly_representable_is_named_with_the_nearest_that_is():
    check_on_grid("x", [[0.5, 0.25]])
    text = r"w\[0, 1\]: must be a multiple of 2\^-8, .* \(got 0.1\). Try: 0.1015625"
    with pytest.raises(ValidationError, match=text):
        check_on_grid("w", [[0.5, 0.1]])
    with pytest.raises(ValidationError, match=r"beta: .* \(got 0.001\). Try: 0.00390625"):
        check_on_grid("beta", 0.001)
    assert on_grid(0.1) == 0.1015625
