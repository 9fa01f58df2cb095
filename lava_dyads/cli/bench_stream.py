"""``lava-dyads bench stream``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.experiments.bench_stream import StreamBench, bench_stream
from lava_dyads.networks import Graph


@dataclass(frozen=True, kw_only=True)
class BenchStream:
    """Show a network images that move slowly; compare a frame's cost with that of one seen alone.

    Operations are weights touched by an event. Alone, a frame is shown from 0; in the stream,
    only what changes is sent.
    """

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]] = "mnist"
    """Data set of square images."""
    layers: Sizes = (512, 512)
    """Sizes of the hidden layers."""
    holds: tuple[int, ...] = (1, 2, 5, 10, 20)
    """Frames in which an image moves by a pixel."""
    images: int = 5
    """Images shown, one after the other."""
    epochs: int = 1
    """Passes of training before; 0: initial weights."""
    seed: int = 0
    """Of weights and images."""
    graph: Path | None = None
    """TOML file with a network on a graph (docs/graphs.md), in the place of layers."""
    speck: int = 0
    """Not 0: images stand still, and a white square of so many pixels moves over them."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Measure; return the exit code."""
        graph = Graph.load(self.graph) if self.graph else None
        chosen = (self.dataset, self.layers, self.holds, self.images, self.epochs, self.seed)
        with working() as report:
            found = bench_stream(*chosen, graph, self.speck, report)
        if self.json:
            print_json({"bench": "stream", **found.as_dict()})
        else:
            self._print(found)
        return OK

    def _print(self, found: StreamBench) -> None:
        sizes = str(self.graph or "-".join(str(n) for n in found.facts["layers"]))
        title = f"{self.dataset}, {sizes}: a frame of a stream against one seen alone"
        table = Table(title=title, title_justify="left")
        for column in ("frames per pixel", "operations", "alone", "share", "events", "time",
                       "learning", "outputs differ by", "weights by"):  # fmt: skip
            table.add_column(column, justify="right")
        for s in found.streams:
            table.add_row(
                str(s.hold),
                f"{s.operations:,.0f}",
                f"{s.alone_operations:,.0f}",
                f"{s.share:.3f}",
                f"{s.events / s.alone_events:.3f}",
                f"{s.seconds / s.alone_seconds:.3f}",
                f"{s.learning_operations / s.alone_learning_operations:.3f}",
                f"{s.difference:.1g}",
                f"{s.weight_difference:.1g}",
            )
        console().print(table)
        console().print(
            "operations per frame; events, time and learning (operations where every frame is "
            "learnt from): as a share of those of frames seen alone"
        )
