"""Frozen and current nudges, and damped dyads, against closed forms."""

import numpy as np
import pytest

from lava_dyads.data import load
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors.backprop import forward
from lava_dyads.executors.events import settle_asynchronously
from lava_dyads.executors.schedules import sweep
from lava_dyads.experiments import check_gradient
from lava_dyads.experiments.gradient import compare, flat
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.losses import loss
from lava_dyads.rules.nudges import NUDGES, nudge
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.theory import loop_gain, spectral_norm
from lava_dyads.rules.units import rule
from lava_dyads.training import Trainer, TrainingConfig

SIZES, LANES = (5, 7, 6, 4), 3
GENERATOR = np.random.default_rng(1)
X, Y = GENERATOR.normal(size=(LANES, 5)), np.eye(4)[[0, 3, 1]]


def spec_of(rule, kind, alpha, name="squared-error", **options):
    options = {"activations": "linear", "beta": 0.2, "bias_deviation": 0.1, **options}
    return NetworkSpec(SIZES, rule=rule, nudge=kind, alpha=alpha, loss=name, **options)


@pytest.mark.parametrize("name", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("kind", ["linearised-frozen", "proximal-frozen"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_frozen_nudge_is_that_of_the_forward_logits(alpha, kind, name):
    """Plain DP on a linear network far beyond its loop gain: frozen, it settles, and is biased."""
    spec = spec_of("dp", kind, alpha, name, gain=3.0)
    network = spec.build(lanes=LANES)
    weights, biases = network.parameters()
    assert alpha == 0.3 or loop_gain(weights, alpha, spec.rule.beta) > 1
    assert network.settle(X, Y).converged
    values = forward(X, weights, biases, [ACTIVATIONS["linear"]] * 2)[1]
    logits, beta = values[-1], spec.rule.beta
    if kind == "linearised-frozen":
        d = -beta * loss(name).gradient(logits, Y)
    else:
        points = [loss(name).proximal(logits, Y, c) for c in (alpha * beta, (alpha - 1) * beta)]
        d = points[0] - points[1]
    gradients = network.gradients()
    means = [X]
    u = [d @ weights[2] @ weights[1], d @ weights[2]]
    for w, b, feedback in zip(weights[:2], biases[:2], u, strict=True):
        means.append(means[-1] @ w.T + b + (2 * alpha - 1) * feedback)
    for ours, error, mean in zip(gradients[0], (*u, d), means, strict=True):
        np.testing.assert_allclose(ours, -error.T @ mean / beta / LANES, atol=1e-11)


@pytest.mark.parametrize("name", ["squared-error", "cross-entropy"])
def test_at_the_ends_of_alpha_the_adjoint_form_knows_no_difference(name):
    """The mean is the forward pass, so looking at it once or always is the same."""
    for alpha in (0.0, 1.0):
        found = []
        for kind in ("linearised", "linearised-frozen"):
            network = spec_of("dp-transpose", kind, alpha, name, activations="relu").build(lanes=3)
            network.settle(X, Y)
            found.append(flat(*network.gradients()))
        np.testing.assert_allclose(*found, atol=1e-14)


@pytest.mark.parametrize("kind", NUDGES)
def test_presentations_and_processes_nudge_as_the_relaxation_does(kind):
    """Asymmetric, so that frozen and current ones differ by more than rounding."""
    spec = NetworkSpec((64, 8, 10), rule="dp", nudge=kind, alpha=0.8, beta=0.1,
                       activations="tanh", loss="cross-entropy", repeats=12)  # fmt: skip
    data, learnt = load("digits"), []
    config = TrainingConfig(batch_size=8, lanes=8, optimiser="sgd", learning_rate=1.0)
    for execution in (
        Execution("network", runtime="reference"), Execution("layer", runtime="in-process"),
    ):  # fmt: skip
        with Trainer(spec, data, config, execution) as trainer:
            trainer.run(trainer.train_rows[:12], 1)  # a lane stays empty in the second batch
            learnt.append(flat(*trainer.parameters()))
    np.testing.assert_array_equal(*learnt)
    with Trainer(spec, data, config, Execution("network", runtime="reference")) as trainer:
        rows = trainer.train_rows[:8]
        trainer.run(rows, 1)
        learnt.append(flat(*trainer.parameters()))
    network = spec.build(lanes=8)
    assert network.settle(data.x[rows], np.eye(10)[data.labels[rows]]).converged
    expected = flat(*network.parameters()) - flat(*network.gradients())
    np.testing.assert_allclose(learnt[-1], expected, atol=1e-9)


def test_what_is_frozen_cannot_be_asynchronous():
    network = spec_of("dp", "linearised-frozen", 0.5).build(lanes=3)
    with pytest.raises(UnsupportedError, match="forward pass"):
        settle_asynchronously(network, X, Y)
    execution = Execution("layer", "async", "float", "in-process")
    spec = NetworkSpec((64, 8, 10), rule="dp", nudge="proximal-frozen", alpha=0.5)
    with pytest.raises(ValidationError, match="a frozen nudge"):
        Trainer(spec, load("digits"), None, execution)


def test_unknown_nudges_are_named():
    with pytest.raises(ValidationError, match=r"Try: .*proximal-frozen"):
        nudge("proximal-frzen")
    with pytest.raises(ValidationError, match="supports linearised or linearised-frozen"):
        spec_of("dp-transpose", "proximal", 1.0)


def damped(alpha, beta, gain, rule="dp-damped", f="linear", seed=2):
    options = {"beta": beta, "gain": gain, "activations": f, "seed": seed}
    spec = spec_of(rule, "proximal", alpha, **options)
    network = spec.build(lanes=LANES)
    with np.errstate(all="ignore"):
        outcome = network.settle(X, Y, schedule=sweep, max_steps=6000)
    return network, outcome, loop_gain(network.parameters()[0], alpha, beta)


def test_damping_settles_where_plain_dual_propagation_does_not():
    for seed in range(3):
        _, plain, rho = damped(1.0, 0.5, 1.5, "dp", seed=seed)
        network, outcome, _ = damped(1.0, 0.5, 1.5, seed=seed)
        assert rho > 1.3
        assert not plain.converged
        assert outcome.converged
        # The fixed point is that of plain dyads: means solve a linear system.
        weights, biases = network.parameters()
        d = 1.5  # 1 + alpha beta, at alpha 1
        total = sum(j @ j.T for j in (weights[2], weights[2] @ weights[1]))
        free = forward(X, weights, biases, [ACTIVATIONS["linear"]] * 2)[1][-1]
        # a = free + total u_L with u_L = D = beta (y - a) / d
        gain = 0.5 / d
        a = np.linalg.solve(np.eye(4) + gain * total, (free + gain * Y @ total.T).T).T
        sent = network.populations["population_3"].memory["sent_difference"]
        np.testing.assert_allclose(sent, gain * (Y - a), atol=1e-9)


def test_without_a_saddle_damping_cannot_help():
    _, outcome, rho = damped(0.0, 0.4, 1.5)
    assert rho > 1
    assert not outcome.converged


@pytest.mark.parametrize("f", ["relu", "hard-sigmoid"])
def test_damping_keeps_the_fixed_point_of_projections(f):
    found = [damped(0.9, 0.02, 1.0, rule, f) for rule in ("dp", "dp-damped")]
    assert all(outcome.converged for _, outcome, _ in found)
    gradients = [flat(*network.gradients()) for network, _, _ in found]
    assert compare(*gradients)[1] < 1e-8
    assert found[1][1].steps > found[0][1].steps


def test_damping_is_refused_where_it_would_move_the_fixed_point():
    with pytest.raises(
        ValidationError, match=r"supports relu or hard-sigmoid or linear .got 'tanh'"
    ):
        spec_of("dp-damped", "proximal", 1.0, activations="tanh")


def test_integers_cannot_take_small_steps():
    execution = Execution("network", precision="loihi2", runtime="reference")
    with pytest.raises(UnsupportedError, match="small steps round to nothing"):
        execution.check("dp-damped")


def test_the_damping_is_the_published_one():
    w = GENERATOR.normal(size=(6, 4))
    norm = np.linalg.norm(w, 2)
    assert spectral_norm(Dense(6, 4), w) == pytest.approx(norm, rel=1e-6)
    for alpha in (0.0, 0.5, 0.8):
        damped = rule("dp-damped", {"alpha": alpha})
        rate = damped.feeding(ACTIVATIONS["relu"], [(Dense(6, 4), w)]).rate
        assert 1 / rate - 1 == pytest.approx((norm**2 - 1) / 2 * abs(1 - 2 * alpha), rel=1e-5)
    small = rule("dp-damped").feeding(ACTIVATIONS["relu"], [(Dense(6, 4), 0.1 * w)])
    assert small.rate == 1.0


def test_damped_dyads_reach_the_direction_of_backprop():
    spec = NetworkSpec(
        (16, 16, 16, 5), rule="dp-damped", loss="squared-error", beta=0.01, alpha=1.0
    )
    assert check_gradient(spec, networks=3).cosine > 0.99
