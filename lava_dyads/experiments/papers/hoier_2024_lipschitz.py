"""What asymmetric nudging does to a network's robustness: Lipschitz numbers and attacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.data import Dataset, load
from lava_dyads.elements.clock import Clock
from lava_dyads.experiments.papers.base import Finding, Report, Study, register
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.activations import activation
from lava_dyads.rules.optimisers import Adam
from lava_dyads.rules.units import rule
from lava_dyads.rules.units.baselines import BACKPROP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALPHAS = (0.0, 0.5, 1.0)
Parameters = tuple[list[Array], list[Array]]


@dataclass(frozen=True)
class Training:
    """How a network is trained: the rule and its alpha, or backprop, on attacked inputs or not."""

    label: str
    rule: str
    alpha: float = 0.5
    beta: float = 0.5
    attacked: bool = False


TRAININGS = (
    *(Training(f"adjoint DP, alpha {a:g}", "dp-transpose", a) for a in ALPHAS),
    *(Training(f"DP, alpha {a:g}", "dp", a, 0.05) for a in ALPHAS),
    Training("backprop", BACKPROP),
    Training("adversarial", BACKPROP, attacked=True),
)
"""beta 1/2 is the published one; plain DP with alpha other than 1/2 diverges with it."""


@dataclass(frozen=True)
class Size:
    """One of the two sizes of the study."""

    data: str
    hidden: tuple[int, ...]
    epochs: int
    seeds: int
    tested: int
    """Test samples that are attacked, and whose Jacobians are taken."""
    radius: float
    """Of the attack, in the largest change of a pixel; pixels are in 0 .. 1."""


SHORT = Size("digits", (64, 64), 20, 2, 300, 0.1)
FULL = Size("mnist", (512, 512), 20, 1, 1000, 0.1)
BATCH, RATE, STEPS = 50, 0.001, 10
"""Samples per update and Adam's rate, as published; steps of the longer attack."""


