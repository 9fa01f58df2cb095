"""One sweep on graphs: it is what the elements do, step by step, each of them once."""

import dataclasses

import numpy as np
import pytest
from sweeps import show_all as show

from lava_dyads.elements.clock import FROZEN
from lava_dyads.executors.step import Network
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.networks import Graph, NetworkSpec, Node, describe
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.meter import first_sent
from lava_dyads.rules.optimisers import Adam
from lava_dyads.rules.send_on_change import send_on_change

GRAPHS = {
    "image": [
        Node("image", "input", shape=(2, 6, 6)),
        Node("features", "conv", "image", channels=3, kernel=3, padding=1),
        Node("pooled", "max-pool", "features", activation="relu"),
        Node("again", "conv", "pooled", channels=2, kernel=2, activation="tanh"),
        Node("smooth", "average-pool", "again"),
        Node("y", "dense", "smooth", size=3),
    ],
    "overlapping windows": [
        Node("image", "input", shape=(2, 6, 6)),
        Node("pooled", "max-pool", "image", kernel=3, stride=1),
        Node("features", "conv", "pooled", channels=3, kernel=2),
        Node("again", "max-pool", "features", kernel=2, stride=1, activation="relu"),
        Node("y", "dense", "again", size=3),
    ],
    "branches of one length": [
        Node("x", "input", shape=(72,)),
        Node("stem", "dense", "x", size=6, activation="relu"),
        Node("one", "dense", "stem", size=5),
        Node("other", "dense", "stem", size=5),
        Node("gated", "product", ("one", "other"), activation="relu"),
        Node("left", "dense", "gated", size=4, activation="relu"),
        Node("right", "dense", "gated", size=3, activation="tanh"),
        Node("both", "concat", ("left", "right")),
        Node("y", "dense", "both", size=3),
    ],
    "two heads": [
        Node("x", "input", shape=(70,)),
        Node("context", "input", shape=(2,)),
        Node("seen", "dense", "x", size=5, activation="relu"),
        Node("known", "dense", "context", size=5, activation="relu"),
        Node("bound", "sum", ("seen", "known"), activation="relu"),
        Node("class", "dense", "bound", size=2),
        Node("value", "dense", "bound", size=1, loss="squared-error"),
    ],
    "residual blocks": [
        Node("x", "input", shape=(72,)),
        Node("n0", "dense", "x", size=6),
        Node("w1", "dense", "n0", size=6, activation="relu"),
        Node("n1", "sum", ("w1", "n0")),
        Node("h2", "dense", "n1", size=5, activation="tanh"),
        Node("w2", "dense", "h2", size=6, activation="relu"),
        Node("n2", "sum", ("n1", "w2")),
        Node("w3", "dense", "n2", size=6, activation="relu"),
        Node("n3", "sum", ("w3", "n2")),
        Node("y", "dense", "n3", size=3),
    ],
    "ways of many lengths": [
        Node("x", "input", shape=(72,)),
        Node("a", "dense", "x", size=5, activation="relu"),
        Node("b", "dense", "a", size=5, activation="tanh"),
        Node("late", "product", ("a", "b")),
        Node("c", "dense", "late", size=5, activation="relu"),
        Node("met", "sum", ("a", "c"), activation="relu"),
        Node("all", "concat", ("met", "b", "a")),
        Node("twice", "product", ("c", "a")),
        Node("d", "dense", "all", size=5, activation="relu"),
        Node("last", "product", ("d", "twice"), activation="tanh"),
        Node("y", "dense", "last", size=3),
        Node("short", "dense", "a", size=2, loss="squared-error"),
    ],
}


def problem(samples=11):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(samples, 72)) * (generator.random((samples, 72)) > 0.4)
    return x, np.eye(3)[generator.integers(3, size=samples)]


def wanted(nodes, samples=11):
    """Inputs, and targets for as many outputs as there are."""
    x, y = problem(samples)
    return x, np.concatenate([y, x[:, :2]], axis=1) if "short" in [n.name for n in nodes] else y


