"""Progress for people: a bar where somebody watches, a line per epoch elsewhere."""

from __future__ import annotations

import html
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lava_dyads.training.metrics import SCORES
from lava_dyads.training.reporting import Reporter, RunContext, RunResult

REDRAW_SECONDS = 0.2
"""Time between two drawings of a notebook's bar."""


def score_of(entry: Mapping[str, float]) -> tuple[str, float]:
    """Return name and value of the score of the test part, or the training part if there is none.

    Examples
    --------
    >>> score_of({"epoch": 1, "test_loss": 0.3, "test_accuracy": 0.9})
    ('test accuracy', 0.9)
    """
    there = [f"{part}_{name}" for part in ("test", "train") for name in SCORES]
    name = next((name for name in there if name in entry), "train_loss")
    return name.replace("_", " "), entry[name]


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
            TextColumn("{task.fields[score]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True)

    def on_begin(self, run: RunContext) -> None:
        """Draw the empty bar."""
        self._epochs = run.epochs
        total = run.epochs * run.samples
        self._task = self._bar.add_task("", total=total, epoch=1, score="-")
        if self._console.is_terminal:
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
        name, value = score_of(entry)
        self._bar.update(self._task, epoch=epoch, score=f"{name} {value:.4f}")

    def on_end(self, result: RunResult | None) -> None:
        """Take it away."""
        self._bar.stop()


class EpochLines(Reporter):
    """A line per epoch, for a file that somebody reads later.

    Parameters
    ----------
    write : callable
        Takes a line without its end.
    notes : bool
        Whether it takes notes, too.
    """

    def __init__(self, write: Callable[[str], object], notes: bool = True) -> None:
        self._write, self._notes, self._epochs = write, notes, 0

    def on_begin(self, run: RunContext) -> None:
        """Keep the number of epochs."""
        self._epochs = run.epochs

    def on_note(self, text: str) -> None:
        """Write the note."""
        if self._notes:
            self._write(text)

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Write loss, score and seconds."""
        name, value = score_of(entry)
        rest = f"train loss {entry['train_loss']:.4g}, {name} {value:.4f}"
        self._write(f"epoch {entry['epoch']}/{self._epochs}: {rest}, "
                    f"{entry['train_seconds']:.1f} s")  # fmt: skip


class NotebookBar(Reporter):
    """A bar in a notebook, drawn by the browser: it needs nothing but IPython."""

    def on_begin(self, run: RunContext) -> None:
        """Draw the empty bar."""
        shown: Any = importlib.import_module("IPython.display")
        self._html = shown.HTML
        self._epochs, self._notes, self._score = run.epochs, list(getattr(self, "_notes", [])), ""
        self._drawn, self._epoch = 0.0, 1
        self._shown = shown.display(self._html(self._text(0, 1)), display_id=True)

    def on_note(self, text: str) -> None:
        """Put the line under the bar, for good."""
        self._notes = [*getattr(self, "_notes", []), text]

    def on_progress(self, done: int, total: int) -> None:
        """Let it grow, some times a second."""
        if time.monotonic() - self._drawn > REDRAW_SECONDS or done == total:
            self._drawn = time.monotonic()
            self._shown.update(self._html(self._text(done, total)))

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Show the score."""
        name, value = score_of(entry)
        self._epoch, self._score = int(entry["epoch"]), f", {name} {value:.4f}"

    def on_end(self, result: RunResult | None) -> None:
        """Leave the last word."""
        if result and hasattr(self, "_shown"):
            self._shown.update(self._html(self._text(1, 1)))

    def _text(self, done: int, total: int) -> str:
        bar = f'<progress value="{done}" max="{total}" style="width: 20em"></progress>'
        notes = "".join(f"<br>{html.escape(note)}" for note in self._notes)
        return f"{bar} epoch {self._epoch}/{self._epochs}{html.escape(self._score)}{notes}"


def in_notebook() -> bool:
    """Tell whether a notebook shows what this program displays."""
    if "IPython" not in sys.modules:
        return False
    shell: Any = importlib.import_module("IPython").get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def watched() -> list[Reporter]:
    """Return a bar where somebody watches, in a notebook or at a terminal; else nothing."""
    if in_notebook():
        return [NotebookBar()]
    return [ProgressBar()] if sys.stderr is not None and sys.stderr.isatty() else []