@register
class Lipschitz(Study):
    """Accuracy, Lipschitz numbers and accuracy under attack, for every training.

    Relu, squared error. With the trained weights, z_0 = x clean and g = dl/dx by backprop::

        product   = |W_3 W_2 W_1|, the largest singular value
        Jacobian  = mean over test samples of |dz_L/dx|
        FGSM      : x <- clip(x + radius sign g, 0, 1)
        PGD       : 10 steps of radius / 4 along sign g, each clipped to the radius around x

    And, on a small tanh network, the gradient of plain DP against that of the objective

        l + beta/2 (1 - 2 alpha) sum_k <g_k, f'(a_k) g_k>,    g_k = dl/dz_k, k = 1 .. L

    differentiated numerically: what is left falls with beta^2, what it explains with beta.
    """

    name = "two-tales-lipschitz"
    paper = "Hoier, Zach: Two Tales of Single-Phase Contrastive Hebbian Learning, ICML 2024"
    shows = "Lipschitz numbers and accuracy under attack, by alpha; the regulariser of plain DP"
    size = (12.0, 4.2)

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Train all networks (MNIST, 784-512-512-10, if full) and attack them."""
        chosen = FULL if full else SHORT
        data = load(chosen.data)
        cases = []
        for training in TRAININGS:
            for number in range(chosen.seeds):
                report(f"{training.label}, seed {seed + number}")
                measured = _case(training, chosen, data, seed + number)
                cases.append({"training": training.label, "alpha": training.alpha, **measured})
        report("the regulariser")
        layers = [data.x.shape[1], *chosen.hidden, data.classes]
        return {"data": chosen.data, "layers": layers, "radius": chosen.radius,
                "cases": cases, "regulariser": _regulariser(seed)}  # fmt: skip

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare the trainings, seed by seed, and the regulariser with its order in beta."""
        product = _by_alpha(numbers, "adjoint DP", "product")
        steep = _by_alpha(numbers, "adjoint DP", "jacobian")
        plain = _by_alpha(numbers, "DP", "jacobian")
        means = {t.label: _means(numbers, t.label) for t in TRAININGS}
        ours = [m["pgd"] for label, m in means.items() if label != "adversarial"]
        hard = means["adversarial"]
        cases = numbers["regulariser"]
        pairs = [(a, b) for a, b in pairwise(cases) if a["alpha"] == b["alpha"]]
        falls = {
            name: [a[name] / b[name] for a, b in pairs] for name in ("to_loss", "to_objective")
        }
        return [
            Finding(
                "Adjoint DP: the norm of the product of all weights grows with alpha",
                _in_words(product),
                bool(np.all(np.diff(product, axis=1) > 0)),
            ),
            Finding(
                "That norm is not robustness: from alpha 0 to 1 the Jacobian's norm falls",
                _in_words(steep),
                bool(np.all(steep[:, 0] > steep[:, 2])),
            ),
            Finding(
                "Plain DP is pessimistic below alpha 1/2 and optimistic above: the Jacobian's norm "
                "grows with alpha",
                _in_words(plain),
                bool(np.all(np.diff(plain, axis=1) > 0)),
            ),
            Finding(
                "Adversarial training does far more: the smallest Jacobian, the most right under "
                "attack",
                f"Jacobian {hard['jacobian']:.2f}, PGD {hard['pgd']:.2f}; without it at least "
                f"{min(m['jacobian'] for m in means.values() if m is not hard):.2f} and PGD "
                f"{min(ours):.2f} .. {max(ours):.2f}, which alpha hardly moves",
                hard["pgd"] - max(ours) > max(ours) - min(ours)
                and hard["jacobian"] == min(m["jacobian"] for m in means.values()),
            ),
            Finding(
                "DP(alpha) descends l + beta/2 (1 - 2 alpha) sum <g, f' g> to O(beta^2)",
                "with half of beta the distance to the loss's gradient falls by "
                f"{min(falls['to_loss']):.2f} .. {max(falls['to_loss']):.2f}, "
                f"that to the objective's by {min(falls['to_objective']):.2f} .. "
                f"{max(falls['to_objective']):.2f}",
                all(c["settled"] for c in cases)
                and all(1.7 < f < 2.3 for f in falls["to_loss"])
                and all(3.5 < f < 4.5 for f in falls["to_objective"]),
            ),
        ]

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row per training, means over the seeds."""
        rows = []
        for training in TRAININGS:
            mean = _means(numbers, training.label)
            rows.append({
                "training": training.label,
                "accuracy": f"{mean['accuracy']:.3f}",
                "|W3 W2 W1|": f"{mean['product']:.2f}",
                "Jacobian": f"{mean['jacobian']:.2f}",
                "FGSM": f"{mean['fgsm']:.3f}",
                "PGD": f"{mean['pgd']:.3f}",
                "residual": f"{mean['residual']:.2g}",
            })  # fmt: skip
        return rows

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw Lipschitz numbers and accuracies by training, and what the regulariser leaves."""
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
        means = {t.label: _means(numbers, t.label) for t in TRAININGS}
        places = np.arange(len(means))[::-1]
        for axes, names in (
            (left, {"product": "‖W₃W₂W₁‖", "jacobian": "Jacobian"}),
            (middle, {"accuracy": "clean", "fgsm": "FGSM", "pgd": "PGD"}),
        ):
            for name, label in names.items():
                axes.plot([m[name] for m in means.values()], places, "o", label=label)
                for place, t in zip(places, TRAININGS, strict=True):
                    found = [c[name] for c in numbers["cases"] if c["training"] == t.label]
                    axes.plot(found, [place] * len(found), "|", color="#888888", zorder=0)
            axes.set_yticks(places, list(means) if axes is left else [""] * len(means))
            axes.grid(alpha=0.3, axis="x")
            axes.legend(frameon=False, fontsize=8)
        left.set_xlim(0)
        left.set_xlabel("spectral norm")
        middle.set_xlim(0, 1)
        middle.set_xlabel(f"accuracy; attacks of radius {numbers['radius']:g}")
        for alpha, colour in zip((0.0, 0.25, 0.75, 1.0), ("C0", "C1", "C2", "C3"), strict=True):
            chosen = [c for c in numbers["regulariser"] if c["alpha"] == alpha]
            betas = [c["beta"] for c in chosen]
            right.loglog(betas, [c["to_loss"] for c in chosen], "o:", color=colour, ms=4)
            label = f"α = {alpha:g}"
            right.loglog(betas, [c["to_objective"] for c in chosen], "o-", color=colour, ms=4,
                         label=label)  # fmt: skip
        right.set_xticks([0.005, 0.01, 0.02], ["0.005", "0.01", "0.02"])
        right.minorticks_off()
        right.set_xlabel("β")
        right.set_title("plain DP's gradient: distance to that of\nthe loss (dotted), and of the "
                        "objective", fontsize=9)  # fmt: skip
        right.legend(frameon=False, fontsize=8)


