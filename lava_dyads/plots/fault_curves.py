"""Gradient and accuracy against the share of each fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_dyads.checks import checked
from lava_dyads.experiments.faults import FaultStudy
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked
def fault_curves(study: FaultStudy, path: AnyPath | None = None) -> Figure:
    """Draw cosine and accuracy over the share of each fault and the noise.

    Parameters
    ----------
    study : FaultStudy
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.
    """
    figure = canvas(10, 6.4)
    from matplotlib import colormaps

    panels = figure.subplots(2, 2)
    kinds = list(dict.fromkeys(row.fault for row in study.faults))
    for (left, right), figure_name in zip(panels, ("cosine", "accuracy"), strict=True):
        for i, kind in enumerate(kinds):
            for coding, line in (("change", "-"), ("value", ":"), ("robust", "--")):
                rows = [r for r in study.faults if (r.fault, r.coding) == (kind, coding)]
                points = [(r.share, getattr(r, figure_name)) for r in rows]
                _line(left, points, line, colormaps["tab10"](i), f"{kind}, {coding}")
        for i, beta in enumerate(dict.fromkeys(row.beta for row in study.noise)):
            noisy = [r for r in study.noise if r.beta == beta]
            points = [(r.noise, getattr(r, figure_name)) for r in noisy]
            _line(right, points, "-", colormaps["viridis"](i / 3), f"β = {beta:g}")
        for axes, label in ((left, "share of the messages"), (right, "noise (activity)")):
            axes.set_xscale("log")
            axes.set_xlabel(label)
            axes.set_ylabel(figure_name)
            axes.set_ylim(-0.05, 1.05)
            axes.grid(alpha=0.3)
            if figure_name == "accuracy":
                axes.axhline(study.clean_accuracy, color="#888888", linewidth=0.8)
    panels[0][0].set_title("faults of messages (dotted: value, dashed: robust)", fontsize=10)
    panels[0][1].set_title("analog noise on the compartments", fontsize=10)
    panels[0][1].legend(frameon=False, fontsize=8)
    handles, labels = panels[0][0].get_legend_handles_labels()
    solid = [(h, x.partition(",")[0]) for h, x in zip(handles, labels, strict=True) if "chan" in x]
    panels[0][0].legend(*zip(*solid, strict=True), frameon=False, fontsize=8)
    return finished(figure, path)


def _line(axes: object, points: list[tuple[float, float | None]], line: str, colour: object,
          label: str) -> None:  # fmt: skip
    shown = [(x, y) for x, y in points if y is not None]
    if shown:
        axes.plot(  # type: ignore[attr-defined]
            *zip(*shown, strict=True), line, marker="o", ms=3, color=colour, label=label
        )
