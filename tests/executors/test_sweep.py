"""One sweep up and one down against the elements, step by step, and against backprop."""

import numpy as np
import pytest
from sweeps import show_all as show

from lava_dyads.elements.clock import FROZEN, Clock
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.executors.step import Network
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.losses import loss
from lava_dyads.rules.ops import dense
from lava_dyads.rules.optimisers import OPTIMISERS, SGD, adam, sgd

LAYERS = (12, 17, 9, 5)


def data(samples=21, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(samples, LAYERS[0])) * (generator.random((samples, 12)) > 0.4)
    return x, np.eye(LAYERS[-1])[generator.integers(LAYERS[-1], size=samples)]


def pair(spec, optimiser=None, lanes=4, arithmetic=None):
    """The same network twice: by one sweep, and step by step through its elements."""
    swept = spec.build(lanes=lanes, optimiser=optimiser, arithmetic=arithmetic)
    other = spec.build(lanes=lanes, optimiser=optimiser, arithmetic=arithmetic)
    assert isinstance(swept, SweptNetwork)
    options = {"lanes": lanes, "steps": other.steps, "read_step": other.read_step}
    return swept, Network(other.elements, other.links, **options)


SWEPT = [name for name, kind in OPTIMISERS.items() if not kind.decorrelates]


@pytest.mark.parametrize("name", SWEPT)
@pytest.mark.parametrize(
    ("options"),
    [
        {"alpha": 1.0},
        {"alpha": 1.0, "threshold": 0.2},
        {"alpha": 1.0, "threshold": 0.3, "error_threshold": 0.05},
        {"alpha": 0.0, "activations": "hard-sigmoid", "loss": "squared-error"},
        {"alpha": 1.0, "activations": "tanh", "beta": 1.0},
        {"rule": "activation-relaxation", "beta": 0.5},
    ],
)
def test_a_sweep_learns_counts_and_answers_as_the_elements_do(name, options):
    spec = NetworkSpec(LAYERS, bias_deviation=0.1, **options)
    swept, stepped = pair(spec, OPTIMISERS[name](weight_decay=0.01, horizon=8))
    x, y = data()
    for mode in (1, 1, 0, FROZEN):
        outputs = [show(network, x, y, mode) for network in (swept, stepped)]
        np.testing.assert_allclose(*outputs, rtol=0, atol=1e-12)
    for mine, theirs in zip(swept.elements.values(), stepped.elements.values(), strict=True):
        assert mine.counts == theirs.counts
        for register in ("weights", "bias", "weights_state", "bias_state", "residual"):
            if register in mine.memory:
                a, b = mine.memory[register], theirs.memory[register]
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)
    start = spec.initial_parameters()[0][0]
    assert np.abs(swept.parameters()[0][0] - start).max() > 1e-3


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [{}, {"activations": "tanh"}, {"alpha": 0.0}, {"beta": 1.0}])
def test_what_is_rounding_is_no_event_in_either(options, dtype):
    """Errors of all sizes, many near what counts as rounding, in lanes that are not all full."""
    spec = NetworkSpec(LAYERS, bias_deviation=0.1, loss="squared-error", **options)
    networks = pair(spec, SGD(1e-3), arithmetic=Float(dtype))
    x, _ = data(43)
    generator = np.random.default_rng(1)
    output, _ = (show(network, x, np.zeros((43, LAYERS[-1])), 0) for network in networks)
    sizes = 10.0 ** generator.uniform(-9, -2, output.shape) * (1e-8 if dtype == np.float64 else 1)
    y = output + sizes * generator.choice([-1, 1], output.shape)
    for network in networks:
        show(network, x, y)
    for mine, theirs in zip(*(n.elements.values() for n in networks), strict=True):
        assert mine.counts == theirs.counts
    sent = networks[0].elements["head"].counts["events_drive"]
    assert 0.2 * output.size < sent < 0.95 * output.size


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_gradient_is_backprops_where_no_dyad_straddles(dtype):
    spec = NetworkSpec(LAYERS, activations="linear", beta=0.1)
    network, _ = pair(spec, lanes=21, arithmetic=Float(dtype))
    x, y = (part.astype(dtype) for part in data())
    show(network, x, y, FROZEN)
    hidden = [ACTIVATIONS["linear"]] * 2
    exact = backpropagate(x, y, *spec.initial_parameters(), hidden, loss(spec.loss))
    for lane in (None, 3):
        for mine, theirs in zip(network.gradients(lane), exact.gradients(lane), strict=True):
            for a, b in zip(mine, theirs, strict=True):
                assert a.dtype == dtype
                np.testing.assert_allclose(a, b, atol=1e-13 if dtype == np.float64 else 2e-5)


