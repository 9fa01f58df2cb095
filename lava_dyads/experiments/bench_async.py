"""What a message of an asynchronous network costs: compiled, interpreted, and in SimPy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lava_dyads.checks import checked
from lava_dyads.choices import Granularity
from lava_dyads.data.dataset import Dataset
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.executors.step import Network
from lava_dyads.executors.transport import Transport
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.losses import loss
from lava_dyads.rules.optimisers import Adam
from lava_dyads.training.backends import LavaBackend

GRANULARITIES: tuple[Granularity, ...] = ("neuron", "layer")
DENSITY = 0.19
"""Share of the inputs that are not zero, about that of MNIST's pixels."""


@dataclass(frozen=True)
class AsyncCost:
    """One network at one granularity, learning sample by sample.

    Attributes
    ----------
    granularity : str
    messages : float
        Per sample, hold times that end included; the same in both engines.
    compiled, interpreted, simpy : float
        Microseconds of CPU per message, medians over the rounds; SimPy's is its bare loop over as
        many time-outs with the same latencies, None where it is not installed.
    samples_per_second : float
        Compiled, on one core.
    ratio, simpy_ratio : float
        How many times more a message costs interpreted, and in SimPy: medians round by round.
    """

    granularity: Granularity
    messages: float
    compiled: float
    interpreted: float
    simpy: float | None
    samples_per_second: float
    ratio: float
    simpy_ratio: float | None


@dataclass(frozen=True)
class AsyncBench:
    """All costs of one network."""

    layers: tuple[int, ...]
    lanes: int
    costs: list[AsyncCost]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


@checked
def bench_async(
    layers: tuple[int, ...] = (64, 32, 10),
    granularities: tuple[Granularity, ...] = GRANULARITIES,
    samples: int = 20,
    rounds: int = 5,
    lanes: int = 1,
    on_round: Callable[[str], None] | None = None,
) -> AsyncBench:
    """Let both engines show and learn the same samples, with the same messages, in turn.

    Parameters
    ----------
    layers : tuple of int
        Sizes, input and output included.
    granularities : tuple of str
        ``neuron``, ``layer``.
    samples, rounds : int
        Samples of a run, and alternating runs of the engines.
    lanes : int
        Samples side by side.
    on_round : callable or None
        Called with a word on what is measured next.

    Raises
    ------
    ValidationError
        If a number or a granularity is none.
    UnsupportedError
        If nothing is compiled here.
    """
    if rounds < 1 or samples < 1 or not 1 <= lanes <= samples:
        limit = "needs rounds and samples of at least 1, and at most as many lanes"
        invalid("bench async", limit, (rounds, samples, lanes))
    unknown = [g for g in granularities if g not in GRANULARITIES]
    if unknown or not granularities:
        invalid("bench async", f"granularities are {', '.join(GRANULARITIES)}", granularities)
    data = _rows(layers, max(100, 2 * samples))
    costs = []
    with threadpool_limits(1):
        for granularity in granularities:
            engines = [_Engine(layers, data, granularity, lanes, c) for c in (True, False)]
            measured = []
            for i in range(rounds):
                if on_round:
                    on_round(f"{granularity}, round {i + 1} of {rounds}")
                measured.append(_round(engines, samples))
            costs.append(_cost(granularity, samples, measured))
            for engine in engines:
                engine.stop()
    return AsyncBench(layers, lanes, costs)


def _rows(layers: tuple[int, ...], samples: int) -> Dataset:
    """Return rows of random numbers, as dense as images, with random classes."""
    generator = np.random.default_rng(0)
    shape = (samples, layers[0])
    x = generator.random(shape) * (generator.random(shape) < (0.5 if layers[0] < 100 else DENSITY))
    return Dataset("random", x, generator.permutation(np.arange(samples) % layers[-1]))


class _Engine:
    """A network that learns, in one of the engines."""

    def __init__(
        self,
        layers: tuple[int, ...],
        data: Dataset,
        granularity: Granularity,
        lanes: int,
        compiled: bool,
    ) -> None:
        spec, schedule = NetworkSpec(layers, seed=1), PresentationSchedule(1, lanes, lanes)
        network = spec.build(lanes=lanes, optimiser=Adam(3e-3), executor="step")
        assert isinstance(network, Network)
        self._backend = LavaBackend(
            Source(data.x, data.taught(layers[-1]), lanes=lanes),
            network,
            Sink(loss(spec.loss), layers[-1], lanes=lanes, capacity=len(data.x)),
            schedule,
            Execution(granularity, "async", runtime="in-process"),
            transport=Transport(seed=1),
            compiled=compiled,
        )
        session: Any = self._backend.session
        self.session = session
        engine: str = session.usage().engine
        if compiled and engine != "compiled":
            raise UnsupportedError(f"bench async: {engine}")
        self.seconds(lanes)  # what only the first sample costs is paid

    def seconds(self, samples: int) -> tuple[float, int]:
        """Return the CPU seconds that some samples take, and their messages."""
        before, begin = self.session.deliveries, time.process_time()
        self._backend.run(np.arange(samples), 1, lambda: None)
        return time.process_time() - begin, self.session.deliveries - before

    def stop(self) -> None:
        """End the session."""
        self._backend.stop()


def _round(engines: list[_Engine], samples: int) -> tuple[float, float, float | None, int]:
    """Return seconds compiled, interpreted and in SimPy, and messages."""
    (fast, messages), (slow, others) = (engine.seconds(samples) for engine in engines)
    if messages != others:
        raise AssertionError(f"engines disagree: {messages} and {others} messages")
    return fast, slow, simpy_seconds(messages), messages


def simpy_seconds(events: int) -> float | None:
    """Return the CPU seconds of SimPy's loop over as many time-outs; None without SimPy."""
    if find_spec("simpy") is None:
        return None
    import simpy

    delays = np.random.default_rng(0).exponential(size=events).tolist()
    environment = simpy.Environment()
    begin = time.process_time()
    for delay in delays:
        environment.timeout(delay)
    environment.run()
    return time.process_time() - begin


def _cost(
    granularity: Granularity, samples: int, measured: list[tuple[float, float, float | None, int]]
) -> AsyncCost:
    def cost(k: int) -> float:
        return median(m[k] / m[3] * 1e6 for m in measured)  # type: ignore[operator]

    def ratio(k: int) -> float:
        return median(m[k] / m[0] for m in measured)  # type: ignore[operator]

    peer = measured[0][2] is not None
    return AsyncCost(
        granularity,
        sum(m[3] for m in measured) / len(measured) / samples,
        cost(0),
        cost(1),
        cost(2) if peer else None,
        median(samples / m[0] for m in measured),
        ratio(1),
        ratio(2) if peer else None,
    )
