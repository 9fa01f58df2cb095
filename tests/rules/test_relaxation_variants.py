"""Variants of activation relaxation: published dynamics at every step, and known directions."""

import numpy as np
import pytest

from lava_dyads.data import load
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import ValidationError
from lava_dyads.executors.backprop import backpropagate, forward
from lava_dyads.executors.build import chain
from lava_dyads.experiments import check_gradient
from lava_dyads.experiments.gradient import compare, flat
from lava_dyads.experiments.papers.relaxing import LANES, relaxing_errors
from lava_dyads.networks import Execution, Graph, NetworkSpec, Node, reason
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.losses import loss
from lava_dyads.rules.units import RULES
from lava_dyads.rules.units import rule as rule_by_name
from lava_dyads.training import Trainer, TrainingConfig

SIZES = (6, 5, 4, 4, 3)


def spec_of(rule, f="tanh", **options):
    return NetworkSpec(
        SIZES, activations=f, rule=rule, loss="squared-error", bias_deviation=0.1, seed=4, **options
    )


def problem(spec):
    generator = np.random.default_rng((spec.seed, 1))
    x = generator.normal(size=(LANES, SIZES[0]))
    y = generator.normal(size=(LANES, SIZES[-1]))
    weights, biases = spec.initial_parameters()
    hidden = [ACTIVATIONS[name] for name in spec.activations]
    return x, y, weights, biases, *forward(x, weights, biases, hidden)


def published(spec, steps):
    """Errors X of the hidden layers at every step, from AR's equations alone."""
    _, y, weights, _, drives, values = problem(spec)
    back = [
        b if b is not None else w for b, w in zip(spec.initial_feedback(), weights, strict=True)
    ]
    f = ACTIVATIONS[spec.activations[0]]
    keeps = spec.rule.name == "activation-relaxation"
    slopes = [f.derivative(a) if keeps else np.ones_like(a) for a in drives]
    errors = [np.zeros_like(v) for v in values]
    errors[-1], slopes[-1] = values[-1] - y, np.ones_like(y)
    history = []
    for _ in range(steps + 1):
        history.append([e.copy() for e in errors[1:-1]])
        target = [(slopes[k] * errors[k + 1]) @ back[k] for k in range(1, len(weights))]
        for error, u in zip(errors[1:-1], target, strict=True):
            error += spec.rule.rate * (u - error)
    return history


@pytest.mark.parametrize("feedback", ["tied", "random"])
@pytest.mark.parametrize(
    "rule", ["activation-relaxation", "derivative-free-relaxation", "derivative-free-learning"]
)
def test_errors_follow_the_published_dynamics_at_every_step(rule, feedback):
    spec = spec_of(rule, rate=0.3, beta=0.5, feedback=feedback)
    seen = []

    def error(population):
        seen.append(population.memory["relaxation"] / -spec.rule.beta)
        return seen[-1]

    relaxing_errors(spec, 12, error)
    hidden = len(SIZES) - 2
    made = [seen[i : i + hidden] for i in range(0, len(seen), hidden)][:13]
    for ours, theirs in zip(made, published(spec, 12), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-13)


