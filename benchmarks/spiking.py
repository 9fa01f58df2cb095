"""Steps per second of one spiking network: in-process against Brian2, in turn in the same run.

Setting up, code generation and compilation are left out: what runs in this process is timed over
two lengths and the difference counts, on the clock on the wall, as the C++ program times itself;
what else the machine does is for all of them alike, as they take turns.
"""

import time
from collections.abc import Callable
from statistics import median

from rich.console import Console
from rich.table import Table

from lava_dyads import (
    DyadNetwork,
    DyadRunConfig,
    InProcessSession,
    NetworkSpec,
    PresentationSchedule,
)
from lava_dyads.errors import UnsupportedError
from lava_dyads.experiments import SpikingProblem, random_problem
from lava_dyads.experiments.spike_trains import in_brian2
from lava_dyads.processes import DatasetSource
from lava_dyads.spiking import brian2_twin
from lava_dyads.spiking.targets import kept_build

Again = Callable[[], float | None]

SHORT = 128
"""Steps of the shorter run; the longer one takes so many more that a second sees a few of them."""


def longer(samples: int) -> int:
    """Return the steps of the longer run."""
    return SHORT + max(1024, 16384 // samples)


def run(rounds: int = 5, samples: tuple[int, ...] = (1, 16, 128)) -> dict[int, dict[str, float]]:
    """Print microseconds per step and ratios for some numbers of samples side by side."""
    found = {}
    for n in samples:
        with kept_build() as again:
            found[n] = _table(rounds, n, again)
    return found


def _table(rounds: int, samples: int, again: Again) -> dict[str, float]:
    spec = NetworkSpec(
        (64, 32, 10), rule="spiking", beta=0.25, scale=0.25, window=32768, bias_deviation=0.1
    )
    problem = random_problem(spec, samples, "digits")
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, measure in _cases(problem, again).items():
            try:
                found.setdefault(name, []).append(1e6 * measure())
            except UnsupportedError as error:
                Console(stderr=True).print(f"{name}: {error}")
    times = {name: median(values) for name, values in found.items()}
    table = Table(title=f"64-32-10, {samples} samples side by side, medians of {rounds}")
    for column in ("", "µs per step", "Brian2 numpy / this", "this / C++ standalone"):
        table.add_column(column, justify="right")
    numpy, standalone = times["Brian2, numpy"], times.get("Brian2, cpp_standalone")
    for name, value in times.items():
        ratio = f"{value / standalone:.1f}" if standalone else "-"
        table.add_row(name, f"{value:.1f}", f"{numpy / value:.1f}", ratio)
    Console().print(table)
    return times


def _cases(problem: SpikingProblem, again: Again) -> dict[str, Callable[[], float]]:
    kinds = {"network": ("network", True), "network, numpy": ("network", False),
             "layer": ("layer", True)}  # fmt: skip
    cases = {
        f"in-process, {name}": lambda kind=kind: _in_process(problem, *kind)
        for name, kind in kinds.items()
    }
    for target in brian2_twin.TARGETS:
        cases[f"Brian2, {target}"] = lambda target=target: _brian2(problem, target, again)
    return cases


def _in_process(problem: SpikingProblem, granularity: str, compiled: bool) -> float:
    seconds, long = {}, longer(len(problem.x))
    for window in (SHORT, SHORT, long):  # the first run loads what is compiled
        spec = NetworkSpec.from_dict({**problem.spec.as_dict(), "window": window})
        network = spec.build(lanes=len(problem.x))
        network.set_parameters(problem.weights, problem.biases)
        if not compiled:
            network.window.compiled = None
        schedule = PresentationSchedule(1, network.lanes)
        source = DatasetSource(problem.x, problem.y, lanes=network.lanes, schedule=schedule)
        process = DyadNetwork(network, schedule=schedule)
        source.x_out.connect(process.input_in)
        source.y_out.connect(process.target_in)
        with InProcessSession(process, DyadRunConfig(granularity)) as session:
            begin = time.perf_counter()
            session.run(schedule.steps)
            seconds[window] = time.perf_counter() - begin
    return (seconds[long] - seconds[SHORT]) / (long - SHORT)


def _brian2(problem: SpikingProblem, target: str, again: Again) -> float:
    seconds, long = {}, longer(len(problem.x))
    if target == "cpp_standalone" and (taken := again()) is not None:
        return taken / long
    # The first run generates code, whatever its length.
    lengths = (long,) if target == "cpp_standalone" else (SHORT, SHORT, long)
    for steps in lengths:
        begin = time.perf_counter()
        run = in_brian2(problem, steps, target, record=False)
        seconds[steps] = time.perf_counter() - begin
        if run.seconds is not None:
            return run.seconds / steps
    return (seconds[long] - seconds[SHORT]) / (long - SHORT)
