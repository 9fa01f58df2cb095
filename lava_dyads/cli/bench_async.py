"""``lava-dyads bench async``."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from lava_dyads.choices import Granularity
from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.experiments.bench_async import GRANULARITIES, bench_async


@dataclass(frozen=True, kw_only=True)
class BenchAsync:
    """Time a message of an asynchronous network, compiled and interpreted, in alternating runs."""

    all_layers: Sizes = (64, 32, 10)
    """Sizes of all layers, input and output included."""
    granularities: tuple[Granularity, ...] = GRANULARITIES
    """How finely the network is cut into Processes: neuron, layer."""
    samples: int = 20
    """Samples that a run shows and learns, one after the other."""
    rounds: int = 5
    """Alternating runs; medians are shown."""
    lanes: int = 1
    """Samples side by side."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Measure; return the exit code."""
        with working() as report:
            found = bench_async(
                self.all_layers, self.granularities, self.samples, self.rounds, self.lanes, report
            )
        if self.json:
            print_json({"bench": "async", "rounds": self.rounds, **found.as_dict()})
            return OK
        sizes = "-".join(map(str, found.layers))
        title = f"{sizes}, asynchronous, us of CPU per message"
        table = Table(title=title, title_justify="left")
        for column in ("granularity", "messages per sample", "compiled", "interpreted", "times",
                       "SimPy's loop", "times", "samples per second"):  # fmt: skip
            table.add_column(column, justify="right")
        for c in found.costs:
            table.add_row(
                c.granularity,
                f"{c.messages:,.0f}",
                f"{c.compiled:.3f}",
                f"{c.interpreted:.1f}",
                f"{c.ratio:.0f}",
                "not installed" if c.simpy is None else f"{c.simpy:.2f}",
                "" if c.simpy_ratio is None else f"{c.simpy_ratio:.1f}",
                f"{c.samples_per_second:,.0f}",
            )
        console().print(table)
        return OK
