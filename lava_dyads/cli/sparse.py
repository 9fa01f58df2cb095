"""``lava-dyads sparse``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.array_types import Array
from lava_dyads.choices import GRANULARITIES, Granularity, Precision
from lava_dyads.cli.common import OK, console, print_json, working
from lava_dyads.data import load
from lava_dyads.errors import invalid
from lava_dyads.executors.sparse_code import SparseCoding, curvature
from lava_dyads.experiments.sparse import centred_rows, measure_ways, optimal_codes
from lava_dyads.files import check_writable
from lava_dyads.networks.support import Execution
from lava_dyads.training.dictionary import (
    DictionaryLearning,
    drawn_atoms,
    learn_dictionary,
    reconstruction_error,
)

_LEAST = {
    "atoms": 1,
    "samples": 1,
    "epochs": 0,
    "patch": 0,
    "seed": 0,
    "latency": 0,
    "threshold": 0,
}


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """Code rows of a data set over a dictionary, as Processes, in steps and by messages.

    The dictionary is drawn from the training part, and learnt there if --epochs says so; the codes
    are those of rows of the test part. Gap: by how much the objective |y - D x|^2 / 2 + penalty
    |x|_1 exceeds its optimum, as a share of it. Events are per neuron and sample.
    """

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]] = "digits"
    """Data set, or a file that `train` reads."""
    atoms: int = 64
    """Atoms of the dictionary, a neuron each."""
    patch: int = 0
    """Code patches of so many pixels a side of square images; 0: whole rows."""
    samples: int = 8
    """Rows of the test part to code."""
    penalty: float = 0.1
    """Weight of |x|_1, in units of the data."""
    sign: Literal["both", "positive"] = "both"
    """Of the entries of a code."""
    rate: float | None = None
    """Share of their way that neurons move in an update; default: the largest that is safe."""
    steps: int = 1000
    """Time steps of a presentation."""
    threshold: float = 1e-3
    """Change of a neuron worth an event."""
    latency: float = 1.0
    """Mean time of an asynchronous message; neurons rest for 12 between two updates."""
    epochs: int = 0
    """Passes over the training part to learn the dictionary by."""
    learning_rate: float = 0.01
    """Of Adam, for the dictionary."""
    granularities: Annotated[
        tuple[Granularity, ...], arg(metavar="{" + ",".join(GRANULARITIES) + "} ...")
    ] = GRANULARITIES
    """What is a Process: everything, a population, or a neuron."""
    precision: Precision = "float"
    """Floating point or Loihi 2 integers (in steps only)."""
    seed: int = 0
    """Of atoms, patches and order."""
    out: Path | None = None
    """Write dictionary, data and optimal codes into this file (.npz)."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Code, compare, print; return the exit code."""
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                invalid(f"--{name}", f"must be at least {least}", getattr(self, name), str(least))
        if self.out:
            check_writable("--out", self.out)
        coding = SparseCoding(self.penalty, self.sign, self.rate, steps=self.steps)
        with working() as report:
            dictionary, y, errors = self._dictionary(coding, report)
            rows = measure_ways(
                dictionary, y, coding, self._ways(), threshold=self.threshold,
                latency=self.latency, report=report,
            )  # fmt: skip
        if self.out:
            np.savez(self.out, dictionary=dictionary, y=y,
                     codes=optimal_codes(dictionary, y, coding))  # fmt: skip
        result = {
            "dataset": self.dataset, "atoms": self.atoms, "inputs": len(dictionary),
            "penalty": self.penalty, "sign": self.sign, "threshold": self.threshold,
            "curvature": curvature(dictionary), **errors,
        }  # fmt: skip
        if self.json:
            print_json({"sparse": result, "ways": [asdict(row) for row in rows]})
            return OK
        title = (f"{self.dataset}: {len(y)} rows of {len(dictionary)}, {self.atoms} atoms, "
                 f"|D|^2 = {result['curvature']:.3g}, penalty {self.penalty:g}")  # fmt: skip
        table = Table(title=title, title_justify="left")
        for column in ("way", "rate", "gap", "worst", "active", "events", "ops", "s"):
            table.add_column(column, justify="left" if column == "way" else "right", no_wrap=True)
        for r in rows:
            table.add_row(
                f"{r.granularity} {r.clock}", f"{r.rate:.3f}", f"{r.gap:.1e}", f"{r.worst_gap:.1e}",
                f"{r.active:.0%}", f"{r.events:.1f}", f"{r.operations:,.0f}", f"{r.seconds:.2f}",
            )  # fmt: skip
        console().print(table)
        for what, error in errors.items():
            console().print(f"{what.replace('_', ' ')}: {error:.4f}")
        if self.out:
            console().print(f"written: {self.out}")
        return OK

    def _ways(self) -> list[Execution]:
        """Return the combinations that there are."""
        ways = [Execution(g, "sync", self.precision, "in-process") for g in self.granularities]
        if self.precision == "float":
            ways += [Execution(g, "async", runtime="in-process") for g in self.granularities
                     if g != "network"]  # fmt: skip
        return ways

    def _dictionary(
        self, coding: SparseCoding, report: Callable[[str], None]
    ) -> tuple[Array, Array, dict[str, float]]:
        """Return the dictionary, rows to code, and errors of reconstruction where it was learnt."""
        data = load(self.dataset)
        train, test = data.split(self.seed)
        x = data.preparation.learnt(data.x[train])(data.x)
        rows = centred_rows(x[train], self.patch, 4 * len(train) if self.patch else 0, self.seed)
        others = centred_rows(x[test], self.patch, 0, self.seed + 1)
        y = others[: self.samples]
        begin = drawn_atoms(rows, self.atoms, self.seed)
        if not self.epochs:
            return begin, y, {}
        learning = DictionaryLearning(self.epochs, min(64, len(rows)), self.learning_rate,
                                      seed=self.seed)  # fmt: skip
        learnt = learn_dictionary(
            rows, self.atoms, coding, learning, dictionary=begin,
            report=lambda epoch, error: report(f"epoch {epoch}: error {error:.4f}"),
        )  # fmt: skip
        errors = {
            "reconstruction_error_before": reconstruction_error(begin, others, coding),
            "reconstruction_error_learnt": reconstruction_error(learnt, others, coding),
        }
        return learnt, y, errors
