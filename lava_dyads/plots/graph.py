"""A network's graph as a picture: what flows up, from left to right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lava_dyads.checks import checked
from lava_dyads.files import AnyPath
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.plan.vertex import Vertex
from lava_dyads.plots.canvas import canvas, finished, verbatim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FILLS = {"input": "#dddddd", "op": "#ffffff", "neurons": "#cfe3f5", "output": "#f8d9c4"}


@checked
def graph_picture(spec: NetworkSpec, path: AnyPath | None = None) -> Figure:
    """Draw a specification's graph.

    Boxes are nodes with their shapes; filled ones have neurons. Errors go back along the same
    arrows, but for those from data.

    Parameters
    ----------
    spec : NetworkSpec
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.
    """
    vertices = spec.vertices
    places = _places(vertices)
    columns = 1 + max(x for x, _ in places.values())
    top = max(abs(y) for _, y in places.values()) + 0.6
    skips = any(_skips(places, v, source) for v in vertices for source in v.sources)
    figure = canvas(0.4 + _COLUMN * columns, 0.3 + _ROW * (2 * top + 0.7 * skips))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(-top, top + 0.7 * skips)
    boxes = {}
    for vertex in vertices:
        style = {"boxstyle": "round,pad=0.35", "facecolor": _FILLS[_role(vertex)],
                 "edgecolor": "#555555"}  # fmt: skip
        label = axes.text(*places[vertex.name], _label(vertex), ha="center", va="center",
                          fontsize=8, bbox=style, zorder=3)  # fmt: skip
        boxes[vertex.name] = label.get_bbox_patch()
    for vertex in vertices:
        for source in vertex.sources:
            # A skip goes around all that it skips.
            around = _skips(places, vertex, source)
            height = top - places[source][1] + 0.1
            length = places[vertex.name][0] - places[source][0]
            bend = -2 * height * _ROW / (length * _COLUMN) if around else 0
            ends = {"patchA": boxes[source], "patchB": boxes[vertex.name]}
            shape = {"arrowstyle": "-|>", "connectionstyle": f"arc3,rad={bend}"}
            arrow = {"color": "#555555", **ends, **shape}
            axes.annotate("", places[vertex.name], places[source], arrowprops=arrow)
    return finished(figure, path)


_COLUMN, _ROW = 1.55, 0.9
"""Size of a place, in inches."""


def _skips(places: Mapping[str, tuple[int, float]], vertex: Vertex, source: str) -> bool:
    """Tell whether a straight arrow would cross a box between."""
    (x0, y0), (x1, y1) = places[source], places[vertex.name]
    return any(
        abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 0.6
        for x, y in places.values()
        if x0 < x < x1
    )


def _places(vertices: list[Vertex]) -> dict[str, tuple[int, float]]:
    """Return column (longest path from data) and row, around 0, of every vertex."""
    column: dict[str, int] = {}
    for vertex in vertices:
        column[vertex.name] = max((column[s] + 1 for s in vertex.sources), default=0)
    places: dict[str, tuple[int, float]] = {}
    for k in range(max(column.values()) + 1):
        # Near the sources, so that arrows do not cross without need.
        names = [v for v in vertices if column[v.name] == k]
        heights = {
            v.name: sum(places[s][1] for s in v.sources) / max(1, len(v.sources)) for v in names
        }
        ordered = sorted(heights, key=lambda name: heights[name])
        for i, name in enumerate(ordered):
            places[name] = (k, i - (len(ordered) - 1) / 2)
    return places


def _role(vertex: Vertex) -> str:
    if not vertex.sources:
        return "input"
    if vertex.loss:
        return "output"
    return "neurons" if vertex.activation else "op"


def _label(vertex: Vertex) -> str:
    shape = "x".join(str(n) for n in vertex.shape)
    does = "" if not vertex.sources else (
        type(vertex.op).__name__ if vertex.op else "side by side" if vertex.beside else "sum"
    )  # fmt: skip
    lines = [verbatim(vertex.name), " ".join(part for part in (does, shape) if part)]
    if vertex.activation and not vertex.loss:
        lines.append(vertex.activation.name)
    if vertex.loss:
        lines.append(vertex.loss.label)
    return "\n".join(lines)
