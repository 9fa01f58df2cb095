"""The reference engine against backprop, closed forms and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.elements.clock import Clock
from lava_dyads.executors.backprop import (
    backpropagate,
    dense_operations,
    forward,
    zero_skipping_operations,
)
from lava_dyads.executors.build import chain
from lava_dyads.executors.schedules import parallel, random_layer, sweep
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.feedback import FEEDBACK
from lava_dyads.rules.losses import LOSSES, loss
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.theory import loop_gain
from lava_dyads.rules.units import RULES, rule
from lava_dyads.rules.units.dyad import DyadUnit

# The entry ticket of a rule: parameters at which it is exact on piecewise linear networks.
EXACT = {
    "dp-transpose": [{"alpha": alpha, "beta": 0.01} for alpha in (0.0, 0.5, 1.0)],
    "activation-relaxation": [{"beta": 0.5}, {"beta": 0.5, "rate": 0.3}],
    "predictive-coding": [{"beta": 0.5}, {"beta": 0.5, "rate": 0.3}],
    "derivative-free-relaxation": [{"beta": 0.5, "rate": 0.3}],
    "derivative-free-learning": [{"beta": 0.5}],
    "unfrozen-relaxation": [{"beta": 0.5, "rate": 0.3}],
}


def problem(seed, layers=(6, 9, 7, 4), samples=3, name="cross-entropy"):
    spec = NetworkSpec(layers, activations="linear", loss=name, seed=seed, bias_deviation=0.05)
    weights, biases = spec.initial_parameters()
    generator = np.random.default_rng([seed, 2])
    x = generator.normal(size=(samples, layers[0]))
    y = np.eye(layers[-1])[generator.integers(layers[-1], size=samples)]
    return weights, biases, x, y


def relative_error(ours, exact):
    ours, exact = (np.concatenate([p.ravel() for p in (*g[0], *g[1])]) for g in (ours, exact))
    return np.linalg.norm(ours - exact) / np.linalg.norm(exact)


def settled(name, own, f, loss_name, data, schedule=parallel, **options):
    weights, biases, x, y = data
    network = chain(
        weights,
        biases,
        executor="step",
        rule=rule(name, own),
        activations=[ACTIVATIONS[f]] * (len(weights) - 1),
        loss=loss(loss_name),
        lanes=len(x),
        **options,
    )
    return network, network.settle(x, y, schedule=schedule)


def truth(f, loss_name, data, feedback_weights=None):
    weights, biases, x, y = data
    hidden = [ACTIVATIONS[f]] * (len(weights) - 1)
    return backpropagate(x, y, weights, biases, hidden, loss(loss_name), feedback_weights)


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("f", ACTIVATIONS)
def test_backprop_is_the_finite_difference(f, loss_name):
    weights, biases, x, y = data = problem(0, name=loss_name)
    hidden = [ACTIVATIONS[f]] * 2
    exact = truth(f, loss_name, data).gradients()

    def cost():
        out = forward(x, weights, biases, hidden)[1][-1]
        return loss(loss_name).value(out, y).mean()

    for parameters, gradients in zip((weights, biases), exact, strict=True):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            index = np.unravel_index(np.argmax(np.abs(gradient)), gradient.shape)
            old, step = parameter[index], 1e-6
            parameter[index] = old + step
            above = cost()
            parameter[index] = old - step
            below = cost()
            parameter[index] = old
            assert gradient[index] == pytest.approx((above - below) / (2 * step), rel=1e-4)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", FEEDBACK)
@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize(("name", "own"), [(name, p) for name, ps in EXACT.items() for p in ps])
def test_a_rule_is_exact_on_linear_networks_in_any_order(name, own, loss_name, kind):
    data = problem(1, name=loss_name)
    # Exact means: what backprop would be with B in the place of W^T.
    back = [None, *problem(2)[0][1:]] if FEEDBACK[kind].separate else None
    exact = truth("linear", loss_name, data, back).gradients()
    given = {"feedback": FEEDBACK[kind], "feedback_weights": back or ()}
    for schedule in (parallel, sweep, random_layer(5)):
        network, outcome = settled(name, own, "linear", loss_name, data, schedule, **given)
        assert outcome.converged
        assert relative_error(network.gradients(), exact) < 1e-9


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.sampled_from([0.0, 1.0]),
    order=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
)
def test_the_adjoint_form_reaches_one_fixed_point_whatever_the_order(seed, alpha, order, sizes):
    data = problem(seed, tuple(sizes))
    own = {"alpha": alpha, "beta": 0.3}
    one, first = settled("dp-transpose", own, "relu", "squared-error", data)
    other, second = settled("dp-transpose", own, "relu", "squared-error", data, random_layer(order))
    assert first.converged
    assert second.converged
    for ours, theirs in zip(one.gradients()[0], other.gradients()[0], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_without_straddling_dyads_a_relu_sample_is_exact():
    found = 0
    for seed in range(20):
        data = problem(seed, samples=6)
        network, _ = settled("dp-transpose", {"beta": 0.01}, "relu", "cross-entropy", data)
        oracle = truth("relu", "cross-entropy", data)
        straddles = np.concatenate(
            [
                p.unit.straddling({k: p.memory[k] for k in p.unit.state})
                for p in network.populations.values()
            ],
            axis=1,
        )
        for lane in np.flatnonzero(~straddles.any(axis=1)):
            found += 1
            assert relative_error(network.gradients(lane), oracle.gradients(lane)) < 1e-9
    assert found > 50


def test_the_error_of_centred_nudging_falls_with_the_square_of_beta():
    data = problem(3)
    exact = truth("tanh", "squared-error", data).gradients()
    errors = []
    for beta in (0.02, 0.01, 0.005):
        own = {"alpha": 0.5, "beta": beta}
        network, outcome = settled("dp-transpose", own, "tanh", "squared-error", data)
        assert outcome.residual < 1e-12
        errors.append(relative_error(network.gradients(), exact))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(
    ("name", "f"),
    [(name, "linear") for name, own in RULES.items() if not (own.spiking or own.lifted)]
    + [
        (name, "tanh")
        for name in ("dp", "dp-transpose", "activation-relaxation", "predictive-coding")
    ],
)
@pytest.mark.parametrize("loss_name", LOSSES)
def test_one_presentation_is_one_step_of_gradient_descent(name, f, loss_name):
    """The learning step against backprop, with a lane that carries no sample."""
    alpha = 0.5 if name == "dp" else 1.0
    own = {"alpha": alpha} if name.startswith("dp") else {"rate": 1.0}
    weights, biases, x, y = data = problem(4, name=loss_name)
    network = chain(
        weights,
        biases,
        executor="step",
        rule=rule(name, {"beta": 1e-4, **own}),
        activations=[ACTIVATIONS[f]] * 2,
        loss=loss(loss_name),
        nudge=rule(name).nudges[0],
        lanes=4,
        optimiser=SGD(0.5),
    )
    rows = [np.vstack([part, np.zeros(part.shape[1])]) for part in (x, y)]
    clock = Clock(1, True, True, learn=True, valid=3, batch=3)
    network.after(clock, {"input_in": rows[0], "target_in": rows[1]})
    exact = truth(f, loss_name, data).gradients()
    for before, after, gradient in (
        *zip(weights, network.parameters()[0], exact[0], strict=True),
        *zip(biases, network.parameters()[1], exact[1], strict=True),
    ):
        np.testing.assert_allclose(
            after, before - 0.5 * gradient, atol=1e-3 * np.abs(gradient).max()
        )


def test_the_sweep_has_the_right_length_and_one_step_less_breaks_it():
    data = problem(5)
    weights, _, x, y = data
    exact = truth("relu", "cross-entropy", data).gradients()[0][0]

    def first_update(shorter):
        network, _ = settled("dp-transpose", {}, "relu", "cross-entropy", data)
        network, _ = settled("dp-transpose", {}, "relu", "cross-entropy", data, optimiser=SGD(1.0))
        network.steps = 2 * len(weights) + 1 - shorter
        clock = Clock(1, True, True, True, len(x), batch=len(x))
        network.after(clock, {"input_in": x, "target_in": y})
        return weights[0] - network.parameters()[0][0]

    network, _ = settled("dp-transpose", {}, "relu", "cross-entropy", data)
    assert network.steps == 2 * len(weights) + 2  # the sweep, and the certifying step
    assert np.linalg.norm(first_update(0) - exact) < 0.2 * np.linalg.norm(exact)
    assert np.linalg.norm(first_update(1)) == 0  # the error has not arrived below


def test_evaluation_changes_nothing_and_shows_no_target():
    data = problem(6)
    _, _, x, y = data
    network, _ = settled("dp-transpose", {}, "relu", "cross-entropy", data, optimiser=SGD(1.0))
    registers = [
        (e, k)
        for e in network.elements.values()
        for k in e.memory
        if k.startswith(("weights", "bias"))
    ]
    before = [e.memory[k].copy() for e, k in registers]
    out = network.after(Clock(1, True, True, False, 3), {"input_in": x, "target_in": y})
    for (element, key), old in zip(registers, before, strict=True):
        np.testing.assert_array_equal(element.memory[key], old)
    hidden = [ACTIVATIONS["relu"]] * 2
    expected = forward(x, *network.parameters(), hidden)[1][-1]
    np.testing.assert_allclose(out["output_out"], expected, rtol=1e-13)
    for connection in network.connections.values():
        assert not connection.memory["held_difference"].any()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("f", ["tanh", "linear"])
def test_messages_and_events_equal_their_closed_form(alpha, f):
    layers = (6, 9, 7, 4)
    weights, biases, x, y = problem(7, layers)
    network = chain(
        weights,
        biases,
        executor="step",
        rule=rule("dp-transpose", {"alpha": alpha}),
        activations=[ACTIVATIONS[f]] * 2,
        loss=loss("cross-entropy"),
        lanes=3,
        optimiser=SGD(0.1),
    )
    network.after(Clock(1, True, True, True, 3, batch=3), {"input_in": x, "target_in": y})
    for n, population in zip(layers[1:], network.populations.values(), strict=True):
        counts = population.counts
        assert (counts["messages_mean"], counts["messages_difference"]) == (1, 1)
        assert (counts["events_mean"], counts["events_difference"]) == (3 * n, 3 * n)
        assert counts["events_plus"] == counts["events_minus"] == 0  # nobody listens
    operations = [sum(c.counts.values()) for c in network.connections.values()]
    assert sum(operations) == 3 * dense_operations(layers)


def test_operations_are_those_of_zero_skipping_backprop():
    data = problem(8, samples=5)
    network, _ = settled(
        "dp-transpose",
        {"beta": 1e-6},
        "relu",
        "cross-entropy",
        data,
        optimiser=SGD(1e-9),
    )
    for element in network.elements.values():
        element.memory["counts"].fill(0)
    network.after(
        Clock(1, True, True, True, 5, batch=5), {"input_in": data[2], "target_in": data[3]}
    )
    counts = [c.counts for c in network.connections.values()]
    done = sum(c[k] for c in counts for k in ("forward", "backward", "learning"))
    assert done == zero_skipping_operations(truth("relu", "cross-entropy", data))


def test_a_threshold_saves_events_and_keeps_the_direction():
    data = problem(9, (12, 30, 20, 4), samples=20)
    exact = truth("relu", "cross-entropy", data).gradients()
    events, errors = [], []
    for threshold in (0.0, 0.03, 0.3):
        coded = {"thresholds": Thresholds(threshold)}
        network, _ = settled("dp-transpose", {}, "relu", "cross-entropy", data, **coded)
        counts = [p.counts for p in network.populations.values()]
        events.append(sum(c["events_mean"] + c["events_difference"] for c in counts))
        errors.append(relative_error(network.gradients(), exact))
    assert events[0] > events[1] > events[2]
    assert errors[1] < 0.1 < errors[2]


def test_permuting_the_neurons_permutes_the_gradient():
    weights, biases, x, y = data = problem(10)
    order = np.random.default_rng(0).permutation(9)
    shuffled = (
        [weights[0][order], weights[1][:, order], weights[2]],
        [biases[0][order], *biases[1:]],
    )
    one, _ = settled("dp-transpose", {}, "relu", "squared-error", data)
    two, _ = settled("dp-transpose", {}, "relu", "squared-error", (*shuffled, x, y))
    np.testing.assert_allclose(one.gradients()[0][0][order], two.gradients()[0][0], atol=1e-13)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("rho", [0.8, 1.25])
def test_plain_dual_propagation_settles_exactly_where_the_theory_says(alpha, rho):
    weights, biases, x, y = problem(11)
    # Scale the weights above the first layer until the loop gain is rho.
    low, high = 1e-3, 1e3
    for _ in range(200):
        scale = np.sqrt(low * high)
        scaled = [weights[0], *(scale * w for w in weights[1:])]
        low, high = (scale, high) if loop_gain(scaled, alpha, 0.2) < rho else (low, scale)
    network = chain(
        scaled,
        biases,
        executor="step",
        rule=rule("dp", {"alpha": alpha, "beta": 0.2}),
        activations=[ACTIVATIONS["linear"]] * 2,
        loss=loss("squared-error"),
        nudge="proximal",
        lanes=3,
    )
    with np.errstate(all="ignore"):
        outcome = network.settle(x, y, schedule=sweep, max_steps=3000)
    assert outcome.converged == (rho < 1)
    if rho > 1:
        assert not outcome.residual < 0.05  # it goes on growing by (rho - 1) / rho


def test_the_two_forms_split_the_nudge_and_share_the_mean():
    a, u, arithmetic = np.array([[1.0]]), np.array([[0.2]]), Float()
    state = {"s_plus": np.zeros((1, 1)), "s_minus": np.zeros((1, 1))}
    for adjoint, plus, minus in ((True, 1 + 0.75 * 0.2, 1 - 0.25 * 0.2), (False, 1.05, 0.85)):
        unit = DyadUnit(ACTIVATIONS["relu"], 0.25, adjoint)
        unit.step(state, a, u, arithmetic)
        np.testing.assert_allclose([state["s_plus"][0, 0], state["s_minus"][0, 0]], [plus, minus])
        np.testing.assert_allclose(unit.emit(state, "mean"), 0.25 * plus + 0.75 * minus)
        np.testing.assert_allclose(unit.emit(state, "difference"), 0.2)


@pytest.mark.parametrize("name", ["dp-transpose", "activation-relaxation"])
def test_a_network_that_has_settled_before_forgets_it(name):
    own, first, second = {"beta": 0.5}, problem(1), problem(2)
    for schedule in (sweep, random_layer(1)):
        data = (*first[:2], *second[2:])
        fresh, _ = settled(name, own, "tanh", "cross-entropy", data, schedule)
        network, _ = settled(name, own, "tanh", "cross-entropy", first, schedule)
        network.settle(*second[2:], schedule=schedule)
        for ours, theirs in zip(network.gradients()[0], fresh.gradients()[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_relaxing_errors_decay_geometrically():
    """AR from zeros: the error j layers below the output after t steps is the binomial tail."""
    eta, steps, depth = 0.3, 12, 4
    weights = [np.ones((1, 1))] * depth
    network = chain(
        weights,
        [np.zeros(1)] * depth,
        executor="step",
        rule=rule("activation-relaxation", {"beta": 1.0, "rate": eta}),
        activations=[ACTIVATIONS["linear"]] * (depth - 1),
        loss=loss("squared-error"),
    )
    # The whole law, layer by layer, is that of `reproduce ar-convergence`; here the limit and
    # the first relaxing unit.
    outcome = network.settle(np.ones((1, 1)), np.zeros((1, 1)))
    assert outcome.converged
    for population in network.populations.values():
        np.testing.assert_allclose(population.memory["relaxation"], -1.0, atol=1e-11)
    hidden = network.populations[f"population_{depth - 1}"]
    hidden.reset()
    clock = Clock(99, False, False, True, 1)
    for t in range(1, steps + 1):
        drive = {"apical_in": -np.ones((1, 1))} if t == 1 else {}
        hidden.after(clock, drive)
        error = 1 + hidden.memory["relaxation"][0, 0]
        assert error == pytest.approx((1 - eta) ** t)


@pytest.mark.parametrize("schedule", [parallel, sweep, random_layer(3)])
def test_biases_speak_also_where_the_layer_below_is_silent(schedule):
    weights = [-np.ones((2, 3)), np.ones((1, 2))]  # a dead hidden layer for positive input
    data = (weights, [np.zeros(2), np.array([0.5])], np.ones((1, 3)), np.zeros((1, 1)))
    own = {}
    network, outcome = settled("dp-transpose", own, "relu", "squared-error", data, schedule)
    assert outcome.converged
    np.testing.assert_allclose(network.gradients()[1][1], [0.5])


def test_a_sum_of_changes_is_the_value_whatever_is_in_flight():
    data = problem(12)
    network, _ = settled("dp-transpose", {}, "relu", "squared-error", data)
    names = list(network.populations)
    for below, above in zip(names, list(network.connections)[1:], strict=False):
        sender, receiver = network.populations[below], network.connections[above]
        np.testing.assert_array_equal(sender.memory["sent_mean"], receiver.memory["held_mean"])