def test_unfrozen_states_follow_the_published_dynamics_from_the_forward_pass():
    """A message takes a step, so a layer begins a step after the one above it."""
    spec = spec_of("unfrozen-relaxation", rate=0.3, beta=0.5)
    x, y, weights, biases, drives, values = problem(spec)
    network = spec.build(lanes=LANES)
    depth, slope = len(weights), ACTIVATIONS["tanh"].derivative
    begins = {k: 2 * depth + 2 - k for k in range(1, depth + 1)}  # the output after the head
    states = [v.copy() for v in values]
    slopes = [None, *(slope(a) for a in drives[:-1]), np.ones_like(y)]
    hidden = list(network.populations.values())[:-1]
    for step in range(1, 3 * depth + 20):
        inbox = {"input_in": x, "target_in": y} if step == 1 else {}
        network.tick(Clock(step, step == 1, False, True, LANES), inbox)
        before, sent = [s.copy() for s in states], [s if s is None else s.copy() for s in slopes]
        for k in range(1, depth):
            slopes[k] = slope(before[k - 1] @ weights[k - 1].T + biases[k - 1])
            if step >= begins[k]:
                u = (sent[k + 1] * before[k + 1]) @ weights[k]
                states[k] = before[k] + spec.rule.rate * (u - before[k])
        if step == begins[depth]:
            states[depth] = values[depth] - y
        if step > depth:
            for k, population in enumerate(hidden, 1):
                np.testing.assert_allclose(
                    population.unit.emit(population.state, "value"), states[k], atol=1e-13
                )
    # What is learnt from is the stored forward pass.
    gradients = network.gradients()
    for k in range(1, depth):
        error = states[k] * slope(drives[k - 1])
        np.testing.assert_allclose(gradients[0][k - 1], error.T @ values[k - 1] / LANES, atol=1e-13)
        np.testing.assert_allclose(gradients[1][k - 1], error.mean(axis=0), atol=1e-13)


@pytest.mark.parametrize(
    ("rule", "relu", "tanh"),
    [
        ("derivative-free-relaxation", 0.94, 0.97),
        ("derivative-free-learning", 0.81, 0.90),
        ("unfrozen-relaxation", 0.98, 0.98),
    ],
)
def test_the_directions_are_those_that_are_known(rule, relu, tanh):
    """After 100 steps: with relu, which specifications refuse, an unfrozen pass never rests."""
    generator = np.random.default_rng(0)
    for f, known in (("relu", relu), ("tanh", tanh)):
        cosines = []
        for seed in range(8):
            spec = NetworkSpec((16, 32, 24, 5), activations=f, loss="squared-error", seed=seed)
            network = chain(
                *spec.initial_parameters(),
                rule=rule_by_name(rule, {"rate": 0.1}),
                activations=[ACTIVATIONS[f]] * 2,
                loss=loss("squared-error"),
                lanes=16,
            )
            x, y = generator.normal(size=(16, 16)), generator.normal(size=(16, 5))
            network.settle(x, y, max_steps=100)
            parameters = network.parameters()
            exact = backpropagate(x, y, *parameters, [ACTIVATIONS[f]] * 2, loss("squared-error"))
            cosines.append(compare(flat(*network.gradients()), flat(*exact.gradients()))[0])
        assert np.median(cosines) == pytest.approx(known, abs=0.025)


def test_learnt_backward_weights_align_with_the_forward_ones():
    spec = NetworkSpec(
        (8, 12, 10, 4), rule="derivative-free-relaxation", loss="squared-error",
        activations="linear", feedback="kolen_pollack",
    )  # fmt: skip
    angles = []
    for updates in (0, 600):
        check = check_gradient(spec, networks=2, updates=updates, decay=5e-3, min_cosine=-1)
        angles.append(max(layer.get("feedback_angle", 0) for layer in check.layers))
    assert angles[0] > 70
    assert angles[1] < 25


def test_an_unfrozen_pass_needs_steps():
    why = reason(Execution("layer", "async", "float", "in-process"), "unfrozen-relaxation")
    assert "forward pass" in why
    why = reason(Execution("layer", "sync", "loihi2", "in-process"), "unfrozen-relaxation")
    assert "divided by beta" in why
    with pytest.raises(ValidationError, match="supports tanh or linear"):
        NetworkSpec(SIZES, rule="unfrozen-relaxation", activations="relu")


