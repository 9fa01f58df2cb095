"""MNIST learnt from counts of spikes alone, beside backprop with the same settings.

784-256-10, 32 steps per sample, official test part, accuracy after the last epoch.
"""

from rich.console import Console
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load


def run(epochs: int = 12) -> None:
    """Print accuracy, spikes and operations (some ten minutes)."""
    data = load("mnist")
    table = Table(title=f"MNIST, 784-256-10, {epochs} epochs, batch 100, Adam 0.001")
    for column in ("", "test accuracy", "spikes", "events", "operations", "of dense backprop"):
        table.add_column(column, justify="right")
    for rule in ("backprop", "spiking"):
        spec = NetworkSpec((784, 256, 10), rule=rule, loss="squared-error", bias_deviation=0.05)
        config = TrainingConfig(epochs=epochs, batch_size=100)
        with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
            accuracy = trainer.fit().column("test_accuracy")[-1]
            cost = trainer.cost()
        counts = [f"{n:.0f}" if n else "-" for n in (cost.spikes, cost.events, cost.operations)]
        table.add_row(rule, f"{accuracy:.4f}", *counts, f"{cost.operations / cost.dense:.3f}")
    Console().print(table)
