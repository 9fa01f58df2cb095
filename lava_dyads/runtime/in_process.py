"""The in-process runtime: Lava Processes and unmodified ProcessModels in one OS process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunContinuous, RunSteps
from scipy.sparse import csr_matrix

from lava_dyads.errors import LavaRuntimeError, UnsupportedError, invalid
from lava_dyads.processes.base import own_logging
from lava_dyads.rules._types import AnyArray
from lava_dyads.rules.elements import Connection
from lava_dyads.runtime.config import DyadRunConfig
from lava_dyads.runtime.events import EventHub
from lava_dyads.runtime.hub import Hub
from lava_dyads.runtime.interface import Session
from lava_dyads.runtime.private.graph import (
    Answers,
    Node,
    build,
    choose,
    discover,
    forget,
    process_count,
)
from lava_dyads.runtime.trace import Recorder, Trace, check_writable
from lava_dyads.runtime.transport import Transport

# Lava's phases and the answers of a model at the end of one (LoihiProtocol).
_REQUEST_PRE, _REQUEST_LEARN, _REQUEST_POST = -4, -5, -6
_REQUEST_PAUSE, _REQUEST_STOP = -7, -8


@dataclass(frozen=True)
class ChannelUsage:
    """What one channel has carried.

    Attributes
    ----------
    source, target : str
        'process.port' of both ends.
    messages : int
        Messages, silent ones included.
    events : int
        Entries that are not zero.
    operations : int
        Weights these events touch, where the target is a connection of this library: its own
        counter also has what learning touches.
    """

    source: str
    target: str
    messages: int
    events: int
    operations: int = 0


@dataclass(frozen=True)
class Usage:
    """What a network has used.

    Attributes
    ----------
    channels : list of ChannelUsage
    seconds : dict of str to float
        Seconds spent in each model, by Process (ProcessModel).
    """

    channels: list[ChannelUsage]
    seconds: dict[str, float]

    @property
    def messages(self) -> int:
        """Messages on all channels."""
        return sum(channel.messages for channel in self.channels)

    @property
    def events(self) -> int:
        """Events on all channels."""
        return sum(channel.events for channel in self.channels)

    @property
    def operations(self) -> int:
        """Synaptic operations that events on all channels have caused."""
        return sum(channel.operations for channel in self.channels)


class InProcessRuntime:
    """Executes connected Processes in the calling OS process, synchronously.

    It stands in for Lava's ``Runtime``: the same Processes, run configurations and models, the
    same results, step for step. In every time step, in this order: spiking phase; management
    phase before learning, learning, management phase after learning, each if a model asks for
    it. After the last step the host phase. RefPorts are served in management and host phases.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the graph.
    run_cfg : RunConfig
        Chooses the ProcessModels.

    Raises
    ------
    ValidationError, UnsupportedError
        If the graph cannot be built.
    """

    def __init__(
        self, process: AbstractProcess, run_cfg: Any, transport: Transport | None = None
    ) -> None:
        self._graph, self._created = discover(process), process_count()
        with own_logging():
            self._answers = Answers()
            chosen, self.asynchronous = choose(process, run_cfg)
            self._hub: Any
            if self.asynchronous:
                self._hub = EventHub(transport or Transport())
            else:
                self._hub = Hub([])
                self._hub.idle = self._serve
            self.nodes: list[Node] = build(chosen, self._hub, self._answers)
        self._hub.tasks[:] = [node.task for node in self.nodes]
        self._owners = {v.id: (node, v) for node in self.nodes for v in node.process.vars}
        self._servers = [p for node in self.nodes for p in node.model.var_ports]
        self._is_started = self._is_running = False
        self._stopped = False
        self.steps_done = 0
        for node in self.nodes:
            node.process._runtime = self
        process._runtime = self

    def start(self, condition: Any) -> None:
        """Run ``RunSteps``; called by ``Process.run``.

        Raises
        ------
        ModelError, DeadlockError
            See :class:`~lava_dyads.runtime.hub.Hub`.
        UnsupportedError
            For ``RunContinuous``: nothing could pause it.
        """
        if self._stopped:
            raise LavaRuntimeError(
                "run: the runtime has been stopped. Try: build the Processes anew"
            )
        if isinstance(condition, RunContinuous):
            raise UnsupportedError("the in-process runtime has no RunContinuous. Try: RunSteps")
        if not isinstance(condition, RunSteps):
            invalid("run", "needs a RunSteps condition", type(condition).__name__)
        self._check_graph()
        self._is_started = self._is_running = True
        try:
            if self.asynchronous:
                self._run_events(condition.num_steps)
            else:
                self._run(condition.num_steps)
        except BaseException:
            self._stopped = True  # models are somewhere in the middle of a step
            raise
        finally:
            self._is_running = False

    def usage(self) -> Usage:
        """Return what was measured since ``measure`` was switched on."""
        elements = {n.process.name: getattr(n.process, "element", None) for n in self.nodes}
        return Usage(
            channels=[
                ChannelUsage(
                    c.source,
                    c.target,
                    c.messages,
                    c.events,
                    _operations(elements.get(c.target.rpartition(".")[0]), c.target, c.events),
                )
                for c in self._hub.channels
            ],
            seconds={node.task.label: node.task.seconds for node in self.nodes},
        )

    def record(self) -> None:
        """Record a trace of asynchronous messages from now on."""
        if not self.asynchronous:
            invalid("trace", "needs asynchronous Processes", "sync", "DyadRunConfig(clock='async')")
        self._hub.recorder = Recorder()

    def trace(self) -> Trace:
        """Return what has been recorded so far."""
        if not self.asynchronous or self._hub.recorder is None:
            invalid("trace", "nothing was recorded", None, "open the session with trace=PATH")
        channels = [(wire.source, wire.target) for wire in self._hub.channels]
        trace: Trace = self._hub.recorder.trace(channels)
        return trace

    def wait(self) -> None:
        """Return: a run has always ended when ``start`` returns."""

    def pause(self) -> None:
        """Return: nothing runs while the caller does."""

    def stop(self) -> None:
        """End the run; it cannot be started again."""
        self._stopped, self._is_started = True, False
        for node in self.nodes:
            node.task.close()
        forget(node.process for node in self.nodes)

    def get_var(self, var_id: int, idx: Any = None) -> AnyArray:
        """Return the value of a Var, at once and as float64, as ``Var.get`` does."""
        node, var = self._owners[var_id]
        value = getattr(node.model, var.name)
        if isinstance(value, csr_matrix):
            return np.array(value.data, float)
        if isinstance(value, str):
            return np.array(list(value.encode("ascii")), float)
        array = np.array(value, float).reshape(var.shape)
        return array if idx is None else np.asarray(array[idx])

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Set the value of a Var in place, as ``Var.set`` does."""
        node, var = self._owners[var_id]
        model, old = node.model, getattr(node.model, var.name)
        if isinstance(old, csr_matrix):
            old.data[:] = value
        elif isinstance(old, np.ndarray):
            source = np.asarray(value)
            old.reshape(-1)[: source.size] = source.reshape(-1) if idx is None else source[idx]
        elif isinstance(old, str):
            setattr(model, var.name, bytes(np.asarray(value).astype(int).tolist()).decode("ascii"))
        else:
            setattr(model, var.name, type(old)(np.asarray(value).flat[0]))
        model.on_var_update()

    def _check_graph(self) -> None:
        """Refuse Processes that were connected after the start: they would do nothing."""
        created = process_count()
        if created == self._created:
            return
        self._created = created
        known = {id(process) for process in self._graph}
        late = [p.name for p in discover(self._graph[0]) if id(p) not in known]
        if late:
            raise LavaRuntimeError(
                f"run: {', '.join(late)} joined the network after it was started. "
                "Try: connect all Processes first, or open a new session with new ones"
            )

    def _run(self, steps: int) -> None:
        models = [node.model for node in self.nodes]
        spike = [node.spike() for node in self.nodes]
        phases = {
            _REQUEST_PRE: [m._pre_mgmt for m in models],
            _REQUEST_LEARN: [m._lrn for m in models],
            _REQUEST_POST: [m._post_mgmt for m in models],
        }
        for _ in range(steps):
            self._phase(spike)
            self.steps_done += 1
            while asked := self._answers.asked & phases.keys():
                self._phase(phases[max(asked)])  # before learning, learning, after learning
                self._serve()
            if self._answers.asked & {_REQUEST_PAUSE, _REQUEST_STOP}:
                break
        for model in models:
            model._host()
        self._serve()

    def _run_events(self, steps: int) -> None:
        for node in self.nodes:
            node.model.num_steps = steps
        self._hub.run([node.model.run_async for node in self.nodes])
        self.steps_done += steps

    def _phase(self, jobs: list[Callable[[], None]]) -> None:
        self._answers.asked.clear()
        self._hub.run(jobs)

    def _serve(self) -> bool:
        """Answer RefPorts that wait for a Var; tell whether there was one."""
        helped = False
        for port in self._servers:
            while port._csp_recv_port is not None and port._csp_recv_port.probe():
                port.service()
                helped = True
        return helped


