"""One spiking network in four simulators: the numpy engine, Lava, in-process, and Brian2."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from lava_dyads.array_types import Array
from lava_dyads.choices import Granularity
from lava_dyads.data import load
from lava_dyads.elements import Source
from lava_dyads.elements.clock import Clock, PresentationSchedule
from lava_dyads.errors import invalid
from lava_dyads.executors.backprop import forward
from lava_dyads.executors.step import Network
from lava_dyads.executors.window import SpikingWindow
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.activations import activation
from lava_dyads.rules.arithmetic import check_on_grid, on_grid
from lava_dyads.rules.units.spiking import SpikingDualPropagation
from lava_dyads.spiking import SpikingRun, read_out
from lava_dyads.training.checks import check_fit

REFERENCE = "numpy engine"
"""The simulator that the others are compared with."""

SIMULATORS = (
    REFERENCE,
    "in-process, layer",
    "in-process, neuron",
    "lava, layer",
    "lava, neuron",
    "brian2",
)
"""Every simulator by name."""


@dataclass(frozen=True)
class SpikingProblem:
    """A network with a linear read-out, and samples, all exactly representable.

    Parameters
    ----------
    spec : NetworkSpec
        Rule ``spiking``.
    weights, biases : lists of arrays, shape (n_k, n_{k-1}) and (n_k,)
    x, y : arrays, shape (samples, n_0) and (samples, n_L)

    Raises
    ------
    ValidationError
        If a number is not exactly representable: which one, and the nearest that is.
    """

    spec: NetworkSpec
    weights: list[Array]
    biases: list[Array]
    x: Array
    y: Array

    def __post_init__(self) -> None:
        for what in ("alpha", "beta"):
            check_on_grid(what, getattr(self.rule, what))
        for what in ("scale", "window"):
            value = getattr(self.rule, what)
            power = float(2.0 ** np.round(np.log2(value)))
            if value != power:
                invalid(what, "must be a power of two, so that sums are exact", value, f"{power:g}")
        for what in ("weights", "biases"):
            for k, values in enumerate(getattr(self, what)):
                check_on_grid(f"{what}[{k}]", values)
        check_on_grid("x", self.x)
        check_on_grid("y", self.y)

    @property
    def rule(self) -> SpikingDualPropagation:
        """The rule with its options."""
        assert isinstance(self.spec.rule, SpikingDualPropagation)
        return self.spec.rule

    @property
    def offset(self) -> float:
        """Activity of a spiking output at output 0."""
        return self.build(1).baseline

    def relu_biases(self) -> list[Array]:
        """Return the biases for a read-out of relu units, the last one with the offset."""
        return [*self.biases[:-1], self.biases[-1] + self.offset]

    def build(self, lanes: int) -> Network:
        """Return the spiking network of ``rules``."""
        network = self.spec.build(lanes=lanes)
        assert isinstance(network, Network)
        network.set_parameters(self.weights, self.biases)
        return network


def random_problem(spec: NetworkSpec, samples: int, dataset: str = "") -> SpikingProblem:
    """Return a network with the specification's weights, rounded, and some samples.

    The weights of the read-out are halved until no output is below -1/2.

    Parameters
    ----------
    spec : NetworkSpec
    samples : int
        At least 1.
    dataset : str
        Data set whose first samples are shown; empty: uniform inputs, random classes.
    """
    if samples < 1:
        invalid("samples", "must be at least 1", samples)
    weights, biases = spec.initial_parameters()
    generator = np.random.default_rng([spec.seed, 3])
    if dataset:
        data = load(dataset)
        check_fit(spec, data)
        x, classes = data.x[:samples], data.classes_of(slice(samples))
    else:
        x = generator.uniform(size=(samples, spec.layers[0]))
        classes = generator.integers(spec.layers[-1], size=samples)
    hidden = [activation(name) for name in spec.activations]
    while forward(x, weights, biases, hidden)[1][-1].min() < -0.5:
        weights[-1] = weights[-1] / 2  # the outputs have to stay above minus the offset
    y = np.eye(spec.layers[-1])[classes]
    grids = [on_grid(w) for w in weights], [on_grid(b) for b in biases]
    return SpikingProblem(spec, *grids, on_grid(x), y)


def in_brian2(problem: SpikingProblem, steps: int, target: str, record: bool) -> SpikingRun:
    """Run a problem in Brian2; arguments and errors as in ``brian2_twin.simulate``."""
    from lava_dyads.spiking import brian2_twin

    rule = problem.rule
    return brian2_twin.simulate(
        problem.weights,
        problem.relu_biases(),
        problem.x,
        problem.y + problem.offset,
        alpha=rule.alpha,
        beta=rule.beta,
        scale=rule.scale,
        hysteresis=rule.hysteresis,
        steps=steps,
        burn_in=0,
        target=target,
        record=record,
    )


def simulate(
    problem: SpikingProblem, steps: int, simulator: str = REFERENCE, target: str = "numpy"
) -> SpikingRun:
    """Run a problem in one simulator and keep the spike trains; there is no burn-in.

    Parameters
    ----------
    problem : SpikingProblem
    steps : int
        Not more than the window of the specification, but for the numpy engine and Brian2.
    simulator : str
        One of ``SIMULATORS``.
    target : str
        Code generation target of Brian2.

    Returns
    -------
    SpikingRun

    Raises
    ------
    ValidationError
        If the simulator is unknown or the window too short.
    UnsupportedError
        If Brian2 or a compiler is missing.
    """
    if simulator not in SIMULATORS:
        invalid("simulator", f"must be one of {', '.join(SIMULATORS)}", simulator)
    if simulator == "brian2":
        return in_brian2(problem, steps, target, record=True)
    network = problem.build(len(problem.x))
    if simulator == REFERENCE and network.window is not None:
        return _at_once(network, problem, steps)
    if simulator == REFERENCE:
        ticks = _engine(network, problem)
    else:
        if steps > (longest := problem.rule.window):
            invalid("steps", f"must not exceed the window, {longest}", steps)
        runtime, _, cut = simulator.partition(", ")
        ticks = _processes(network, problem, runtime, "neuron" if cut == "neuron" else "layer")
    with closing(ticks):
        return _record(network, problem, ticks, steps)


def _record(
    network: Network, problem: SpikingProblem, ticks: Iterator[None], steps: int
) -> SpikingRun:
    """Read spikes and potentials off the registers after every step."""
    populations = network.populations.values()
    shapes = [(len(problem.x), p.n) for p in populations]
    trains = [np.zeros((2, steps, *shape), bool) for shape in shapes]
    before = [np.zeros((2, *shape)) for shape in shapes]
    next(ticks)  # the input passes its connection
    for t in range(steps):
        next(ticks)
        for train, old, p in zip(trains, before, populations, strict=True):
            for side, name in enumerate(("s_plus", "s_minus")):
                now = p.memory[name]
                np.not_equal(now, old[side], out=train[side, t])
                old[side] = now
    return _read(network, problem, trains)


def _at_once(network: Network, problem: SpikingProblem, steps: int) -> SpikingRun:
    """Take all steps in one go, as the network does in training, and watch the spikes."""
    window, samples = network.window, len(problem.x)
    assert isinstance(window, SpikingWindow)
    fired = np.zeros((steps, 2, window.layers[-1].here.stop), bool)
    clock = Clock(steps + 1, False, True, True, samples)
    inbox = {"input_in": problem.x, "target_in": problem.y}
    window.present(clock, inbox, steps + 1, fired)  # in the first, the input passes its connection
    seen = fired.transpose(1, 0, 2)
    trains = [seen[:, :, k.here].reshape(2, steps, samples, -1) for k in window.layers]
    return _read(network, problem, trains)


def _read(
    network: Network, problem: SpikingProblem, trains: Sequence[NDArray[np.bool_]]
) -> SpikingRun:
    """Read a run out from its trains and the registers after it."""
    rule, populations, steps = problem.rule, network.populations.values(), trains[0].shape[1]
    window = [
        np.array([*train.sum(axis=1), p.memory["v_plus"] - 0.5, p.memory["v_minus"] - 0.5])
        for train, p in zip(trains, populations, strict=True)
    ]
    spikes = rule.scale * steps
    run = read_out(window, problem.x, rule.alpha, rule.beta, spikes, tuple(trains))
    counted = [np.array([p.memory["s_plus"], p.memory["s_minus"]]) for p in populations]
    quantum = 1 / (rule.scale * rule.window)
    for counts, states in zip(run.counts, counted, strict=True):
        np.testing.assert_array_equal(counts * quantum, states)  # one spike per step at most
    return run


def _engine(network: Network, problem: SpikingProblem) -> Generator[None, None, None]:
    inbox = {"input_in": problem.x, "target_in": problem.y}
    for step in count(1):
        network.tick(Clock(step, step == 1, False, True, network.lanes), inbox)
        inbox = {}
        yield


def _processes(
    network: Network, problem: SpikingProblem, runtime: str, granularity: Granularity
) -> Generator[None, None, None]:
    from lava_dyads.processes import DatasetSource, DyadNetwork
    from lava_dyads.runtime import DyadRunConfig, InProcessSession, LavaSession, Session

    schedule = PresentationSchedule(1, network.lanes)
    source = Source(problem.x, problem.y, lanes=network.lanes)
    sender = DatasetSource(element=source, schedule=schedule, name="source")
    process = DyadNetwork(network, schedule=schedule)
    sender.x_out.connect(process.input_in)
    sender.y_out.connect(process.target_in)
    session: Callable[..., Session]
    session = InProcessSession if runtime == "in-process" else LavaSession
    with session(process, DyadRunConfig(granularity)) as running:
        while True:
            running.run(1)
            yield


def membrane(problem: SpikingProblem, layer: int, unit: int, steps: int) -> Array:
    """Return V+ and V- of one dyad just before its resets, for the first sample, (2, steps).

    Parameters
    ----------
    problem : SpikingProblem
    layer : int
        From 1.
    unit : int
        From 0.
    steps : int
    """
    one = replace(problem, x=problem.x[:1], y=problem.y[:1])
    network = one.build(1)
    m = network.populations[f"population_{layer}"].memory
    trace, before = np.zeros((2, steps)), np.zeros(2)
    with closing(_engine(network, one)) as ticks:
        next(ticks)
        for t in range(steps):
            next(ticks)
            now = np.array([m["s_plus"][0, unit], m["s_minus"][0, unit]])
            after = np.array([m["v_plus"][0, unit], m["v_minus"][0, unit]])
            trace[:, t] = after + (now != before)
            before = now
    return trace


def imbalance(problem: SpikingProblem, run: SpikingRun, delayed: bool) -> float:
    """Return by how much N = integral of the drive - change of V fails, in thresholds.

    It is computed from trains and weights alone, layer by layer, for a run without burn-in::

        drive+- = c t_k (b + W_1 x) + W_k (alpha N+ + (1 - alpha) N-)_{k-1}
                  +- g+- W_{k+1}^T reports_{k+1}
                  (output: +- g+- beta (c (t_L - 1) y - own mean))

    where layer k has taken t_k steps, one less per layer.

    Parameters
    ----------
    problem : SpikingProblem
    run : SpikingRun
        With trains.
    delayed : bool
        Whether the spikes of the last step are still on their way.
    """
    rule, trains = problem.rule, run.trains
    assert trains is not None
    steps = trains[0].shape[1]
    arrived = [train[:, : -1 if delayed else None].sum(axis=1) for train in trains]
    mean = [rule.alpha * n[0] + (1 - rule.alpha) * n[1] for n in arrived]
    worst = 0.0
    for k, (counts, rise) in enumerate(zip(run.counts, run.rise, strict=True)):
        level = rule.scale * (steps - k)
        basal = level * problem.relu_biases()[k]
        below = level * problem.x if k == 0 else mean[k - 1]
        basal = basal + below @ problem.weights[k].T
        if k + 1 < len(problem.weights):
            feedback = _reports(trains[k + 1], rule.hysteresis, delayed)
            feedback = feedback @ problem.weights[k + 1]
        else:
            aim = (level - rule.scale) * (problem.y + problem.offset)
            feedback = rule.beta * (aim - mean[k])
        for side, gain in enumerate((1 - rule.alpha, -rule.alpha)):
            error = counts[side] - (basal + gain * feedback - rise[side])
            worst = max(worst, float(np.abs(error).max()))
    return worst


def _reports(train: NDArray[np.bool_], hysteresis: int, delayed: bool) -> Array:
    """Return the sum of what a layer has reported downward, (samples, n)."""
    moved = train[0].astype(np.int64) - train[1]
    told = gap = np.zeros(moved.shape[1:], np.int64)
    for change in moved[:-1] if delayed else moved:
        gap = gap + change
        report = np.where(np.abs(gap) >= hysteresis, gap, 0)
        told, gap = told + report, gap - report
    return told.astype(float)
