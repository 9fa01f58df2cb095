"""Convolution and pooling in networks: gradient, every way of running them, accuracy."""

import numpy as np
import pytest

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.elements import Connection
from lava_dyads.experiments.gradient import flat
from lava_dyads.networks import Graph, Node
from lava_dyads.rules.ops import Conv
from lava_dyads.runtime.usage import operations_of

DIGITS = load("digits")


def graph(channels=8):
    """Return two convolutions, each followed by a pool, for images of 8 x 8 pixels."""
    return Graph([
        Node("image", "input", shape=(1, 8, 8)),
        Node("edges", "conv", "image", channels=channels, kernel=3, padding=1),
        Node("pooled", "max-pool", "edges", activation="relu"),
        Node("parts", "conv", "pooled", channels=2 * channels, kernel=3, padding=1),
        Node("few", "max-pool", "parts", activation="relu"),
        Node("digit", "dense", "few", size=10),
    ])  # fmt: skip


def cosine(a, b):
    return a.ravel() @ b.ravel() / (np.linalg.norm(a) * np.linalg.norm(b))


def gradients(deviation, alpha, seed):
    """Return cosines to backprop per weights, per biases and of all, and the settled network."""
    spec = NetworkSpec(graph=graph(), alpha=alpha, beta=0.01, bias_deviation=deviation, seed=seed)
    rows = np.random.default_rng(seed).permutation(len(DIGITS.x))[:100]
    x, y = DIGITS.x[rows], np.eye(10)[DIGITS.labels[rows]]
    network = spec.build(lanes=100)
    assert network.settle(x, y).converged
    ours = network.gradients()
    exact = spec.backpropagate(x, y, *spec.initial_parameters()).gradients()
    parts = [
        [cosine(a, b) for a, b in zip(*kind, strict=True)] for kind in zip(ours, exact, strict=True)
    ]
    return *parts, cosine(flat(*ours), flat(*exact)), network


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_off_the_kink_the_gradient_of_a_batch_of_images_is_backprops(alpha, seed):
    weights, biases, whole, _ = gradients(0.05, alpha, seed)
    assert min(*weights, *biases) >= 0.998
    assert whole >= 0.999


@pytest.mark.parametrize("seed", range(3))
def test_zero_biases_put_a_black_background_on_the_kink_and_spoil_their_own_gradient(seed):
    weights, biases, _, network = gradients(0.0, 1.0, seed)
    # Where all pixels are 0 so is the drive; whichever sign the nudge has, one of the compartments
    # crosses the kink. No weight learns there, for the activity below is 0; the bias does.
    assert min(*weights, *biases[1:]) >= 0.998
    assert biases[0] < 0.99
    first = network.populations["pooled"]
    straddling = first.unit.straddling(first.state)
    assert np.mean(first.memory["basal"][straddling] == 0) > 0.95
    assert straddling.mean() > 0.02


WAYS = [("layer", "sync"), ("network", "sync"), ("layer", "async")]


def learnt(spec, *way):
    config = TrainingConfig(batch_size=4, optimiser="sgd")
    execution = Execution(*way, runtime="in-process") if way else Execution(runtime="reference")
    with Trainer(spec, DIGITS, config, execution) as trainer:
        metrics = trainer.run(trainer.train_rows[:16], learn=True)
        return [*trainer.parameters()[0], *trainer.parameters()[1]], metrics


@pytest.mark.parametrize("feedback", ["tied", "kolen_pollack"])
def test_every_way_learns_the_same_and_counts_the_same(feedback):
    nodes = graph(2).nodes
    average = [Node("parts", "conv", "pooled", channels=4, kernel=3, stride=2, padding=1),
               Node("few", "average-pool", "parts", activation="relu")]  # fmt: skip
    spec = NetworkSpec(
        graph=Graph((*nodes[:3], *average, nodes[-1])), bias_deviation=0.05, feedback=feedback
    )
    reference, cost = learnt(spec)
    start = spec.initial_parameters()
    for now, before in zip(reference, (*start[0], *start[1]), strict=True):
        assert np.abs(now - before).max() > 1e-5
    for way in WAYS:
        found, metrics = learnt(spec, *way)
        for ours, theirs in zip(found, reference, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12, err_msg=str(way))
        if way[1] == "sync":
            assert metrics.operations == cost.operations
            assert metrics.residual == 0


@pytest.mark.parametrize(
    ("epochs", "rate", "level", "apart"),
    [(1, 0.01, 0.7, 0.01), pytest.param(6, 0.003, 0.93, 0.005, marks=pytest.mark.slow)],
)
def test_a_small_network_with_max_pooling_learns_digits_as_well_as_backprop(
    epochs, rate, level, apart
):
    found = {}
    for rule in ("backprop", "dp-transpose"):
        spec = NetworkSpec(graph=graph(), rule=rule, beta=0.01, bias_deviation=0.05)
        config = TrainingConfig(epochs, learning_rate=rate, dtype="float32", counting=False)
        with Trainer(spec, DIGITS, config, Execution(runtime="reference")) as trainer:
            found[rule] = trainer.fit().column("test_accuracy")[-1]
    assert found["dp-transpose"] > level
    assert abs(found["dp-transpose"] - found["backprop"]) <= apart


def test_a_channel_measured_in_process_touches_weights_once_per_place():
    conv = Conv((2, 4, 4), 3, padding=1)
    connection = Connection(np.zeros(conv.shape), op=conv)
    # Along each axis windows see 2 + 3 + 3 + 2 pixels of the image.
    assert conv.forward_operations(np.ones((1, 32))) == 3 * 2 * 10 * 10
    assert operations_of(connection, "c.mean_in", 32) == 3 * 2 * 10 * 10
    assert operations_of(connection, "c.difference_in", 48) == 3 * 2 * 10 * 10
