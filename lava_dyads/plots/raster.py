"""Who spoke when: the events of one asynchronous presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lava_dyads.checks import checked
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished, verbatim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lava_dyads.runtime.trace import Trace

KINDS = {
    "x_out": ("input", "#7f7f7f"),
    "mean_out": ("mean", "#0b5fa5"),
    "difference_out": ("difference", "#d1495b"),
    "drive_out": ("nudge", "#edae49"),
}
"""Ports of which events are drawn, with label and colour; what connections pass on is not."""

SHIFTS = {"mean_out": 0.2, "difference_out": -0.2}
"""A dyad often speaks on both channels at once: draw the dots beside each other."""


@checked
def raster(
    trace: Trace, path: AnyPath | None = None, presentation: int = 0, lane: int = 0
) -> Figure:
    """Draw a dot for every event, over the time it was sent.

    Parameters
    ----------
    trace : Trace
    path : str, path or None
        Picture, written atomically.
    presentation, lane : int
        Which sample.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValidationError
        If the trace has no event of that sample.
    """
    if "Trace" not in {cls.__name__ for cls in type(trace).__mro__}:  # its class costs the runtime
        invalid("raster.trace", "must be a Trace", trace, "Trace.load(path)")
    events = _events(trace, presentation, lane)
    if not events:
        invalid(
            "raster", "the trace has no such presentation and lane", (presentation, lane), "0, 0"
        )
    names = sorted({e[1] for e in events}, key=_order)
    sources = sum(_order(name)[0] == 0 for name in names)
    rows: dict[tuple[str, int], float] = {}
    height = 0.0
    for name in names:  # many inputs are drawn closer together: they speak once
        height += min(1.0, 12 / sources) if _order(name)[0] == 0 else 1.0
        rows[name] = height
    figure = canvas(8, max(3.0, min(9.0, 0.08 * height + 1.5)))
    axes = figure.subplots()
    begin = min(time for time, _, _ in events)
    for port, (label, colour) in KINDS.items():
        shift = SHIFTS.get(port, 0.0)
        dots = [(time - begin, rows[name] + shift) for time, name, kind in events if kind == port]
        if dots:
            x, y = zip(*dots, strict=True)
            axes.plot(x, y, "|" if len(rows) > 40 else "o", ms=4, color=colour, label=label)
    groups: dict[str, list[float]] = {}
    for (process, _), row in rows.items():
        groups.setdefault(process.rpartition(".")[0] or process, []).append(row)
    axes.set_yticks(
        [float(np.mean(g)) for g in groups.values()], [verbatim(name) for name in groups]
    )
    for members in groups.values():
        axes.axhline(max(members) + 0.5, color="#cccccc", linewidth=0.5)
    axes.set_ylim(0, height + 1)
    axes.set_xlabel("virtual time sent (mean latencies)")
    axes.set_title(f"events of presentation {presentation}", fontsize=10)
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    return finished(figure, path)


def _events(trace: Trace, presentation: int, lane: int) -> list[tuple[float, tuple[str, int], str]]:
    """Return (time sent, (process, index), port) of every event, once however many heard it."""
    c = trace.columns
    chosen = np.flatnonzero((c["presentation"] == presentation) & (c["lane"] == lane))
    seen: dict[tuple[float, tuple[str, int], str], None] = {}
    for row in chosen.tolist():
        process, _, port = trace.channels[int(c["channel"][row])][0].rpartition(".")
        if port in KINDS:
            # A neuron's own entry is 0; the one in a layer's port is that of the listener.
            alone = process.rpartition(".")[2].isdigit()
            index = 0 if alone else int(c["index"][row])
            seen[float(c["sent"][row]), (process, index), port] = None
    return list(seen)


def _order(name: tuple[str, int]) -> tuple[int, list[str | int], int]:
    """Sort the source first, then populations, then the head; neurons by number."""
    process, index = name
    first = {"source": 0, "head": 2}.get(process, 1)
    return first, [int(p) if p.isdigit() else p for p in process.split(".")], index
