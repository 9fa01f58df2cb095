"""What networks of single dyads take to start, and what a message costs in them, by their size."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import psutil

from lava_dyads.choices import Clock
from lava_dyads.errors import LavaRuntimeError, NotSettledError
from lava_dyads.experiments.bench_async import simpy_seconds

FAN_OUT = 32
_ENOUGH = 500_000
"""Messages of a measurement, at least."""
_INTERPRETED = 200_000
"""Messages of the interpreted engine: a whole presentation of many dyads takes minutes."""


@dataclass(frozen=True)
class Scaling:
    """Dyads as Processes of their own, in layers, each connected with 32 of the next layer.

    Attributes
    ----------
    dyads : int
    build_seconds : float
        CPU seconds to create and connect the Processes, and to start the in-process runtime, in
        an interpreter of its own.
    memory_mb : float
        What that takes at most, in MiB, beyond the imports.
    us_per_scalar : float
        Microseconds of CPU per number delivered, best of the rounds: of a time step; of a
        presentation from silence to silence, its timers counted as deliveries.
    clock : str
        ``sync``, or ``async`` with exponential latencies, compiled where that can be.
    interpreted_us, simpy_us : float or None
        The same in the engine of Python, and of SimPy's bare loop over as many time-outs; None
        in steps, and without SimPy.
    loop_ns : float
        What a turn of an empty Python loop takes meanwhile: to compare machines by.
    """

    dyads: int
    build_seconds: float
    memory_mb: float
    us_per_scalar: float
    clock: Clock = "sync"
    interpreted_us: float | None = None
    simpy_us: float | None = None
    loop_ns: float = 0.0


def scaling(dyads: tuple[int, ...], rounds: int, clock: Clock = "sync") -> list[Scaling]:
    """Build networks of single dyads, smallest first, each in an interpreter of its own.

    They are timed in turn, so that what a message costs can be compared between them.
    """
    networks = [_Remote(n, clock) for n in sorted(dyads)]
    try:
        best = [network.ask("run") for network in networks]
        simpy = [_simpy() if clock == "async" else None]
        for _ in range(rounds - 1):
            best = [min(b, n.ask("run")) for b, n in zip(best, networks, strict=True)]
            simpy.append(_simpy() if clock == "async" else None)
        rows = []
        for network, us in zip(networks, best, strict=True):
            slow = network.ask("interpreted") if clock == "async" else None
            peer = min((s for s in simpy if s is not None), default=None)
            rows.append(Scaling(**network.built, us_per_scalar=us, clock=clock,
                                interpreted_us=slow, simpy_us=peer))  # fmt: skip
        return rows
    finally:
        for network in networks:
            network.stop()


def _simpy() -> float | None:
    seconds = simpy_seconds(_INTERPRETED)
    return None if seconds is None else seconds / _INTERPRETED * 1e6


class _Remote:
    """A network in an interpreter of its own, which answers by lines."""

    def __init__(self, dyads: int, clock: Clock) -> None:
        code = f"from lava_dyads.experiments.scaling import serve; serve({dyads}, {clock!r})"
        pipe = subprocess.PIPE
        self._child = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)
        self.built: dict[str, Any] = self._answer()

    def ask(self, what: str) -> Any:
        """Return the answer to a question of one word."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{what}\n".encode())
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise LavaRuntimeError(f"bench runtime: its interpreter ended, {self._child.wait()}")
        return json.loads(line)

    def stop(self) -> None:
        """End it."""
        self._child.kill()
        self._child.communicate()


def serve(dyads: int, clock: Clock) -> None:
    """Build a network; answer what is asked on the standard input, line by line."""
    import resource  # Linux and macOS have it

    import lava_dyads.runtime  # noqa: F401 (what it takes is not the network's)

    before = psutil.Process().memory_info().rss
    Layers(2 * FAN_OUT, clock).run()  # what is compiled is compiled once per machine
    network = Layers(dyads, clock)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS - before
    built = {"dyads": network.dyads, "build_seconds": network.build_seconds}
    _say({**built, "memory_mb": memory / 2**20, "loop_ns": _loop_ns()})
    for line in sys.stdin:
        if line.strip() == "run":
            _say(network.seconds_per_scalar() * 1e6)
        else:
            network.session.stop()
            _say(_interpreted(dyads) * 1e6)


_MAXRSS = 1 if sys.platform == "darwin" else 1024


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def _loop_ns(turns: int = 1_000_000) -> float:
    begin = time.process_time()
    for _ in range(turns):
        pass
    return (time.process_time() - begin) / turns * 1e9


def _interpreted(dyads: int) -> float:
    """Return the seconds of a message in the engine of Python, over the first of them."""
    network = Layers(dyads, "async", compiled=False, most=_INTERPRETED)
    begin = time.process_time()
    try:
        network.run()
    except NotSettledError:
        return (time.process_time() - begin) / _INTERPRETED
    return (time.process_time() - begin) / network.session.deliveries


class Layers:
    """A number of dyads in layers of at most 100, started.

    Parameters
    ----------
    dyads : int
    clock : str
        ``sync`` or ``async``.
    compiled : bool or None
        See ``InProcessSession``.
    most : int
        Messages after which a presentation gives up.
    """

    def __init__(
        self, dyads: int, clock: Clock = "sync", compiled: bool | None = None, most: int = 10**9
    ) -> None:
        from lava_dyads.elements.clock import PresentationSchedule
        from lava_dyads.processes import Conductor, Dyad
        from lava_dyads.runtime import DyadRunConfig, InProcessSession

        width = min(100, dyads // 2)
        gc.collect()
        begin = time.process_time()
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
            Conductor(schedule, max_deliveries=most).lead(*(d for layer in layers for d in layer))
        config = DyadRunConfig(clock=clock)
        self.session = InProcessSession(layers[0][0], config, compiled=compiled)
        if clock == "sync":
            self.session.run(2)  # the first step is also where the order of the tasks is chosen
        self.build_seconds = time.process_time() - begin
        self.dyads = width * len(layers)
        # At least so many that to begin and to end a run, once per Process, does not count.
        self.steps = max(20, 3_000_000 // self.scalars) if clock == "sync" else 1

    def run(self) -> None:
        """Run some steps or presentations."""
        self.session.run(self.steps)

    def seconds_per_scalar(self) -> float:
        """Run; return the CPU seconds that a number costs from one dyad to another."""
        before, begin = self.session.deliveries, time.process_time()
        self.run()
        seconds, delivered = time.process_time() - begin, self.session.deliveries - before
        if self.clock == "sync":
            return seconds / self.steps / self.scalars
        self.steps = max(self.steps, _ENOUGH // delivered)  # next time
        return seconds / delivered
