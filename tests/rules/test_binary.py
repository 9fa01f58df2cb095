"""Binary weights: maps against their definitions, and what networks of them hold and evaluate."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.networks import Execution, Graph, Node
from lava_dyads.rules.binary import (
    BEGIN,
    BINARY,
    OFFSET,
    Latent,
    adaste_backward,
    adaste_forward,
    growth_for,
    ste_backward,
    ste_forward,
)
from lava_dyads.rules.losses import loss
from lava_dyads.rules.optimisers import SGD, Adam
from lava_dyads.rules.units import RULES

DIGITS = load("digits")
thetas = st.floats(1e-3, 1).flatmap(lambda size: st.sampled_from([size, -size]))
strengths = st.floats(-4, 4).map(lambda power: 10.0**power)


@settings(deadline=None)
@given(theta=thetas, b=strengths, a=st.sampled_from([0.01, 0.1]))
def test_forward_is_the_minimum_of_its_energy(theta, b, a):
    w = np.linspace(-1, 1, 40_001)
    nearest = np.minimum((w - (1 + a)) ** 2, (w + (1 + a)) ** 2)
    energies = 0.5 * (w - theta) ** 2 + b / 2 * nearest
    best = w[energies.argmin()]
    assert adaste_forward(np.array(theta), b, a) == pytest.approx(best, abs=1e-4)
    assert adaste_forward(np.array(theta), max(b, 1 / a), a) == np.sign(theta)


@settings(deadline=None)
@given(theta=thetas, gradient=st.floats(0.1, 10), up=st.booleans(), b=strengths)
def test_backward_is_the_steepest_secant_in_the_direction_of_descent(theta, gradient, up, b):
    gradient = gradient if up else -gradient
    # Where a step length takes theta: everywhere, and just beyond the points where w bends.
    a = OFFSET
    bends = np.array([0.0, 1 - a * b, a * b - 1])
    ends = np.concatenate([np.linspace(-4, 4, 20_001), bends - 1e-9, bends + 1e-9])
    ends = np.append(ends, theta - np.sign(gradient) * 1e-7)
    steps = (theta - ends) / gradient
    forward = steps > 1e-9  # nearer, rounding decides
    moved = np.abs(adaste_forward(ends, b) - adaste_forward(np.array(theta), b))[forward]
    steepest = np.max(moved / steps[forward])
    made = adaste_backward(np.array(theta), np.array(gradient), b)
    assert np.abs(made) == pytest.approx(steepest, rel=2e-3, abs=1e-6)
    assert made == 0 or np.sign(made) == np.sign(gradient)


def test_where_nothing_bends_backward_is_the_derivative():
    theta, b, h = np.array([-0.7, -0.3, 0.2, 0.6]), 0.5, 1e-6
    slope = (adaste_forward(theta + h, b) - adaste_forward(theta - h, b)) / (2 * h)
    gradient = -np.sign(theta)  # descent leads away from zero
    np.testing.assert_allclose(adaste_backward(theta, gradient, b), gradient * slope, rtol=1e-9)


def test_late_slopes_are_two_over_theta_or_nothing():
    theta = np.array([0.5, -0.25, 0.5, -0.25])
    gradient = np.array([3.0, -3.0, -3.0, 3.0])
    np.testing.assert_allclose(adaste_backward(theta, gradient, 100.0), [12.0, -24.0, 0.0, 0.0])
    np.testing.assert_array_equal(ste_backward(theta, gradient), gradient)
    # No synapse: no weight, and nothing comes back.
    nothing = np.zeros(1)
    assert adaste_backward(nothing, nothing, 1.0) == 0
    assert ste_forward(nothing) == adaste_forward(nothing, 1.0) == 0


def test_the_pull_to_a_sign_grows_as_published_or_faster():
    optimiser = Latent(inner=SGD(), kind=BINARY["adaste"], epoch=7)
    assert [optimiser.b(n) for n in (0, 6, 7, 70)] == pytest.approx(
        [0.01, 0.01, 0.0105, 0.01 * 1.05**10]
    )
    assert optimiser.b(10**9) == pytest.approx(1 / OFFSET)
    assert growth_for(1000) == 1.05
    assert BEGIN * growth_for(20) ** 18 == pytest.approx(1 / OFFSET)


@pytest.mark.parametrize("kind", BINARY)
def test_a_step_of_descent_moves_theta_by_the_map_of_the_step(kind):
    options = {"loss": "squared-error", "weight_format": kind, "bias_deviation": 0.1, "seed": 1}
    spec = NetworkSpec((4, 3, 2), "linear", **options)  # exact: no kink to straddle
    thetas, biases = spec.initial_parameters()
    generator = np.random.default_rng(0)
    x, y = generator.uniform(size=(5, 4)), generator.normal(size=(5, 2))
    network = spec.build(lanes=5, optimiser=SGD(0.1))
    b, scales = 0.01, [np.sqrt(2 / 4), np.sqrt(2 / 3)]
    shown = [c * BINARY[kind].forward(t, b) for c, t in zip(scales, thetas, strict=True)]
    for mine, w in zip(network.parameters()[0], shown, strict=True):
        np.testing.assert_allclose(mine, w, rtol=1e-14)
    network.after(Clock(1, True, True, True, 5, batch=5), {"input_in": x, "target_in": y})
    gradients, on_biases = spec.backpropagate(x, y, shown, biases).gradients()
    latent, learnt = network.stored()
    for k in range(2):
        step = 0.1 * gradients[k] / scales[k]
        expected = np.clip(thetas[k] - BINARY[kind].backward(thetas[k], step, b), -1, 1)
        np.testing.assert_allclose(latent[k], expected, atol=1e-9)
        np.testing.assert_allclose(learnt[k], biases[k] - 0.1 * on_biases[k], atol=1e-9)


FLOATING = [name for name in (*RULES, "backprop") if name != "spiking"]


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("rule", [*FLOATING, "spiking"])
def test_every_float_rule_learns_them_and_evaluates_signs(rule, kind):
    f = ((RULES[rule].activations if rule in RULES else ()) or ("relu",))[0]
    spec = NetworkSpec((64, 7, 10), f, rule=rule, weight_format=kind, repeats=1)
    config = TrainingConfig(epochs=2, batch_size=8)
    with Trainer(spec, DIGITS, config, Execution(runtime="reference")) as trainer:
        before = trainer.stored()[0]
        trainer.run(trainer.train_rows[:160], 1)
        training = trainer.parameters()[0]
        trainer.run(trainer.test_rows[:8], 0)
        exact, latent = trainer.parameters()[0], trainer.stored()[0]
        trainer.run(trainer.train_rows[:8], 2)
        again = trainer.parameters()[0]
    for k, fan_in in enumerate((64, 7)):
        scale = np.sqrt(2 / fan_in)
        np.testing.assert_allclose(np.abs(exact[k]), scale, rtol=1e-14)
        np.testing.assert_array_equal(np.sign(exact[k]), np.sign(latent[k]))
        np.testing.assert_array_equal(again[k], training[k])
        assert np.abs(latent[k]).max() <= 1
        assert np.any(latent[k] != before[k])
        if kind == "adaste":
            assert np.any(np.abs(training[k]) < 0.9 * scale)


@pytest.mark.parametrize("kind", BINARY)
def test_sparse_layers_have_signs_where_there_is_a_synapse(kind):
    spec = NetworkSpec((8, 6, 3), weight_format=kind, density=(0.5, 1.0))
    network = spec.build(lanes=4, optimiser=Adam(0.01))
    generator = np.random.default_rng(1)
    data = {"input_in": generator.uniform(size=(4, 8)), "target_in": np.eye(3)[[0, 1, 2, 0]]}
    for learn in (True, True, False):
        network.after(Clock(1, True, True, learn, 4, batch=4 if learn else 0), data)
    w, mask = network.parameters()[0][0], spec.ops[0].mask
    np.testing.assert_allclose(np.abs(w), mask * np.sqrt(2 / 4), rtol=1e-14)


def test_random_feedback_stays_a_matrix_of_numbers():
    spec = NetworkSpec((8, 6, 3), weight_format="ste", feedback="random")
    back = spec.build(optimiser=SGD()).feedback()[1]
    assert len(np.unique(np.abs(back))) == back.size


@pytest.mark.parametrize("kind", BINARY)
def test_kernels_of_a_convolution_are_signs_too(kind):
    graph = Graph([
        Node("x", "input", shape=(1, 4, 4)),
        Node("seen", "conv", "x", channels=3, kernel=2, activation="relu"),
        Node("y", "dense", "seen", size=3),
    ])  # fmt: skip
    spec = NetworkSpec(graph=graph, weight_format=kind, bias_deviation=0.1)
    network = spec.build(lanes=4, optimiser=Adam(0.01))
    generator = np.random.default_rng(1)
    data = {"input_in": generator.uniform(size=(4, 16)), "target_in": np.eye(3)[[0, 1, 2, 0]]}
    network.after(Clock(1, True, True, True, 4, batch=4), data)
    exact = network.after(Clock(1, True, True, False, 4), data)["output_out"]
    weights, biases = network.parameters()
    for w, fan_in in zip(weights, (4, 27), strict=True):
        np.testing.assert_allclose(np.abs(w), np.sqrt(2 / fan_in), rtol=1e-14)
    zeros = np.zeros((4, 3))
    by_hand = spec.backpropagate(data["input_in"], zeros, weights, biases).output
    np.testing.assert_allclose(exact, by_hand)


@pytest.mark.lava
@pytest.mark.parametrize("kind", BINARY)
def test_granularities_and_runtimes_learn_the_same(kind):
    spec = NetworkSpec((64, 9, 10), weight_format=kind)
    config = TrainingConfig(epochs=1, batch_size=4)
    found = []
    for execution in (
        Execution(runtime="reference"),
        Execution("network", runtime="lava"),
        Execution("layer", runtime="lava"),
        Execution("layer", runtime="in-process"),
        Execution("neuron", runtime="in-process"),
    ):
        with Trainer(spec, DIGITS, config, execution) as trainer:
            trainer.run(trainer.train_rows[:18], 1)
            weights, latent = trainer.parameters()[0], trainer.stored()[0]
            loss_value = trainer.run(trainer.test_rows[:6], 0).loss
            exact = trainer.parameters()[0]
        found.append((weights, latent, exact, loss_value))
    for weights, latent, exact, loss_value in found[1:]:
        for mine, other in zip(weights + latent, found[0][0] + found[0][1], strict=True):
            assert np.linalg.norm(mine - other) <= 1e-9 * np.linalg.norm(other)
        for mine, other in zip(exact, found[0][2], strict=True):
            np.testing.assert_array_equal(mine, other)
        assert loss_value == pytest.approx(found[0][3])


def test_a_checkpoint_keeps_theta_and_evaluates_signs(tmp_path, capsys):
    run = ["train", "digits", "--weight-format", "adaste"]
    run += ["--layers", "8", "--epochs", "2", "--json"]
    assert main([*run, "--runtime", "reference", "--out", str(tmp_path / "run")]) == 0
    trained = json.loads(capsys.readouterr().out)
    with np.load(tmp_path / "run" / "checkpoint.npz") as file:
        theta = file["weights_1"]
    assert len(np.unique(np.abs(theta))) > theta.size / 2
    evaluate = ["eval", str(tmp_path / "run"), "--runtime", "reference", "--json"]
    assert main(evaluate) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["weight_format"] == trained["weight_format"] == "adaste"
    assert evaluated["test_accuracy"] == trained["test_accuracy"]
    assert evaluated["test_loss"] == pytest.approx(trained["test_loss"])
    # By hand, from the signs alone.
    _, test = DIGITS.split(0, 0.25)
    with np.load(tmp_path / "run" / "checkpoint.npz") as file:
        parts = {k: file[k] for k in ("weights_1", "weights_2", "biases_1", "biases_2")}
    hidden = DIGITS.x[test] @ (np.sqrt(2 / 64) * np.sign(parts["weights_1"])).T
    hidden = np.maximum(hidden + parts["biases_1"], 0)
    out = hidden @ (np.sqrt(2 / 8) * np.sign(parts["weights_2"])).T + parts["biases_2"]
    expected = loss("cross-entropy").value(out, np.eye(10)[DIGITS.labels[test]]).mean()
    assert evaluated["test_loss"] == pytest.approx(expected)
    chip = [*evaluate, "--precision", "loihi2"]
    assert main(chip) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] > evaluated["test_accuracy"] - 0.1


def test_a_run_that_is_resumed_after_an_evaluation_ends_at_the_same_bits():
    spec = NetworkSpec((64, 6, 10), weight_format="adaste")
    config = TrainingConfig(epochs=2, batch_size=64)
    made = (spec, DIGITS, config, Execution(runtime="reference"))
    states = []
    with Trainer(*made) as trainer:
        trainer.fit(on_epoch=lambda entry: states.append(trainer.state()))
        whole = trainer.stored()[0]
    with Trainer(*made) as trainer:
        trainer.restore(states[0])
        trainer.fit()
        for mine, other in zip(trainer.stored()[0], whole, strict=True):
            np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight_format": "stee"}, "Try: ste"),
        ({"weight_format": "ste", "feedback": "kolen_pollack"}, "learns alike"),
        ({"weight_format": "ste", "gain": 1.0}, "have the scale"),
    ],
)
def test_what_binary_weights_cannot_have_is_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        NetworkSpec((4, 3, 2), **options)


@pytest.mark.parametrize(
    "execution", [Execution(precision="loihi2"), Execution("layer", "async", runtime="in-process")]
)
def test_elsewhere_the_table_says_why(execution):
    spec = NetworkSpec((64, 3, 10), weight_format="adaste")
    with pytest.raises(UnsupportedError, match="adaste"):
        Trainer(spec, DIGITS, TrainingConfig(batch_size=1), execution)


def test_a_stream_has_weights_that_are_numbers():
    spec = NetworkSpec((64, 3, 10), weight_format="ste")
    with pytest.raises(UnsupportedError, match="Try: --weight-format float"):
        Trainer(spec, DIGITS, TrainingConfig(stream=True), Execution(runtime="reference"))
