"""Digits, learned one sample at a time by stock Lava Processes and Lava's own learning engine.

64-128-10, the network's stratified split; tested by the same Processes without learning.
"""

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import NetworkSpec, TrainingConfig, load
from lava_dyads.loihi.stock import FEEDBACK, StockDyads, StockNumbers

SHIFTS = {"mirrored": (9, 9, 9, 10, 10, 11, 11), "random": (10, 10, 10, 10, 10, 11, 11)}
"""Of the learning rule 2^-shift x1 (y1 - y2), epoch by epoch."""


def run(seeds: int = 3) -> None:
    """Print accuracy after the last epoch (some ten minutes)."""
    data = load("digits")
    console = Console()
    table = Table("feedback", "seed", "test accuracy", title="64-128-10, batch 1, stock Lava alone")
    for feedback in FEEDBACK:
        for seed in range(seeds):
            config = TrainingConfig(seed=seed)
            train, test = data.split(config.split_seed, config.test_share)
            generator = np.random.default_rng(seed)
            spec = NetworkSpec((64, 128, 10), seed=seed)
            weights, biases = spec.initial_parameters()
            options = {"feedback": feedback, "seed": seed}
            for shift in track(SHIFTS[feedback], f"{feedback}, seed {seed}", console=console):
                with StockDyads(weights, biases, StockNumbers(shift=shift), **options) as network:
                    for i in generator.permutation(train):
                        network.present(data.x[i], data.targets[i])
                    weights, biases = network.parameters()
            with StockDyads(weights, biases, learn=False) as network:
                made = [np.argmax(network.present(data.x[i])) for i in test]
            table.add_row(feedback, str(seed), f"{np.mean(made == data.labels[test]):.4f}")
    console.print(table)
