"""Three comparisons of spiking dyads, kept apart: each has its own oracle and its own error.

1. Spike trains: every simulator against the numpy engine. Exact, so 0 mismatches.
2. Spike counts against the rate fixed point *at the same beta*: error C / (beta N) with N = c T
   the spikes that stand for activity 1, and every state s+, s- within 2 / N.
3. The rate fixed point against backprop: exact where no dyad straddles the kink of relu.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import invalid
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.executors.build import chain
from lava_dyads.experiments.gradient import EXACT, compare, flat
from lava_dyads.experiments.spike_trains import (
    REFERENCE,
    SIMULATORS,
    SpikingProblem,
    imbalance,
    simulate,
)
from lava_dyads.rules.activations import activation
from lava_dyads.rules.losses import loss
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.spiking import SpikingRun, Trains, read_out

BURN_IN = 64
"""Steps that are not read out: the waves up and down pass in them."""

WINDOWS = (512, 1024, 2048, 4096)
"""Read-out windows over which the error law is fitted, in steps."""

PHASES = 128
"""Read-out windows, a step apart, over which the count of a state is averaged.

One count depends on the phase in which each spike train is when the window begins and ends: by up
to a spike in every layer, and the layers above hear of it through their weights. The law of the
gradient is that of single counts, which is what a synapse has seen.
"""

BOUND = 2.0
"""Largest deviation of a state from the rate fixed point, in spikes."""

SLOPE, SLOPE_TOLERANCE = -1.0, 0.15
"""The error law: relative error against window, log-log."""

CONSERVED = 1e-12
"""Largest failure of N = integral of the drive - change of V, in thresholds."""


@dataclass(frozen=True)
class Simulation:
    """One simulator against the numpy engine.

    Attributes
    ----------
    simulator : str
    steps, spikes : int
        What it ran and what it counted.
    spike_mismatches : int
        Entries of the trains that differ.
    relative_error : float
        Of its gradients to those of the numpy engine after as many steps.
    imbalance : float
        By how much conservation fails, in thresholds.
    """

    simulator: str
    steps: int
    spikes: int
    spike_mismatches: int
    relative_error: float
    imbalance: float


@dataclass(frozen=True)
class TrainComparison:
    """Spike trains of all simulators; holds at 0 mismatches and with charge conserved."""

    holds: bool
    spike_mismatches: int
    relative_error: float
    imbalance: float
    simulations: list[Simulation]
    slope: None = None


@dataclass(frozen=True)
class CountComparison:
    """Counts against the rate fixed point.

    Attributes
    ----------
    relative_error : float
        Of the gradient per sample, mean over the samples, in the longest window.
    slope : float
        Of log error against log window.
    windows, errors
        What the slope is fitted to.
    deviation : float
        Largest |s+- - fixed point| in spikes, over all windows, layers and samples; counts are
        averaged over ``PHASES`` windows.
    """

    holds: bool
    relative_error: float
    slope: float
    deviation: float
    windows: list[int]
    errors: list[float]
    spike_mismatches: None = None


@dataclass(frozen=True)
class RateComparison:
    """The rate fixed point against backprop.

    Attributes
    ----------
    relative_error, cosine : float
        Of the gradient of all samples.
    straddling : float
        Share of dyads on two sides of the kink.
    clean_samples : int
        Samples of which no dyad straddles.
    clean_relative_error : float or None
        The largest of theirs.
    """

    holds: bool
    relative_error: float
    cosine: float
    straddling: float
    clean_samples: int
    clean_relative_error: float | None
    spike_mismatches: None = None
    slope: None = None


@dataclass(frozen=True)
class SpikingCheck:
    """The three comparisons, and what figures are drawn from."""

    holds: bool
    trains: TrainComparison
    counts: CountComparison
    rates: RateComparison
    raster: Trains = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; the trains are left out."""
        parts = {name: asdict(getattr(self, name)) for name in ("trains", "counts", "rates")}
        return {
            "holds": self.holds,
            "spike_mismatches": self.trains.spike_mismatches,
            "relative_error": self.counts.relative_error,
            "slope": self.counts.slope,
            **parts,
        }


@dataclass(frozen=True)
class RateFixedPoint:
    """Compartments (2, samples, n_k) of each layer, gradients (samples, parameters)."""

    states: list[Array]
    gradients: Array
    straddling: Array


