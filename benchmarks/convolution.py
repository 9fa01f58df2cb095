"""Convolution and max pooling: gradient of a batch of images at initialisation, and accuracy.

Dyads against backprop from the same initial weights, in the same order. Two convolutions of 3 x 3
or 5 x 5 pixels, each followed by a maximum over 2 x 2 and relu, and a dense output.
"""

import time
from itertools import product

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.experiments.gradient import flat
from lava_dyads.networks import Graph, Node

RULES = ("backprop", "dp-transpose")


def graph(side: int, channels: int, kernel: int) -> Graph:
    """Return the network for images of side x side pixels."""
    conv = {"kernel": kernel, "padding": kernel // 2}
    return Graph([
        Node("image", "input", shape=(1, side, side)),
        Node("edges", "conv", "image", channels=channels, **conv),
        Node("pooled", "max-pool", "edges", activation="relu"),
        Node("parts", "conv", "pooled", channels=2 * channels, **conv),
        Node("few", "max-pool", "parts", activation="relu"),
        Node("class", "dense", "few", size=10),
    ])  # fmt: skip


def run() -> None:
    """Print the tables for digits."""
    gradients(Console())
    accuracy("digits", graph(8, 16, 3), splits=5, seeds=2, epochs=30)


def gradients(console: Console, seeds: int = 10, samples: int = 100) -> None:
    """Print cosines to backprop, the smallest over the seeds."""
    data = load("digits")
    table = Table(title=f"cosine to backprop, {samples} digits, smallest of {seeds} seeds")
    for column in ("biases", "beta", "alpha", "weights", "biases ", "whole", "straddling"):
        table.add_column(column, justify="right")
    for deviation, beta, alpha in product((0.05, 0.0), (0.01, 0.1), (0.0, 1.0)):
        rows = []
        for seed in range(seeds):
            spec = NetworkSpec(
                graph=graph(8, 8, 3), alpha=alpha, beta=beta, bias_deviation=deviation, seed=seed
            )
            chosen = np.random.default_rng(seed).permutation(len(data.x))[:samples]
            x, y = data.x[chosen], np.eye(10)[data.labels[chosen]]
            network = spec.build(lanes=samples)
            if not network.settle(x, y).converged:
                raise ArithmeticError(f"seed {seed} has not settled")
            ours = network.gradients()
            exact = spec.backpropagate(x, y, *spec.initial_parameters()).gradients()
            each = [_cosine(a, b) for k in (0, 1) for a, b in zip(ours[k], exact[k], strict=True)]
            hidden = list(network.populations.values())[:-1]
            crossed = [p.unit.straddling(p.state).ravel() for p in hidden]
            rows.append([*each, _cosine(flat(*ours), flat(*exact)), np.concatenate(crossed).mean()])
        least, mean = np.min(rows, axis=0), np.mean(rows, axis=0)
        weights, biases = (", ".join(f"{c:.4f}" for c in least[i : i + 3]) for i in (0, 3))
        setting = f"{deviation:g}", f"{beta:g}", f"{alpha:g}"
        table.add_row(*setting, weights, biases, f"{least[6]:.5f}", f"{mean[7]:.2%}")
    console.print(table)


def accuracy(
    dataset: str, chosen: Graph, splits: int, seeds: int, epochs: int, batch_size: int = 32
) -> dict[str, list[float]]:
    """Print a table; return the final test accuracies by rule."""
    data = load(dataset)
    found: dict[str, list[float]] = {rule: [] for rule in RULES}
    seconds = dict.fromkeys(RULES, 0.0)
    pairs = list(product(range(splits), range(seeds), RULES))
    for split, seed, rule in track(pairs, dataset, console=Console(stderr=True), transient=True):
        spec = NetworkSpec(graph=chosen, rule=rule, bias_deviation=0.05, seed=seed)
        config = TrainingConfig(
            epochs=epochs,
            batch_size=batch_size,
            split_seed=split,
            seed=seed,
            dtype="float32",
            counting=False,
        )
        with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
            begun = time.process_time()
            found[rule].append(trainer.fit().column("test_accuracy")[-1])
            seconds[rule] += (time.process_time() - begun) / (epochs * splits * seeds)
    title = f"{dataset}, {splits} splits x {seeds} seeds, {epochs} epochs, Adam, float32"
    table = Table(title=title)
    for column in (
        "",
        "test accuracy",
        "smallest",
        "difference to backprop",
        "processor seconds per epoch",
    ):
        table.add_column(column, justify="right")
    baseline = np.array(found["backprop"])
    for rule, values in found.items():
        difference = np.array(values) - baseline
        table.add_row(
            rule,
            f"{np.mean(values):.4f}",
            f"{min(values):.4f}",
            f"{difference.mean():+.4f} (each within {np.abs(difference).max():.4f})",
            f"{seconds[rule]:.2f}",
        )
    Console().print(table)
    return found


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.ravel() @ b.ravel() / (np.linalg.norm(a) * np.linalg.norm(b)))