def pair(spec, lanes=4, **options):
    """The same network twice: by one sweep, and step by step through its elements."""
    swept, other = (spec.build(lanes=lanes, **options) for _ in range(2))
    assert isinstance(swept, SweptNetwork)
    steps = {"steps": other.steps, "read_step": other.read_step}
    return swept, Network(other.elements, other.links, lanes=lanes, **steps)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 1.0},
        {"alpha": 0.0, "threshold": 0.2},
        {"rule": "activation-relaxation"},
        {"rule": "derivative-free-learning"},
        {"rule": "predictive-coding"},
    ],
)
def test_a_sweep_learns_counts_and_answers_as_the_elements_do(name, options):
    spec = NetworkSpec(graph=Graph(GRAPHS[name]), bias_deviation=0.1, **options)
    swept, stepped = pair(spec, optimiser=Adam(0.01, weight_decay=0.01))
    x, y = wanted(GRAPHS[name])
    for mode in (1, 1, 0, FROZEN):
        outputs = [show(network, x, y, mode) for network in (swept, stepped)]
        np.testing.assert_allclose(*outputs, rtol=0, atol=1e-12)
        gradients = [[*w, *b] for w, b in (n.gradients() for n in (swept, stepped))]
        if mode:
            for mine, theirs in zip(*gradients, strict=True):
                # Elements divide by all lanes, the sweep by those that carry a sample.
                np.testing.assert_allclose(mine * 3, theirs * 4, rtol=0, atol=1e-10)
    for element, other in zip(swept.elements.values(), stepped.elements.values(), strict=True):
        assert element.counts == other.counts
    for mine, theirs, start in zip(
        swept.parameters()[0], stepped.parameters()[0], spec.initial_parameters()[0], strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-11)
        assert np.abs(mine - start).max() > 1e-3


@pytest.mark.parametrize("name", GRAPHS)
def test_a_description_knows_how_many_messages_are_not_silent(name):
    spec = NetworkSpec(graph=Graph(GRAPHS[name]), bias_deviation=0.3)
    network = pair(spec, lanes=11)[1]
    x, y = wanted(GRAPHS[name])
    show(network, x, y, 1)
    counts = [element.counts for element in network.elements.values()]
    sent = sum(n for c in counts for kind, n in c.items() if kind.startswith("messages"))
    assert sent == describe(spec, quiet=True).spoken_messages


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("threshold", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_what_is_sent_first_is_what_a_silent_channel_sends(dtype, threshold, scale):
    generator = np.random.default_rng(0)
    value = generator.normal(size=(50, 40)) * 10.0 ** generator.integers(-18, 3, (50, 40))
    value[0, :2] = np.nan, 0.0
    value = value.astype(dtype)
    message, _ = send_on_change(value, np.zeros_like(value), threshold, scale)
    sent = first_sent(value, threshold, scale)
    assert sent.dtype == value.dtype
    np.testing.assert_array_equal(sent, message)


def test_single_precision_stays_single():
    spec = NetworkSpec(graph=Graph(GRAPHS["image"]), bias_deviation=0.1)
    swept, double = (spec.build(lanes=4, arithmetic=Float(dtype)) for dtype in ("f4", "f8"))
    x, y = problem(4)
    outputs = [show(network, x, y, 1) for network in (swept, double)]
    assert outputs[0].dtype == np.float32
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)
    for mine, exact in zip(swept.gradients()[0], double.gradients()[0], strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, exact, atol=1e-4)


def test_what_needs_steps_is_not_swept():
    image = Graph(GRAPHS["image"])
    for options in ({"alpha": 0.5}, {"rule": "dp"}, {"anneal": 2.0}, {"feedback": "random"}):
        assert type(NetworkSpec(graph=image, **options).build()) is Network


@pytest.mark.parametrize("name", ["residual blocks", "ways of many lengths"])
@pytest.mark.parametrize("granularity", ["layer", "network"])
def test_every_neuron_sends_one_mean_and_one_difference(name, granularity):
    """With everything above its kink, each of them has an event, and none a second one."""
    nodes = [dataclasses.replace(n, activation=n.activation and "tanh") for n in GRAPHS[name]]
    nodes = [n for n in nodes if n.name != "short"]
    spec = NetworkSpec(graph=Graph(nodes), bias_deviation=0.1)
    x, y = problem(4)
    network = pair(spec)[granularity == "layer"]
    show(network, x, y, 1)
    for population in network.populations.values():
        counts = population.counts
        assert counts["events_mean"] == counts["events_difference"] == 4 * population.n
        assert counts["messages_mean"] == counts["messages_difference"] == 1


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_diverged_is_never_silent(value):
    last_sent = np.zeros((1, 2))
    for _ in range(3):  # also once it has been sent
        with np.errstate(invalid="ignore"):
            message, events = send_on_change(np.array([[1.0, value]]), last_sent, 0.0)
        assert message is not None
        assert events >= 1
    assert first_sent(np.array([value]), 0.1, 1.0)[0] != 0
