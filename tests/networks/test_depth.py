"""Networks are as deep as anybody likes: nothing recurses from layer to layer."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from lava_dyads import (
    Dataset,
    Execution,
    Graph,
    NetworkSpec,
    Node,
    Trainer,
    TrainingConfig,
    describe,
)
from lava_dyads.rules.ops import Product

DATA = Dataset("noise", np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3)


def chain(depth: int) -> NetworkSpec:
    return NetworkSpec((3,) * (depth + 1), activations="tanh", gain=1.0)


def tower(depth: int, kind: str = "sum") -> NetworkSpec:
    """Every node takes from the one below twice: there are 2^depth ways through."""
    below, nodes = "h", [Node("x", "input", shape=(3,)), Node("h", "dense", "x", size=3)]
    for k in range(depth):
        nodes.append(Node(f"n{k}", kind, (below, below)))
        below = f"n{k}"
    nodes += [Node("top", "sum", below, activation="tanh"), Node("y", "dense", "top", size=3)]
    return NetworkSpec(graph=Graph(nodes), gain=1e-3)


def skips(depth: int) -> NetworkSpec:
    nodes, below = [Node("x", "input", shape=(3,)), Node("n0", "dense", "x", size=3)], "n0"
    for k in range(1, depth):
        nodes.append(Node(f"w{k}", "dense", below, size=3, activation="tanh"))
        nodes.append(Node(f"n{k}", "sum", (f"w{k}", below)))
        below = f"n{k}"
    return NetworkSpec(graph=Graph([*nodes, Node("y", "dense", below, size=3)]), gain=0.1)


def learnt(spec: NetworkSpec, execution: Execution) -> np.ndarray:
    with Trainer(spec, DATA, TrainingConfig(batch_size=4), execution) as trainer:
        trainer.run(trainer.train_rows[:4], 1)
        return np.concatenate([p.ravel() for part in trainer.parameters() for p in part])


@pytest.mark.parametrize("spec", [chain(1000), skips(60)], ids=["chain", "skips"])
def test_whatever_looks_at_a_deep_network_gets_to_its_end(spec):
    assert spec.timing.steps > len(spec.layers)
    network = spec.build()
    assert len(describe(spec, quiet=True).rows) == len(network.elements) + 1
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert list(twin.elements) == list(network.elements)
    assert pickle.loads(pickle.dumps(spec)) == spec
    x, y = DATA.x, np.eye(3)[DATA.labels]
    assert spec.backpropagate(x, y, *spec.initial_parameters()).output.shape == (12, 3)


@pytest.mark.parametrize("spec", [chain(100), skips(25)], ids=["chain", "skips"])
def test_deep_networks_learn_alike_as_processes(spec):
    expected = learnt(spec, Execution(runtime="reference"))
    found = learnt(spec, Execution("layer", runtime="in-process"))
    assert np.linalg.norm(found - expected) <= 1e-9 * np.linalg.norm(expected)


@pytest.mark.parametrize("rule", ["dp-transpose", "derivative-free-relaxation"])
@pytest.mark.parametrize("kind", ["sum", "product"])
def test_many_ways_through_a_graph_are_not_walked_one_by_one(kind, rule):
    spec = tower(40, kind)
    spec = NetworkSpec(graph=spec.graph, rule=rule, gain=1e-3)
    assert len(spec.build().links) < 20 * 40


def test_an_op_of_ones_own_without_a_process_is_named(monkeypatch):
    monkeypatch.setattr(Product, "process_name", "MyProduct")
    spec = tower(1, "product")
    learnt(spec, Execution(runtime="reference"))
    with pytest.raises(ValueError, match=r"Product: there is no Lava Process .*MyProduct.*Try"):
        learnt(spec, Execution("layer", runtime="in-process"))
