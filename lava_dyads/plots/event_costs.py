"""Accuracy against synaptic operations: the settings of ``bench events``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_dyads.experiments.bench_events import EventBench
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def event_costs(found: EventBench, path: AnyPath | None = None) -> Figure:
    """Draw accuracy over operations, a line per error that is skipped.

    Parameters
    ----------
    found : EventBench
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.
    """
    figure = canvas(7, 4.4)
    from matplotlib import colormaps

    axes = figure.subplots()
    skip_errors = sorted({s.skip_error for s in found.settings})
    for i, skip_error in enumerate(skip_errors):
        line = sorted(
            (s for s in found.settings if s.skip_error == skip_error), key=lambda s: s.threshold
        )
        points = [(s.vs_dense, s.test_accuracy) for s in line]
        colour = colormaps["viridis"](i / max(1, len(skip_errors) - 0.5))
        axes.plot(
            *zip(*points, strict=True), "o-", ms=4, color=colour, label=f"skip_error {skip_error:g}"
        )
        for s in line:
            axes.annotate(f" {s.threshold:g}", (s.vs_dense, s.test_accuracy), fontsize=7)
    skipping = found.zero_skipping / found.dense
    axes.axvline(skipping, color="#888888", linewidth=0.8)
    place = (skipping, axes.get_ylim()[0])
    axes.annotate("zero-skipping backprop ", place, fontsize=8, ha="right", va="bottom")
    axes.set_xscale("log")
    axes.set_xlabel("synaptic operations, share of dense backprop (numbers: threshold)")
    axes.set_ylabel("test accuracy")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=8)
    return finished(figure, path)
