"""Where dual propagation settles: DP and DP-transpose, nonlinear nets and the linear theory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.executors.schedules import sweep
from lava_dyads.executors.step import Network
from lava_dyads.experiments.papers.base import Finding, Report, Study, register
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.activations import activation
from lava_dyads.rules.losses import loss
from lava_dyads.rules.theory import loop_gain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS = (("relu", 1.0, 0.5), ("linear", 2.0, 0.01), ("tanh", 1.0, 0.5), ("relu", 2.0, 0.5))
"""Activation, gain of the weights (norm about twice that) and beta of every row of the table."""

ALPHAS = (0.0, 0.5, 1.0)
RULES = ("dp", "dp-transpose")
CLOSE = 0.02
"""Cases nearer than this to rho = 1 are left out: they take thousands of sweeps."""

_FAR = 3.0
"""Loop gain up to which damping is asked to settle; beyond about 4 it does not always."""

SWEEPS = 200
_CYCLE = 1e3
"""A residual below it after all sweeps is that of a cycle; divergence is many orders larger."""


@register
class Stability(Study):
    """Verdicts for four networks, and rho = 1 as the border of the linear case.

    In order, for each linear network with DP (squared error, proximal)::

        change_n = ||means after sweep n - means before||
        growth   = exp(slope of log change_n over the later half of the sweeps)
        theory   : growth = rho, so it settles iff rho < 1

    A sweep is bottom-up and top-down. Verdicts: *exact* settled after the first sweep, *ok*
    settled later, *cycles* did not and stays bounded, *diverges*.
    """

    name = "two-tales-stability"
    paper = "Hoier, Zach: Two Tales of Single-Phase Contrastive Hebbian Learning, ICML 2024"
    shows = "which dyads settle under asymmetric nudging: DP and its adjoint form over alpha, beta"
    size = (11.0, 4.2)

    expected = (
        ("diverges", "ok", "cycles", "exact", "ok", "exact"),
        ("diverges", "ok", "diverges", "exact", "ok", "exact"),
        ("cycles", "ok", "cycles", "exact", "ok", "exact"),
        ("diverges", "diverges", "diverges", "exact", "diverges", "exact"),
    )
    """Verdicts by row of SETTINGS; DP at alpha 0, 1/2, 1, then DP-transpose."""

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Settle the networks of the table, then the linear ones of the map."""
        cells = []
        for row, (name, gain, beta) in enumerate(SETTINGS):
            for column, (rule, alpha) in enumerate((r, a) for r in RULES for a in ALPHAS):
                report(f"{name}, gain {gain:g}, {rule}, alpha {alpha:g}")
                cells.append({
                    "activation": name, "gain": gain, "beta": beta, "rule": rule, "alpha": alpha,
                    "expected": self.expected[row][column],
                    **_verdict(name, gain, beta, rule, alpha, seed),
                })  # fmt: skip
        steps = 15 if full else 7
        betas = np.geomspace(0.01, 0.9, steps)
        linear = []
        for network in range(4 if full else 1):
            for alpha in np.linspace(0, 1, steps):
                report(f"linear networks, alpha {alpha:.2f}")
                for beta in betas:
                    linear.append(_linear(float(alpha), float(beta), seed + network))
        report("linear networks, damped")
        damped = _damped(seed, 6 if full else 2)
        adjoint = _adjoint(seed, steps, betas)
        return {"table": cells, "map": linear, "adjoint": adjoint, "damped": damped}

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare verdicts, sides of rho = 1, and growth with rho."""
        cells = numbers["table"]
        right = [_same(cell["verdict"], cell["expected"]) for cell in cells]
        wrong = [
            f"{c['rule']} alpha {c['alpha']:g} on {c['activation']} gain {c['gain']:g}: "
            f"{c['verdict']} for {c['expected']}"
            for c, ok in zip(cells, right, strict=True)
            if not ok
        ]
        cases = [c for c in numbers["map"] if abs(c["rho"] - 1) >= CLOSE]
        sides = [(c["growth"] < 1) == (c["rho"] < 1) for c in cases]
        # Below a growth of .01 two sweeps are all there is to fit.
        worst = max(abs(c["growth"] / c["rho"] - 1) for c in cases if c["rho"] > 0.01)
        settled = [c["settled"] for c in numbers["adjoint"]]
        damped = [c["settled"] for c in numbers["damped"]]
        rhos = [c["rho"] for c in numbers["damped"]]
        return [
            Finding(
                "The adjoint form settles after one sweep at alpha 0 and 1, plain DP there "
                "diverges or cycles; both settle at 1/2 unless relu meets large weights",
                f"{sum(right)} of {len(right)} verdicts" + "".join(f"; {w}" for w in wrong),
                all(right),
            ),
            Finding(
                "A linear network settles under DP if and only if rho < 1",
                f"{sum(sides)} of {len(sides)} with |rho - 1| >= {CLOSE} on the right side",
                all(sides),
            ),
            Finding(
                "rho is the factor by which changes grow from sweep to sweep",
                f"largest relative difference {worst:.2g}",
                worst < 0.05,
            ),
            Finding(
                "The adjoint form settles for every alpha and beta in linear networks",
                f"{sum(settled)} of {len(settled)}",
                all(settled),
            ),
            Finding(
                "Damped DP settles at alpha above 1/2 where plain DP does not",
                f"{sum(damped)} of {len(damped)} linear networks with rho from {min(rhos):.2f} to "
                f"{max(rhos):.2f}",
                all(damped),
            ),
        ]

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row per network, a column per rule and alpha."""
        made: dict[tuple[str, float, float], dict[str, Any]] = {}
        for c in numbers["table"]:
            key = (c["activation"], c["gain"], c["beta"])
            row = made.setdefault(key, dict(zip(("f", "gain", "beta"), key, strict=True)))
            cosine = "" if c["cosine"] is None else f" {c['cosine']:.3f}"
            short = "DP" if c["rule"] == "dp" else "DP-T"
            row[f"{short} {c['alpha']:g}"] = f"{c['verdict']}{cosine}"
        return list(made.values())

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw growth over alpha and beta with the line rho = 1, and growth against rho."""
        from matplotlib.colors import TwoSlopeNorm

        left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1.1, 1))
        first = numbers["map"][0]["seed"]
        cases = [c for c in numbers["map"] if c["seed"] == first]
        alphas = sorted({c["alpha"] for c in cases})
        betas = sorted({c["beta"] for c in cases})
        shape = (len(alphas), len(betas))
        norm = TwoSlopeNorm(0.0, -2.0, 2.0)
        for axes, key, title in ((left, "map", "DP"), (middle, "adjoint", "adjoint DP")):
            chosen = [c for c in numbers[key] if c["seed"] == first]
            growth = np.array([c["growth"] for c in chosen]).reshape(shape)
            colours = np.clip(np.log(np.maximum(growth, 1e-9)), -2, 2)
            mesh = axes.pcolormesh(betas, alphas, colours, cmap="RdBu_r", norm=norm)
            axes.set_xscale("log")
            axes.set_xlabel("β")
            axes.set_title(f"{title}, linear network", fontsize=10)
        rho = np.array([c["rho"] for c in cases]).reshape(shape)
        left.contour(betas, alphas, rho, levels=[1.0], colors="black", linewidths=1.5)
        left.set_ylabel("α")
        figure.colorbar(mesh, ax=[left, middle], label="log of growth per sweep", shrink=0.8)
        pairs = [
            (c["rho"], c["growth"]) for c in numbers["map"] if c["growth"] > 0 and c["rho"] > 0
        ]
        right.loglog(*zip(*pairs, strict=True), ".", color="#0b5fa5", ms=4)
        ends = [min(p[0] for p in pairs), max(p[0] for p in pairs)]
        right.loglog(ends, ends, "-", color="#888888", lw=0.8)
        right.axvline(1, color="black", lw=0.6)
        right.axhline(1, color="black", lw=0.6)
        right.set_xlabel("ρ")
        right.set_ylabel("growth measured per sweep")
        right.set_title("the border is ρ = 1", fontsize=10)


def _same(verdict: str, expected: str) -> bool:
    """Tell whether a verdict is the expected one; settling in one sweep is a kind of ok."""
    return verdict == expected or (verdict, expected) == ("exact", "ok")


def _data(seed: int, n_in: int, n_out: int, lanes: int) -> tuple[Array, Array]:
    generator = np.random.default_rng((seed, 1))
    return generator.normal(size=(lanes, n_in)), generator.normal(size=(lanes, n_out))


def _spec(name: str, sizes: tuple[int, ...], gain: float, beta: float, rule: str, alpha: float,
          seed: int) -> NetworkSpec:  # fmt: skip
    return NetworkSpec(
        sizes,
        activations=name,
        loss="squared-error",
        rule=rule,
        alpha=alpha,
        beta=beta,
        gain=gain,
        bias_deviation=0.05,
        seed=seed,
        nudge="linearised" if rule == "dp-transpose" else "proximal",
    )


def _verdict(name: str, gain: float, beta: float, rule: str, alpha: float, seed: int
             ) -> dict[str, Any]:  # fmt: skip
    sizes, lanes = (16, 16, 16, 16, 8), 8
    spec = _spec(name, sizes, gain, beta, rule, alpha, seed)
    x, y = _data(seed, sizes[0], sizes[-1], lanes)
    outcome, changes, network = _settle(spec, x, y, SWEEPS)
    if not outcome:
        last = changes[-1] if changes.size else np.inf
        bounded = np.isfinite(last) and last < _CYCLE
        return {"verdict": "cycles" if bounded else "diverges", "cosine": None, "sweeps": None}
    weights, biases = spec.initial_parameters()
    run = backpropagate(x, y, weights, biases, [activation(name)] * 3, loss("squared-error"))
    ours = np.concatenate([g.ravel() for part in network.gradients() for g in part])
    theirs = np.concatenate([g.ravel() for part in run.gradients() for g in part])
    cosine = ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs))
    scale = max(np.abs(p.memory[f"sent_{p.unit.up}"]).max() for p in network.populations.values())
    sweeps = int(np.count_nonzero(changes > 1e-12 * scale))
    return {"verdict": "ok" if sweeps else "exact", "cosine": float(cosine), "sweeps": sweeps}


def _linear(alpha: float, beta: float, seed: int, rule: str = "dp") -> dict[str, Any]:
    sizes = (8, 8, 8, 8, 4)
    spec = _spec("linear", sizes, 1.0, beta, rule, alpha, seed)
    settled, changes, _ = _settle(spec, *_data(seed, 8, 4, 4), 80)
    return {
        "alpha": alpha,
        "beta": beta,
        "seed": seed,
        "rho": loop_gain(spec.initial_parameters()[0], alpha, beta) if rule == "dp" else 0.0,
        "growth": _growth(changes),
        "settled": settled,
    }


def _adjoint(seed: int, steps: int, betas: Array) -> list[dict[str, Any]]:
    alphas = np.linspace(0, 1, steps)
    return [_linear(float(a), float(b), seed, "dp-transpose") for a in alphas for b in betas]


def _damped(seed: int, networks: int) -> list[dict[str, Any]]:
    """Settle linear networks with damped DP where rho is beyond 1, and below 3."""
    cases = []
    for number in range(seed, seed + networks):
        for alpha in (0.7, 0.85, 1.0):
            for beta in (0.1, 0.2, 0.4, 0.8):
                spec = _spec("linear", (8, 8, 8, 8, 4), 1.0, beta, "dp-damped", alpha, number)
                rho = loop_gain(spec.initial_parameters()[0], alpha, beta)
                if 1 + CLOSE < rho < _FAR:
                    settled, *_ = _settle(spec, *_data(number, 8, 4, 4), 500)
                    cases.append({"alpha": alpha, "beta": beta, "seed": number, "rho": rho,
                                  "settled": settled})  # fmt: skip
    return cases


def _settle(spec: NetworkSpec, x: Array, y: Array, sweeps: int) -> tuple[bool, Array, Network]:
    """Return whether it settled, the change of all means per sweep, and the network."""
    network = spec.build(lanes=len(x))
    assert isinstance(network, Network)
    means: list[Array] = []

    def recorded(network: Network) -> Iterator[list[str]]:
        populations = network.populations.values()
        for i, names in enumerate(sweep(network)):
            if i % (2 * spec.depth) == 0:
                sent = [p.memory[f"sent_{p.unit.up}"].ravel() for p in populations]
                means.append(np.concatenate(sent))
            yield names

    with np.errstate(all="ignore"):
        outcome = network.settle(x, y, schedule=recorded, max_steps=sweeps * 2 * spec.depth)
        # The first two changes are the forward pass: data take a step to arrive.
        changes = np.linalg.norm(np.diff(np.array(means), axis=0), axis=1)[2:]
    return outcome.converged, changes, network


def _growth(changes: Array) -> float:
    """Return the factor per sweep, from a line through the later half of the logarithms."""
    finite = np.isfinite(changes)
    if not np.any(changes[finite] > 0):
        return 0.0
    # Below this it is rounding.
    rounds = np.flatnonzero(finite & (changes > 1e-11 * changes[finite].max()))
    rounds = rounds[len(rounds) // 2 :]
    if len(rounds) < 2:
        return 0.0
    return float(np.exp(np.polyfit(rounds, np.log(changes[rounds]), 1)[0]))
