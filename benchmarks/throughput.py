"""Training throughput on digits as a ratio to numpy backprop, in alternating runs."""

from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.accuracy import CASES
from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load


def run(rounds: int = 5, epochs: int = 5) -> None:
    """Print samples per second and the median ratio to backprop of the same round."""
    data = load("digits")
    layers = (data.x.shape[1], 256, 128, data.classes)
    speeds: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case, (rule, execution) in CASES.items():
            spec, config = NetworkSpec(layers, rule=rule), TrainingConfig(epochs=epochs)
            with Trainer(spec, data, config, execution) as trainer:
                trainer.fit()
            speeds[case].append(epochs * len(trainer.train_rows) / trainer.train_seconds)
    table = Table(title=f"training digits, {rounds} alternating runs of {epochs} epochs")
    for column in ("", "samples / s (median)", "ratio to backprop (median)"):
        table.add_column(column, justify="right")
    for case, values in speeds.items():
        ratios = [v / b for v, b in zip(values, speeds["backprop, numpy"], strict=True)]
        table.add_row(case, f"{median(values):.0f}", f"{median(ratios):.3f}")
    Console().print(table)
