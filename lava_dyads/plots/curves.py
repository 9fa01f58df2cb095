"""Learning curves of several runs; runs that differ in their seeds alone are one band."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished, verbatim
from lava_dyads.training import History
from lava_dyads.training.listing import PLACE, RunRecord
from lava_dyads.training.loggers.common import flat

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS = ("spec.seed", "training.seed", "training.split_seed")
"""Settings in which the runs of a band may differ."""


def learning_curves(
    runs: Sequence[RunRecord | AnyPath], metrics: Sequence[str] = (), path: AnyPath | None = None
) -> Figure:
    """Draw metrics of several runs over the epochs: of runs with other seeds mean and deviation.

    Parameters
    ----------
    runs : sequence of RunRecord, str or path
    metrics : sequence of str
        Of the epochs, a panel each; empty: loss and score of the test part.
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValidationError
        If there are no runs, one has no epochs, or there is no such metric.
    """
    records = [run if isinstance(run, RunRecord) else RunRecord.read(run) for run in runs]
    if not records:
        invalid("learning_curves", "needs a run", list(runs), "a run directory")
    for record in records:
        if not record.epochs:
            invalid("learning_curves", "has no epoch yet", str(record.folder), "another run")
    histories = [History(record.epochs) for record in records]
    chosen = metrics or ("test_loss", f"test_{histories[0].score}")
    groups = _groups(records)
    figure = canvas(4.2 * len(chosen), 3.8)
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    panels = figure.subplots(1, len(chosen), squeeze=False)[0]
    for axes, metric in zip(panels, chosen, strict=True):
        for i, (name, members) in enumerate(groups.items()):
            colour = colormaps["tab10"](i % 10)
            columns = [histories[k].column(metric) for k in members]
            shortest = min(map(len, columns))
            values = np.array([column[:shortest] for column in columns])
            epochs, mean = np.arange(1, shortest + 1), values.mean(axis=0)
            many = f" ({len(members)} runs)" if len(members) > 1 else ""
            axes.plot(epochs, mean, color=colour, label=f"{verbatim(name)}{many}")
            if len(members) > 1:
                spread = values.std(axis=0, ddof=1)
                axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2,
                                  linewidth=0)  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric.replace("_", " "))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=8)
    return finished(figure, path)


def _groups(records: Sequence[RunRecord]) -> dict[str, list[int]]:
    """Return the numbers of the runs of each band, by what sets it apart or the run's name."""
    settings = [flat({k: v for k, v in r.config.items() if k not in PLACE}) for r in records]
    keys = [json.dumps({k: v for k, v in s.items() if k not in SEEDS}, sort_keys=True)
            for s in settings]  # fmt: skip
    found: dict[str, list[int]] = {}
    for number, key in enumerate(keys):
        found.setdefault(key, []).append(number)
    firsts = [settings[members[0]] for members in found.values()]
    others = dict.fromkeys(name for first in firsts for name in first if name not in SEEDS)
    apart = [n for n in others if any(first.get(n) != firsts[0].get(n) for first in firsts)]
    named: dict[str, list[int]] = {}
    for first, members in zip(firsts, found.values(), strict=True):
        texts = [f"{n.rpartition('.')[2]} {first[n]}" for n in apart[:3] if n in first]
        name = ", ".join(texts) or records[members[0]].folder.name
        named[name if name not in named else f"{name}, {records[members[0]].folder.name}"] = members
    return named
