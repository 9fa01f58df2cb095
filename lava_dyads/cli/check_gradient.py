"""``lava-dyads check gradient``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from lava_dyads.cli.common import (
    FAILED,
    OK,
    LossName,
    NetworkOptions,
    OrderName,
    Sizes,
    console,
    print_json,
    result_table,
)
from lava_dyads.experiments import GradientCheck, check_gradient
from lava_dyads.networks import NetworkSpec
from lava_dyads.options import label
from lava_dyads.plan.depth import default_beta, longest_way

BETA = 0.01
"""Nudge of a check of a network that is not deep."""


@dataclass(frozen=True, kw_only=True)
class CheckGradient(NetworkOptions):
    """Settle random networks, read the gradients off their dyads, compare with backprop.

    Holds (exit code 0) if every network converged, the median cosine reaches --min-cosine, and
    per-sample gradients are exact (relative error 1e-9) where no dyad straddles a kink of a
    piecewise linear activation. A network that did not converge is no result: exit code 1.

    With separate feedback weights B, exact means: what backprop would be with B in the place of
    W^T. The cosine is that to backprop with W^T.
    """

    all_layers: Sizes = (16, 32, 24, 5)
    """Sizes of all layers, input and output included."""
    loss: LossName = "squared-error"
    """Loss of the output."""
    beta: float | None = None
    """Nudge strength per sample. Default: 0.01, less in networks of more than eight layers."""
    bias_deviation: float = 0.05
    """Deviation of the biases."""
    networks: int = 20
    """Number of random networks."""
    samples: int = 8
    """Samples per network."""
    seed: int = 0
    """Of the first network; the others follow."""
    tolerance: float = 1e-12
    """Largest residual that counts as converged."""
    max_steps: int = 20_000
    """Cap of the relaxation."""
    min_cosine: float | None = None
    """Median cosine to ask for. Default: 0.99; nothing of feedback that has not learnt."""
    order: OrderName = "sweep"
    """Order of the updates: sweeps up and down until silence, one sweep, all layers at once, odd
    and even ones, random layers or neurons, from the state of the sample before (lazy), or
    asynchronous messages, every event with a random latency of its own."""
    updates: int = 0
    """Steps of Adam on other samples before the comparison: kolen_pollack has to learn."""
    decay: float | None = None
    """Share lost per step by weights and their feedback; default: 0 (kolen_pollack: 0.0003)."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Check; return the exit code."""
        spec = self.spec(self.all_layers, bias_deviation=self.bias_deviation)
        if self.beta is None:
            spec = replace(spec, beta=default_beta(BETA, longest_way(spec.vertices)))
        check = check_gradient(
            spec,
            networks=self.networks,
            samples=self.samples,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            min_cosine=self.min_cosine,
            order=self.order,
            updates=self.updates,
            decay=self.decay,
        )
        if self.json:
            print_json({"check": "gradient", "spec": spec.as_dict(), **check.as_dict()})
        else:
            self._print(spec, check)
        return OK if check.holds else FAILED

    def _print(self, spec: NetworkSpec, check: GradientCheck) -> None:
        out = console()
        title = f"gradient of {label(spec.rule)}"
        if not check.converged:
            rows: dict[str, Any] = {
                "networks that did not converge": f"{check.not_converged} of {self.networks}",
                "largest residual": check.residual,
            }
            if check.loop_gain is not None:
                rows["loop gain rho (needs < 1)"] = check.loop_gain
            out.print(result_table(f"{title}: NOT CONVERGED, no result", rows))
            return
        layers = Table(title=f"{title}, against backprop", title_justify="left")
        columns = ["weights", "cosine (median)", "relative error (median)"]
        separate = any("feedback_angle" in layer for layer in check.layers)
        for column in [*columns, "feedback angle, degrees (median)"][: 4 if separate else 3]:
            layers.add_column(column, justify="right")
        for k, layer in enumerate(check.layers, 1):
            angle = f"{layer['feedback_angle']:.3g}" if "feedback_angle" in layer else ""
            layers.add_row(
                str(k), f"{layer['cosine']:.9f}", f"{layer['relative_error']:.3g}", angle
            )
        out.print(layers)
        clean = check.clean_relative_error
        rows = {
            "networks x samples": f"{self.networks} x {self.samples}",
            "cosine, median (smallest)": f"{check.cosine:.9f} ({check.cosine_min:.6f})",
            "relative error, median (largest)": (
                f"{check.relative_error:.3g} ({check.relative_error_max:.3g})"
            ),
            "share of straddling dyads": check.straddling,
            "samples without any": check.clean_samples,
            "their largest relative error": "-" if clean is None else f"{clean:.3g}",
            "largest residual": check.residual,
        }
        if check.loop_gain is not None:
            rows["largest loop gain rho"] = check.loop_gain
        rows["holds"] = "yes" if check.holds else "NO"
        out.print(result_table("whole gradient", rows))
