"""MNIST, 784-512-512-10, batch 100, Adam: dyads, dyads without silent samples, and backprop.

From the same initial weights in the same order, float32, official test part, final epoch. The
learning rate falls linearly to 0 over the run, for all alike.
"""

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load

CASES = {"backprop": ("backprop", 0.0), "dyads": ("dp-transpose", 0.0),
         "dyads, silent below .02": ("dp-transpose", 0.02)}  # fmt: skip


def run(
    dataset: str = "mnist", seeds: int = 3, epochs: int = 20, rate: float = 1e-3
) -> dict[str, list[list[float]]]:
    """Print a table; return the test accuracy per epoch of every seed by case."""
    data = load(dataset)
    found: dict[str, list[list[float]]] = {case: [] for case in CASES}
    for seed in track(range(seeds), dataset, console=Console(stderr=True), transient=True):
        for case, (rule, skip_error) in CASES.items():
            spec = NetworkSpec((784, 512, 512, 10), rule=rule, seed=seed)
            config = TrainingConfig(
                epochs=epochs,
                batch_size=100,
                learning_rate=rate,
                lr_schedule="linear",
                seed=seed,
                dtype="float32",
                skip_error=skip_error,
                counting=False,
            )
            with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
                found[case].append(trainer.fit().column("test_accuracy"))
    table = Table(
        title=f"{dataset}, 784-512-512-10, {seeds} seeds, {epochs} epochs, Adam {rate:g}, falling"
    )
    for column in ("", "test accuracy, final epoch", "difference to backprop", "per seed"):
        table.add_column(column, justify="right")
    baseline = np.array(found["backprop"])[:, -1]
    for case, curves in found.items():
        last = np.array(curves)[:, -1]
        each = ", ".join(f"{a:.4f}" for a in last)
        table.add_row(case, f"{last.mean():.4f}", f"{np.mean(last - baseline):+.4f}", each)
    Console().print(table)
    return found
