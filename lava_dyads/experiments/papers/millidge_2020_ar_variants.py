"""How activation relaxation learns without the parts that no neuron has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.data import Dataset, load
from lava_dyads.errors import DataError
from lava_dyads.experiments.papers.base import Finding, Report, Study, register
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.rules.units.baselines import ALIGNMENT, BACKPROP
from lava_dyads.training import Trainer, TrainingConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXACT, _SIMPLER = "activation-relaxation", "derivative-free-relaxation"
VARIANTS: dict[str, dict[str, str]] = {
    "backprop": {"rule": BACKPROP},
    "exact": {"rule": _EXACT},
    "learnt backward weights": {"rule": _EXACT, "feedback": "kolen_pollack"},
    "no derivative": {"rule": _SIMPLER},
    "both": {"rule": _SIMPLER, "feedback": "kolen_pollack"},
    "feedback alignment": {"rule": ALIGNMENT},
}
"""What a network is, by the name of the variant."""

SHORT = (("digits", (64, 100, 100, 50, 10), 16, 0.02, 20, 3),)
_LARGE = ((784, 300, 300, 100, 10), 64, 0.005, 5, 1)
FULL = (("mnist", *_LARGE), ("fashion-mnist", *_LARGE))
"""Data set, layers, batch size, learning rate, epochs, seeds."""

GAIN = 0.7
"""Initial weights have deviation GAIN / sqrt(n_in): with more, random feedback through four layers
is too strong to learn by."""

_CLOSE = 0.015
"""Accuracy by which a variant may differ from backprop and still agree with the paper."""


@register
class ArVariants(Study):
    """Test accuracy over the epochs, from the same weights, in the same order.

    Relu, squared error, batches of 64 (as published; digits: 16), gradient descent with momentum.
    Errors relax at rate 1, which ends where the published rate 0.1 does (``ar-convergence`` has the
    way). Learnt backward weights learn by the transpose of what the forward ones learn by, both
    under a decay of 0.0003 per update.
    """

    name = "ar-variants"
    paper = (
        "Millidge, Tschantz, Seth, Buckley: Activation Relaxation, arXiv 2009.05359, learned "
        "backwards weights and dropping the nonlinear derivatives"
    )
    shows = "accuracy of activation relaxation, exact and simplified, beside backprop"

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Train every variant on digits, or on MNIST and Fashion-MNIST, as far as they are here."""
        runs: list[dict[str, Any]] = []
        absent: dict[str, str] = {}
        for name, sizes, batch, rate, epochs, seeds in FULL if full else SHORT:
            try:
                data = load(name)
            except DataError as error:
                absent[name] = str(error)
                continue
            for variant in VARIANTS:
                for number in range(seed, seed + seeds):
                    report(f"{name}, {variant}, seed {number}")
                    found = _train(variant, data, sizes, batch, rate, epochs, number)
                    runs.append({"data": name, "variant": variant, "seed": number, **found})
        if not runs:
            raise DataError("; ".join(absent.values()))
        return {"runs": runs, "absent": absent}

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare the accuracies of the last epoch with backprop's."""
        found = []
        for name in _names(numbers):
            backprop = _last(numbers, name, "backprop")
            for variant in list(VARIANTS)[1:]:
                accuracy = _last(numbers, name, variant)
                text = f"{accuracy:.4f}, backprop {backprop:.4f}"
                if variant == "feedback alignment":
                    claim = f"{name}, feedback alignment: learns, but less"
                    found.append(Finding(claim, text, accuracy > backprop - 4 * _CLOSE))
                else:
                    claim = f"{name}, {variant}: nearly identical to backprop"
                    found.append(Finding(claim, text, abs(accuracy - backprop) < _CLOSE))
            first, last = _angles(numbers, name)
            found.append(
                Finding(
                    f"{name}: learnt backward weights turn towards the transposed forward ones",
                    f"from {first:.0f} to {last:.0f} degrees, mean over the layers",
                    last < first,
                )
            )
        return found

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row per data set and variant, and one per data set that is not there."""
        rows: list[dict[str, Any]] = []
        for name in _names(numbers):
            for variant in VARIANTS:
                last = [run["accuracy"][-1] for run in _runs(numbers, name, variant)]
                text = f"{np.mean(last):.4f}"
                text += f" +- {np.std(last, ddof=1):.4f}" if len(last) > 1 else ""
                rows.append({"data": name, "variant": variant, "test accuracy": text})
        for name, why in numbers["absent"].items():
            rows.append({"data": name, "variant": "not measured", "test accuracy": why})
        return rows

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw the test error over the epochs, a panel per data set."""
        from matplotlib import colormaps

        names = _names(numbers)
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            for i, variant in enumerate(VARIANTS):
                error = 1 - np.array([run["accuracy"] for run in _runs(numbers, name, variant)])
                epochs = np.arange(1, error.shape[1] + 1)
                baseline = variant == "backprop"  # dashed and on top: others lie below it
                colour = "black" if baseline else colormaps["tab10"](i)
                axes.plot(epochs, error.mean(axis=0), "--" if baseline else "-", color=colour,
                          zorder=3 if baseline else 2, label=variant)  # fmt: skip
            axes.set_title(name, fontsize=10)
            axes.set_yscale("log")
            axes.set_xlabel("epochs")
            axes.set_xticks(epochs if len(epochs) < 13 else epochs[4::5])
            least = min(1 - max(r["accuracy"]) for r in numbers["runs"] if r["data"] == name)
            ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if tick > least / 2]
            axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
            axes.tick_params(axis="y", which="minor", labelleft=False)
            axes.grid(alpha=0.3, which="both")
        panels[0].set_ylabel("test error")
        panels[0].legend(frameon=False, fontsize=8)


def _train(
    variant: str,
    data: Dataset,
    sizes: tuple[int, ...],
    batch: int,
    rate: float,
    epochs: int,
    seed: int,
) -> dict[str, Any]:
    options: dict[str, Any] = dict(VARIANTS[variant])
    spec = NetworkSpec(sizes, loss="squared-error", beta=1.0, gain=GAIN, seed=seed, **options)
    config = TrainingConfig(
        epochs=epochs, batch_size=batch, optimiser="momentum", learning_rate=rate, seed=seed,
        split_seed=seed, counting=False,
    )  # fmt: skip
    with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
        begin = [v for k, v in trainer.feedback_drift().items() if k.startswith("feedback_angle")]
        history = trainer.fit()
    end = [v for k, v in history.epochs[-1].items() if k.startswith("feedback_angle")]
    angles = [float(np.mean(part)) for part in (begin, end)] if begin else []
    return {"accuracy": history.column("test_accuracy"), "angles": angles}


def _names(numbers: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(run["data"] for run in numbers["runs"]))


def _runs(numbers: dict[str, Any], name: str, variant: str) -> list[dict[str, Any]]:
    wanted = (name, variant)
    return [run for run in numbers["runs"] if (run["data"], run["variant"]) == wanted]


def _last(numbers: dict[str, Any], name: str, variant: str) -> float:
    return float(np.mean([run["accuracy"][-1] for run in _runs(numbers, name, variant)]))


def _angles(numbers: dict[str, Any], name: str) -> tuple[float, float]:
    found = [run["angles"] for run in _runs(numbers, name, "both")]
    first, last = np.mean(found, axis=0)
    return float(first), float(last)
