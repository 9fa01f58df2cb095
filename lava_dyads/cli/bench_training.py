"""``lava-dyads bench training``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.choices import Backend
from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.experiments.bench_training import PEERS, BenchmarkConfig, Comparison, bench_training
from lava_dyads.plots.canvas import check_picture


@dataclass(frozen=True, kw_only=True)
class BenchTraining:
    """Compare the fused dyads with backprop in numpy, jitted JAX and PyTorch.

    Same data, order, initial weights, batch and threads; each contender in a process of its own, an
    epoch each in turns. Ratios are the result: seconds depend on the machine and its load.
    """

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]] = "mnist"
    """Data set."""
    layers: Sizes = (512, 512)
    """Sizes of the hidden layers."""
    activation: str = "relu"
    """Activation of the hidden layers, relu or tanh."""
    loss: str = "cross-entropy"
    """Loss of the output."""
    batch_size: int = 100
    """Samples per update."""
    epochs: int = 5
    """Passes over the training part: the whole run."""
    optimiser: str = "adam"
    """adam or sgd."""
    learning_rate: float | None = None
    """Default: 0.001 (adam), 0.1 (sgd)."""
    beta: float = 0.1
    """Nudge strength of the dyads."""
    skip_error: float = 0.02
    """Output error below which the second form of the dyads leaves samples out; 0: no such form."""
    threads: int = 2
    """Cores each contender may use."""
    samples: int | None = None
    """Training rows; default: all."""
    backend: Backend = "numpy"
    """Array library of the dyads."""
    seed: int = 0
    """Of initial weights and orders."""
    peers: Annotated[tuple[str, ...], arg(metavar="{" + ",".join(PEERS) + "} ...")] = PEERS
    """Whom to compare with."""
    jax_python: Path | None = None
    """Interpreter that has jax; default: this one."""
    torch_python: Path | None = None
    """Interpreter that has torch; default: this one."""
    plot: Path | None = None
    """Draw speed and accuracy into this file: .png, .pdf, .svg, .jpg or .webp."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Compare; return the exit code."""
        if self.plot:
            check_picture("--plot", self.plot)
        config = BenchmarkConfig(**{f.name: getattr(self, f.name) for f in fields(BenchmarkConfig)})
        given = {"jax": self.jax_python, "torch": self.torch_python}
        interpreters = {name: str(path) for name, path in given.items() if path}
        with working() as report:
            comparison = bench_training(config, self.peers, interpreters, report)
        if self.plot:
            from lava_dyads.plots.training_comparison import training_comparison

            training_comparison(comparison, self.plot)
        if self.json:
            print_json({"bench": "training", **comparison.as_dict()})
        else:
            self._print(comparison)
        return OK

    def _print(self, comparison: Comparison) -> None:
        out, facts = console(), comparison.facts
        sizes = "-".join(str(n) for n in self.layers)
        title = (
            f"{self.dataset}, hidden {sizes}, batch {self.batch_size}, {self.optimiser}, "
            f"{self.threads} threads, float32, {self.epochs} epochs in turns"
        )
        table = Table(title=title, title_justify="left")
        for column in ("", "samples / s", "test accuracy", "made with"):
            table.add_column(column, justify="left" if column == "made with" else "right")
        for p in comparison.contenders:
            made = ", ".join(part for part in (p.version, p.form) if part)
            accuracy = f"{p.test_accuracy[-1]:.4f}"
            table.add_row(p.name, f"{p.samples_per_second:.0f}", accuracy, made)
        out.print(table)
        table = Table(title="times faster (median over turns): seconds, processors' time",
                      title_justify="left")  # fmt: skip
        peers = list(next(iter(comparison.ratios.values())))
        for column in ("", *peers):
            table.add_column(column, justify="right")
        for name, row in comparison.ratios.items():
            cpu = comparison.cpu_ratios[name]
            table.add_row(name, *(f"{row[peer]:.2f}, {cpu[peer]:.2f}" for peer in peers))
        out.print(table)
        for peer, why in comparison.skipped.items():
            out.print(f"{peer} skipped: {why}")
        blas = ", ".join(str(part) for part in (facts["blas"] or {}).values())
        out.print(f"{facts['cpu']}, load {facts['load_average']:.1f}; numpy's BLAS: {blas}")
        if facts["unset"]:
            out.print(f"unset for every contender: {', '.join(facts['unset'])}")
