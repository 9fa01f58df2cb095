"""Networks on graphs learn the same weights however they are run."""

from __future__ import annotations

import numpy as np
import pytest

from lava_dyads import Execution, Graph, NetworkSpec, Node, Trainer, TrainingConfig, load
from lava_dyads.errors import UnsupportedError

GATED = Graph([
    Node("x", "input", shape=(64,)),
    Node("a", "dense", "x", size=6, activation="relu"),
    Node("b", "dense", "a", size=6, activation="hard-sigmoid"),
    Node("gated", "product", ("a", "b")),
    Node("c", "sum", ("a", "gated"), activation="relu"),
    Node("both", "concat", ("c", "b")),
    Node("y", "dense", "both", size=10),
])  # fmt: skip
IMAGE = Graph([
    Node("x", "input", shape=(1, 8, 8)),
    Node("edges", "conv", "x", channels=4, kernel=3),
    Node("pooled", "max-pool", "edges", activation="relu"),
    Node("smooth", "average-pool", "pooled", kernel=3),
    Node("y", "dense", "smooth", size=10),
])  # fmt: skip
WAYS = [
    Execution("network", runtime="in-process"),
    Execution("network", runtime="lava"),
    Execution("layer", runtime="in-process"),
    Execution("layer", runtime="lava"),
    Execution("layer", clock="async", runtime="in-process"),
    Execution("neuron", runtime="in-process"),
    Execution("neuron", clock="async", runtime="in-process"),
]


def learnt(graph: Graph, rule: str, execution: Execution, **options: object) -> np.ndarray:
    spec = NetworkSpec(graph=graph, rule=rule, bias_deviation=0.1, **options)
    config = TrainingConfig(batch_size=4)
    with Trainer(spec, load("digits"), config, execution) as trainer:
        trainer.run(trainer.train_rows[:12], 1)
        return np.concatenate([p.ravel() for part in trainer.parameters() for p in part])


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.sampled(2)
@pytest.mark.parametrize("execution", WAYS, ids=lambda e: e.label)
@pytest.mark.parametrize("graph", [GATED, IMAGE], ids=["gated", "image"])
def test_every_way_learns_the_same_weights(graph, execution):
    if graph is IMAGE and execution.granularity == "neuron":
        with pytest.raises(UnsupportedError, match="the neurons of node pooled share biases"):
            learnt(graph, "dp-transpose", execution)
        return
    reference = learnt(graph, "dp-transpose", Execution(runtime="reference"))
    ours = learnt(graph, "dp-transpose", execution)
    assert np.linalg.norm(ours - reference) <= 1e-9 * np.linalg.norm(reference)


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.sampled(2)
@pytest.mark.parametrize("rule", ["dp", "activation-relaxation", "predictive-coding"])
@pytest.mark.parametrize("runtime", ["in-process", "lava"])
def test_other_rules_take_the_same_steps_layer_by_layer(rule, runtime):
    options = {"alpha": 0.5, "nudge": "linearised", "repeats": 2} if rule == "dp" else {}
    reference = learnt(GATED, rule, Execution(runtime="reference"), **options)
    ours = learnt(GATED, rule, Execution("layer", runtime=runtime), **options)
    np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-12)
