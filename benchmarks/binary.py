"""Digits: weights of one bit, evaluated as signs, against numbers; 3 seeds."""

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.rules.binary import BINARY, FLOAT


def run(seeds: int = 3, epochs: int = 60) -> dict[str, list[float]]:
    """Print a table; return the final test accuracies by kind of weights."""
    data = load("digits")
    layers = (data.x.shape[1], 256, 128, data.classes)
    found: dict[str, list[float]] = {kind: [] for kind in (FLOAT, *BINARY)}
    cases = [(kind, seed) for kind in found for seed in range(seeds)]
    for kind, seed in track(cases, "digits", console=Console(stderr=True), transient=True):
        spec = NetworkSpec(layers, weight_format=kind, seed=seed)
        config = TrainingConfig(epochs=epochs, seed=seed, counting=False)
        with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
            found[kind].append(trainer.fit().column("test_accuracy")[-1])
    table = Table("weights", "mean", "seeds", title=f"test accuracy on digits, {epochs} epochs")
    for kind, values in found.items():
        table.add_row(kind, f"{np.mean(values):.4f}", " ".join(f"{v:.4f}" for v in values))
    Console().print(table)
    return found
