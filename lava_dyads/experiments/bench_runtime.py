"""Time the in-process runtime against Lava's own, in alternating runs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from lava_dyads.errors import invalid
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
class Scaling:
    """Dyads as Processes of their own, in layers, each connected with 32 of the next layer.

    Attributes
    ----------
    dyads : int
    build_seconds : float
        To create and connect the Processes, and to start the in-process runtime.
    memory_mb : float
        What they take, in MiB.
    us_per_scalar : float
        Microseconds per number delivered, best of the rounds: of a time step; of a presentation
        from silence to silence, its timers counted as deliveries.
    clock : str
        ``sync``, or ``async`` with exponential latencies.
    """

    dyads: int
    build_seconds: float
    memory_mb: float
    us_per_scalar: float
    clock: str = "sync"


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


FAN_OUT = 32


def scaling(dyads: tuple[int, ...], rounds: int, clock: str = "sync") -> list[Scaling]:
    """Build networks of single dyads, smallest first, and time them in turn."""
    networks = [Layers(n, clock) for n in sorted(dyads)]
    best = dict.fromkeys(networks, float("inf"))
    for _ in range(rounds):
        for network in networks:
            best[network] = min(best[network], network.seconds_per_scalar())
    for network in networks:
        network.session.stop()
    return [Scaling(n.dyads, n.build_seconds, n.memory_mb, best[n] * 1e6, clock) for n in networks]


class Layers:
    """A number of dyads in layers of at most 100, started.

    Parameters
    ----------
    dyads : int
    clock : str
        ``sync`` or ``async``.
    """

    def __init__(self, dyads: int, clock: str = "sync") -> None:
        from lava_dyads.elements.clock import PresentationSchedule
        from lava_dyads.processes import Conductor, Dyad
        from lava_dyads.runtime import DyadRunConfig, InProcessSession

        width = min(100, dyads // 2)
        gc.collect()
        memory, begin = psutil.Process().memory_info().rss, time.perf_counter()
        schedule = PresentationSchedule(steps=1 if clock == "async" else 0)
        layers = [[Dyad((1,), bias=0.1, schedule=schedule) for _ in range(width)]]
        self.clock, self.scalars = clock, 0
        for _ in range(dyads // width - 1):
            above = [Dyad((1,), bias=0.1, schedule=schedule) for _ in range(width)]
            for i, source in enumerate(layers[-1]):
                for j in range(FAN_OUT):
                    source.mean_out.connect(above[(i + j) % width].basal_in)
                    self.scalars += 1
            layers.append(above)
        if clock == "async":
            Conductor(schedule, max_deliveries=10**9).lead(*(d for layer in layers for d in layer))
        self.session = InProcessSession(layers[0][0], DyadRunConfig(clock=clock))
        if clock == "sync":
            self.session.run(2)  # the first step is also where the order of the tasks is chosen
        self.build_seconds = time.perf_counter() - begin
        self.memory_mb = (psutil.Process().memory_info().rss - memory) / 2**20
        self.dyads = width * len(layers)
        # At least so many that to begin and to end a run, once per Process, does not count.
        self.steps = max(20, 3_000_000 // self.scalars)

    def seconds_per_scalar(self) -> float:
        """Run; return the seconds that a number costs from one dyad to another."""
        before, begin = self.session.deliveries, time.perf_counter()
        if self.clock == "async":
            self.session.run(1)
            return (time.perf_counter() - begin) / (self.session.deliveries - before)
        self.session.run(self.steps)
        return (time.perf_counter() - begin) / self.steps / self.scalars


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
