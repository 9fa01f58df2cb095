"""Digits without labels: a lifted layer (LRRN) that minimises its energy, against PCA of its size.

Error: sum |x - W^T z|^2 / sum |x|^2 on the test part, z the minimum of the energy. PCA is about the
origin, as the layer is: no linear decoder of that size can be better on the training part.
"""

from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import NetworkSpec, load
from lava_dyads.array_types import Array
from lava_dyads.elements.clock import Clock
from lava_dyads.executors.step import Network
from lava_dyads.networks.lifted_chain import lifted_chain
from lava_dyads.plan.plan import Settings
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.optimisers import Adam

STEPS, LANES = 40, 32


def layer(
    n_in: int, n: int, activation: str, seed: int, lanes: int, weights: Array | None = None
) -> Network:
    """Return a layer that learns, or one with weights that stay."""
    spec = NetworkSpec((n_in, n), rule="lrrn", gain=0.5, seed=seed)
    top = replace(spec.vertices[1], activation=ACTIVATIONS[activation], loss=None)
    initial, biases = spec.initial_parameters()
    return lifted_chain(
        [top],
        initial if weights is None else [weights],
        biases,
        Settings(spec.rule),
        STEPS,
        lanes=lanes,
        optimiser=Adam(0.003) if weights is None else None,
    )


def learnt(x: Array, n: int, activation: str, seed: int, epochs: int) -> Array:
    """Return the weights after a training on x."""
    network, generator = layer(x.shape[1], n, activation, seed, LANES), np.random.default_rng(seed)
    for _ in range(epochs):
        order = generator.permutation(len(x))
        for start in range(0, len(x) - LANES + 1, LANES):
            clock = Clock(1, True, True, True, LANES, batch=LANES)
            network.after(clock, {"input_in": x[order[start : start + LANES]]})
    return network.parameters()[0][0]


def error(x: Array, w: Array, activation: str) -> float:
    """Return the relative reconstruction error."""
    network = layer(x.shape[1], len(w), activation, 0, len(x), w)
    network.settle(x, None, max_steps=400)
    z = network.populations["population_1"].memory["free"]
    return float(np.sum((x - z @ w) ** 2) / np.sum(x**2))


def run(seeds: int = 3, epochs: int = 30) -> dict[str, list[float]]:
    """Print a table; return the errors over the seeds by size and activation."""
    data = load("digits")
    train, test = (data.x[rows] for rows in data.split(0, 0.25))
    directions = np.linalg.svd(train, full_matrices=False)[2]
    found: dict[str, list[float]] = {}
    cases = [(n, f, seed) for n in (8, 16, 32) for f in ("linear", "relu") for seed in range(seeds)]
    for n, f, seed in track(cases, "digits", console=Console(stderr=True), transient=True):
        w = learnt(train, n, f, seed, epochs)
        found.setdefault(f"{n} {f}", []).append(error(test, w, f))
    table = Table("neurons", "PCA", "lifted, linear", "lifted, relu",
                  title="reconstruction error of digits, test part")  # fmt: skip
    for n in (8, 16, 32):
        kept = test @ directions[:n].T @ directions[:n]
        pca = np.sum((test - kept) ** 2) / np.sum(test**2)
        ours = [f"{np.mean(found[f'{n} {f}']):.4f}" for f in ("linear", "relu")]
        table.add_row(str(n), f"{pca:.4f}", *ours)
    Console().print(table)
    return found
