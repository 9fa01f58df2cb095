"""Steps per second of one spiking network: in-process against Brian2, in the same run.

Setting up, code generation and compilation are left out: what runs in this process is timed over
two lengths and the difference counts, in CPU time, for other programs may be busy; the C++ program
times itself.
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

SHORT, LONG = 128, 1152


def run(rounds: int = 3, samples: tuple[int, ...] = (1, 16, 128)) -> dict[int, dict[str, float]]:
    """Print microseconds per step and ratios for some numbers of samples side by side."""
    return {n: _table(rounds, n) for n in samples}


def _table(rounds: int, samples: int) -> dict[str, float]:
    spec = NetworkSpec(
        (64, 32, 10), rule="spiking", beta=0.25, scale=0.25, window=2048, bias_deviation=0.1
    )
    problem = random_problem(spec, samples, "digits")
    found: dict[str, list[float]] = {}
    for i in range(rounds):
        for name, measure in _cases(problem).items():
            if "cpp" in name and i > 0:
                continue  # it is compiled every time
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


def _cases(problem: SpikingProblem) -> dict[str, Callable[[], float]]:
    cases = {
        f"in-process, {granularity}": lambda granularity=granularity: _in_process(
            problem, granularity
        )
        for granularity in ("network", "layer")
    }
    for target in brian2_twin.TARGETS:
        cases[f"Brian2, {target}"] = lambda target=target: _brian2(problem, target)
    return cases


def _in_process(problem: SpikingProblem, granularity: str) -> float:
    seconds = {}
    for window in (SHORT, LONG):
        spec = NetworkSpec.from_dict({**problem.spec.as_dict(), "window": window})
        network = spec.build(lanes=len(problem.x))
        network.set_parameters(problem.weights, problem.biases)
        schedule = PresentationSchedule(1, network.lanes)
        source = DatasetSource(problem.x, problem.y, lanes=network.lanes, schedule=schedule)
        process = DyadNetwork(network, schedule=schedule)
        source.x_out.connect(process.input_in)
        source.y_out.connect(process.target_in)
        with InProcessSession(process, DyadRunConfig(granularity)) as session:
            begin = time.process_time()
            session.run(schedule.steps)
            seconds[window] = time.process_time() - begin
    return (seconds[LONG] - seconds[SHORT]) / (LONG - SHORT)


def _brian2(problem: SpikingProblem, target: str) -> float:
    seconds = {}
    # The first run generates code, whatever its length.
    lengths = (LONG,) if target == "cpp_standalone" else (SHORT, SHORT, LONG)
    for steps in lengths:
        begin = time.process_time()
        run = in_brian2(problem, steps, target, record=False)
        seconds[steps] = time.process_time() - begin
        if run.seconds is not None:
            return run.seconds / steps
    return (seconds[LONG] - seconds[SHORT]) / (LONG - SHORT)