def rate_fixed_point(problem: SpikingProblem) -> RateFixedPoint:
    """Settle the rate network of the same alpha and beta.

    Raises
    ------
    ValidationError
        If it does not settle, an output would be negative for the spiking relu, or scale times
        an activity reaches 1.
    """
    spec, rule = problem.spec, problem.rule
    network = chain(
        problem.weights,
        problem.biases,
        rule=DualPropagationAdjoint(alpha=rule.alpha, beta=rule.beta),
        activations=[activation("relu")] * (spec.depth - 1),
        loss=loss("squared-error"),
        lanes=len(problem.x),
    )
    settled = network.settle(problem.x, problem.y)
    if not settled.converged:
        invalid("beta", "the rate network has to settle", settled.residual, "a smaller beta")
    memories = [p.memory for p in network.populations.values()]
    states = [np.array([m["s_plus"], m["s_minus"]]) for m in memories]
    states[-1] += problem.offset
    if states[-1].min() <= 0:
        limit = f"outputs must stay above -{problem.offset:g}"
        lowest = float(states[-1].min() - problem.offset)
        invalid("weights", limit, lowest, "a smaller gain, another seed")
    for k, layer in enumerate(states, 1):
        if rule.scale * layer.max() >= 1:
            limit = f"scale * activity must stay below 1 (layer {k}: {layer.max():.3g})"
            power = 2.0 ** np.floor(np.log2(1 / layer.max()))
            invalid("scale", limit, rule.scale, f"{power:g}")
    gradients = [flat(*network.gradients(lane)) for lane in range(len(problem.x))]
    straddling = np.concatenate([(s[0] > 0) != (s[1] > 0) for s in states], axis=1)
    return RateFixedPoint(states, np.array(gradients), straddling)


def check_spiking(
    problem: SpikingProblem,
    *,
    steps: int = 1024,
    windows: Sequence[int] = WINDOWS,
    simulators: dict[str, int] | None = None,
    target: str = "numpy",
    on_part: Callable[[str], None] | None = None,
) -> SpikingCheck:
    """Run the three comparisons.

    Parameters
    ----------
    problem : SpikingProblem
    steps : int
        Length of the trains that are compared.
    windows : sequence of int
        At least two read-out windows, in steps.
    simulators : dict of str to int or None
        What is compared with the numpy engine, and over how many steps; None: all of them, over
        ``steps``.
    target : str
        Code generation target of Brian2.
    on_part : callable or None
        Called with the name of what runs next.

    Returns
    -------
    SpikingCheck

    Raises
    ------
    ValidationError, UnsupportedError
        If an argument is out of range or the problem cannot be simulated.
    """
    windows = sorted(set(windows))
    if len(windows) < 2 or windows[0] < 1:
        invalid("windows", "needs two or more lengths of at least 1 step", windows, str(WINDOWS))
    if not 1 <= steps <= problem.rule.window:
        invalid("steps", f"must lie in 1 .. window = {problem.rule.window}", steps)
    if simulators is None:
        simulators = dict.fromkeys(SIMULATORS[1:], steps)
    tell = on_part or (lambda name: None)
    fixed_point = rate_fixed_point(problem)
    tell(REFERENCE)
    whole = simulate(problem, max(steps, BURN_IN + windows[-1] + PHASES))
    assert whole.trains is not None
    simulations = [_against(problem, whole, whole, REFERENCE)]
    for name, length in simulators.items():
        tell(name)
        simulations.append(_against(problem, simulate(problem, length, name, target), whole, name))
    trains = TrainComparison(
        holds=all(s.spike_mismatches == 0 and s.imbalance <= CONSERVED for s in simulations),
        spike_mismatches=sum(s.spike_mismatches for s in simulations),
        relative_error=max(s.relative_error for s in simulations),
        imbalance=max(s.imbalance for s in simulations),
        simulations=simulations,
    )
    counts = _compare_counts(problem, whole.trains, windows, fixed_point)
    rates = _compare_rates(problem, fixed_point)
    holds = trains.holds and counts.holds and rates.holds
    return SpikingCheck(holds, trains, counts, rates, tuple(t[:, :steps] for t in whole.trains))


