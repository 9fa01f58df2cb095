"""Progress for people: a bar where somebody watches, a line per epoch elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lava_dyads.training.metrics import SCORES
from lava_dyads.training.reporting import Reporter, RunContext, RunResult


class ProgressBar(Reporter):
    """A bar over all samples of a run, with the score so far.

    Parameters
    ----------
    console : rich.console.Console or None
        Where it is drawn; None: on standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False, emoji=False)
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("test {task.fields[score]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True)

    def on_begin(self, run: RunContext) -> None:
        """Draw the empty bar."""
        self._epochs = run.epochs
        self._task = self._bar.add_task("", total=run.epochs * run.samples, epoch=1, score="-")
        self._bar.start()

    def on_note(self, text: str) -> None:
        """Print the line above the bar."""
        word, colon, rest = text.partition(": ")
        line = Text.assemble((word, "bold"), colon, rest) if word == "note" else Text(text)
        self._console.print(line, soft_wrap=True)

    def on_progress(self, done: int, total: int) -> None:
        """Let it grow."""
        self._bar.update(self._task, completed=done)

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Show the score."""
        epoch = min(self._epochs, int(entry["epoch"]) + 1)
        name = next(name for name in SCORES if f"test_{name}" in entry)
        score = f"{name} {entry[f'test_{name}']:.4f}"
        self._bar.update(self._task, epoch=epoch, score=score)

    def on_end(self, result: RunResult | None) -> None:
        """Take it away."""
        self._bar.stop()
