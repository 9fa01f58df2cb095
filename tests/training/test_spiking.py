"""Learning from counts of spikes alone: every update is a product of two counts at a synapse."""

import numpy as np
import pytest

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.networks import Execution
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.losses import LOSSES

DIGITS = load("digits")
LAYERS = (64, 32, 10)


def trained(rule, seed, epochs=5, **options):
    spec = NetworkSpec(LAYERS, rule=rule, loss="squared-error", seed=seed, **options)
    config = TrainingConfig(
        epochs=epochs, batch_size=10, learning_rate=0.005, seed=seed, split_seed=seed
    )
    with Trainer(spec, DIGITS, config, Execution(runtime="reference")) as trainer:
        return trainer.fit().epochs[-1], trainer


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("seeds", "epochs", "apart"), [(1, 3, 0.02), pytest.param(3, 5, 0.01, marks=pytest.mark.slow)]
)
def test_counts_over_32_steps_train_digits_within_a_percent_or_two_of_backprop(
    seeds, epochs, apart
):
    ours, theirs, spikes = [], [], []
    for seed in range(seeds):
        last, _ = trained("spiking", seed, epochs, window=32)
        ours.append(last["test_accuracy"])
        spikes.append(last["train_spikes"])
        theirs.append(trained("backprop", seed, epochs)[0]["test_accuracy"])
    assert np.mean(theirs) > 0.93
    assert np.mean(ours) >= np.mean(theirs) - apart
    assert max(spikes) < 600  # of 84 compartments in 32 steps: most are silent at most times


def test_the_weight_change_is_the_product_of_the_counts_that_met_at_the_synapse():
    spec = NetworkSpec(LAYERS, rule="spiking", window=32)
    config = TrainingConfig(batch_size=4, optimiser="sgd", learning_rate=0.5)
    with Trainer(spec, DIGITS, config, Execution(runtime="reference")) as trainer:
        rows = trainer.train_rows[:4]
        before = trainer.parameters()
        trainer.run(rows, 1)
        after = trainer.parameters()
        layers = [p.memory for p in trainer.network.populations.values()]
        plus, minus = ([m[name] for m in layers] for name in ("s_plus", "s_minus"))
    below = [DIGITS.x[rows], (plus[0] + minus[0]) / 2]
    for k in range(2):
        gradient = -(plus[k] - minus[k]).T @ below[k] / 4  # beta is 1
        assert np.any(gradient)
        np.testing.assert_allclose(after[0][k], before[0][k] - 0.5 * gradient, atol=1e-14)
        gradient = -(plus[k] - minus[k]).mean(axis=0)
        np.testing.assert_allclose(after[1][k], before[1][k] - 0.5 * gradient, atol=1e-14)


@pytest.mark.parametrize("window", [256, 4096])
def test_the_update_goes_down_the_gradient_of_backprop(window):
    """The cosine to backprop grows with the window; what remains are dyads that straddle."""
    spec = NetworkSpec(LAYERS, rule="spiking", window=window, beta=0.25, scale=0.25)
    network = spec.build(lanes=50)
    from lava_dyads.elements.clock import Clock

    x, y = DIGITS.x[:50], DIGITS.one_hot[:50]
    network.after(Clock(1, True, True, True, 50), {"input_in": x, "target_in": y})
    weights, biases = network.parameters()
    oracle = backpropagate(x, y, weights, biases, [ACTIVATIONS["relu"]], LOSSES["squared-error"])
    ours, exact = (
        np.concatenate([p.ravel() for part in g.gradients() for p in part])
        for g in (network, oracle)
    )
    cosine = ours @ exact / np.linalg.norm(ours) / np.linalg.norm(exact)
    assert cosine > {256: 0.9, 4096: 0.99}[window]


@pytest.mark.lava
def test_every_granularity_and_runtime_learns_the_same_weights_and_counts_the_same():
    """The short cut of a whole presentation, fused or not, against layers and neurons in steps."""
    spec = NetworkSpec((64, 12, 10), rule="spiking", seed=1)  # 12 spikes for 1: sums are rounded
    # 43 samples, 5 side by side: in the last presentation two lanes are idle.
    config = TrainingConfig(batch_size=10, lanes=5, learning_rate=0.01)
    found = []
    places = ["network reference", "network in-process", "layer in-process", "neuron in-process"]
    for granularity, runtime in map(str.split, places):
        with Trainer(spec, DIGITS, config, Execution(granularity, runtime=runtime)) as trainer:
            metrics = trainer.run(trainer.train_rows[:43], 1)
            counted = metrics.events, metrics.operations, metrics.spikes, metrics.loss
            found.append(([*trainer.parameters()[0], *trainer.parameters()[1]], counted))
    for parameters, counted in found[1:]:
        assert counted == found[0][1]
        for ours, theirs in zip(parameters, found[0][0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert np.abs(found[0][0][0] - spec.initial_parameters()[0][0]).max() > 0.01
