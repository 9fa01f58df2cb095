"""``lava-dyads bench events``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.experiments.bench_events import EventBench, bench_events
from lava_dyads.plots.canvas import check_picture


@dataclass(frozen=True, kw_only=True)
class BenchEvents:
    """Train with thresholds and silent samples; count synaptic operations against backprop's."""

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]] = "mnist"
    """Data set."""
    layers: Sizes = (512, 512)
    """Sizes of the hidden layers."""
    thresholds: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5)
    """What a mean has to exceed to be sent; with 0."""
    skip_errors: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3)
    """Output error that a sample has to exceed to send any error at all; with 0."""
    error_threshold: float = 0.0
    """What a difference has to exceed to be sent, in units of beta."""
    epochs: int = 5
    """Passes over the training part, all of them counted."""
    batch_size: int = 100
    """Samples per update."""
    beta: float = 0.1
    """Nudge strength."""
    lr_schedule: Literal["constant", "linear"] = "linear"
    """Course of the learning rate over all epochs, in all runs; linear: it falls to 0."""
    seeds: int = 1
    """Of initial weights and orders; means are shown."""
    plot: Path | None = None
    """Draw accuracy against operations into this file: .png, .pdf, .svg, .jpg or .webp."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Train; return the exit code."""
        if self.plot:
            check_picture("--plot", self.plot)
        with working() as report:
            found = bench_events(
                self.dataset,
                self.layers,
                self.thresholds,
                self.skip_errors,
                self.error_threshold,
                self.epochs,
                self.batch_size,
                self.beta,
                self.lr_schedule,
                self.seeds,
                report,
            )
        if self.plot:
            from lava_dyads.plots.event_costs import event_costs

            event_costs(found, self.plot)
        if self.json:
            best = found.cheapest()
            print_json({"bench": "events", **found.as_dict(), "cheapest_within_.003": vars(best)})
        else:
            self._print(found)
        return OK

    def _print(self, found: EventBench) -> None:
        sizes = "-".join(str(n) for n in found.facts["layers"])
        title = f"{self.dataset}, {sizes}, {self.epochs} epochs: synaptic operations per sample"
        table = Table(title=title, title_justify="left")
        for column in ("threshold", "skipped error", "accuracy", "operations", "of dense backprop",
                       "of zero-skipping"):  # fmt: skip
            table.add_column(column, justify="right")
        best = found.cheapest()
        for s in found.settings:
            shares = (f"{s.vs_dense:.3f}", f"{s.vs_zero_skipping:.3f}")
            cells = (f"{s.threshold:g}", f"{s.skip_error:g}", f"{s.test_accuracy:.4f}")
            table.add_row(*cells, f"{s.operations:,.0f}", *shares, style="bold" * (s is best))
        console().print(table)
        console().print(
            f"dense backprop {found.dense:,}, zero-skipping {found.zero_skipping:,.0f}; "
            "bold: fewest operations within .3 % of the dense run's accuracy"
        )
