"""The learning curve of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_dyads.checks import checked
from lava_dyads.files import AnyPath
from lava_dyads.options import label
from lava_dyads.plots.canvas import canvas, finished, verbatim
from lava_dyads.training import History, RunDirectory
from lava_dyads.training.reporting import Reporter, RunContext, RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"train": "#0b5fa5", "validation": "#2a9d8f", "test": "#d1495b"}
"""Of the parts of the data."""


@checked
def learning_curve(history: History, title: str = "", path: AnyPath | None = None) -> Figure:
    """Draw loss and accuracy (of values R2) over the epochs, of all parts that were measured.

    Parameters
    ----------
    history : History
    title : str
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = canvas(8, 3.6)
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    score, epochs = history.score, history.column("epoch")
    left, right = figure.subplots(1, 2)
    for axes, name, words in ((left, "loss", "loss"), (right, score, score)):
        for part, colour in COLOURS.items():
            if f"{part}_{name}" in history.epochs[0]:
                values = history.column(f"{part}_{name}")
                axes.plot(epochs, values, "o-", color=colour, markersize=3, label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel(words)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    left.set_yscale("log")
    if score == "accuracy":
        right.yaxis.set_major_formatter(PercentFormatter(1.0))
    if title:
        figure.suptitle(verbatim(title), fontsize=10)
    return finished(figure, path)


class LearningCurve(Reporter):
    """Draws the curve of a run into its folder, when it ends."""

    def on_begin(self, run: RunContext) -> None:
        """Keep the title."""
        self._title = f"{run.dataset}: {label(run.trainer.spec.rule)}"

    def on_end(self, result: RunResult | None) -> None:
        """Draw."""
        if result and result.folder:
            with RunDirectory(result.folder, overwrite=True).writing():
                learning_curve(result.history, self._title, result.folder / "learning_curve.png")
