"""Every rule, nudge, feedback and weight format at every combination that is supported.

A *setting* is one of each of the four. What else a network has (sizes, activations, loss, alpha,
thresholds, graph), the data and the way it is trained are drawn from a seed, so that every seed
looks at other networks; as many of a setting as it takes to reach all that it is granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from lava_dyads.choices import LR_SCHEDULES
from lava_dyads.data import Dataset
from lava_dyads.errors import ValidationError
from lava_dyads.experiments.equivalence import (
    CHIP_REFERENCE,
    REFERENCE,
    EquivalenceCheck,
    Problem,
    compare,
    not_comparable,
)
from lava_dyads.networks.node_graph import Graph, Node
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution, table
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.binary import BINARY, FLOAT
from lava_dyads.rules.feedback import FEEDBACK
from lava_dyads.rules.optimisers import OPTIMISERS
from lava_dyads.rules.units import RULES, Rule
from lava_dyads.rules.units.base import RelaxingRule
from lava_dyads.rules.units.dyad import DyadRule
from lava_dyads.training import TrainingConfig

Draw = np.random.Generator

TURNS = 40
"""Networks that are drawn of a setting; more reach no further."""


@dataclass(frozen=True)
class Setting:
    """What a network is checked for."""

    rule: str
    nudge: str
    feedback: str
    weight_format: str

    @property
    def label(self) -> str:
        """The setting in words."""
        return f"{self.rule} / {self.nudge} / {self.feedback} / {self.weight_format}"

    def refused(self) -> str:
        """Return why there is no network of this setting; empty: there is one."""
        try:
            NetworkSpec((3, 2, 2), activations=_activations(RULES[self.rule])[0], **asdict(self))
        except ValidationError as error:
            return str(error)
        return ""


@dataclass(frozen=True)
class Case:
    """A setting, the network that was drawn for it, and what came of it."""

    setting: Setting
    problem: Problem
    check: EquivalenceCheck

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        spec, training = self.problem.spec.as_dict(), asdict(self.problem.config)
        return {**asdict(self.setting), "spec": spec, "training": training, **asdict(self.check)}


@dataclass(frozen=True)
class ThoroughCheck:
    """All cases of a seed, and the settings of which there is no network with the reason why."""

    holds: bool
    seed: int
    cases: list[Case]
    refused: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        cases = [case.as_dict() for case in self.cases]
        return {"holds": self.holds, "seed": self.seed, "cases": cases, "refused": self.refused}


def settings() -> Iterator[Setting]:
    """Yield every setting of what is registered, also those that are refused."""
    for rule in RULES.values():
        for others in product(rule.nudges, FEEDBACK, (FLOAT, *BINARY)):
            yield Setting(rule.name, *others)


def check_thoroughly(seed: int = 0, on_pair: Callable[[str], None] | None = None) -> ThoroughCheck:
    """Check every setting at every supported combination, on networks drawn from a seed.

    Parameters
    ----------
    seed : int
        >= 0.
    on_pair : callable or None
        Called with the name of what runs next.
    """
    cases, refused = [], {}
    for setting in settings():
        why = setting.refused()
        if why:
            refused[setting.label] = why
            continue

        def tell(label: str, setting: Setting = setting) -> None:
            if on_pair:
                on_pair(f"{setting.label}: {label}")

        cases += check_setting(setting, seed, tell)
    agree = all(pair.agrees for case in cases for pair in case.check.pairs)
    return ThoroughCheck(agree, seed, cases, refused)


def check_setting(
    setting: Setting, seed: int, on_pair: Callable[[str], None] | None = None
) -> list[Case]:
    """Check a setting at every combination that one of its networks is granted.

    What else a network has decides where it runs: with a threshold there is nothing to compare
    without steps, and not every activation has a table on the chip. So networks are drawn until
    together they have been everywhere; from the second on each is compared where none before it
    could be.
    """
    cases: list[Case] = []
    missing = [e for e, _ in table() if e not in (REFERENCE, CHIP_REFERENCE)]
    for turn in range(TURNS):
        problem = drawn(setting, seed, turn)
        granted = list(_granted(problem.spec, missing))
        if granted or not turn:
            made = compare(problem, granted if turn else missing, on_pair)
            cases.append(Case(setting, problem, made))
            done = [pair.execution for pair in made.pairs]
            missing = [execution for execution in missing if execution not in done]
    return cases


def sample(
    seed: int, size: int, where: Callable[[Execution], bool] = lambda execution: True
) -> Iterator[tuple[Setting, Problem, Execution]]:
    """Yield some settings with a network and one of its supported combinations, by a seed.

    Parameters
    ----------
    seed, size : int
    where : callable
        Which combinations may be drawn.
    """
    draw = np.random.default_rng([seed, size])
    every = [setting for setting in settings() if not setting.refused()]
    for i in draw.permutation(len(every)):
        problem = drawn(every[i], seed)
        granted = list(_granted(problem.spec, (e for e, _ in table() if where(e))))
        if granted and size:
            size -= 1
            yield every[i], problem, granted[draw.integers(len(granted))]


def _granted(spec: NetworkSpec, executions: Iterable[Execution]) -> Iterator[Execution]:
    for execution in executions:
        if not (spec.why_not(execution) or not_comparable(spec, execution)):
            yield execution


def drawn(setting: Setting, seed: int, turn: int = 0) -> Problem:
    """Return a network of a setting, data and a way to train it, drawn from a seed.

    ``turn``: another one for each.
    """
    draw = np.random.default_rng([seed, turn, *setting.label.encode()])
    spec = _spec(setting, draw)
    if spec.timing.repeats:
        # All ways take the same steps, at rest or not; the reference of asynchronous ones goes on.
        spec = replace(spec, repeats=int(draw.integers(1, 4)))
    classes = spec.layers[-1]
    samples = 4 * classes + int(draw.integers(3))  # each class in both parts, a batch cut off
    x = draw.random((samples, spec.layers[0])) * (draw.random((samples, spec.layers[0])) > 0.3)
    data = Dataset("drawn", x, np.arange(samples) % classes)
    lanes, per_lane = int(draw.integers(1, 4)), int(draw.integers(1, 3))
    config = TrainingConfig(
        epochs=int(draw.integers(1, 3)),
        batch_size=lanes * per_lane,
        lanes=lanes,
        repeats_per_batch=int(draw.integers(1, 3)),
        optimiser=str(draw.choice([n for n, o in OPTIMISERS.items() if not o.decorrelates])),
        lr_schedule=LR_SCHEDULES[draw.integers(2)],
        seed=seed,
        split_seed=seed,
    )
    return Problem(spec, data, config)


def _spec(setting: Setting, draw: Draw) -> NetworkSpec:
    rule = RULES[setting.rule]
    options: dict[str, Any] = {
        **asdict(setting),
        "loss": str(draw.choice(rule.losses)),
        "beta": float(draw.choice([0.125, 0.25, 0.5])),
        "bias_deviation": 0.2,
        "seed": int(draw.integers(1000)),
    }
    if setting.weight_format == FLOAT:
        options["gain"] = float(draw.uniform(0.7, 1.2))
    if rule.spiking:
        options |= {"window": int(draw.integers(4, 12)), "hysteresis": int(draw.integers(1, 3))}
    else:
        if isinstance(rule, DyadRule):
            # Plain DP rests at 1/2, whatever the weights; elsewhere it need not rest at all.
            plain = "alpha" in rule.settings
            options["alpha"] = 0.5 if plain else float(draw.choice([0, 0.5, 1]))
        if not draw.integers(3):
            options |= {"threshold": 0.01, "error_threshold": 0.02}
    if isinstance(rule, RelaxingRule) and rule.settles_in_one_sweep() and draw.integers(2):
        options["rate"] = 0.5
    return NetworkSpec(**options, **_shape(rule, draw))


def _activations(rule: Rule) -> tuple[str, ...]:
    return rule.activations or tuple(ACTIVATIONS)


def _shape(rule: Rule, draw: Draw) -> dict[str, Any]:
    """Return layers and activations, or a graph."""
    known = _activations(rule)
    n_in, n_out = int(draw.integers(3, 6)), int(draw.integers(2, 4))
    hidden = [int(n) for n in draw.integers(2, 6, size=draw.integers(1, 4))]
    if "relu" in known and draw.integers(2):
        known = ("relu",)  # the only one that every number system learns with
    if rule.spiking or rule.lifted or draw.integers(3):
        names = tuple(str(name) for name in draw.choice(known, len(hidden)))
        density = 1.0 if rule.lifted or draw.integers(3) else 0.7
        return {"layers": (n_in, *hidden, n_out), "activations": names, "density": density}
    neurons: dict[str, Any] = {"activation": str(draw.choice(known))}
    n = hidden[0]
    nodes = [Node("x", "input", shape=(n_in,)), Node("a", "dense", "x", size=n, **neurons)]
    nodes += (
        [Node("w", "dense", "a", size=n), Node("b", "sum", ("a", "w"), **neurons)],
        [Node("c", "dense", "a", size=2, **neurons), Node("b", "concat", ("a", "c"))],
        [Node("c", "dense", "a", size=n, **neurons), Node("b", "product", ("a", "c"), **neurons)],
    )[draw.integers(3)]
    return {"graph": Graph([*nodes, Node("y", "dense", "b", size=n_out)])}
