"""Does the order of messages matter? Asynchronous trainings on digits with other latencies each.

64-32-10 at granularity layer, relu, cross-entropy, three epochs of Adam at .01; the runs of a row
differ in nothing but the seed of the exponential latencies. Spread: the largest difference of a
weight between two of the runs, relative to the largest change of a weight in the training. The last
column is the same training in steps.
"""

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, Transport, load
from lava_dyads.array_types import Array

ASYNC = Execution("layer", "async", runtime="in-process")
SYNC = Execution("network", "sync", runtime="reference")


Case = tuple[float, float | None]
"""Threshold of means, and of errors where it is another one."""

CASES: tuple[Case, ...] = ((0, None), (0.01, None), (0.1, None), (0.1, 0), (0.3, 0))


def trained(case: Case, seed: int | None, epochs: int) -> tuple[list[Array], float, float]:
    """Return the changes of the weights, the test accuracy and the events of a sample.

    ``seed``: of the latencies; None: in steps.
    """
    threshold, error_threshold = case
    spec = NetworkSpec((64, 32, 10), threshold=threshold, error_threshold=error_threshold)
    config = TrainingConfig(epochs=epochs, optimiser="adam", learning_rate=0.01)
    execution, transport = (SYNC, None) if seed is None else (ASYNC, Transport(seed=seed))
    with Trainer(spec, load("digits"), config, execution, transport=transport) as trainer:
        start = [w.copy() for w in trainer.parameters()[0]]
        trainer.fit()
        change = [w - was for w, was in zip(trainer.parameters()[0], start, strict=True)]
        last = trainer.history.epochs[-1]
        return change, last["test_accuracy"], last["train_events"]


def spread(runs: list[list[Array]]) -> float:
    """Return the largest difference of a weight between two runs by the largest change."""
    layers = [np.stack(layer) for layer in zip(*runs, strict=True)]
    return float(
        max(np.ptp(layer, axis=0).max() for layer in layers)
        / max(np.abs(layer).max() for layer in layers)
    )


def run(seeds: int = 5, epochs: int = 3) -> dict[Case, float]:
    """Print a table; return the spread of the weights by thresholds."""
    found: dict[Case, float] = {}
    table = Table("threshold", "of errors", "spread", "test accuracy", "in steps", "events",
                  title=f"digits, {seeds} runs with other latencies each")  # fmt: skip
    for case in track(CASES, "digits", console=Console(stderr=True), transient=True):
        runs = [trained(case, seed, epochs) for seed in range(seeds)]
        found[case] = spread([change for change, _, _ in runs])
        accuracies = [accuracy for _, accuracy, _ in runs]
        threshold, error_threshold = case
        of_errors = threshold if error_threshold is None else error_threshold
        table.add_row(
            f"{threshold:g}",
            f"{of_errors:g}",
            f"{found[case]:.2g}",
            f"{min(accuracies):.3f} to {max(accuracies):.3f}",
            f"{trained(case, None, epochs)[1]:.3f}",
            f"{np.mean([events for _, _, events in runs]):.0f}",
        )
    Console().print(table)
    return found