def _means(numbers: dict[str, Any], label: str) -> dict[str, float]:
    """Return the mean over seeds of every number of a training."""
    cases = [c for c in numbers["cases"] if c["training"] == label]
    names = ("accuracy", "product", "jacobian", "clean", "fgsm", "pgd", "residual")
    return {name: float(np.mean([c[name] for c in cases])) for name in names}


def _by_alpha(numbers: dict[str, Any], form: str, name: str) -> Array:
    """Return a number of a form of DP, (seeds, alphas)."""
    columns = [
        [c[name] for c in numbers["cases"] if c["training"] == f"{form}, alpha {alpha:g}"]
        for alpha in ALPHAS
    ]
    return np.array(columns).T


def _in_words(table: Array) -> str:
    rows = [", ".join(f"{value:.2f}" for value in row) for row in table]
    return "at alpha 0, 1/2, 1: " + "; ".join(rows) + " (a seed each)"


def _case(training: Training, size: Size, data: Dataset, seed: int) -> dict[str, Any]:
    layers = (data.x.shape[1], *size.hidden, data.classes)
    options = {"alpha": training.alpha, "beta": training.beta}
    if training.rule == BACKPROP:
        options = {}
    spec = NetworkSpec(
        layers,
        loss="squared-error",
        rule=rule(training.rule, options),
        repeats=2 if training.rule != BACKPROP else None,
        seed=seed,
    )
    train, test = data.split(seed, 0.25)
    parameters, residual = _trained(spec, training, size, data, train, seed)
    rows = test[: size.tested]
    x, y = data.x[rows], np.eye(data.classes)[data.classes_of(rows)]
    oracle = replace(spec, rule=BACKPROP, nudge="", repeats=None)
    attacks = {
        "clean": x,
        "fgsm": attacked(oracle, x, y, parameters, size.radius, 1),
        "pgd": attacked(oracle, x, y, parameters, size.radius, STEPS),
    }
    right = {
        name: float(np.mean(_output(oracle, moved, parameters).argmax(axis=1) == y.argmax(axis=1)))
        for name, moved in attacks.items()
    }
    clean = _output(oracle, data.x[test], parameters).argmax(axis=1)
    return {
        "seed": seed,
        "accuracy": float(np.mean(clean == data.classes_of(test))),
        "product": float(np.linalg.norm(reduce(lambda a, w: w @ a, parameters[0]), 2)),
        "jacobian": float(np.mean(jacobian_norms(oracle, x, parameters))),
        **right,
        "residual": residual,
    }


def _trained(
    spec: NetworkSpec, training: Training, size: Size, data: Dataset, rows: Any, seed: int
) -> tuple[Parameters, float]:
    network = spec.build(lanes=BATCH, optimiser=Adam(RATE))
    generator, targets = np.random.default_rng(seed), np.eye(data.classes)
    oracle, residual = replace(spec, rule=BACKPROP, nudge="", repeats=None), 0.0
    for _ in range(size.epochs):
        order = generator.permutation(rows)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            x: Array = data.x[batch]
            y = targets[data.classes_of(batch)]
            if training.attacked:
                x = attacked(oracle, x, y, network.parameters(), size.radius, 1)
            clock = Clock(1, True, True, True, BATCH, batch=BATCH)
            network.after(clock, {"input_in": x, "target_in": y})
    for element in getattr(network, "populations", {}).values():
        residual = max(residual, float(element.memory["residual"][0]))
    return network.parameters(), residual


def _output(spec: NetworkSpec, x: Array, parameters: Parameters) -> Array:
    return spec.backpropagate(x, np.zeros((len(x), spec.layers[-1])), *parameters).output


