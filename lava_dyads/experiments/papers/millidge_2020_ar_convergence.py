"""How fast activation relaxation forgets its error, layer by layer: Figure 1 of the paper."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

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

RATES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
"""eta: those of the figure, and 1."""

EXACT = 1e-10
_SHORT, _FULL = (24, 20, 16, 12, 10), (784, 300, 300, 100, 10)
_SHOWN = 0.1
"""eta of the left panel."""


@register
class ArConvergence(Study):
    """Relative error of the relaxing errors against backprop, per layer and step.

    After a forward pass, errors at zero, all hidden layers relax in parallel (AR)::

        X_L = dl/dz_L           X_l <- X_l + eta (u_l - X_l)
        error_l(t) = ||X_l(t) - dl/dz_l|| / ||dl/dz_l||
        theory, j layers below the output:  sum_{i<j} C(t, i) eta^i (1 - eta)^(t - i)
    """

    name = "ar-convergence"
    paper = "Millidge, Tschantz, Seth, Buckley: Activation Relaxation, arXiv 2009.05359, Figure 1"
    shows = "error of activation relaxation against backprop per layer and iteration"

    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Relax one network at every rate; 784-300-300-100-10 if full."""
        sizes, steps = (_FULL, 500) if full else (_SHORT, 100)
        curves = []
        for rate in RATES:
            report(f"eta {rate:g}")
            spec = NetworkSpec(
                sizes, rule="activation-relaxation", loss="squared-error", rate=rate, beta=1.0,
                seed=seed,
            )  # fmt: skip
            errors = relaxing_errors(spec, steps, lambda p: p.memory["relaxation"])
            for below, error in enumerate(reversed(errors), 1):
                curves.append({"rate": rate, "below_output": below, "error": error.tolist()})
        return {"layers": sizes, "steps": steps, "curves": curves}

    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Compare every point with the closed form, and eta = 1 with its number of steps."""
        distance = 0.0
        for curve in numbers["curves"]:
            law = closed_form(curve["rate"], curve["below_output"], numbers["steps"])
            distance = max(distance, float(np.max(np.abs(np.array(curve["error"]) - law))))
        depth = max(c["below_output"] for c in numbers["curves"])
        exact = [
            int(np.argmax(np.array(c["error"]) < EXACT))
            for c in numbers["curves"]
            if c["rate"] == 1.0
        ]
        slow = [c for c in numbers["curves"] if c["rate"] == min(RATES)]
        left = max(c["error"][-1] for c in slow)
        return [
            Finding(
                "The errors relax to those of backprop as a sum of binomial terms",
                f"largest distance to the closed form {distance:.2g}",
                distance < EXACT,
            ),
            Finding(
                f"At eta = 1 it is backprop, in as many steps as there are layers, {depth}",
                f"exact after {exact} steps, from the output down",
                exact == list(range(1, depth + 1)),
            ),
            Finding(
                "Smaller rates need more iterations, deeper layers more than shallow ones",
                f"at eta {min(RATES):g} an error of {left:.2g} is left after "
                f"{numbers['steps']} steps",
                all(a["error"][-1] <= b["error"][-1] + EXACT for a, b in pairwise(slow)),
            ),
        ]

    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return, per rate, the iterations until every layer is within 1 %."""
        rows = []
        for rate in RATES:
            row: dict[str, Any] = {"eta": rate}
            for c in numbers["curves"]:
                if c["rate"] == rate:
                    within = np.flatnonzero(np.array(c["error"]) < 0.01)
                    name = f"{c['below_output']} below the output"
                    row[name] = int(within[0]) if within.size else f"> {numbers['steps']}"
            rows.append(row)
        return rows

    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw error over iterations: every layer at one rate, and the lowest at every rate."""
        from matplotlib import colormaps

        left, right = figure.subplots(1, 2, sharey=True)
        curves = numbers["curves"]
        draw_layers(left, [c for c in curves if c["rate"] == _SHOWN], _SHOWN)
        left.set_title(f"η = {_SHOWN:g}; circles: closed form", fontsize=10)
        lowest = max(c["below_output"] for c in curves)
        for c in (c for c in curves if c["below_output"] == lowest):
            colour = colormaps["plasma"](RATES.index(c["rate"]) / len(RATES))
            draw_errors(right, c["error"], colour, f"η = {c['rate']:g}")
        right.set_title("the layer nearest to the input", fontsize=10)
        finish_axes(left, right)
