"""Train the same network by every rule, from the same weights, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from lava_dyads.data import Dataset, load
from lava_dyads.errors import LavaRuntimeError, invalid, nearest
from lava_dyads.files import AnyPath
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.options import options
from lava_dyads.rules.binary import BINARY
from lava_dyads.rules.units import RULES, rule
from lava_dyads.rules.units.baselines import ALIGNMENT, BACKPROP
from lava_dyads.studies import Job, StudyResults, study
from lava_dyads.studies.results import Entry
from lava_dyads.studies.study import Watcher
from lava_dyads.training import TrainingConfig, run

DYADS = "dp-transpose"
ENTRIES: dict[str, Mapping[str, Any]] = {
    BACKPROP: MappingProxyType({}),
    ALIGNMENT: MappingProxyType({}),
    **{name: rule.settings for name, rule in RULES.items()},
    # Signs take longer to make up their mind.
    **{f"{DYADS}+{kind}": {"rule": DYADS, "weight_format": kind, "epochs": 60} for kind in BINARY},
}
"""Every baseline and rule, and weights of one bit, with the settings documented for it."""


@dataclass(frozen=True)
class RuleResult:
    """One rule, means over the seeds.

    Attributes
    ----------
    rule, summary : str
    settings : dict
        What differs from the defaults.
    accuracies : list of float
        Test accuracy after the last epoch, by seed.
    accuracy, behind : float
        Their mean, and how much less that is than backprop's (0.01: one percent).
    seconds : float
        Training of one seed.
    events : float or None
        Graded events, or spikes, per training sample; None: backprop sends no messages.
    operations : float
        Synaptic operations per training sample, as a share of dense backprop's.
    settled : bool
        Whether every presentation came to rest; also where counts have none.
    """

    rule: str
    summary: str
    settings: dict[str, Any]
    accuracies: list[float]
    accuracy: float
    behind: float
    seconds: float
    events: float | None
    operations: float
    settled: bool


def bench_rules(
    dataset: str = "digits",
    layers: tuple[int, ...] = (128,),
    rules: Sequence[str] = (),
    *,
    epochs: int = 20,
    batch_size: int = 32,
    seeds: int = 3,
    report: Callable[[str], None] = lambda line: None,
    out: AnyPath | None = None,
    workers: int | None = None,
) -> list[RuleResult]:
    """Train by every rule with its documented settings; backprop is always among them.

    Parameters
    ----------
    dataset : str
    layers : tuple of int
        Sizes of the hidden layers.
    rules : sequence of str
        Names; empty: all.
    epochs, batch_size : int
    seeds : int
        Of initial weights, order and split, 0 .. seeds - 1, the same for every rule.
    report : callable
        Told what is being trained.
    out : str, path or None
        Folder of a study (``lava_dyads.studies``): each training is kept there, and those that
        are there are not done again. None: one after the other in this process.
    workers : int or None
        Trainings of the study at a time.

    Raises
    ------
    ValidationError
        If a rule is unknown or a number out of range.
    """
    if seeds < 1:
        invalid("seeds", "must be at least 1", seeds)
    for name in rules:
        if name not in ENTRIES:
            invalid("rules", "unknown name", name, nearest(name, ENTRIES))
    wanted = [name for name in ENTRIES if not rules or name in rules or name == BACKPROP]
    data = load(dataset)

    def cell(rule: str, seed: int) -> Job:
        return _job(rule, seed, data, layers, epochs, batch_size)

    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    if out is None:
        for name in wanted:
            for seed in range(seeds):
                report(f"{name}, seed {seed}")
                job = cell(name, seed)
                given = job.spec, job.data, job.config, job.execution
                tables[name].append(run(*given, reporters=[]).table)
    else:
        watcher = _Reporting(report)
        made = study(cell, {"rule": wanted}, out, seeds=seeds, workers=workers, watcher=watcher)
        for entry in made.entries:
            if entry.name not in made.results:
                raise LavaRuntimeError(f"{entry.name}: {entry.why}")
            tables[entry.setting["rule"]].append(made.results[entry.name])
    found: list[RuleResult] = []
    for name, cells in tables.items():
        found.append(_summary(name, cells, found[0].accuracy if found else None))
    return found


def _job(
    name: str, seed: int, data: Dataset, layers: tuple[int, ...], epochs: int, batch_size: int
) -> Job:
    """Return the training of a rule with its settings."""
    settings = dict(ENTRIES[name])
    known = {f.name for f in fields(NetworkSpec)} | {*options(rule(name))}
    own = {k: v for k, v in settings.items() if k in known}
    taught = {k: v for k, v in settings.items() if k not in own}
    sizes = (data.x.shape[1], *layers, data.classes)
    spec = NetworkSpec(sizes, **{"rule": name, "seed": seed, **own})
    config = TrainingConfig(**{"epochs": epochs, "batch_size": batch_size, "seed": seed,
                               "split_seed": seed, **taught})  # fmt: skip
    return Job(spec, data, config, Execution(runtime="reference"))


def _summary(name: str, cells: Sequence[Mapping[str, Any]], first: float | None) -> RuleResult:
    """Return the means over the seeds; ``first``: the accuracy of backprop."""
    accuracies = [table["test_accuracy"] for table in cells]
    accuracy = float(np.mean(accuracies))
    sent = [t["events_per_sample"] if t["spikes_per_sample"] is None else t["spikes_per_sample"]
            for t in cells]  # fmt: skip
    settings = dict(ENTRIES[name])
    return RuleResult(
        rule=name,
        summary=rule(settings.get("rule", name)).summary,
        settings=settings,
        accuracies=accuracies,
        accuracy=accuracy,
        behind=(accuracy if first is None else first) - accuracy,
        seconds=float(np.mean([table["train_seconds"] for table in cells])),
        events=None if None in sent else float(np.mean([s for s in sent if s is not None])),
        operations=float(np.mean([table["synops_vs_backprop"] for table in cells])),
        settled=all(table["settled"] is not False for table in cells),  # counts have no rest
    )


class _Reporting(Watcher):
    """Says how far a study is."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report, self._done = report, 0

    def on_begin(self, jobs: int, done: int) -> None:
        """Keep how many there are."""
        self._jobs, self._done = jobs, done
        self._report(f"{done} of {jobs} trainings are done")

    def on_job(self, results: StudyResults, entry: Entry) -> None:
        """Count."""
        self._done += 1
        self._report(f"{self._done} of {self._jobs} trainings are done")


