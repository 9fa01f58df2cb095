"""The learning curve of a run."""

from __future__ import annotations

from pathlib import Path

from lava_dyads.plots.canvas import canvas, save
from lava_dyads.training import History


def learning_curve(history: History, title: str, path: Path) -> None:
    """Draw loss and accuracy over the epochs, training and test, into a PNG file.

    Parameters
    ----------
    history : History
    title : str
    path : Path
        Written atomically.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = history.column("epoch")
    figure = canvas(8, 3.6)
    left, right = figure.subplots(1, 2)
    for axes, name, label in ((left, "loss", "loss"), (right, "accuracy", "accuracy")):
        for part, colour in (("train", "#0b5fa5"), ("test", "#d1495b")):
            values = history.column(f"{part}_{name}")
            axes.plot(epochs, values, "o-", color=colour, markersize=3, label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    left.set_yscale("log")
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    figure.suptitle(title, fontsize=10)
    save(figure, path)
