"""How prediction errors become gradients, with fixed and with free predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.elements import Population
from lava_dyads.experiments.papers.base import Finding, Report, Study, register
from lava_dyads.experiments.papers.relaxing import (
    closed_form,
    draw_errors,
    draw_layers,
    finish_axes,
    relaxing_errors,
)
from lava_dyads.networks.specification import NetworkSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE = 0.1
BETAS = (1.0, 0.1, 0.01, 0.001)
"""Nudges of the output with free predictions."""

EXACT = 1e-10
_SHORT, _FULL = (24, 20, 16, 12, 10), (784, 300, 300, 100, 10)


@register
class PcConvergence(Study):
    """Relative error of the prediction errors against backprop, per layer and step.

    From values at the forward pass, all layers in parallel (PC)::

        fixed:  eps_l <- eps_l + eta (W^T (f' eps_(l+1)) - eps_l)           eps_L given
        free:   eps_l = v_l - f(W v_(l-1)),  v_l <- v_l + eta (W^T (f' eps_(l+1)) - eps_l)
        error_l(t) = ||eps_l(t) + beta dl/dz_l|| / ||beta dl/dz_l||
    """

    name = "pc-convergence"
    paper = (
        "Millidge, Tschantz, Buckley: Predictive Coding Approximates Backprop Along Arbitrary "
        "Computation Graphs, arXiv 2006.04182"
    )
    shows = "error of predictive coding against backprop per layer and iteration"

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Relax one tanh network with fixed, then with free predictions at four nudges."""
        sizes, steps = (_FULL if full else _SHORT), 1000
        curves = []
        for free, beta in ((False, 1.0), *((True, beta) for beta in BETAS)):
            report(f"{'free' if free else 'fixed'} predictions, beta {beta:g}")
            spec = NetworkSpec(
                sizes,
                activations="tanh",
                rule=f"predictive-coding{'-free' if free else ''}",
                loss="squared-error",
                rate=RATE,
                beta=beta,
                seed=seed,
            )
            errors = relaxing_errors(spec, steps, _prediction_error, output_moves=free)
            for below, error in enumerate(reversed(errors), 1):
                curves.append({
                    "free": free, "beta": beta, "below_output": below, "error": error.tolist()
                })  # fmt: skip
        return {"layers": sizes, "steps": steps, "rate": RATE, "curves": curves}

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare fixed predictions with the closed form, free ones with the order of beta."""
        fixed = [c for c in numbers["curves"] if not c["free"]]
        distance = max(
            np.max(np.abs(c["error"] - closed_form(RATE, c["below_output"], numbers["steps"])))
            for c in fixed
        )
        at_100 = max(c["error"][100] for c in fixed)
        left = {
            beta: max(c["error"][-1] for c in numbers["curves"] if c["free"] and c["beta"] == beta)
            for beta in BETAS
        }
        ratio = left[BETAS[-2]] / left[BETAS[-1]]
        return [
            Finding(
                "With fixed predictions the errors relax to backprop's",
                f"largest distance to the closed form {distance:.2g}; largest error after 100 "
                f"iterations at eta {RATE:g}: {at_100:.2g}",
                bool(distance < EXACT),
            ),
            Finding(
                "With free predictions they do not, unless the output is nudged weakly",
                ", ".join(f"beta {beta:g}: {error:.2g}" for beta, error in left.items()),
                left[1.0] > 0.05 and left[BETAS[-1]] < 0.05,
            ),
            Finding(
                "The error that free predictions leave is of the order of beta",
                f"{ratio:.3g} times less for a tenth of beta",
                8 < ratio < 12.5,
            ),
        ]

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the errors after 100 iterations and at the end."""
        return [
            {
                "predictions": "free" if c["free"] else "fixed",
                "beta": c["beta"],
                "below the output": c["below_output"],
                "after 100": f"{c['error'][100]:.2e}",
                f"after {numbers['steps']}": f"{c['error'][-1]:.2e}",
            }
            for c in numbers["curves"]
        ]

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw error over iterations: fixed predictions per layer, free ones per nudge."""
        from matplotlib import colormaps

        left, right = figure.subplots(1, 2, sharey=True)
        curves = numbers["curves"]
        draw_layers(left, [c for c in curves if not c["free"]], RATE)
        left.set_title(f"fixed predictions, η = {RATE:g}; circles: closed form", fontsize=10)
        deepest = max(c["below_output"] for c in curves)
        for c in (c for c in curves if c["free"] and c["below_output"] == deepest):
            colour = colormaps["plasma"](BETAS.index(c["beta"]) / len(BETAS))
            draw_errors(right, c["error"], colour, f"β = {c['beta']:g}")
        right.set_title("free predictions, the layer nearest to the input", fontsize=10)
        finish_axes(left, right)


def _prediction_error(population: Population) -> Array:
    return np.asarray(population.memory["value"] - population.memory["prediction"])