def markdown(found: Sequence[RuleResult]) -> str:
    """Return the results as a table for the docs."""
    lines = [
        "| rule | settings | accuracy | behind backprop | events | operations / dense | seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for r in found:
        settings = ", ".join(f"{k} {_short(v)}" for k, v in r.settings.items()) or "defaults"
        events = "–" if r.events is None else f"{r.events:,.0f}"
        lines.append(
            f"| `{r.rule}` | {settings} | {r.accuracy:.4f} | {r.behind * 100:+.2f} % | {events} | "
            f"{r.operations:.2f} | {r.seconds:.1f} |"
        )
    return "\n".join(lines) + "\n"


def into(page: str, table: str) -> str:
    """Return a page of Markdown with a table in the place of the one with the same head.

    Where there is none, the table comes last.

    Examples
    --------
    >>> lines = ["Rules", "", "| a |", "|---|", "| old |", "", "End"]
    >>> chr(10).join(lines[:2]) in into(chr(10).join(lines), "| a |")
    True
    """
    lines, head = page.splitlines(), table.splitlines()[0]
    begin = end = lines.index(head) if head in lines else len(lines)
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    return "\n".join([*lines[:begin], *table.splitlines(), *lines[end:]]) + "\n"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_json(found: Sequence[RuleResult]) -> list[dict[str, Any]]:
    """Return the results as plain values."""
    return [asdict(result) for result in found]
