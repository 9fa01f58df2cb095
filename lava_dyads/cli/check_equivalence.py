"""``lava-dyads check equivalence``."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rich.table import Table

from lava_dyads.cli.common import (
    FAILED,
    OK,
    NetworkOptions,
    OptimiserName,
    Sizes,
    console,
    print_json,
    working,
)
from lava_dyads.experiments import check_equivalence


@dataclass(frozen=True, kw_only=True)
class CheckEquivalence(NetworkOptions):
    """Train on some digits in every supported way; compare the weights with the numpy engine.

    Holds (exit code 0) if all weights and biases agree to a relative 1e-9 and every synchronous
    way has sent the same number of events. Ways of precision loihi2 are compared with the numpy
    engine in the same integers, learning one sample at a time; they have to agree to the bit.
    """

    layers: Sizes = (24, 16)
    """Sizes of the hidden layers."""
    samples: int = 50
    """Digits shown once."""
    batch_size: int = 10
    """Samples per update."""
    optimiser: OptimiserName = "adam"
    """Local optimiser of every weight."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Check; return the exit code."""
        spec = self.spec((64, *self.layers, 10))
        with working() as report:
            check = check_equivalence(
                spec,
                samples=self.samples,
                batch_size=self.batch_size,
                optimiser=self.optimiser,
                on_pair=report,
            )
        if self.json:
            print_json({"check": "equivalence", "spec": spec.as_dict(), **check.as_dict()})
            return OK if check.holds else FAILED
        table = Table(title=f"{spec.rule}: weights against the numpy engine", title_justify="left")
        for column in ("granularity", "clock", "precision", "runtime", "distance", "same events"):
            table.add_column(column)
        table.add_column("agrees")
        for pair in check.pairs:
            # Asynchronous neurons may have to speak again: their events need not be the same.
            unequal = "NO" if pair.execution.clock == "sync" else "more"
            words = (f"{pair.distance:.2g}", "yes" if pair.same_events else unequal)
            agrees = "yes" if pair.agrees else "NO"
            table.add_row(*asdict(pair.execution).values(), *words, agrees)
        console().print(table)
        console().print(f"holds: {'yes' if check.holds else 'NO'}")
        return OK if check.holds else FAILED
