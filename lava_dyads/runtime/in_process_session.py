"""Sessions on the in-process runtime, and how to let ``Process.run`` use it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import RunConfig

from lava_dyads.checks import Patience, checked
from lava_dyads.executors.transport import Transport
from lava_dyads.files import AnyPath, check_writable
from lava_dyads.runtime.config import DyadRunConfig
from lava_dyads.runtime.in_process import InProcessRuntime
from lava_dyads.runtime.interface import Session, step_count
from lava_dyads.runtime.trace import Trace
from lava_dyads.runtime.usage import Usage
from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


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
    timeout : float or None
        Longest time for one time step, in seconds; None: no limit. A model that computes for
        ever ends in HangError; one that waits for another one is a deadlock, found at once.
    transport : Transport or None
        How asynchronous messages travel; None: exponential latencies, no faults.
    trace : str, path or None
        File (.npz) for a :class:`Trace` of the asynchronous messages, written when it stops.
    compiled : bool or None
        Whether asynchronous networks of this library's Processes run as compiled code (numba,
        extra ``fast``), message by message the same; what it cannot do, the engine of Python does.
        None: unless every model is to be timed. ``usage().engine`` says which, and why.

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
    1
    >>> dyad.read("s_plus")
    array([0.5, 0. ])
    """

    @checked
    def __init__(
        self,
        process: AbstractProcess,
        run_cfg: RunConfig | None = None,
        *,
        measure: bool = False,
        timeout: Patience | None = None,
        transport: Transport | None = None,
        trace: AnyPath | None = None,
        ledger: AnyPath | None = None,
        compiled: bool | None = None,
    ) -> None:
        path = None if trace is None else check_writable("trace", trace)
        self._ledger_path = None if ledger is None else check_writable("ledger", ledger)
        self.runtime = InProcessRuntime(
            process,
            DyadRunConfig() if run_cfg is None else run_cfg,
            transport,
            measure=measure,
            timeout=timeout,
            compiled=compiled,
        )
        self._trace = path
        if trace is not None:
            self.runtime.record()
        self._ledger = None if ledger is None else self.runtime.keep_ledger()
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

    def run(self, steps: int, poll: Callable[[], None] | None = None) -> int:
        """Run a number of time steps, fewer where a model asks for it; return how many.

        Parameters
        ----------
        steps : int
            At least 1.
        poll : callable or None
            Called some 20 times a second.
        """
        steps = step_count("InProcessSession.run", steps)
        runtime = self.runtime
        first, chunk = runtime.steps_done, 1 if poll else steps
        while (left := steps - (runtime.steps_done - first)) > 0:
            chunk = min(chunk, left)
            begin = time.perf_counter()
            runtime.start(RunSteps(chunk))
            if poll:
                poll()
                seconds = max(time.perf_counter() - begin, 1e-6)
                chunk = max(1, int(chunk * 0.05 / seconds))
            if runtime.cut_short:
                break
        return runtime.steps_done - first

    def stop(self, kill: bool = False) -> None:
        """End the run; write trace and ledger, if they were asked for."""
        # Also after an error: a trace of what did not settle is what one wants to see.
        ledger, self._ledger = self._ledger, None
        if ledger is not None and self._ledger_path is not None:
            ledger.save(self._ledger_path)
        path, self._trace = self._trace, None
        if path is not None:
            self.trace().save(path)
        self.runtime.stop()

    def trace(self) -> Trace:
        """Return the trace recorded so far."""
        return self.runtime.trace()

    def state(self) -> dict[str, Any]:
        """Return the state of a run that no Process holds, for JSON; empty without events."""
        engine = self.runtime._engine
        return engine.state() if isinstance(engine, VirtualTimeEngine) else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, between two runs, from what :meth:`state` has returned elsewhere."""
        engine = self.runtime._engine
        if isinstance(engine, VirtualTimeEngine):
            engine.restore(state)

    @property
    def virtual_time(self) -> float:
        """Time of the last asynchronous event, in mean latencies; 0 where there are none."""
        return float(getattr(self.runtime._engine, "now", 0.0))

    @property
    def deliveries(self) -> int:
        """Asynchronous messages delivered, timers included; 0 where there are none."""
        return int(getattr(self.runtime._engine, "deliveries", 0))


@contextmanager
def in_process() -> Iterator[None]:
    """Let ``Process.run`` use this runtime instead of Lava's, inside the block.

    Processes that are started in there stay on it. Blocks may lie in each other, or in several
    threads: until the last one ends it is the runtime of the whole program.

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
    global _nesting, _lavas
    with _exchange:
        if not _nesting:
            _lavas, AbstractProcess.create_runtime = (
                AbstractProcess.create_runtime,
                _create_runtime,
            )
        _nesting += 1
    try:
        yield
    finally:
        with _exchange:
            _nesting -= 1
            if not _nesting:
                AbstractProcess.create_runtime = _lavas


_exchange = threading.Lock()
_nesting = 0
_lavas: Any = None


def _create_runtime(
    process: AbstractProcess,
    run_cfg: Any = None,
    executable: Any = None,
    compile_config: Any = None,
) -> None:
    InProcessRuntime(process, run_cfg, executable=executable)