def test_silent_samples_are_left_out_and_nothing_else():
    """What is learnt is the sum of the gradients of the samples that are not silent."""
    spec = NetworkSpec(LAYERS, bias_deviation=0.1)
    x, y = data()
    network, _ = pair(spec, lanes=21)
    show(network, x, y, FROZEN)
    each = [network.gradients(lane) for lane in range(21)]
    output = show(network, x, y, 0)
    error = np.abs(loss(spec.loss).gradient(output, y)).max(axis=1)
    network.skip_error = float(np.median(error))
    assert 5 < (error > network.skip_error).sum() < 16
    show(network, x, y, FROZEN)
    for kind, found in enumerate(network.gradients()):
        for k, mine in enumerate(found):
            chosen = [each[i][kind][k] for i in np.flatnonzero(error > network.skip_error)]
            np.testing.assert_allclose(mine * 21, np.sum(chosen, axis=0), atol=1e-12)
    before = network.elements["connection_1"].counts["learning"]
    network.skip_error = 2.0  # more than any error of a softmax
    show(network, x, y, FROZEN)
    assert network.elements["connection_1"].counts["learning"] == before


@pytest.mark.parametrize("compiled", [False, True])
def test_one_sample_at_a_time_touches_only_where_events_are(compiled, monkeypatch):
    if compiled:
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(dense, "kernel", lambda name: None)
    spec = NetworkSpec(LAYERS, bias_deviation=0.1, activations="hard-sigmoid")
    swept, stepped = pair(spec, SGD(0.05), lanes=1)
    x, y = data()
    outputs = [show(network, x, y, batch_size=1) for network in (swept, stepped)]
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-12)
    for mine, theirs in zip(swept.parameters()[0], stepped.parameters()[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)
    column = x[:, 3].copy()
    x[:, 3] = 0
    before = swept.parameters()
    show(swept, x, y, batch_size=1)
    np.testing.assert_array_equal(swept.parameters()[0][0][:, 3], before[0][0][:, 3])
    assert column.any()
    swept.skip_error = 2.0  # more than any error of a softmax: nothing is learnt at all
    before = swept.parameters()
    show(swept, x, y, batch_size=1)
    for kind, found in enumerate(swept.parameters()):
        for mine, old in zip(found, before[kind], strict=True):
            np.testing.assert_array_equal(mine, old)


def test_only_where_one_sweep_is_all():
    for options in (
        {"alpha": 0.5},
        {"threshold": 1e-3, "anneal": 5.0},
        {"rule": "dp"},
        {"repeats": 1},
        {"compartment_noise": 0.1},
        {"rule": "spiking"},
    ):
        assert type(NetworkSpec(LAYERS, **options).build()) is Network


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_a_step_in_place_is_the_change_of_the_published_equation(name, compiled, monkeypatch):
    if compiled:
        pytest.importorskip("numba")
    else:
        for module in (adam, sgd):
            monkeypatch.setattr(module, "kernel", lambda *name: None)
    generator = np.random.default_rng(0)
    optimiser = OPTIMISERS[name](learning_rate=0.01)
    w = generator.normal(size=(3, 50_000))
    state = np.zeros((2, 3, 50_000))
    expected, moments = w.copy(), np.zeros((2, 3, 50_000))
    for t in range(1, 4):
        g = generator.normal(size=w.shape)
        if name == "adam":  # Kingma and Ba, algorithm 1
            moments[0] = 0.9 * moments[0] + 0.1 * g
            moments[1] = 0.999 * moments[1] + 0.001 * g * g
            corrected = moments[0] / (1 - 0.9**t), moments[1] / (1 - 0.999**t)
            expected -= 0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        else:
            moments[0] = (0.9 if name == "momentum" else 0.0) * moments[0] + g
            expected -= 0.01 * moments[0]
        optimiser.update(w, 4.0 * g, state, t, scale=0.25)
    np.testing.assert_allclose(w, expected, rtol=0, atol=1e-13)


def test_adam_goes_through_a_few_samples_as_along_their_product():
    generator = np.random.default_rng(0)
    made, w = OPTIMISERS["adam"](0.01, horizon=9), generator.normal(size=(6, 11))
    state, others = np.zeros((2, 6, 11)), (w.copy(), np.zeros((2, 6, 11)))
    for step in range(1, 4):
        down, up = generator.normal(size=(4, 8))[:, 1:7], generator.normal(size=(4, 11))
        down = down * (generator.random((4, 6)) < 0.4)
        if not made.update_along(w, down, up, state, step, -0.3, np.empty((6, 11))):
            pytest.skip("no numba")
        made.update(others[0], down.T @ up, others[1], step, -0.3)
        for mine, other in zip((w, state), others, strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12)
    before = w.copy()
    many = np.ones((99, 6)), np.ones((99, 11))
    assert not made.update_along(w, *many, state, 4, 1.0, np.empty((6, 11)))
    np.testing.assert_array_equal(w, before)


def test_columns_without_an_event_are_left_out_of_the_products():
    spec = NetworkSpec(LAYERS, bias_deviation=0.1)
    x, y = data(samples=8)
    x[:, :3] = x[:, 10:] = 0
    whole, partly = (pair(spec, SGD(0.1), lanes=8)[0] for _ in range(2))
    clock = Clock(1, True, True, True, 8, batch=8)
    for _ in range(3):
        outputs = [
            network.present(x, y, clock, active).copy()
            for network, active in ((whole, slice(None)), (partly, slice(3, 10)))
        ]
        np.testing.assert_allclose(*outputs, rtol=0, atol=1e-13)
    for mine, other in zip(partly.parameters()[0], whole.parameters()[0], strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-13)
