"""``lava-dyads bench runtime``."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from lava_dyads.cli.common import OK, Sizes, console, print_json, working
from lava_dyads.experiments import bench_runtime


@dataclass(frozen=True, kw_only=True)
class BenchRuntime:
    """Time steps and starts of both runtimes in alternating pairs, and print the ratios."""

    processes: Sizes = (8, 32, 200)
    """Sizes of the rings of trivial processes."""
    rounds: int = 5
    """Alternating pairs of runs; medians are shown."""
    dyads: Sizes = (100, 1000, 10_000)
    """Sizes of in-process networks of single dyads with a fan-out of 32, each built in an
    interpreter of its own; 100,000 take minutes, and 3 GB."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Measure; return the exit code."""
        with working() as report:
            result = bench_runtime(self.processes, self.rounds, self.dyads, report)
        if self.json:
            print_json({"bench": "runtime", "rounds": self.rounds, **result.as_dict()})
            return OK
        table = Table(title=f"medians of {self.rounds} alternating runs", title_justify="left")
        for column in ("", "Lava's runtime", "in-process", "times faster"):
            table.add_column(column, justify="right")
        for c in result.comparisons:
            times = (f"{c.lava:.1f} {c.unit}", f"{c.in_process:.1f} {c.unit}")
            table.add_row(c.name, *times, f"{c.ratio:.1f}")
        console().print(table)
        console().print(f"Var.get of 100,000 numbers in-process: {result.var_get_100k_ms:.2f} ms")
        scaling = Table(title="every dyad a Process, in-process", title_justify="left")
        for column in ("dyads", "clock", "build and start", "in loop turns", "memory",
                       "per number", "interpreted", "SimPy's loop"):  # fmt: skip
            scaling.add_column(column, justify="right")
        for row in result.scaling:
            build, memory = f"{row.build_seconds:.1f} s", f"{row.memory_mb:.0f} MiB"
            turns = f"{row.build_seconds / row.loop_ns * 1e3:.0f} M"
            costs = (row.us_per_scalar, row.interpreted_us, row.simpy_us)
            scaling.add_row(str(row.dyads), row.clock, build, turns, memory, *map(_cost, costs))
        console().print(scaling)
        return OK


def _cost(us: float | None) -> str:
    """Return a time per message."""
    if us is None:
        return "-"
    return f"{us:.2f} us" if us > 0.1 else f"{1e3 * us:.2f} ns"
