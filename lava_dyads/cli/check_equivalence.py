"""``lava-dyads check equivalence``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

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
from lava_dyads.errors import invalid
from lava_dyads.experiments import (
    EquivalenceCheck,
    ThoroughCheck,
    check_equivalence,
    check_thoroughly,
)
from lava_dyads.lava_compat import require_lava


@dataclass(frozen=True, kw_only=True)
class CheckEquivalence(NetworkOptions):
    """Train on some digits in every supported way; compare the weights with the numpy engine.

    Holds (exit code 0) if all weights and biases agree to a relative 1e-9 and every synchronous
    way has sent the same number of events. Ways of precision loihi2 are compared with the numpy
    engine in the same integers, learning one sample at a time; they have to agree to the bit.
    Asynchronous ways of rules that need more than one sweep are compared with the numpy engine at
    rest. What is not supported, or has nothing to be compared with, is listed with its reason.
    """

    layers: Sizes = (24, 16)
    """Sizes of the hidden layers."""
    samples: int = 50
    """Digits shown once."""
    batch_size: int = 10
    """Samples per update."""
    optimiser: OptimiserName = "adam"
    """Local optimiser of every weight."""
    thorough: bool = False
    """Check every rule, nudge, feedback and weight format, on small networks and data that are
    drawn from --seed, in place of one network on digits. Takes some 20 minutes."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Check; return the exit code."""
        require_lava("check equivalence")
        if self.thorough:
            return self._run_thoroughly()
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
        else:
            console().print(pair_table(spec.rule.name, check))
            say_reasons("not compared", check.unsupported.items())
            console().print(f"holds: {'yes' if check.holds else 'NO'}")
        return OK if check.holds else FAILED

    def _run_thoroughly(self) -> int:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name not in ("thorough", "seed", "json") and value != option.default:
                name = option.name.replace("_", "-")
                limit = "--thorough draws its networks itself"
                invalid(f"--{name}", limit, value, "to leave it out")
        with working() as report:
            check = check_thoroughly(self.seed, on_pair=report)
        if self.json:
            print_json({"check": "equivalence", **check.as_dict()})
        else:
            say_thoroughly(check)
        return OK if check.holds else FAILED


def pair_table(title: str, check: EquivalenceCheck) -> Table:
    """Return a row per combination that was compared."""
    table = Table(title=f"{title}: weights against the numpy engine", title_justify="left")
    for column in ("granularity", "clock", "precision", "runtime", "distance", "same events"):
        table.add_column(column)
    table.add_column("agrees")
    for pair in check.pairs:
        # Asynchronous neurons may have to speak again: their events need not be the same.
        unequal = "NO" if pair.execution.clock == "sync" else "more"
        words = (f"{pair.distance:.2g}", "yes" if pair.same_events else unequal)
        agrees = "yes" if pair.agrees else "NO"
        table.add_row(*asdict(pair.execution).values(), *words, agrees)
    return table


def say_reasons(title: str, reasons: Iterable[tuple[str, str]]) -> None:
    """Print every reason once, with what it holds for."""
    found: dict[str, list[str]] = {}
    for label, why in reasons:
        found.setdefault(why, []).append(label)
    for why, labels in found.items():
        several = f"{len(labels)} combinations" if len(labels) > 3 else ", ".join(labels)
        console().print(f"{title}: {several}: {why}", markup=False)


def say_thoroughly(check: ThoroughCheck) -> None:
    """Print what was compared per rule, what disagrees, and the reasons of what was not."""
    table = Table(title=f"weights against the numpy engine, seed {check.seed}")
    for column in ("rule", "settings", "pairs", "largest distance", "agree"):
        table.add_column(column)
    for rule in dict.fromkeys(case.setting.rule for case in check.cases):
        cases = [case for case in check.cases if case.setting.rule == rule]
        pairs = [pair for case in cases for pair in case.check.pairs]
        largest = max((pair.distance for pair in pairs), default=0.0)
        agree = sum(pair.agrees for pair in pairs)
        settings = {case.setting for case in cases}
        table.add_row(rule, str(len(settings)), str(len(pairs)), f"{largest:.2g}", str(agree))
    console().print(table)
    for case in check.cases:
        for pair in case.check.pairs:
            if not pair.agrees:
                why = pair.error or f"distance {pair.distance:.3g}, events {pair.same_events}"
                label = f"{case.setting.label}: {pair.execution.label}"
                console().print(f"disagrees: {label}: {why}", markup=False)
    compared = {(c.setting, pair.execution.label) for c in check.cases for pair in c.check.pairs}
    skipped = {
        f"{case.setting.label}: {label}": why
        for case in check.cases
        for label, why in case.check.unsupported.items()
        if (case.setting, label) not in compared
    }
    say_reasons("not compared", skipped.items())
    say_reasons("no such network", check.refused.items())
    console().print(f"holds: {'yes' if check.holds else 'NO'}")
