"""How many updates dual propagation needs, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.executors.schedules import ORDERS
from lava_dyads.executors.step import Network
from lava_dyads.experiments.papers.base import Finding, Report, Study, register
from lava_dyads.networks.specification import NetworkSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LANES, _WIDTH = 4, 9
_RANDOM = ("random-layer", "random-neuron")


LAWS = {
    "one-sweep": "L updates of a layer",
    "layer-parallel": "L rounds",
    "bottom-up": "L sweeps, (L - 1) L + 1 updates of a layer",
    "odd-even": "at most L + 1 half rounds",
    "parallel": "2 L rounds from zeros",
    "unit-step": "2 L rounds from zeros, and they are all it takes",
    "random-layer": "2 L^2 updates of a layer on average, from zeros",
    "random-neuron": "16 to 24 updates per neuron at L = 4, from zeros",
    "lazy": "one sweep up and one down from another sample's state, 2 L updates of a layer",
}
"""What an order needs, by its name in ``executors.schedules``."""


@register
class Schedules(Study):
    """Updates until mean and difference of every dyad are final, to 1e-12.

    The adjoint form at alpha 1 with a linearised nudge; L layers, the output one included. From
    zeros the papers count 2 L - 1 rounds and L (2 L - 1) updates of a random layer: the output
    needs one more here, since the nudge comes by a message of the head. Updates of single neurons
    are counted in rounds of as many as there are neurons.
    """

    name = "dp-schedules"
    paper = (
        "Hoier, Staudt, Zach: Dual Propagation, ICML 2023 (arXiv 2302.01228), and Scurria, arXiv "
        "2602.02281 (the steps of the parallel schedule)"
    )
    shows = "updates that dyads need until they are final, for nine orders of updating"
    size = (7.0, 4.2)

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Settle relu networks of 2 .. 5 (8 if full) layers in every order."""
        cases = []
        for depth in range(2, 9 if full else 6):
            for name in LAWS:
                report(f"{depth} layers, {name}")
                cases.append(
                    {"layers": depth, "order": name, **self._case(name, depth, seed, full)}
                )
        return {"cases": cases}

    def _case(self, name: str, depth: int, seed: int, full: bool) -> dict[str, Any]:
        runs = 1
        if name in _RANDOM:
            runs = (4 if full else 1) * (25 if name == "random-layer" else 4)
        counts = [_updates(depth, name, seed + run) for run in range(runs)]
        # Of single neurons, in rounds of as many updates as there are neurons.
        unit = depth * _WIDTH if name == "random-neuron" else 1
        error = float(np.std(counts, ddof=1) / np.sqrt(runs)) if runs > 1 else 0.0
        return {"updates": float(np.mean(counts)) / unit, "error": error / unit}

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare every count with what is known of it."""
        found = []
        for name, law in LAWS.items():
            cases = [c for c in numbers["cases"] if c["order"] == name]
            text = ", ".join(f"{c['updates']:.4g} (L = {c['layers']})" for c in cases)
            found.append(Finding(f"{name}: {law}", text, all(_lawful(c) for c in cases)))
        return found

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row per order, a column per depth."""
        rows: dict[str, dict[str, Any]] = {name: {"order": name} for name in LAWS}
        for c in numbers["cases"]:
            spread = f" +- {c['error']:.1f}" if c["error"] else ""
            rows[c["order"]][f"L = {c['layers']}"] = f"{c['updates']:.4g}{spread}"
        return list(rows.values())

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw updates over the depth."""
        axes = figure.subplots()
        alike: dict[tuple[float, ...], list[str]] = {}
        for name in LAWS:
            cases = [c for c in numbers["cases"] if c["order"] == name]
            alike.setdefault(tuple(c["updates"] for c in cases), []).append(name)
        for y, names in alike.items():  # those with the same counts share a line
            cases = [c for c in numbers["cases"] if c["order"] == names[0]]
            x, error = [c["layers"] for c in cases], [c["error"] for c in cases]
            axes.errorbar(x, y, error, marker="o", ms=4, label=", ".join(names))
        depths = sorted({c["layers"] for c in numbers["cases"]})
        axes.plot(depths, [2 * d * d for d in depths], ":", color="black", lw=1, label="2 L²")
        axes.set_yscale("log")
        axes.set_xticks(depths)
        ticks = [2, 5, 10, 20, 50, 100]
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.set_xlabel("layers L")
        axes.set_ylabel("updates, or rounds of them, until final")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)


def _lawful(case: dict[str, Any]) -> bool:
    depth, updates = case["layers"], case["updates"]
    exact = {
        "one-sweep": depth,
        "layer-parallel": depth,
        "bottom-up": (depth - 1) * depth + 1,
        "parallel": 2 * depth,
        "unit-step": 2 * depth,
        "lazy": 2 * depth,
    }
    if case["order"] in exact:
        return bool(updates == exact[case["order"]])
    if case["order"] == "odd-even":
        return bool(updates <= depth + 1)
    if case["order"] == "random-neuron":
        return depth != 4 or bool(updates + 2 * case["error"] >= 16 and updates <= 24)
    return bool(abs(updates - 2 * depth**2) < 4 * case["error"])


def _updates(depth: int, name: str, seed: int) -> int:
    """Return after how many steps of an order, its forward pass left out, nothing changes."""
    spec = NetworkSpec(
        (_WIDTH,) * (depth + 1), loss="squared-error", beta=0.3, bias_deviation=0.1, seed=seed
    )
    network = spec.build(lanes=_LANES)
    assert isinstance(network, Network)
    generator = np.random.default_rng((seed, 1))
    x, y = generator.normal(size=(2, _LANES, _WIDTH))
    order = ORDERS[name]
    if order.lazy:
        network.settle(x[::-1].copy(), y[::-1].copy())
    states: list[Array] = []

    def state(network: Network) -> Array:
        memories = [p.memory for p in network.populations.values()]
        sent = [m[f"sent_{c}"] for m in memories for c in ("mean", "difference")]
        return np.concatenate(sent, axis=1)

    def noted(network: Network) -> Iterator[list[str]]:
        beginning = 1 + (depth if order.informed else 0)
        for step, names in enumerate(order.schedule(seed)(network)):
            if step >= beginning:
                states.append(state(network))
            yield names

    outcome = network.settle(x, y, schedule=noted, max_steps=50_000, lazy=order.lazy)
    assert outcome.converged
    states.append(state(network))
    moving = [i for i, s in enumerate(states) if np.max(np.abs(s - states[-1])) > 1e-12]
    return moving[-1] + 1 if moving else 0
