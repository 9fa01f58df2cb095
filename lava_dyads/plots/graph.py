"""A network's graph as a picture: what flows up, from left to right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lava_dyads.plots.canvas import canvas, save
from lava_dyads.rules.graph import Vertex

if TYPE_CHECKING:
    from lava_dyads.networks import NetworkSpec

_FILLS = {"input": "#dddddd", "op": "#ffffff", "neurons": "#cfe3f5", "output": "#f8d9c4"}


def graph_picture(spec: NetworkSpec, path: Path) -> None:
    """Draw a specification's graph into a PNG file, atomically.

    Boxes are nodes with their shapes; filled ones have neurons. Errors go back along the same
    arrows, but for those from data.

    Parameters
    ----------
    spec : NetworkSpec
    path : Path
    """
    vertices = spec.vertices
    places = _places(vertices)
    columns = 1 + max(x for x, _ in places.values())
    rows = 1 + max(abs(y) for _, y in places.values()) * 2
    figure = canvas(1.2 + 1.7 * columns, 1.3 + 0.95 * rows)
    axes = figure.add_subplot()
    axes.set_axis_off()
    for vertex in vertices:
        for source in vertex.sources:
            (x0, y0), (x1, y1) = places[source], places[vertex.name]
            # A skip goes around what it skips.
            around = [p for p in places.values() if x0 < p[0] < x1 and p[1] == y0 == y1]
            axes.annotate(
                "",
                (x1 - 0.36, y1),
                (x0 + 0.36, y0),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": "#555555",
                    "connectionstyle": f"arc3,rad={-0.35 if around else 0}",
                },
            )
    for vertex in vertices:
        x, y = places[vertex.name]
        axes.text(x, y, _label(vertex), ha="center", va="center", fontsize=8,
                  bbox={"boxstyle": "round,pad=0.35", "facecolor": _FILLS[_role(vertex)],
                        "edgecolor": "#555555"})  # fmt: skip
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(-rows / 2 - 0.2, rows / 2 + 0.2)
    save(figure, path)


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
    lines = [vertex.name, " ".join(part for part in (does, shape) if part)]
    if vertex.activation and not vertex.loss:
        lines.append(vertex.activation.name)
    if vertex.loss:
        lines.append(vertex.loss.name)
    return "\n".join(lines)
