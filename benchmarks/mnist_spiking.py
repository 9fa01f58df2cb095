"""MNIST learnt from counts of spikes alone, beside backprop with the same settings.

784-512-10, 32 steps per sample, official test part, accuracy after the last epoch; settings chosen
on a held-out sixth of the training part (docs/spiking.md).
"""

from rich.console import Console
from rich.table import Table

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load


def run(epochs: int = 15, seed: int = 0, rules: tuple[str, ...] = ("backprop", "spiking")) -> None:
    """Print accuracy, spikes and operations (some five minutes)."""
    data = load("mnist")
    table = Table(title=f"MNIST, 784-512-10, {epochs} epochs, batch 100, Adam 0.002 falling to 0")
    for column in ("", "test accuracy", "spikes", "events", "operations", "of dense backprop"):
        table.add_column(column, justify="right")
    for rule in rules:
        options = {"beta": 3.0} if rule == "spiking" else {"loss": "squared-error"}
        spec = NetworkSpec((784, 512, 10), rule=rule, seed=seed, bias_deviation=0.05, **options)
        config = TrainingConfig(
            epochs=epochs,
            batch_size=100,
            learning_rate=0.002,
            lr_schedule="linear",
            weight_decay=0.2,
            dtype="float32",
            seed=seed,
        )
        with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
            accuracy = trainer.fit().column("test_accuracy")[-1]
            cost = trainer.cost()
        counts = [f"{n:.0f}" if n else "-" for n in (cost.spikes, cost.events, cost.operations)]
        share = f"{cost.operations / cost.dense:.3f}" if cost.operations else "1"
        table.add_row(rule, f"{accuracy:.4f}", *counts, share)
    Console().print(table)