def read_window(problem: SpikingProblem, trains: Trains, window: int) -> SpikingRun:
    """Read a run out from its trains, after the burn-in."""
    rule = problem.rule
    rows = slice(BURN_IN, BURN_IN + window)
    counts = [train[:, rows].sum(axis=1).astype(float) for train in trains]
    return read_out(counts, problem.x, rule.alpha, rule.beta, rule.scale * window)


def deviations(
    problem: SpikingProblem,
    trains: Trains,
    windows: Sequence[int],
    fixed_point: RateFixedPoint,
    phases: int = PHASES,
) -> list[float]:
    """Return the largest |count - N s*| of all compartments for each window, in spikes.

    Parameters
    ----------
    problem : SpikingProblem
    trains : tuple of bool arrays, shape (2, steps, samples, n_k)
        With at least ``BURN_IN + max(windows) + phases - 1`` steps.
    windows : sequence of int
    fixed_point : RateFixedPoint
    phases : int
        Windows, a step apart, over which a count is averaged; 1 for single counts.
    """
    found = [0.0] * len(windows)
    for train, states in zip(trains, fixed_point.states, strict=True):
        so_far = np.cumsum(train, axis=1, dtype=np.int32)
        starts = so_far[:, BURN_IN - 1 :][:, :phases]
        for i, window in enumerate(windows):
            counts = (so_far[:, BURN_IN - 1 + window :][:, :phases] - starts).mean(axis=1)
            error = np.abs(counts - problem.rule.scale * window * states).max()
            found[i] = max(found[i], float(error))
    return found


def sample_gradients(run: SpikingRun) -> Array:
    """Return the gradient of each sample as a row, weights first."""
    parts = (*run.weight_gradients, *run.bias_gradients)
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _against(problem: SpikingProblem, run: SpikingRun, whole: SpikingRun, name: str) -> Simulation:
    assert run.trains is not None
    assert whole.trains is not None
    steps = run.trains[0].shape[1]
    expected = [train[:, :steps] for train in whole.trains]
    pairs = list(zip(run.trains, expected, strict=True))
    rule, counts = problem.rule, [e.sum(axis=1).astype(float) for e in expected]
    reference = read_out(counts, problem.x, rule.alpha, rule.beta, rule.scale * steps)
    _, error = compare(sample_gradients(run).ravel(), sample_gradients(reference).ravel())
    return Simulation(
        simulator=name,
        steps=steps,
        spikes=run.total_spikes,
        spike_mismatches=sum(int(np.count_nonzero(ours != theirs)) for ours, theirs in pairs),
        relative_error=error,
        imbalance=imbalance(problem, run, delayed=name != "brian2"),
    )


def _compare_counts(
    problem: SpikingProblem, trains: Trains, windows: Sequence[int], fixed_point: RateFixedPoint
) -> CountComparison:
    errors = []
    for window in windows:
        run = read_window(problem, trains, window)
        pairs = zip(sample_gradients(run), fixed_point.gradients, strict=True)
        errors.append(float(np.mean([compare(ours, exact)[1] for ours, exact in pairs])))
    deviation = max(deviations(problem, trains, windows, fixed_point))
    slope = float(np.polyfit(np.log(windows), np.log(errors), 1)[0])
    holds = abs(slope - SLOPE) <= SLOPE_TOLERANCE and deviation <= BOUND
    return CountComparison(holds, errors[-1], slope, deviation, list(windows), errors)


def _compare_rates(problem: SpikingProblem, fixed_point: RateFixedPoint) -> RateComparison:
    hidden = [activation("relu")] * (problem.spec.depth - 1)
    squared = loss("squared-error")
    oracle = backpropagate(problem.x, problem.y, problem.weights, problem.biases, hidden, squared)
    exact = np.array([flat(*oracle.gradients(lane)) for lane in range(len(problem.x))])
    ours = fixed_point.gradients
    cosine, error = compare(ours.mean(axis=0), exact.mean(axis=0))
    clean = np.flatnonzero(~fixed_point.straddling.any(axis=1))
    clean_error = max((compare(ours[i], exact[i])[1] for i in clean), default=None)
    return RateComparison(
        holds=clean_error is None or clean_error <= EXACT,
        relative_error=error,
        cosine=cosine,
        straddling=float(fixed_point.straddling.mean()),
        clean_samples=len(clean),
        clean_relative_error=clean_error,
    )
