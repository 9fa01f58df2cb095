"""Networks on graphs: against finite differences, backprop, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lava_dyads.errors import ValidationError
from lava_dyads.executors.events import settle_asynchronously
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.experiments.gradient import flat
from lava_dyads.networks import Graph, NetworkSpec, Node
from lava_dyads.rules.losses import loss

NODES = {
    "skip": [
        Node("x", "input", shape=(6,)),
        Node("h1", "dense", "x", size=5, activation="tanh"),
        Node("w2", "dense", "h1", size=5),
        Node("h2", "sum", ("h1", "w2"), activation="tanh"),
        Node("y", "dense", "h2", size=3),
    ],
    "branch": [
        Node("x", "input", shape=(6,)),
        Node("stem", "dense", "x", size=7, activation="tanh"),
        Node("left", "dense", "stem", size=4, activation="tanh"),
        Node("right", "dense", "stem", size=5, activation="tanh"),
        Node("deep", "dense", "right", size=5, activation="tanh"),
        Node("both", "concat", ("left", "deep")),
        Node("y", "dense", "both", size=3),
    ],
    "branch, product, residual": [
        Node("x", "input", shape=(6,)),
        Node("stem", "dense", "x", size=5, activation="tanh"),
        Node("gate", "dense", "stem", size=5, activation="tanh"),
        Node("value", "dense", "stem", size=5, activation="tanh"),
        Node("gated", "product", ("gate", "value")),
        Node("block", "sum", ("stem", "gated"), activation="tanh"),
        Node("y", "dense", "block", size=3),
    ],
    "two inputs, two heads": [
        Node("x", "input", shape=(4,)),
        Node("context", "input", shape=(2,)),
        Node("seen", "dense", "x", size=5, activation="tanh"),
        Node("known", "dense", "context", size=5, activation="tanh"),
        Node("bound", "product", ("seen", "known"), activation="tanh"),
        Node("class", "dense", "bound", size=3),
        Node("value", "dense", "seen", size=2, loss="squared-error"),
    ],
    "image": [
        Node("image", "input", shape=(2, 6, 6)),
        Node("features", "conv", "image", channels=3, kernel=3, padding=1),
        Node("pooled", "max-pool", "features", kernel=2, activation="tanh"),
        Node("again", "conv", "pooled", channels=2, kernel=2, activation="tanh"),
        Node("smooth", "average-pool", "again", kernel=2),
        Node("y", "dense", "smooth", size=3),
    ],
    "auxiliary output inside": [
        Node("x", "input", shape=(6,)),
        Node("h", "dense", "x", size=5, activation="tanh"),
        Node("guess", "dense", "h", size=3, loss="squared-error"),
        Node("y", "dense", "guess", size=2),
    ],
    "sparse, data through a product": [
        Node("x", "input", shape=(6,)),
        Node("h", "dense", "x", size=6, density=0.5, activation="tanh"),
        Node("weighed", "product", ("x", "h")),
        Node("sum", "sum", ("x", "weighed"), activation="tanh"),
        Node("y", "dense", "sum", size=3),
    ],
}
GRAPHS = pytest.mark.parametrize("name", NODES)


def spec_of(name: str, **options: object) -> NetworkSpec:
    options = {"loss": "squared-error", "bias_deviation": 0.1} | options
    return NetworkSpec(graph=Graph(NODES[name]), **options)


def problem(spec: NetworkSpec, samples: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    shapes = (samples, spec.layers[0]), (samples, spec.layers[-1])
    return generator.normal(size=shapes[0]), generator.normal(size=shapes[1])


def settled_gradient(spec: NetworkSpec, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    network = spec.build(lanes=len(x))
    settled = network.settle(x, y)
    assert settled.converged, settled
    return flat(*network.gradients())


@GRAPHS
def test_backprop_on_graphs_is_the_slope_of_the_loss(name):
    spec = spec_of(name)
    x, y = problem(spec)
    weights, biases = spec.initial_parameters()
    heads = [v for v in spec.vertices if v.loss]
    cuts = np.cumsum([v.n for v in heads])[:-1]

    def cost() -> float:
        output = spec.backpropagate(x, y, weights, biases).output
        parts = zip(heads, np.split(output, cuts, 1), np.split(y, cuts, 1), strict=True)
        return float(sum(loss(v.loss.name).value(s, t).mean() for v, s, t in parts))

    exact = spec.backpropagate(x, y, weights, biases).gradients()
    step = 1e-6
    for arrays, slopes in zip((weights, biases), exact, strict=True):
        for array, slope in zip(arrays, slopes, strict=True):
            assert array.shape == slope.shape
            for i in range(0, array.size, max(1, array.size // 5)):
                old = array.flat[i]
                if old == 0:
                    continue  # no synapse
                array.flat[i] = old + step
                up = cost()
                array.flat[i] = old - step
                measured = (up - cost()) / (2 * step)
                array.flat[i] = old
                assert slope.flat[i] == pytest.approx(measured, abs=1e-8)


def test_a_graph_computes_what_is_written_down():
    spec = spec_of("branch, product, residual")
    x, y = problem(spec)
    (w1, w2, w3, w4), (b1, b2, b3, b4, b5) = spec.initial_parameters()
    stem = np.tanh(x @ w1.T + b1)
    gated = np.tanh(stem @ w2.T + b2) * np.tanh(stem @ w3.T + b3)
    expected = np.tanh(stem + gated + b4) @ w4.T + b5
    np.testing.assert_allclose(
        spec.backpropagate(x, y, *spec.initial_parameters()).output, expected, rtol=1e-13
    )
    network = spec.build(lanes=len(x))
    network.settle(x, None)
    np.testing.assert_allclose(network.populations["y"].memory["sent_mean"], expected, rtol=1e-12)


@GRAPHS
@pytest.mark.parametrize("rule", ["activation-relaxation", "predictive-coding"])
def test_relaxing_errors_are_backprops_on_every_graph(name, rule):
    spec = spec_of(name, rule=rule)
    x, y = problem(spec)
    exact = flat(*spec.backpropagate(x, y, *spec.initial_parameters()).gradients())
    np.testing.assert_allclose(settled_gradient(spec, x, y), exact, rtol=1e-10, atol=1e-12)


@GRAPHS
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_dyads_are_backprop_to_first_order_of_beta(name, alpha):
    errors = []
    for beta in (0.02, 0.002):
        spec = spec_of(name, rule="dp-transpose", alpha=alpha, beta=beta)
        x, y = problem(spec)
        exact = flat(*spec.backpropagate(x, y, *spec.initial_parameters()).gradients())
        ours = settled_gradient(spec, x, y)
        errors.append(np.linalg.norm(ours - exact) / np.linalg.norm(exact))
    assert errors[0] < 0.05
    assert errors[1] < errors[0] / 5


@GRAPHS
def test_one_presentation_settles_and_learns(name):
    """As many steps as the longest path up and back, and one that certifies."""
    from lava_dyads.elements.clock import Clock
    from lava_dyads.rules.optimisers import SGD

    spec = spec_of(name, rule="activation-relaxation")
    x, y = problem(spec)
    weights, biases = spec.initial_parameters()
    exact = spec.backpropagate(x, y, weights, biases).gradients()
    network = spec.build(lanes=len(x), optimiser=SGD(0.1), executor="step")
    clock = Clock(1, True, True, True, len(x), batch=len(x))
    network.after(clock, {"input_in": x, "target_in": y})
    assert max(p.memory["residual"][0] for p in network.populations.values()) == 0
    for before, after, slopes in zip((weights, biases), network.parameters(), exact, strict=True):
        for b, a, slope in zip(before, after, slopes, strict=True):
            np.testing.assert_allclose(a, b - 0.1 * slope, atol=1e-12)


def test_a_presentation_is_no_longer_than_it_has_to_be():
    """One step less and the first weights hear nothing of the error."""
    chain = NetworkSpec((6, 5, 4, 3))
    nodes = [Node("x", "input", shape=(6,)), Node("a", "dense", "x", size=5, activation="relu"),
             Node("b", "dense", "a", size=4, activation="relu"),
             Node("y", "dense", "b", size=3)]  # fmt: skip
    assert NetworkSpec(graph=Graph(nodes)).timing == chain.timing
    assert chain.timing.steps == 2 * 3 + 1 + 1


def test_a_graph_that_is_a_chain_is_swept_and_starts_from_the_same_weights():
    nodes = [Node("x", "input", shape=(6,)), Node("a", "dense", "x", size=5, activation="relu"),
             Node("y", "dense", "a", size=3)]  # fmt: skip
    ours, theirs = NetworkSpec(graph=Graph(nodes), seed=4), NetworkSpec((6, 5, 3), seed=4)
    for a, b in zip(ours.initial_parameters(), theirs.initial_parameters(), strict=True):
        for mine, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(mine, other)
    assert isinstance(ours.build(), SweptNetwork)
    assert (ours.parameter_count, ours.dense_operations) == (53, theirs.dense_operations)


@GRAPHS
def test_feedback_of_its_own_is_that_of_backprop_through_it(name):
    spec = spec_of(name, rule="activation-relaxation", feedback="random")
    x, y = problem(spec)
    network = spec.build(lanes=len(x))
    assert network.settle(x, y).converged
    back = spec.initial_feedback()
    exact = spec.backpropagate(x, y, *spec.initial_parameters(), back).gradients()
    np.testing.assert_allclose(flat(*network.gradients()), flat(*exact), rtol=1e-10, atol=1e-12)


@GRAPHS
def test_specifications_survive_json_and_toml(name, tmp_path):
    import json

    spec = spec_of(name, rule="dp-transpose")
    again = NetworkSpec.from_dict(json.loads(json.dumps(spec.as_dict())))
    assert again == spec
    path = tmp_path / "graph.toml"
    lines = []
    for node, options in spec.graph.as_dict()["nodes"].items():
        lines += [f"[nodes.{node}]", *(f"{k} = {json.dumps(v)}" for k, v in options.items())]
    path.write_text("\n".join(lines))
    assert Graph.load(path) == spec.graph


X = Node("x", "input", shape=(4,))
IMAGE = Node("image", "input", shape=(1, 4, 4))


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([X, Node("a", "sum", ("x", "b"), activation="relu"),
          Node("b", "dense", "a", size=4)], ["acyclic", "a <- b <- a"]),
        ([X, Node("a", "dens", "x", size=3)], ["node a", "'dens'", "dense"]),
        ([X, Node("a", "dense", "y", size=3)], ["node a", "no such node", "'y'"]),
        ([X, Node("a", "dense", "x")], ["node a", "needs size"]),
        ([X, Node("a", "dense", "x", size=3), Node("b", "sum", ("x", "a"))],
         ["node b", "one shape", "x (4,), a (3,)"]),
        ([IMAGE, Node("c", "conv", "image", channels=2, kernel=5)], ["node c", "kernel"]),
        ([X, Node("c", "conv", "x", channels=2, kernel=1)], ["node c", "image"]),
        ([X, Node("a", "dense", "x", size=3, activation="rely")], ["node a", "'rely'", "relu"]),
        ([X, Node("a", "dense", "x", size=3, kernel=2)], ["node a", "takes size, density"]),
        ([X, Node("a", "product", "x")], ["node a", "takes 2 sources", "got 1"]),
        ([X, Node("x", "dense", "x", size=3)], ["two nodes", "'x'"]),
        ([X, Node("2", "dense", "x", size=3)], ["needs a name", "'2'"]),
        ([X, Node("a", "dense", "x", size=3, loss="hinge")], ["node a", "hinge"]),
        ([X], ["nothing takes from this input"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_graph_is_one_line_that_names_the_node(nodes, words):
    with pytest.raises(ValidationError) as caught:
        Graph(nodes)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


@GRAPHS
@pytest.mark.parametrize("seed", [0, 1])
def test_messages_that_overtake_each_other_settle_at_the_same_gradient(name, seed):
    """The mean is a plain forward pass on every graph, so no order of messages can change it."""
    spec = spec_of(name, rule="dp-transpose", alpha=1.0, beta=0.1)
    x, y = problem(spec)
    steps = settled_gradient(spec, x, y)
    network = spec.build(lanes=len(x))
    settled = settle_asynchronously(network, x, y, latency="heavy-tailed", seed=seed)
    assert settled.silent
    assert settled.residual <= 1e-11
    np.testing.assert_allclose(flat(*network.gradients()), steps, rtol=1e-8, atol=1e-11)
