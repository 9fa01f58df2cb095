"""Train the same network by every rule, from the same weights, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from lava_dyads.data import load
from lava_dyads.errors import invalid, nearest
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.options import options
from lava_dyads.rules.binary import BINARY
from lava_dyads.rules.units import RULES, rule
from lava_dyads.rules.units.baselines import ALIGNMENT, BACKPROP
from lava_dyads.training import Trainer, TrainingConfig
from lava_dyads.training.checks import SETTLED

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
    sizes = (data.x.shape[1], *layers, data.classes)
    found: list[RuleResult] = []
    for name in wanted:
        settings = dict(ENTRIES[name])
        known = {f.name for f in fields(NetworkSpec)} | {*options(rule(name))}
        own = {k: v for k, v in settings.items() if k in known}
        taught = {k: v for k, v in settings.items() if k not in own}
        runs = []
        for seed in range(seeds):
            report(f"{name}, seed {seed}")
            spec = NetworkSpec(sizes, **{"rule": name, "seed": seed, **own})
            config = TrainingConfig(**{"epochs": epochs, "batch_size": batch_size, "seed": seed,
                                       "split_seed": seed, **taught})  # fmt: skip
            with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
                history = trainer.fit()
                runs.append((history, trainer.train_seconds, trainer.cost()))
        accuracies = [history.column("test_accuracy")[-1] for history, _, _ in runs]
        accuracy = float(np.mean(accuracies))
        first = found[0].accuracy if found else accuracy
        costs = [cost for _, _, cost in runs]
        sent = [c.spikes if c.spikes is not None else c.events for c in costs]
        residuals = [max(h.column("train_residual")) for h, _, _ in runs]
        found.append(
            RuleResult(
                rule=name,
                summary=spec.rule.summary,
                settings=settings,
                accuracies=accuracies,
                accuracy=accuracy,
                behind=first - accuracy,
                seconds=float(np.mean([seconds for _, seconds, _ in runs])),
                events=None if None in sent else float(np.mean([s for s in sent if s is not None])),
                operations=float(np.mean([c.operations / c.dense for c in costs])),
                settled=max(residuals) <= SETTLED,
            )
        )
    return found


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
