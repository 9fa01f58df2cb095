"""Digits: dyads on Lava at both granularities against backprop, 5 splits x 3 seeds.

Splits, initial weights and order of the samples are the same for all three.
"""

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load

CASES = {
    "backprop, numpy": ("backprop", Execution(runtime="reference")),
    "dyads, network, Lava": ("dp-transpose", Execution("network")),
    "dyads, layer, Lava": ("dp-transpose", Execution("layer")),
}


def run(splits: int = 5, seeds: int = 3, epochs: int = 30) -> dict[str, list[float]]:
    """Print a table; return the final test accuracies by case."""
    data = load("digits")
    layers = (data.x.shape[1], 256, 128, data.classes)
    found: dict[str, list[float]] = {case: [] for case in CASES}
    pairs = [(split, seed) for split in range(splits) for seed in range(seeds)]
    for split, seed in track(pairs, "digits", console=Console(stderr=True), transient=True):
        for case, (rule, execution) in CASES.items():
            spec = NetworkSpec(layers, rule=rule, seed=seed)
            config = TrainingConfig(epochs=epochs, split_seed=split, seed=seed)
            with Trainer(spec, data, config, execution) as trainer:
                found[case].append(trainer.fit().column("test_accuracy")[-1])
    table = Table(title=f"test accuracy on digits, {splits} splits x {seeds} seeds")
    for column in ("", "mean", "smallest", "mean difference to backprop"):
        table.add_column(column, justify="right")
    baseline = np.array(found["backprop, numpy"])
    for case, values in found.items():
        difference = np.mean(np.array(values) - baseline)
        table.add_row(case, f"{np.mean(values):.4f}", f"{min(values):.4f}", f"{difference:+.4f}")
    Console().print(table)
    return found
