"""The in-process runtime: Lava Processes and unmodified ProcessModels in one OS process."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunContinuous, RunSteps

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import LavaRuntimeError, invalid
from lava_dyads.executors.transport import Transport
from lava_dyads.processes.base import own_logging
from lava_dyads.runtime.batching.grouping import batched
from lava_dyads.runtime.batching.steps import BatchScheduler
from lava_dyads.runtime.lava_internals.build import build, is_ours
from lava_dyads.runtime.lava_internals.discovery import (
    assign,
    choose,
    discover,
    forget,
    made_vars,
    process_count,
)
from lava_dyads.runtime.lava_internals.node import PHASES, Node, await_arrival
from lava_dyads.runtime.lava_internals.ports import Answers
from lava_dyads.runtime.ledger import Ledger, ledger_of
from lava_dyads.runtime.randomness import SWITCH, Stream, swapped
from lava_dyads.runtime.scheduler import Interrupted, Scheduler
from lava_dyads.runtime.trace import Recorder, Trace
from lava_dyads.runtime.usage import ChannelUsage, Usage, operations_of
from lava_dyads.runtime.values import read, write
from lava_dyads.runtime.virtual_time.compiled import compile_followers
from lava_dyads.runtime.virtual_time.engine import Barrier, VirtualTimeEngine
from lava_dyads.runtime.watchdog import time_limit

# What else a model answers at the end of a phase (LoihiProtocol).
_REQUEST_PAUSE, _REQUEST_STOP = -7, -8


class InProcessRuntime:
    """Executes connected Processes in the calling OS process, synchronously.

    It stands in for Lava's ``Runtime``: the same Processes, run configurations and models, the
    same results, step for step. In every time step, in this order: spiking phase; management
    phase before learning, learning, management phase after learning, each if a model asks for
    it. After the last step the host phase. RefPorts are served in management and host phases.

    A run that does not block is done by a thread. Whatever goes wrong in it is raised by the
    next ``wait``, ``pause``, ``stop`` or run.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the graph.
    run_cfg : RunConfig
        Chooses the ProcessModels.
    measure : bool
        Count messages and events per channel and time every model.
    timeout : float or None
        Longest time for one time step, in seconds; None: no limit.
    compiled : bool or None
        Whether compiled code carries asynchronous networks out where it can; None: unless every
        model is timed.
    executable : Executable or None
        From ``Process.compile``, maybe saved and loaded: its models, whatever ``run_cfg`` says.

    Raises
    ------
    ValidationError, UnsupportedError
        If the graph cannot be built.
    """

    def __init__(
        self,
        process: AbstractProcess,
        run_cfg: Any,
        transport: Transport | None = None,
        *,
        measure: bool = False,
        timeout: float | None = None,
        compiled: bool | None = None,
        executable: Any = None,
    ) -> None:
        if timeout is not None and not timeout > 0:
            invalid("InProcessRuntime.timeout", "must be positive seconds", timeout)
        self._timeout = timeout
        self._graph, self._created = discover(process), process_count()
        with own_logging(), without_gc():
            self._answers = Answers()
            chosen, self.asynchronous = choose(self._graph, run_cfg, executable)
            self._together: Callable[[], Any] = _nothing
            """Ends that models draw from streams of their own."""
            if not all(map(is_ours, chosen.values())):
                SWITCH.open()
                self._together = weakref.finalize(self, SWITCH.close)
            self._engine: Any
            if self.asynchronous:
                self._engine = VirtualTimeEngine(transport or Transport())
                self._engine.measuring = measure
            elif transport is not None:
                limit = "needs asynchronous Processes"
                invalid("transport", limit, "sync", "DyadRunConfig(clock='async')")
            else:
                self._engine = Scheduler(measure)
                self._engine.idle = self._serve
            self.interpreted: str | None = None
            """Why asynchronous models are not compiled; None: they are."""
            engine = self._engine
            with time_limit(timeout, lambda: engine.building, lambda: engine.building):
                self.nodes: list[Node] = build(chosen, engine, self._answers)
            self._batch_scheduler: BatchScheduler | None = None
            self._alone: list[Node] = []
            if not self.asynchronous:
                self._batch_scheduler, self._alone = batched(self.nodes, self._engine)
            else:
                self.interpreted = compile_followers(self._engine, self.nodes, measure, compiled)
        self._homes = {node.process: node for node in self.nodes}
        self._owners = {
            var.id: (node, var) for node in self.nodes for var in made_vars(node.process)
        }
        self._servers = [p for node in self.nodes for p in node.model.var_ports]
        self._tasked = self.nodes
        """Those that have tasks; compiled code carries the others out."""
        if self.asynchronous:
            if self._engine.compiled is not None:
                self._tasked = [n for n in self.nodes if n.model not in self._engine.compiled]
            self._engine.tasks[:] = [node.task for node in self._tasked]
        self._spike = [turn for node in self._alone for turn in node.spikes(measure)]
        if self._batch_scheduler:
            self._spike.append(self._batch_scheduler.turn)
        self._phases = {
            request: [turn for node in self._alone if (turn := node.handler(name))]
            for request, name in PHASES.items()
        }
        self._foreign_ends = [end for node in self.nodes for end in node.foreign_ends]
        self._is_started = self._is_running = False
        self._stopped = self._halt = self._endless = False
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.steps_done = 0
        self.cut_short = False
        """Whether a model ended the last run by asking for a pause or a stop."""
        for node in self.nodes:
            assign(node.process, self)
        process._runtime = self
        # They hold the runtime: what nobody stops goes, and ends, with the last who holds them.
        forget((*self._graph, *(node.process for node in self.nodes)))

    def start(self, condition: Any) -> None:
        """Run as ``RunSteps`` or ``RunContinuous`` say; called by ``Process.run``.

        Fewer steps are run if a model asks for a pause; if it asks for a stop, the runtime is
        stopped.

        Raises
        ------
        ModelError, DeadlockError, HangError
            See :class:`~lava_dyads.runtime.scheduler.Scheduler`.
        LavaRuntimeError
            After ``stop``; while it runs without an end.
        """
        if not isinstance(condition, RunSteps | RunContinuous):
            invalid("run", "needs a RunSteps or RunContinuous condition", type(condition).__name__)
        if self._is_running and self._endless:
            raise LavaRuntimeError("run: it runs already, without an end. Try: pause() first")
        self.wait()
        if self._stopped:
            raise LavaRuntimeError(
                "run: the runtime has been stopped. Try: build the Processes anew"
            )
        self._check_graph()
        self._endless = isinstance(condition, RunContinuous)
        steps = None if self._endless else condition.num_steps
        self._is_started = self._is_running = True
        self._halt = self.cut_short = False
        if self.asynchronous:
            self._engine.asked_to_pause, self._engine.endless = False, self._endless
        if steps is not None and condition.blocking:
            self._run(steps)
            return
        self._thread = threading.Thread(target=self._in_thread, args=(steps,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when the present run has ended; without one, at once.

        Raises
        ------
        ModelError, DeadlockError, HangError
            If it ended so.
        """
        thread, self_made = self._thread, threading.current_thread()
        if thread is not None and thread is not self_made:
            thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def pause(self) -> None:
        """End the present run after the time step in which it is; it can be run again.

        Raises
        ------
        ModelError, DeadlockError, HangError
            If it ended so.
        """
        self._ask_to_pause()
        self.wait()

    def _ask_to_pause(self) -> None:
        self._halt = True
        if self.asynchronous:
            self._engine.ask_to_pause()

    def stop(self) -> None:
        """End the present run and the runtime; it cannot be started again.

        Raises
        ------
        ModelError, DeadlockError, HangError
            If the present run did not block and ended so.
        """
        self._ask_to_pause()
        with self._engine.outside:
            self._engine.interrupted = True
            self._engine.outside.notify_all()
        try:
            self.wait()
        finally:
            self._end()

    def _end(self) -> None:
        self._stopped, self._is_started = True, False
        self._together()
        if self._batch_scheduler:
            self._batch_scheduler.leave()
        for pipe in self._engine.pipes:
            pipe.close()

    def usage(self) -> Usage:
        """Return the usage measured since ``measure`` was switched on."""
        compiled = self._engine.compiled if self.asynchronous else None
        if compiled is not None:
            compiled.report()
        seconds = {node.task.label: node.task.seconds for node in self._tasked}
        if compiled is not None:
            seconds[f"{len(compiled.models)} compiled models"] = compiled.seconds
        elements = {n.process.name: getattr(n.process, "element", None) for n in self.nodes}
        return Usage(
            channels=[
                ChannelUsage(
                    c.source,
                    c.target,
                    c.messages,
                    c.events,
                    operations_of(elements.get(c.target.rpartition(".")[0]), c.target, c.events),
                )
                for c in self._engine.channels
            ],
            seconds=seconds,
            engine=self._engine_text,
        )

    @property
    def _engine_text(self) -> str:
        """Which engine runs it, and why."""
        if not self.asynchronous:
            return "steps"
        return f"interpreted: {self.interpreted}" if self.interpreted else "compiled"

    def record(self) -> None:
        """Record a trace of asynchronous messages from now on."""
        if not self.asynchronous:
            invalid("trace", "needs asynchronous Processes", "sync", "DyadRunConfig(clock='async')")
        self._engine.recorder = Recorder()

    def trace(self) -> Trace:
        """Return the trace recorded so far."""
        if not self.asynchronous or self._engine.recorder is None:
            invalid("trace", "nothing was recorded", None, "open the session with trace=PATH")
        channels = [(wire.source, wire.target) for wire in self._engine.channels]
        trace: Trace = self._engine.recorder.trace(channels)
        return trace

    def adopt(self, var: Any) -> None:
        """Take a Var of one of its Processes in that has been made only now."""
        node = self._homes.get(var.process)
        if node is not None:
            self._owners[var.id] = (node, var)

    def get_var(self, var_id: int, idx: Any = None) -> AnyArray:
        """Return the value of a Var at once, in the form in which ``Var.get`` has it."""
        self._refuse_while_running("Var.get")
        node, var = self._owner(var_id)
        return read(var, getattr(node.model, var.name), idx)

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Set the value of a Var, as ``Var.set`` does."""
        self._refuse_while_running("Var.set")
        if self._stopped:
            raise LavaRuntimeError(
                "Var.set: the runtime has been stopped. Try: build the Processes anew"
            )
        node, var = self._owner(var_id)
        with SWITCH.drawing(lambda: node.task.stream), swapped(node.task.swap):
            write(var, node.model, value, idx)

    def _owner(self, var_id: int) -> tuple[Node, Any]:
        if var_id not in self._owners:
            raise LavaRuntimeError(
                "Var: no ProcessModel holds it. Try: alias it to a Var of a Process inside"
            )
        return self._owners[var_id]

    def _refuse_while_running(self, what: str) -> None:
        if self._is_running:
            raise LavaRuntimeError(
                f"{what}: the network is running. Try: wait() or pause() first; read() of the "
                "Processes of lava_dyads works at any time"
            )

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

    def _in_thread(self, steps: int | None) -> None:
        """Run; keep what goes wrong for the caller of ``wait``."""
        try:
            self._run(steps)
        except BaseException as error:
            self._error = error

    def _run(self, steps: int | None) -> None:
        """Run a number of time steps, or until somebody asks for an end (None)."""
        stop = False
        try:
            with SWITCH.drawing(self._stream), time_limit(self._timeout, self._progress, self._who):
                if self.asynchronous:
                    self._events(steps)
                else:
                    stop = self._steps(steps)
        except Interrupted:
            stop = True
        except BaseException:
            stop = True  # models are somewhere in the middle of a step
            raise
        finally:
            self._engine.close()
            await_arrival(self._foreign_ends)  # as after Lava's run
            self._is_running = False
            if stop:
                self._end()

    def _steps(self, steps: int | None) -> bool:
        """Run time steps; tell whether a model asked for a stop."""
        if self._batch_scheduler and self._batch_scheduler.sources is not None:
            for node in self._alone:
                node.enter()
            self._many_steps(self._batch_scheduler, steps)
            for node in self._alone:
                node.host()
            self._serve()
            return False
        engine, asked, phases, spike = self._engine, self._answers.asked, self._phases, self._spike
        for node in self._alone:
            node.enter()
        for _ in itertools.count() if steps is None else range(steps):
            engine.run(spike)
            self.steps_done += 1
            if asked:
                while due := asked & phases.keys():
                    phase = max(due)  # before learning, learning, after learning
                    asked.remove(phase)
                    engine.run(phases[phase])
                    self._serve()
                for node in self._alone:
                    node.enter()
                if _REQUEST_PAUSE in asked or _REQUEST_STOP in asked:
                    self.cut_short, stop = True, _REQUEST_PAUSE not in asked
                    asked.clear()
                    return stop
                asked.clear()
            if self._halt:
                break
        for node in self._alone:
            node.host()
        self._serve()
        return False

    def _many_steps(self, scheduler: BatchScheduler, steps: int | None) -> None:
        """Run time steps of neurons that are all in batches: they ask for nothing in between."""
        # A time limit is one of a single step.
        longest = scheduler.longest if self._timeout is None else 1
        left = longest if steps is None else steps
        while left and not self._halt:
            begin = scheduler.time_step
            # As equal as possible: another number of steps takes other arrays.
            try:
                self._engine.run_only(scheduler.step, -(-left // -(-left // longest)))
            finally:
                self.steps_done += scheduler.time_step - begin
            left -= 0 if steps is None else scheduler.time_step - begin

    def _events(self, steps: int | None) -> None:
        for node in self._tasked:
            node.model.num_steps = sys.maxsize if steps is None else steps
        marching = [node for node in self.nodes if node.steps]
        meet = Barrier(self._engine, len(marching), self._next_phase)
        march = {node.task: partial(node.march, steps, meet) for node in marching}
        self._engine.run([march.get(node.task) or node.model.run_async for node in self._tasked])
        self.steps_done += steps or 0

    def _next_phase(self) -> int | None:
        """Return the next phase of those that run in steps beside asynchronous models."""
        asked = self._answers.asked
        if due := asked & PHASES.keys():
            asked.remove(max(due))
            return max(due)
        over = bool(asked & {_REQUEST_PAUSE, _REQUEST_STOP}) or self._engine.asked_to_pause
        self.cut_short |= over
        asked.clear()
        return None if over else 0

    def _progress(self) -> int | None:
        if self.asynchronous:
            return int(self._engine.deliveries)
        return None if self._engine.looking_outside else self.steps_done

    def keep_ledger(self) -> Ledger:
        """Keep a ledger from now on (``runtime.ledger``); return it."""
        kept = ledger_of(self._graph, self._engine if self.asynchronous else None)
        self._engine.ledger = kept
        return kept

    def _stream(self) -> Stream | None:
        """Return the stream of the model that runs now; None: it is not a model."""
        return getattr(self._engine.current, "stream", None)

    def _who(self) -> str:
        task = self._engine.current
        return task.label if task else "the runtime"

    def _serve(self) -> bool:
        """Answer RefPorts that wait for a Var; tell whether there was one."""
        helped = False
        for port in self._servers:
            while port._csp_recv_port is not None and port._csp_recv_port.probe():
                port.service()
                helped = True
        return helped


def _nothing() -> None:
    """Do nothing."""


@contextmanager
def without_gc() -> Iterator[None]:
    """Collect no garbage meanwhile: it would walk again and again through what is being built."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
