"""Lifted networks (LRRN): minima, their 1-Lipschitz map, their gradient, by other means."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.elements import LiftedConnection, Population
from lava_dyads.elements.lifted_connection import largest_curvature
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors.schedules import parallel
from lava_dyads.networks import Execution
from lava_dyads.networks.lifted_chain import lifted_chain
from lava_dyads.plan.plan import Settings
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.losses import loss
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.units.lifted import LiftedUnit

SIZES = (6, 5, 4, 3)


def free(spec, x, parameters=None, **options):
    """The free activities of the layers, settled."""
    network = spec.build(lanes=len(x), parameters=parameters)
    outcome = network.settle(x, None, **options)
    return [p.memory["free"].copy() for p in network.populations.values()], outcome, network


def energy(z, x, weights, biases, r=1.0):
    """E of one sample, as it is written down."""
    below, total = x, 0.0
    for w, b, here in zip(weights, biases, z, strict=True):
        total += 0.5 * np.sum((here - w @ below) ** 2) + r / 2 * np.sum((below - w.T @ here) ** 2)
        total -= b @ here
        below = here
    return total


def scaled(spec, norm):
    """Its initial parameters, with all weights of one norm."""
    weights, biases = spec.initial_parameters()
    return [w * norm / np.linalg.norm(w, 2) for w in weights], biases


@pytest.mark.parametrize("r", [0.3, 1.0, 3.0])
def test_a_linear_layer_has_its_closed_form(r):
    spec = NetworkSpec((4, 3), rule="lrrn", reconstruction=r, bias_deviation=0.5, seed=2)
    (w,), (b,) = spec.initial_parameters()
    x = np.random.default_rng(0).normal(size=(5, 4))
    (z,), outcome, _ = free(spec, x)
    assert outcome.converged
    solved = np.linalg.solve(np.eye(3) + r * w @ w.T, ((1 + r) * w @ x.T).T.T + b[:, None]).T
    np.testing.assert_allclose(z, solved, atol=1e-12)


@pytest.mark.parametrize("r", [0.25, 1.0, 4.0])
def test_the_gain_of_a_layer_is_bounded_by_the_weight_of_the_reconstruction(r):
    bound = (1 + r) / (2 * np.sqrt(r))
    norms = [0.1, 0.5 / np.sqrt(r), 1 / np.sqrt(r), 2 / np.sqrt(r), 10.0]
    spec = NetworkSpec((5, 5), rule="lrrn", reconstruction=r)
    (z,), _, _ = free(spec, np.eye(5), ([np.diag(norms)], [np.zeros(5)]))
    gains = np.diag(z)
    np.testing.assert_allclose(gains, [(1 + r) * s / (1 + r * s * s) for s in norms], rtol=1e-11)
    assert gains.max() == pytest.approx(bound)
    assert gains.argmax() == 2


@pytest.mark.parametrize("nudged", [False, True])
def test_activities_are_the_minimum_that_another_solver_finds(nudged):
    spec = NetworkSpec(SIZES, rule="lrrn", reconstruction=0.7, bias_deviation=0.3, beta=0.5, seed=4)
    weights, biases = spec.initial_parameters()
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(1, 6)), generator.normal(size=(1, 3))
    network = spec.build()
    assert network.settle(x, y).converged
    edges = np.cumsum(SIZES[1:])[:-1]

    def objective(flat):
        z = np.split(flat, edges)
        nudge = spec.rule.beta * loss("squared-error").value(z[-1], y[0]) if nudged else 0.0
        return energy(z, x[0], weights, biases, 0.7) + nudge

    bounds = [(0, None)] * 9 + [(None, None)] * 3  # relu: z >= 0; the output is free
    found = minimize(objective, np.ones(12), bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-9})
    name = "nudged" if nudged else "free"
    ours = np.concatenate([p.memory[name][0] for p in network.populations.values()])
    np.testing.assert_allclose(ours, found.x, atol=2e-5)
    assert np.any(ours[:9] == 0)
    assert objective(ours) <= found.fun + 1e-12


@pytest.mark.parametrize("activation", ["relu", "hard-sigmoid"])
def test_the_map_is_one_lipschitz_over_a_thousand_pairs_whatever_the_weights(activation):
    generator = np.random.default_rng(3)
    spec = NetworkSpec(SIZES, activation, rule="lrrn", bias_deviation=0.5, seed=5)
    ratios = []
    for norm in np.geomspace(0.1, 10, 5):
        x = generator.normal(size=(200, 6))
        apart = generator.normal(size=(200, 6)) * generator.choice([1e-2, 1.0, 10.0], (200, 1))
        both = np.vstack([x, x + apart])
        z, outcome, _ = free(spec, both, scaled(spec, norm), max_steps=600)
        assert outcome.residual < 1e-6
        out = np.linalg.norm(z[-1][:200] - z[-1][200:], axis=1)
        ratios.append(out / np.linalg.norm(apart, axis=1))
    assert np.size(ratios) == 1000
    assert np.max(ratios) <= 1 + 1e-4  # what is left of the residual, over the smallest distance
    assert np.max(ratios) > 0.3


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), norm=st.floats(0, 20), r=st.floats(0.05, 20))
def test_the_curvature_is_the_largest_eigenvalue_of_the_hessian(seed, norm, r):
    w = np.random.default_rng(seed).normal(size=(3, 4))
    w *= norm / np.linalg.norm(w, 2)
    both = np.block([
        [w.T @ w + r * np.eye(4), -(1 + r) * w.T],
        [-(1 + r) * w, np.eye(3) + r * w @ w.T],
    ])  # fmt: skip
    connection = LiftedConnection(w, reconstruction=r)
    assert connection.curvature() == pytest.approx(np.linalg.eigvalsh(both)[-1], rel=1e-9)
    alone = np.linalg.eigvalsh(both[4:, 4:])[-1]
    assert largest_curvature(norm, r, above_data=True) == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("rate", [1.0, 0.4])
@pytest.mark.parametrize("norm", [0.3, 1.0, 8.0])
def test_every_step_lowers_what_it_is_proven_to_lower(norm, rate):
    """E + 1/2 sum of (m / rate) |z - z before|^2 never grows."""
    spec = NetworkSpec(SIZES, rule="lrrn", bias_deviation=0.3, rate=rate, seed=6)
    weights, biases = scaled(spec, norm)
    x = np.random.default_rng(2).normal(size=(1, 6))
    network = spec.build(parameters=(weights, biases))
    m = [largest_curvature(norm, 1.0, k == 0) for k in range(3)]
    stiff = [m[0] + m[1], m[1] + m[2], m[2]]
    seen = []

    def noted(network):
        for names in parallel(network):
            seen.append([p.memory["free_before"][0].copy() for p in network.populations.values()])
            yield names

    network.settle(x, None, schedule=noted, max_steps=300)
    values = []
    for z, before in zip(seen[1:], seen[:-1], strict=True):
        moved = sum(s / rate * np.sum((a - b) ** 2)
                    for s, a, b in zip(stiff, z, before, strict=True))  # fmt: skip
        values.append(energy(z, x[0], weights, biases) + 0.5 * moved)
    assert np.diff(values).max() <= 1e-12
    assert values[0] - values[-1] > 0.1


def differences(value, parameters):
    """Central differences of a function of weights and biases."""
    found = []
    for kind in range(2):
        for k, array in enumerate(parameters[kind]):
            made = np.zeros_like(array)
            for i in np.ndindex(array.shape):
                sides = []
                for step in (1e-5, -1e-5):
                    moved = [[a.copy() for a in part] for part in parameters]
                    moved[kind][k][i] += step
                    sides.append(value(moved))
                made[i] = (sides[0] - sides[1]) / 2e-5
            found.append(made.ravel())
    return np.concatenate(found)


def test_the_gradient_is_that_of_the_loss_at_the_minimum_of_the_energy():
    """To O(beta); with other losses and activations in the conformance suite, along directions."""
    options = {"rule": "lrrn", "bias_deviation": 0.2, "seed": 7}
    spec = NetworkSpec((3, 3, 2), **options)
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(6, 3)), np.eye(2)[generator.integers(2, size=6)]

    def value(parameters):
        return loss(spec.loss).value(free(spec, x, parameters)[0][-1], y).mean()

    exact = differences(value, spec.initial_parameters())
    errors = []
    for beta in (0.02, 0.01):
        nudged = NetworkSpec((3, 3, 2), beta=beta, **options).build(lanes=6)
        assert nudged.settle(x, y).converged
        ours = np.concatenate([g.ravel() for part in nudged.gradients() for g in part])
        errors.append(np.linalg.norm(ours - exact) / np.linalg.norm(exact))
    assert errors[1] < 0.02
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


def test_without_a_loss_weights_descend_the_energy_itself():
    spec = NetworkSpec((3, 2, 2), rule="lrrn", reconstruction=0.6, seed=8)
    weights, biases = spec.initial_parameters()
    layers = [replace(v, activation=ACTIVATIONS["relu"], loss=None) for v in spec.vertices[1:]]
    x = np.random.default_rng(5).normal(size=(5, 3))

    def settled(weights):
        settings = Settings(spec.rule)
        network = lifted_chain(layers, weights, biases, settings, 9, optimiser=SGD(1.0), lanes=5)
        assert network.settle(x, None).converged
        return network

    def value(parameters):
        network = settled(parameters[0])
        z = [p.memory["free"] for p in network.populations.values()]
        w = parameters[0]
        return np.mean([energy([a[i] for a in z], x[i], w, biases, 0.6) for i in range(5)])

    exact = differences(value, (weights, []))
    ours = np.concatenate([g.ravel() for g in settled(weights).gradients()[0]])
    np.testing.assert_allclose(ours, exact, atol=1e-8)


def test_a_lifted_unit_descends_as_its_docstring_says():
    unit = LiftedUnit(ACTIVATIONS["relu"], 0.5)
    neuron = Population(unit, np.array([0.5]))
    m = neuron.memory
    m["free"][:], m["free_before"][:] = 1.0, 0.8
    m["nudged"][:], m["nudged_before"][:] = 1.0, 0.8
    basal, apical = np.array([[1.0, 0.0, 2.0]]), np.array([[3.0, -9.0, 1.0]])
    unit.step(neuron.state, unit.drive(neuron.state, basal, m["bias"]), apical, neuron.arithmetic)
    # free: t = (1 + 3 + .5) / (2 + 1) = 1.5, z' = 1 + .5 (1.5 - 1), y = z' + .7 (z' - .8)
    assert m["free"].item() == pytest.approx(1.25 + 0.7 * 0.45)
    assert m["free_before"].item() == pytest.approx(1.25)
    # nudged: t = (4.5 - 9) / 3 = -1.5, z' = relu(1 + .5 (-1.5 - 1)) = 0
    assert m["nudged"].item() == pytest.approx(0.7 * -0.8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 1.5}, r"rate: must lie in \(0, 1\], a step beyond 1 / curvature need not"),
        ({"reconstruction": 0.0}, "reconstruction: must be positive"),
        ({"feedback": "random"}, "feedback: both errors of an energy go through W"),
        ({"activations": "tanh"}, "supports relu or hard-sigmoid or linear"),
        ({"nudge": "proximal"}, "supports linearised"),
    ],
)
def test_what_an_energy_cannot_have_is_refused(options, said):
    with pytest.raises(ValidationError, match=said) as caught:
        NetworkSpec((4, 3, 2), rule="lrrn", **options)
    assert "\n" not in str(caught.value)


def test_a_step_beyond_the_curvature_is_refused():
    with pytest.raises(ValidationError, match="need not converge"):
        LiftedUnit(ACTIVATIONS["relu"], 1.01)


@pytest.mark.parametrize(
    "execution",
    [
        Execution("neuron", runtime="in-process"),
        Execution("layer", "async", runtime="in-process"),
        Execution(precision="loihi2"),
    ],
)
def test_where_it_does_not_run_the_table_says_why(execution):
    with pytest.raises(UnsupportedError, match="rule lrrn is not supported"):
        execution.check("lrrn")


def learnt(execution, seed=0):
    spec = NetworkSpec((64, 9, 10), rule="lrrn", repeats=4, seed=seed)
    config = TrainingConfig(epochs=1, batch_size=4, optimiser="sgd", learning_rate=0.1)
    with Trainer(spec, load("digits"), config, execution) as trainer:
        # The last batch is partial.
        metrics = trainer.run(trainer.train_rows[:18], 1)
        tested = trainer.run(trainer.test_rows[:6], 0)
        flat = np.concatenate([p.ravel() for part in trainer.parameters() for p in part])
    counts = [(m.events, m.operations, m.loss, m.accuracy) for m in (metrics, tested)]
    return flat, counts, spec


@pytest.mark.lava
def test_every_granularity_and_runtime_learns_the_same():
    reference, counts, spec = learnt(Execution(runtime="reference"))
    initial = np.concatenate([p.ravel() for part in spec.initial_parameters() for p in part])
    assert np.linalg.norm(reference - initial) > 0.01
    for execution in (
        Execution("layer", runtime="in-process"),
        Execution("layer", runtime="lava"),
        Execution("network", runtime="lava"),
    ):
        weights, counted, _ = learnt(execution)
        np.testing.assert_array_equal(weights, reference)
        assert counted == counts


def test_it_learns_digits():
    spec = NetworkSpec((64, 32, 10), rule="lrrn", repeats=6)
    config = TrainingConfig(epochs=2, learning_rate=0.005)
    with Trainer(spec, load("digits"), config, Execution(runtime="reference")) as trainer:
        assert trainer.fit().column("test_accuracy")[-1] > 0.8
