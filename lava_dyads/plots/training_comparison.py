"""Speed and accuracy of the contenders of ``bench training``."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from lava_dyads.experiments.bench_training import Comparison
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished, verbatim

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_comparison(comparison: Comparison, path: AnyPath | None = None) -> Figure:
    """Draw samples per second, epoch by epoch, and accuracy over training seconds.

    Parameters
    ----------
    comparison : Comparison
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.
    """
    figure = canvas(10, 4)
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    left, right = figure.subplots(1, 2)
    for i, contender in enumerate(comparison.contenders):
        colour = colormaps["tab10"](i)
        line = "-" if contender.name.startswith("dyads") else "--"
        speeds = [comparison.facts["training_rows"] / s for s in contender.seconds]
        epochs = range(1, len(speeds) + 1)
        left.plot(epochs, speeds, line, marker="o", ms=3, color=colour, label=contender.name)
        spent = list(accumulate(contender.seconds))
        right.plot(spent, contender.test_accuracy, line, marker="o", ms=3, color=colour)
    left.set_xlabel("epoch")
    left.set_ylabel("samples per second")
    left.set_ylim(bottom=0)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(frameon=False, fontsize=8)
    right.set_xlabel("seconds of training")
    right.set_ylabel("test accuracy")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    facts = comparison.facts
    sizes = "-".join(str(n) for n in facts["layers"])
    figure.suptitle(
        f"{verbatim(facts['dataset'])}, hidden {sizes}, batch {facts['batch_size']}, "
        f"{facts['optimiser']}, {facts['threads']} threads",
        fontsize=10,
    )
    return finished(figure, path)