@pytest.mark.lava
@pytest.mark.timeout(60)
def test_an_unfrozen_pass_runs_as_processes():
    spec = NetworkSpec((64, 12, 10), "tanh", rule="unfrozen-relaxation", repeats=1)
    data, learnt = load("digits"), []
    for granularity, runtime in (
        ("network", "reference"), ("layer", "lava"), ("layer", "in-process"),
    ):  # fmt: skip
        config, execution = TrainingConfig(batch_size=8), Execution(granularity, runtime=runtime)
        with Trainer(spec, data, config, execution) as trainer:
            trainer.run(trainer.train_rows[:16], 1)
            learnt.append(flat(*trainer.parameters()))
    assert np.linalg.norm(learnt[0] - flat(*spec.initial_parameters())) > 1e-3
    for other in learnt[1:]:
        np.testing.assert_array_equal(other, learnt[0])


@pytest.mark.parametrize("rule", ["derivative-free-relaxation", "unfrozen-relaxation"])
def test_on_graphs_synapses_learn_through_what_lies_between(rule):
    """A convolution under a pool, weights under a sum, a product, and one side by side."""
    graph = Graph([
        Node("x", "input", shape=(1, 4, 4)),
        Node("seen", "conv", "x", channels=2, kernel=2),
        Node("a", "average-pool", "seen", kernel=2, stride=1, activation="tanh"),
        Node("f", "dense", "a", size=8, activation="tanh"),
        Node("w", "dense", "f", size=8),
        Node("b", "sum", ("f", "w"), activation="tanh"),
        Node("p", "product", ("f", "b")),
        Node("c", "concat", ("p", "b")),
        Node("y", "dense", "c", size=3),
    ])  # fmt: skip
    spec = NetworkSpec(graph=graph, rule=rule, loss="squared-error", beta=1e-3, rate=0.5)
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(4, 16)), generator.normal(size=(4, 3))
    network = spec.build(lanes=4)
    assert network.settle(x, y, tolerance=1e-9).converged
    exact = spec.backpropagate(x, y, *spec.initial_parameters()).gradients()
    ours = network.gradients()
    # The read-out learns as by backprop; below it another direction.
    np.testing.assert_allclose(ours[0][-1], exact[0][-1], atol=1e-10)
    assert compare(flat(*ours), flat(*exact))[0] > 0.8
    if rule == "derivative-free-relaxation":  # and where f' stands in the update alone, by hand
        b = network.populations["b"]
        error = b.memory["sent_learning_error"] / -1e-3
        np.testing.assert_allclose(
            ours[0][2], error.T @ network.populations["f"].memory["sent_activity"] / 4, atol=1e-12
        )


def test_weights_without_neurons_between_are_refused():
    graph = Graph([
        Node("x", "input", shape=(4,)), Node("a", "dense", "x", size=3),
        Node("b", "dense", "a", size=3, activation="tanh"), Node("y", "dense", "b", size=2),
    ])  # fmt: skip
    with pytest.raises(ValidationError, match="node b: derivative-free-relaxation needs neurons"):
        NetworkSpec(graph=graph, rule="derivative-free-relaxation").build()


VARIANTS = sorted(name for name, made in RULES.items() if "relaxation" in made.summary)


@pytest.mark.parametrize("rule", VARIANTS)
def test_neurons_without_weights_below_learn_their_biases_all_the_same(rule):
    """On linear networks every variant is backprop; here nobody listens to all learning errors."""
    linear = {"activation": "linear"}
    graph = Graph([
        Node("x", "input", shape=(3,)),
        Node("a", "dense", "x", size=4, **linear),
        Node("again", "sum", "a", **linear),
        Node("both", "sum", ("a", "again"), **linear),
        Node("y", "dense", "both", size=2),
    ])  # fmt: skip
    spec = NetworkSpec(graph=graph, rule=rule, loss="squared-error", bias_deviation=0.3)
    generator = np.random.default_rng(7)
    x, y = generator.normal(size=(5, 3)), generator.normal(size=(5, 2))
    network = spec.build(lanes=5)
    assert network.settle(x, y).converged
    exact = spec.backpropagate(x, y, *spec.initial_parameters()).gradients()
    np.testing.assert_allclose(flat(*network.gradients()), flat(*exact), rtol=1e-9)
