"""``lava-dyads check spiking``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.table import Table

from lava_dyads.cli.common import (
    FAILED,
    OK,
    Sizes,
    console,
    print_json,
    result_table,
    working,
)
from lava_dyads.experiments import SpikingCheck, SpikingProblem, check_spiking, random_problem
from lava_dyads.experiments.spike_trains import SIMULATORS, membrane
from lava_dyads.experiments.spiking import BOUND, SLOPE, SLOPE_TOLERANCE, WINDOWS
from lava_dyads.lava_compat import require_lava
from lava_dyads.networks import NetworkSpec

LAVA_STEPS = 256
"""Steps that Lava's own runtime takes without --thorough: it is the slowest by far."""


@dataclass(frozen=True, kw_only=True)
class CheckSpiking:
    """Cross-check spiking dyads, three comparisons with an oracle each.

    Spike trains: the numpy engine, the in-process runtime, Lava's runtime and Brian2 have to agree
    spike for spike. Spike counts against the rate fixed point at the same beta: the error of the
    gradient has to fall as 1 / time, every state to stay within 2 spikes. The rate fixed point
    against backprop: exact where no dyad straddles its kink. Exit code 1 where one does not hold.
    """

    all_layers: Sizes = (8, 16, 12, 4)
    """Sizes of all layers, input and output included."""
    dataset: str = ""
    """Data set whose first samples are shown (digits: --all-layers 64,32,10); empty: random."""
    samples: int = 16
    """Samples side by side."""
    alpha: float = 0.5
    """Share of the plus compartment in the mean, 0..1, a multiple of 1/256."""
    beta: float = 0.25
    """Nudge strength per sample, a multiple of 1/256."""
    scale: float = 0.25
    """Spikes per step and unit of activity, a power of two; times every activity below 1."""
    hysteresis: int = 1
    """Spikes by which a dyad's difference moves before it is sent down."""
    steps: int = 1024
    """Length of the spike trains that are compared."""
    windows: Sizes = WINDOWS
    """Read-out windows of the error law, in steps."""
    target: Literal["numpy", "cython", "cpp_standalone", "none"] = "numpy"
    """Code generation of Brian2; cython and cpp_standalone need a compiler, none leaves it out."""
    thorough: bool = False
    """Also at neuron granularity, and all steps on Lava's own runtime (half a minute)."""
    gain: float | None = None
    """Weights have deviation gain / sqrt(n_in); default sqrt(2)."""
    seed: int = 0
    """Of weights and samples."""
    out: Path | None = None
    """Folder for raster.png, membrane.png and error_law.png; default: no figures."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Check; return the exit code."""
        longest = max(self.steps, *self.windows, 1)
        spec = NetworkSpec(
            self.all_layers,
            rule="spiking",
            alpha=self.alpha,
            beta=self.beta,
            scale=self.scale,
            hysteresis=self.hysteresis,
            window=1 << (longest - 1).bit_length(),  # only scales the registers
            gain=self.gain,
            bias_deviation=0.1,
            seed=self.seed,
        )
        problem = random_problem(spec, self.samples, self.dataset)
        require_lava("check spiking")  # at once: the engine's own run comes first
        with working() as report:
            check = check_spiking(
                problem,
                steps=self.steps,
                windows=self.windows,
                simulators=self._simulators(),
                target="numpy" if self.target == "none" else self.target,
                on_part=report,
            )
        if self.json:
            print_json({"check": "spiking", "spec": spec.as_dict(), **check.as_dict()})
        else:
            self._print(check)
        if self.out:
            self._draw(problem, check, self.out)
        return OK if check.holds else FAILED

    def _simulators(self) -> dict[str, int]:
        chosen = dict.fromkeys(SIMULATORS[1:], self.steps)
        if not self.thorough:
            chosen = {name: n for name, n in chosen.items() if "neuron" not in name}
            chosen["lava, layer"] = min(self.steps, LAVA_STEPS)
        if self.target == "none":
            del chosen["brian2"]
        return chosen

    def _print(self, check: SpikingCheck) -> None:
        out, yes = console(), {True: "yes", False: "NO"}
        table = Table(title="1. spike trains, against the numpy engine", title_justify="left")
        for column in ("simulator", "steps", "spikes", "mismatches", "charge not conserved"):
            table.add_column(column, justify="left" if column == "simulator" else "right")
        for s in check.trains.simulations:
            numbers = (s.steps, s.spikes, s.spike_mismatches, f"{s.imbalance:.2g}")
            table.add_row(s.simulator, *map(str, numbers))
        out.print(table)
        counts, rates = check.counts, check.rates
        rows = {
            f"relative error, {n} steps": error
            for n, error in zip(counts.windows, counts.errors, strict=True)
        }
        rows[f"slope, log-log ({SLOPE:g} within {SLOPE_TOLERANCE:g})"] = counts.slope
        rows[f"largest deviation of a state, spikes (at most {BOUND:g})"] = counts.deviation
        out.print(result_table("2. counts, against the rate fixed point at this beta", rows))
        clean = rates.clean_relative_error
        words: dict[str, object] = {
            "relative error of the gradient": rates.relative_error,
            "cosine": rates.cosine,
            "share of straddling dyads": rates.straddling,
            "samples without any": rates.clean_samples,
            "their largest relative error": "-" if clean is None else f"{clean:.3g}",
        }
        out.print(result_table("3. rate fixed point, against backprop", words))
        held = {"trains": check.trains.holds, "counts": counts.holds, "rates": rates.holds}
        text = ", ".join(f"{name} {yes[does]}" for name, does in held.items())
        out.print(f"holds: {yes[check.holds]} ({text})")

    def _draw(self, problem: SpikingProblem, check: SpikingCheck, folder: Path) -> None:
        from lava_dyads import plots

        plots.spike_raster(check.raster, folder / "raster.png")
        # The hidden dyad whose compartments differ most: its difference is an error.
        difference = np.abs(np.diff(check.raster[0][:, :, 0].sum(axis=1).astype(int), axis=0)[0])
        unit = int(difference.argmax())
        title = f"layer 1, dyad {unit}, first sample"
        plots.membrane(membrane(problem, 1, unit, 120), title, folder / "membrane.png")
        counts = check.counts
        plots.error_law(counts.windows, counts.errors, counts.slope, folder / "error_law.png")
