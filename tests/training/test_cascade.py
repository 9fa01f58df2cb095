"""Heads at every depth: ridge regression each, and nothing comes down."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from lava_dyads import Graph, NetworkSpec, Node
from lava_dyads.data import Dataset, load
from lava_dyads.errors import ValidationError
from lava_dyads.training.cascade import accuracies, fit_cascade

GRAPH = Path(__file__).parents[2] / "tutorials" / "graphs" / "cafo.toml"


def small(classes=3, size=5):
    neurons = {"activation": "relu"}
    return NetworkSpec(graph=Graph([
        Node("x", "input", shape=(size,)),
        Node("a", "dense", "x", size=7, **neurons),
        Node("first", "dense", "a", size=classes, loss="cross-entropy"),
        Node("b", "dense", "a", size=6, **neurons),
        Node("second", "dense", "b", size=classes, loss="cross-entropy"),
    ]), seed=1, bias_deviation=0.2)  # fmt: skip


def drawn(samples=70):
    x = np.random.default_rng(0).normal(size=(samples, 5))
    return Dataset("drawn", x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0))


def test_heads_are_ridge_regression_on_what_they_hear_and_nothing_comes_down():
    data, spec = drawn(), small()
    rows = np.arange(50)
    cascade = fit_cascade(spec, data, rows, ridge=0.7, temperature=2.0)
    weights, biases = spec.initial_parameters()
    a = np.maximum(data.x @ weights[0].T + biases[0], 0)
    b = np.maximum(a @ weights[2].T + biases[2], 0)
    votes = cascade.votes(data.x)
    for vote, features in zip(votes, (a, b), strict=True):
        answer = Ridge(0.7).fit(features[rows], data.one_hot[rows]).predict(features)
        e = np.exp(2.0 * answer)
        np.testing.assert_allclose(vote, e / e.sum(axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_array_equal(cascade.predict(data.x), votes.sum(axis=0).argmax(axis=1))
    np.testing.assert_array_equal(cascade.predict(data.x, heads=1), votes[0].argmax(axis=1))
    assert accuracies(cascade, data.x, data.labels)[1] == np.mean(
        cascade.predict(data.x) == data.labels
    )
    network = cascade.network(10)
    network.settle(data.x[:10], None)
    assert all(p.counts["messages_difference"] == 0 for p in network.populations.values())
    assert all(c.counts["backward"] == 0 for c in network.connections.values())
    assert all(c.counts["forward"] > 0 for c in network.connections.values())


def test_what_does_not_fit_is_refused_in_a_line():
    data, rows = drawn(), np.arange(50)
    with pytest.raises(ValidationError, match=r"node first: must have the 3 classes \(got 4\)"):
        fit_cascade(small(classes=4), data, rows)
    with pytest.raises(ValidationError, match=r"ridge: must be positive \(got 0"):
        fit_cascade(small(), data, rows, ridge=0.0)
    wide = [Node("x", "input", shape=(5,)), Node("h", "dense", "x", size=8200, activation="relu"),
            Node("y", "dense", "h", size=3)]  # fmt: skip
    with pytest.raises(ValidationError, match="node y: a head in closed form has 8192 neurons"):
        fit_cascade(NetworkSpec(graph=Graph(wide)), data, rows)


@pytest.mark.slow
def test_two_random_blocks_read_digits():
    data, found = load("digits"), []
    for seed in range(3):
        spec = NetworkSpec(graph=Graph.load(GRAPH), seed=seed, bias_deviation=0.1)
        train, test = data.split(seed)
        cascade = fit_cascade(spec, data, train)
        found.append(accuracies(cascade, data.x[test], data.labels[test]))
    assert np.mean(found, axis=0)[-1] >= 0.98
    assert all(later >= before - 0.005 for before, later in found)
