"""``lava-dyads bench rules``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.errors import invalid
from lava_dyads.experiments.bench_rules import ENTRIES, as_json, bench_rules, into, markdown
from lava_dyads.files import check_writable, write_atomically


@dataclass(frozen=True, kw_only=True)
class BenchRules:
    """Train one network by every rule, from the same weights; compare accuracy, time and cost.

    Each rule has the settings that are documented for it (its ``settings``).
    """

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]] = "digits"
    """Data set."""
    layers: Sizes = (128,)
    """Sizes of the hidden layers."""
    rules: Annotated[tuple[str, ...], arg(metavar="{" + ",".join(ENTRIES) + "} ...")] = ()
    """Rules, and weights of one bit; default: all."""
    epochs: int = 20
    """Passes over the training part."""
    batch_size: int = 32
    """Samples per update."""
    seeds: int = 3
    """Of weights, order and split; means are shown."""
    out: Path | None = None
    """Folder of a study: each training is kept there, in processes side by side, and the same
    command goes on where it was interrupted. Default: one after the other, and nothing is kept."""
    workers: int | None = None
    """Trainings of the study at a time; default: as many as cores."""
    table: Path | None = None
    """Write the table as Markdown into this file, in the place of the one that is there."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Train; return the exit code."""
        if self.table:
            check_writable("--table", self.table)
        if self.workers is not None and self.out is None:
            limit = "is of a study, which needs a folder"
            invalid("--workers", limit, self.workers, "--out FOLDER")
        with working() as report:
            found = bench_rules(
                self.dataset,
                self.layers,
                self.rules,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seeds=self.seeds,
                report=report,
                out=self.out,
                workers=self.workers,
            )
        if self.table:
            page = self.table.read_text(encoding="utf-8") if self.table.exists() else ""
            write_atomically(self.table, into(page, markdown(found)))
        if self.json:
            print_json({"bench": "rules", "dataset": self.dataset, "layers": self.layers,
                        "epochs": self.epochs, "seeds": self.seeds,
                        "rules": as_json(found)})  # fmt: skip
            return OK
        listing = Table(title=f"{self.dataset}, mean of {self.seeds} seeds", title_justify="left")
        columns = ("rule", "accuracy", "behind backprop", "events", "operations / dense", "seconds")
        for column in columns:
            rule = column == "rule"
            listing.add_column(column, justify="left" if rule else "right", no_wrap=rule)
        for r in found:
            events = "-" if r.events is None else f"{r.events:,.0f}"
            listing.add_row(r.rule, f"{r.accuracy:.4f}", f"{r.behind * 100:+.2f} %", events,
                            f"{r.operations:.2f}", f"{r.seconds:.1f}")  # fmt: skip
        console().print(listing)
        return OK
