"""Time the in-process runtime against Lava's own, in alternating runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lava_dyads.errors import invalid
from lava_dyads.experiments.scaling import FAN_OUT, Scaling, scaling
from lava_dyads.networks.specification import NetworkSpec


@dataclass(frozen=True)
class Comparison:
    """One quantity on both runtimes: medians, and the median of the ratios pair by pair.

    Attributes
    ----------
    name, unit : str
    lava, in_process : float
        Medians over the rounds.
    ratio : float
        How many times faster in-process is.
    """

    name: str
    unit: str
    lava: float
    in_process: float
    ratio: float


@dataclass(frozen=True)
class RuntimeBench:
    """All comparisons, the time of one whole ``Var.get``, and how the cost grows with size."""

    comparisons: list[Comparison]
    var_get_100k_ms: float
    scaling: list[Scaling]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def bench_runtime(
    processes: tuple[int, ...] = (8, 32, 200),
    rounds: int = 5,
    dyads: tuple[int, ...] = (100, 1000, 10_000),
    on_round: Callable[[str], None] | None = None,
) -> RuntimeBench:
    """Measure steps and starts on both runtimes in turn.

    Rings of trivial Processes with 10 numbers per message, and a network of 20-30-30-10 at
    ``layer`` granularity that shows random samples.

    Parameters
    ----------
    processes : tuple of int
        Sizes of the rings.
    rounds : int
        Alternating pairs of runs.
    dyads : tuple of int
        Sizes of in-process networks of single dyads, at least 64.
    on_round : callable or None
        Called with a word on what is measured next.

    Raises
    ------
    ValidationError
        If a number is out of range.
    """
    if rounds < 1 or not processes or min(processes) < 1:
        invalid("bench runtime", "needs rounds and processes of at least 1", (rounds, processes))
    if min(dyads, default=FAN_OUT * 2) < FAN_OUT * 2:
        invalid("bench runtime", f"needs dyads of at least {FAN_OUT * 2}", dyads)
    found: list[Comparison] = []
    for n in processes:
        pairs = []
        for i in range(rounds):
            if on_round:
                on_round(f"{n} processes, round {i + 1} of {rounds}")
            pairs.append([_ring(n, runtime) for runtime in ("lava", "in-process")])
        steps, starts = ([[run[k] for run in pair] for pair in pairs] for k in (0, 1))
        found.append(_compare(f"step of a ring of {n}", "us", steps, 1e6))
        found.append(_compare(f"start of a ring of {n}", "ms", starts, 1e3))
    relaxing = []
    for i in range(rounds):
        if on_round:
            on_round(f"network, round {i + 1} of {rounds}")
        relaxing.append([_network(runtime) for runtime in ("lava", "in-process")])
    found.append(_compare("step of a network 20-30-30-10", "us", relaxing, 1e6))
    if on_round:
        on_round(f"{', '.join(map(str, dyads))} dyads")
    scales = scaling(dyads, rounds)
    if on_round:
        on_round(f"{', '.join(map(str, dyads))} dyads, asynchronous")
    scales += scaling(dyads, rounds, "async")
    return RuntimeBench(found, _var_get(), scales)


def _compare(name: str, unit: str, pairs: list[list[float]], scale: float) -> Comparison:
    lava, ours = zip(*pairs, strict=True)
    ratio = median(a / b for a, b in pairs)
    return Comparison(name, unit, median(lava) * scale, median(ours) * scale, ratio)


def _open(process: Any, runtime: str) -> Any:
    from lava_dyads.runtime import DyadRunConfig, InProcessSession, LavaSession

    session = InProcessSession if runtime == "in-process" else LavaSession
    return session(process, DyadRunConfig("layer"))


def _per_step(session: Any, seconds: float = 0.3) -> float:
    """Return seconds per step, from as many steps as fit into about ``seconds``."""
    session.run(10)
    begin = time.perf_counter()
    session.run(10)
    steps = max(10, int(10 * seconds / (time.perf_counter() - begin)))
    begin = time.perf_counter()
    session.run(steps)
    return (time.perf_counter() - begin) / steps


def _ring(n: int, runtime: str) -> tuple[float, float]:
    """Return seconds per step and for the start."""
    from lava_dyads.testing.ring import ring

    first = ring(n)[0]
    begin = time.perf_counter()
    with _open(first, runtime) as session:
        start = time.perf_counter() - begin
        return _per_step(session), start


def _network(runtime: str) -> float:
    """Return seconds per step of a network that learns."""
    from lava_dyads.elements.clock import PresentationSchedule
    from lava_dyads.executors.step import Network
    from lava_dyads.processes import DatasetSource, DyadNetwork
    from lava_dyads.rules.optimisers import SGD

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(100, 20)), np.eye(10)[generator.integers(10, size=100)]
    network = NetworkSpec((20, 30, 30, 10)).build(optimiser=SGD(1e-3))
    assert isinstance(network, Network)
    schedule = PresentationSchedule(steps=1)
    source = DatasetSource(x, y, schedule=schedule)
    process = DyadNetwork(network, schedule=schedule)
    source.x_out.connect(process.input_in)
    source.y_out.connect(process.target_in)
    # As in Lava's own actors: more BLAS threads would only wait for each other here.
    with threadpool_limits(1), _open(process, runtime) as session:
        return _per_step(session)


def _var_get() -> float:
    """Return milliseconds of one Var.get of 100,000 numbers, in-process."""
    from lava_dyads.processes import DyadDense

    dense = DyadDense(np.ones((200, 500)))
    with _open(dense, "in-process") as session:
        session.run(1)
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            value = dense.weights.get()
            times.append(time.perf_counter() - begin)
        assert value.shape == (200, 500)
    return median(times) * 1e3