def attacked(
    spec: NetworkSpec, x: Array, y: Array, parameters: Parameters, radius: float, steps: int
) -> Array:
    """Return inputs moved so as to raise the loss, within a radius and within 0 .. 1.

    Parameters
    ----------
    spec : NetworkSpec
    x, y : arrays (B, n_in), (B, n_out)
    parameters : tuple of lists
        Weights and biases.
    radius : float
        Largest change of an entry.
    steps : int
        1: the fast gradient sign method; more: projected descent with steps of 2.5 radius / steps.
    """
    size = radius if steps == 1 else 2.5 * radius / steps
    moved = x
    for _ in range(steps):
        error = spec.backpropagate(moved, y, *parameters).errors[0]
        moved = moved + size * np.sign(error @ parameters[0][0])
        moved = np.clip(np.clip(moved, x - radius, x + radius), 0.0, 1.0)
    return moved


def jacobian_norms(spec: NetworkSpec, x: Array, parameters: Parameters) -> Array:
    """Return the largest singular value of dz_L/dx of every sample, (B,)."""
    weights, biases = parameters
    slopes, z = [], x
    for k, name in enumerate(spec.activations):
        f = activation(name)
        a = z @ weights[k].T + biases[k]
        slopes.append(f.derivative(a))
        z = f.f(a)
    # From the output down: (B, n_out, n) is small where (B, n, n_in) is not.
    made = np.broadcast_to(weights[-1], (len(x), *weights[-1].shape))
    for slope, w in zip(reversed(slopes), reversed(weights[:-1]), strict=True):
        made = (made * slope[:, None, :]) @ w
    return np.asarray(np.linalg.norm(made, 2, axis=(1, 2)))


def _regulariser(seed: int) -> list[dict[str, float]]:
    """Return the distances of DP's gradient to that of the loss and to that of the objective."""
    generator = np.random.default_rng((seed, 1))
    x, y = generator.normal(size=(6, 5)), generator.normal(size=(6, 3))
    found = []
    for alpha in (0.0, 0.25, 0.75, 1.0):
        for beta in (0.02, 0.01, 0.005):
            spec = NetworkSpec((5, 4, 4, 3), "tanh", loss="squared-error", rule="dp", alpha=alpha,
                               beta=beta, gain=0.8, bias_deviation=0.1, seed=seed)  # fmt: skip
            network = spec.build(lanes=len(x))
            settled = network.settle(x, y)  # type: ignore[union-attr]
            parameters = spec.initial_parameters()
            ours = _flat(network.gradients())  # type: ignore[union-attr]
            plain = _flat(spec.backpropagate(x, y, *parameters).gradients())
            extra = 0.5 * beta * (1 - 2 * alpha) * _penalty_gradient(spec, x, y, parameters)
            scale = np.linalg.norm(plain)
            found.append({
                "alpha": alpha, "beta": beta, "settled": settled.converged,
                "to_loss": float(np.linalg.norm(ours - plain) / scale),
                "to_objective": float(np.linalg.norm(ours - plain - extra) / scale),
            })  # fmt: skip
    return found


def penalty(spec: NetworkSpec, x: Array, y: Array, parameters: Parameters) -> float:
    """Return the mean over samples of sum_k <g_k, f'(a_k) g_k>, g_k = dl/dz_k."""
    weights, biases = parameters
    run = spec.backpropagate(x, y, *parameters)
    total, z = np.zeros(len(x)), x
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        f = activation(spec.activations[k]) if k < len(spec.activations) else activation("linear")
        a = z @ w.T + b
        z = f.f(a)
        # delta = f' g, so <g, f' g> = delta g.
        g = run.errors[k + 1] @ weights[k + 1] if k + 1 < len(weights) else run.errors[k]
        total += np.sum(run.errors[k] * g, axis=1)
    return float(total.mean())


def _penalty_gradient(spec: NetworkSpec, x: Array, y: Array, parameters: Parameters) -> Array:
    step, found = 1e-5, []
    for array in (array for part in parameters for array in part):
        for i in np.ndindex(array.shape):
            sides = []
            for sign in (step, -2 * step):
                array[i] += sign
                sides.append(penalty(spec, x, y, parameters))
            array[i] += step
            found.append((sides[0] - sides[1]) / (2 * step))
    return np.array(found)


def _flat(gradients: Parameters) -> Array:
    return np.concatenate([g.ravel() for part in gradients for g in part])
