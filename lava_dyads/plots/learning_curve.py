"""The learning curve of a run."""

from __future__ import annotations

from lava_dyads.checks import checked
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, save, verbatim
from lava_dyads.training import History


@checked
def learning_curve(history: History, title: str, path: AnyPath) -> None:
    """Draw loss and accuracy over the epochs, training and test, into a file.

    Parameters
    ----------
    history : History
    title : str
    path : str or path
        Written atomically.
    """
    figure = canvas(8, 3.6)
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = history.column("epoch")
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
    figure.suptitle(verbatim(title), fontsize=10)
    save(figure, path)
