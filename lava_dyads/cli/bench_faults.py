"""``lava-dyads bench faults``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.experiments.faults import KINDS, FaultStudy, fault_study
from lava_dyads.plots.canvas import check_picture


@dataclass(frozen=True, kw_only=True)
class BenchFaults:
    """Train digits while messages get lost, late, doubled or damaged, and with analog noise.

    Cosine: of the gradient of 64 digits to that of backprop, after one clean epoch. Accuracy:
    trained and tested with the fault. Cost: entries of messages, as a multiple of those of changes
    without faults. Message faults at granularity neuron, clock async.
    """

    layers: Sizes = (32,)
    """Sizes of the hidden layers."""
    kinds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="{" + ",".join(KINDS) + "} ...")] = (
        KINDS
    )
    """Kinds of faults."""
    shares: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Shares of the messages (all: each fault has this share; killed: of the hidden neurons)."""
    noises: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Standard deviations of the analog noise, in units of the activity."""
    betas: tuple[float, ...] = (0.01, 0.1, 1.0)
    """Nudge strengths that the noise is tried with."""
    epochs: int = 3
    """Passes over the training part, at a large learning rate."""
    seeds: int = 1
    """Weights, splits and faults; means are shown."""
    plot: Path | None = None
    """Draw the figures into this file: .png, .pdf, .svg, .jpg or .webp."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Measure; return the exit code."""
        if self.plot:
            check_picture("--plot", self.plot)
        with working() as report:
            study = fault_study(
                hidden=self.layers,
                kinds=self.kinds,
                shares=self.shares,
                noises=self.noises,
                betas=self.betas,
                epochs=self.epochs,
                seeds=self.seeds,
                on_row=report,
            )
        if self.plot:
            from lava_dyads.plots import fault_curves

            fault_curves(study, self.plot)
        if self.json:
            print_json({"bench": "faults", **study.as_dict()})
        else:
            self._print(study)
        return OK

    def _print(self, study: FaultStudy) -> None:
        out = console()
        table = Table(title="faults of messages", title_justify="left")
        for column in ("fault", "share", "message carries", "cosine", "accuracy", "cost"):
            table.add_column(column, justify="right")
        for row in study.faults:
            cost = "-" if row.cost is None else f"{row.cost:.2f}"
            found = (f"{row.cosine:.4f}", _percent(row.accuracy), cost)
            table.add_row(row.fault, f"{row.share:g}", row.coding, *found)
        out.print(table)
        table = Table(title="analog noise on the compartments", title_justify="left")
        for column in ("noise", "beta", "cosine", "accuracy"):
            table.add_column(column, justify="right")
        for noisy in study.noise:
            cells = (f"{noisy.noise:g}", f"{noisy.beta:g}", f"{noisy.cosine:.4f}")
            table.add_row(*cells, _percent(noisy.accuracy))
        out.print(table)
        out.print(f"without faults: {study.clean_accuracy:.4f}")


def _percent(accuracy: float | None) -> str:
    return "diverged" if accuracy is None else f"{accuracy:.4f}"
