"""Speed and accuracy of the parties of ``bench training``."""

from __future__ import annotations

import io
from itertools import accumulate
from pathlib import Path

from lava_dyads.experiments.bench_training import Race
from lava_dyads.files import write_atomically


def training_race(race: Race, path: Path) -> None:
    """Draw samples per second, epoch by epoch, and accuracy over training seconds, as PNG.

    Parameters
    ----------
    race : Race
    path : Path
        Written atomically.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for i, party in enumerate(race.parties):
        colour = colormaps["tab10"](i)
        line = "-" if party.name.startswith("dyads") else "--"
        speeds = [race.facts["training_rows"] / s for s in party.seconds]
        epochs = range(1, len(speeds) + 1)
        left.plot(epochs, speeds, line, marker="o", ms=3, color=colour, label=party.name)
        spent = list(accumulate(party.seconds))
        right.plot(spent, party.test_accuracy, line, marker="o", ms=3, color=colour)
    left.set_xlabel("epoch")
    left.set_ylabel("samples per second")
    left.set_ylim(bottom=0)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(frameon=False, fontsize=8)
    right.set_xlabel("seconds of training")
    right.set_ylabel("test accuracy")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    facts = race.facts
    sizes = "-".join(str(n) for n in facts["layers"])
    figure.suptitle(
        f"{facts['dataset']}, hidden {sizes}, batch {facts['batch_size']}, {facts['optimiser']}, "
        f"{facts['threads']} threads",
        fontsize=10,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomically(path, buffer.getvalue())
