"""metrics.csv: a row per epoch, for spreadsheets."""

from __future__ import annotations

import csv
import io

from lava_dyads.errors import invalid
from lava_dyads.files import write_atomically
from lava_dyads.training.metrics import History
from lava_dyads.training.reporting import Reporter, RunContext


class CsvLog(Reporter):
    """Writes metrics.csv into the run directory, whole after every epoch."""

    def on_begin(self, run: RunContext) -> None:
        """Find the folder."""
        if run.folder is None:
            invalid("log", "csv needs a run directory", None, "out, or no --no-save")
        self._path, self._history = run.folder / "metrics.csv", run.trainer.history
        self._write()

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Write."""
        self._write()

    def _write(self) -> None:
        if self._history.epochs:
            write_atomically(self._path, as_csv(self._history))


def as_csv(history: History) -> str:
    """Return a history as CSV, a row per epoch."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for entry in history.epochs for name in entry))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history.epochs)
    return text.getvalue()
