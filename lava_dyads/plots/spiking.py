"""Figures of a spiking network: raster, membrane potentials, error against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.checks import Count, Positive, checked, plain_array, real_array
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished, verbatim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLUS, MINUS = "#0b5fa5", "#d1495b"
"""Colours of the two compartments."""


@checked
def spike_raster(
    trains: Sequence[NDArray[np.bool_]], path: AnyPath | None = None, steps: Count = 200
) -> Figure:
    """Draw the spikes of the first sample, a row per dyad, plus above minus.

    Parameters
    ----------
    trains : sequence of bool arrays, shape (2, steps, samples, n_k)
        Of each layer, from the input up.
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.
    steps : int
        How many of the first steps to show.

    Raises
    ------
    ValidationError
        If there are no trains, or one has another shape.
    """
    shown: list[NDArray[Any]] = [
        plain_array(train, f"spike_raster.trains[{k}]") for k, train in enumerate(trains)
    ]
    for train in shown or [np.zeros(0)]:
        if train.ndim != 4 or train.shape[0] != 2 or not train.shape[2]:
            limit = "must have shape (2, steps, samples, neurons) for every layer"
            invalid("spike_raster.trains", limit, train.shape, "the trains of simulate")
    figure = canvas(8, 4.5)
    axes = figure.subplots()
    row = 0
    for k, train in enumerate(shown, 1):
        for side, colour in enumerate((PLUS, MINUS)):
            times, units = np.nonzero(train[side, :steps, 0])
            label = f"{'plus' if side == 0 else 'minus'} compartments" if k == 1 else None
            height = row + units - 0.2 + 0.4 * (side == 0)
            axes.plot(times + 1, height, "|", color=colour, markersize=3, label=label)
        middle, row = row + (train.shape[3] - 1) / 2, row + train.shape[3]
        axes.text(1.01, middle, f"layer {k}", transform=axes.get_yaxis_transform(), va="center")
        if k < len(shown):
            axes.axhline(row - 0.5, color="0.8", linewidth=0.8)
    axes.set_xlabel("time (steps)")
    axes.set_ylabel("dyad")
    axes.set_xlim(0, min(steps, shown[0].shape[1]) + 1)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return finished(figure, path)


@checked
def membrane(trace: NDArray[np.floating[Any]], title: str, path: AnyPath | None = None) -> Figure:
    """Draw V+ and V- of one dyad before its resets.

    Parameters
    ----------
    trace : array, shape (2, steps)
        In thresholds; a value of at least 1 is a spike.
    title : str
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Raises
    ------
    ValidationError
        If the trace has another shape, or is not finite.
    """
    trace = real_array(trace, "membrane.trace", 2)
    if trace.shape[0] != 2:
        invalid("membrane.trace", "must have shape (2, steps)", trace.shape, "V+ and V-")
    figure = canvas(8, 3.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    times = np.arange(1, trace.shape[1] + 1)
    for axes, v, colour, name in ((upper, trace[0], PLUS, "V+"), (lower, trace[1], MINUS, "V−")):
        axes.axhline(1, color="0.7", linestyle="--", linewidth=0.8)
        axes.plot(times, v, color=colour, linewidth=1)
        spikes = v >= 1
        axes.plot(times[spikes], v[spikes], "o", color=colour, markersize=4)
        axes.set_ylabel(f"{name} (thresholds)")
        axes.grid(alpha=0.3)
    upper.set_title(verbatim(title), fontsize=10)
    lower.set_xlabel("time (steps); dots are spikes, each takes one threshold away")
    return finished(figure, path)


@checked
def error_law(
    windows: Sequence[Count], errors: Sequence[Positive], slope: float, path: AnyPath | None = None
) -> Figure:
    """Draw the error of the gradient against the read-out window, log-log.

    Parameters
    ----------
    windows : sequence of int
        In steps.
    errors : sequence of float
        Relative errors of the gradient to the rate fixed point.
    slope : float
        Of the fitted line.
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Raises
    ------
    ValidationError
        If there are no windows, or not as many errors.
    """
    if not windows or len(windows) != len(errors):
        limit = "needs as many windows as errors, at least 1"
        invalid("error_law", limit, (len(windows), len(errors)), "one error per window")
    figure = canvas(5, 4)
    axes = figure.subplots()
    x, y = np.asarray(windows, float), np.asarray(errors, float)
    intercept = np.mean(np.log(y) - slope * np.log(x))
    axes.loglog(x, np.exp(intercept) * x**slope, color="0.5", label=f"slope {slope:.2f}")
    axes.loglog(x, y, "o", color=PLUS, label="spiking dyads")
    axes.set_xticks(x, [f"{t:g}" for t in x])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("read-out window (steps)")
    axes.set_ylabel("relative error of the gradient")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    return finished(figure, path)
