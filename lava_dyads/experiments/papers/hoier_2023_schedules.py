"""How many updates dual propagation needs, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.experiments.papers.base import Finding, Report, Study, register
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules._types import Array
from lava_dyads.rules.engine import Network, Schedule, parallel, random_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LANES, _WIDTH = 4, 9
_RANDOM = "one random layer at a time"


def _down(network: Network) -> Iterator[list[str]]:
    while True:
        yield from ([name] for name in reversed(network.populations))


def _bottom_up(network: Network) -> Iterator[list[str]]:
    while True:
        yield from ([name] for name in network.populations)


def _odd_even(network: Network) -> Iterator[list[str]]:
    names = list(network.populations)
    while True:
        yield names[::2]
        yield names[1::2]


SCHEDULES: dict[str, tuple[Schedule | None, bool, str]] = {
    "one sweep down": (_down, True, "L updates of a layer"),
    "all layers in parallel": (parallel, True, "L rounds"),
    "bottom-up sweeps": (_bottom_up, True, "L sweeps, (L - 1) L + 1 updates of a layer"),
    "odd, then even layers": (_odd_even, True, "at most L + 1 half rounds"),
    "all layers in parallel, from zeros": (parallel, False, "2 L rounds"),
    _RANDOM: (None, False, "2 L^2 updates of a layer on average"),
}
"""Order, whether it starts from the forward pass, and what it needs, by name."""


@register
class Schedules(Study):
    """Updates until mean and difference of every dyad are final, to 1e-12.

    The adjoint form at alpha 1 with a linearised nudge; L layers, the output one included. From
    zeros the papers count 2 L - 1 rounds and L (2 L - 1) updates of a random layer: the output
    needs one more here, since the nudge comes by a message of the head.
    """

    name = "dp-schedules"
    paper = (
        "Hoier, Staudt, Zach: Dual Propagation, ICML 2023 (arXiv 2302.01228), and Scurria, arXiv "
        "2602.02281 (the steps of the parallel schedule)"
    )
    shows = "updates that dyads need until they are final, for six orders of updating"
    size = (7.0, 4.2)

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Settle relu networks of 2 .. 5 (8 if full) layers in every order."""
        cases = []
        for depth in range(2, 9 if full else 6):
            for name in SCHEDULES:
                report(f"{depth} layers, {name}")
                cases.append(
                    {"layers": depth, "order": name, **self._case(name, depth, seed, full)}
                )
        return {"cases": cases}

    def _case(self, name: str, depth: int, seed: int, full: bool) -> dict[str, Any]:
        schedule, informed, _ = SCHEDULES[name]
        runs = (100 if full else 25) if schedule is None else 1
        counts = [
            _updates(depth, schedule or random_order(seed + run), informed, seed + run)
            for run in range(runs)
        ]
        error = float(np.std(counts, ddof=1) / np.sqrt(runs)) if runs > 1 else 0.0
        return {"updates": float(np.mean(counts)), "error": error}

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare every count with what is known of it."""
        found = []
        for name, (_, _, law) in SCHEDULES.items():
            cases = [c for c in numbers["cases"] if c["order"] == name]
            text = ", ".join(f"{c['updates']:.4g} (L = {c['layers']})" for c in cases)
            found.append(Finding(f"{name}: {law}", text, all(_lawful(c) for c in cases)))
        return found

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row per order, a column per depth."""
        rows: dict[str, dict[str, Any]] = {name: {"order": name} for name in SCHEDULES}
        for c in numbers["cases"]:
            spread = f" +- {c['error']:.1f}" if c["error"] else ""
            rows[c["order"]][f"L = {c['layers']}"] = f"{c['updates']:.4g}{spread}"
        return list(rows.values())

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw updates over the depth."""
        axes = figure.subplots()
        for name in SCHEDULES:
            cases = [c for c in numbers["cases"] if c["order"] == name]
            x, y = [c["layers"] for c in cases], [c["updates"] for c in cases]
            axes.errorbar(x, y, [c["error"] for c in cases], marker="o", ms=4, label=name)
        depths = sorted({c["layers"] for c in numbers["cases"]})
        axes.plot(depths, [2 * d * d for d in depths], ":", color="black", lw=1, label="2 L²")
        axes.set_yscale("log")
        axes.set_xticks(depths)
        axes.set_xlabel("layers L")
        axes.set_ylabel("updates, or rounds of them, until final")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)


def _lawful(case: dict[str, Any]) -> bool:
    depth, updates = case["layers"], case["updates"]
    exact = {
        "one sweep down": depth,
        "all layers in parallel": depth,
        "bottom-up sweeps": (depth - 1) * depth + 1,
        "all layers in parallel, from zeros": 2 * depth,
    }
    if case["order"] in exact:
        return bool(updates == exact[case["order"]])
    if case["order"] == "odd, then even layers":
        return bool(updates <= depth + 1)
    return bool(abs(updates - 2 * depth**2) < 4 * case["error"])


def _updates(depth: int, schedule: Schedule, informed: bool, seed: int) -> int:
    """Return after how many steps of a schedule nothing changes any more."""
    spec = NetworkSpec(
        (_WIDTH,) * (depth + 1), loss="squared-error", beta=0.3, bias_deviation=0.1, seed=seed
    )
    network = spec.build(lanes=_LANES)
    assert isinstance(network, Network)
    generator = np.random.default_rng((seed, 1))
    x, y = generator.normal(size=(2, _LANES, _WIDTH))
    states: list[Array] = []

    def noted(network: Network) -> Iterator[list[str]]:
        yield []  # data take a step to arrive
        if informed:
            yield from ([name] for name in network.populations)
        for names in schedule(network):
            memories = [p.memory for p in network.populations.values()]
            sent = [m[f"sent_{c}"] for m in memories for c in ("mean", "difference")]
            states.append(np.concatenate(sent, axis=1).copy())
            yield names

    outcome = network.settle(x, y, schedule=noted, max_steps=5000)
    assert outcome.converged
    final = states[-1]
    moving = [i for i, s in enumerate(states) if np.max(np.abs(s - final)) > 1e-12]
    return moving[-1] + 1 if moving else 0