class InProcessSession(Session):
    """Run a Process graph in this OS process; the interface of ``LavaSession``.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the graph.
    run_cfg : RunConfig or None
        None: :class:`DyadRunConfig` (granularity ``layer``).
    measure : bool
        Count messages and events per channel and time every model; see :meth:`usage`.
    transport : Transport or None
        How asynchronous messages travel; None: exponential latencies, no faults.
    trace : Path or None
        File (.npz) for a :class:`Trace` of the asynchronous messages, written when it stops.

    Raises
    ------
    ValidationError
        If the trace could not be written, or the Processes run in steps.

    Examples
    --------
    >>> from lava_dyads import Dyad
    >>> dyad = Dyad((2,), bias=[0.5, -0.5])
    >>> with InProcessSession(dyad) as session:
    ...     session.run(1)
    >>> dyad.read("s_plus")
    array([0.5, 0. ])
    """

    def __init__(
        self,
        process: AbstractProcess,
        run_cfg: Any = None,
        *,
        measure: bool = False,
        transport: Transport | None = None,
        trace: Path | None = None,
    ) -> None:
        if trace is not None:
            check_writable(trace)
        self.runtime = InProcessRuntime(process, run_cfg or DyadRunConfig(), transport)
        self.runtime._hub.measuring = measure
        self._trace = trace
        if trace is not None:
            self.runtime.record()
        self.process = process

    def usage(self) -> Usage:
        """Return messages and events per channel, and the seconds spent in every model.

        Zeros, unless the session was opened with ``measure=True``.
        """
        return self.runtime.usage()

    @property
    def alive(self) -> bool:
        """Whether it can still run."""
        return not self.runtime._stopped

    @property
    def steps_done(self) -> int:  # type: ignore[override]
        """Time steps run so far."""
        return self.runtime.steps_done

    def run(self, steps: int, poll: Callable[[], None] | None = None) -> None:
        """Run a number of time steps; ``poll`` is called some 20 times a second."""
        if steps < 1:
            invalid("InProcessSession.run", "needs at least 1 step", steps)
        done, chunk = 0, 1 if poll else steps
        while done < steps:
            chunk = min(chunk, steps - done)
            begin = time.perf_counter()
            self.runtime.start(RunSteps(chunk))
            done += chunk
            if poll:
                poll()
                seconds = max(time.perf_counter() - begin, 1e-6)
                chunk = max(1, int(chunk * 0.05 / seconds))

    def stop(self, kill: bool = False) -> None:
        """End the run; write the trace, if one was asked for."""
        if self._trace is not None and self.alive:
            self.trace().save(self._trace)
        self.runtime.stop()

    def trace(self) -> Trace:
        """Return what has been recorded so far."""
        return self.runtime.trace()

    @property
    def virtual_time(self) -> float:
        """Time of the last asynchronous event, in mean latencies; 0 where there are none."""
        return float(getattr(self.runtime._hub, "now", 0.0))

    @property
    def deliveries(self) -> int:
        """Asynchronous messages delivered, timers included; 0 where there are none."""
        return int(getattr(self.runtime._hub, "deliveries", 0))


def _operations(element: Any, target: str, events: int) -> int:
    """Return how many weights some events touch when they arrive at a port."""
    port = target.rpartition(".")[2]
    if not isinstance(element, Connection):
        return 0
    if port == "mean_in":
        return element.op.forward_operations(events)
    if port == "difference_in" and "apical_out" in element.listened:
        return element.op.backward_operations(events)
    return 0


@contextmanager
def in_process() -> Iterator[None]:
    """Let ``Process.run`` use this runtime instead of Lava's, inside the block.

    Examples
    --------
    >>> from lava.magma.core.run_conditions import RunSteps
    >>> from lava_dyads import Dyad, DyadRunConfig
    >>> dyad = Dyad((1,), bias=2.0)
    >>> with in_process():
    ...     dyad.run(RunSteps(1), DyadRunConfig())
    >>> dyad.s_plus.get()
    array([2.])
    """

    def create_runtime(
        process: AbstractProcess,
        run_cfg: Any = None,
        executable: Any = None,
        compile_config: Any = None,
    ) -> None:
        InProcessRuntime(process, run_cfg)

    original = AbstractProcess.create_runtime
    AbstractProcess.create_runtime = create_runtime
    try:
        yield
    finally:
        AbstractProcess.create_runtime = original
