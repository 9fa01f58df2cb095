"""Run anything on Lava's own runtime, safely."""

from __future__ import annotations

import _thread
import contextlib
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import RunConfig

from lava_dyads.checks import Patience, checked
from lava_dyads.errors import (
    DeadlockError,
    HangError,
    LavaRuntimeError,
    NotSettledError,
)
from lava_dyads.processes.base import own_logging
from lava_dyads.runtime.config import DyadRunConfig
from lava_dyads.runtime.failures import model_error
from lava_dyads.runtime.interface import Session, step_count
from lava_dyads.runtime.lava_internals.exchange import stopped
from lava_dyads.runtime.lava_internals.os_processes import LavaRun
from lava_dyads.starts import starting

_POLL = 0.02
_CHUNK_SECONDS = 1.0


class LavaSession(Session):
    """Run a Lava Process graph so that whatever goes wrong ends in a named error.

    - An exception in a ProcessModel arrives as :class:`ModelError` with its own traceback and
      the name of the Process.
    - A deadlock (no OS process of the run has used the CPU for ``idle_timeout`` seconds) ends
      in :class:`DeadlockError`, which says where every model waits.
    - A step that takes longer than ``timeout`` seconds ends in :class:`HangError`.
    - Ctrl-C, an error or the end of the block leaves no OS process behind; the children die
      with this process even if it is killed.

    It works for any Process graph, not only for those of this library. With Lava's
    AsyncProtocol ``timeout`` is the limit of a whole run; such models have to end by themselves.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the graph.
    run_cfg : RunConfig or None
        None: :class:`DyadRunConfig` (granularity ``layer``).
    timeout : float
        Longest time for one step, in seconds.
    idle_timeout : float
        How long nothing may happen, in seconds, before it counts as a deadlock. Raise it for
        models that sleep or wait for files.
    compile_config : dict or None
        Passed to Lava's compiler.

    Raises
    ------
    ModelError
        If a ProcessModel fails while it starts.

    Examples
    --------
    >>> from lava_dyads import Dyad, LavaSession
    >>> dyad = Dyad((2,), bias=[0.5, -0.5])
    >>> with LavaSession(dyad) as session:
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
        timeout: Patience = 60.0,
        idle_timeout: Patience = 10.0,
        compile_config: dict[str, Any] | None = None,
    ) -> None:
        self.process = process
        self.timeout, self.idle_timeout = timeout, idle_timeout
        self.steps_done = 0
        self._running = False
        dump = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed in _abandon)
        self._run = LavaRun(process, dump, weakref.ref(self))
        # A session that goes out of scope ends its OS processes, or nobody could.
        weakref.finalize(self, _forgotten, self._run).atexit = False  # see processes/base
        try:
            with starting("starting Lava: an OS process for each ProcessModel"):
                config = DyadRunConfig() if run_cfg is None else run_cfg
                self._run.start(config, compile_config, timeout)
        except BaseException as error:
            _abandon(self._run)
            trace = getattr(error, "trace", None)
            if isinstance(trace, str) and not isinstance(error, LavaRuntimeError):
                who = getattr(error, "label", "a ProcessModel")
                raise model_error(who, error, trace, "failed while it started:") from error
            raise

    @property
    def alive(self) -> bool:
        """Whether it can still run."""
        return self._run.alive

    def run(self, steps: int, poll: Callable[[], None] | None = None) -> int:
        """Run a number of time steps, fewer where a model asks for it; return how many.

        Parameters
        ----------
        steps : int
            At least 1.
        poll : callable or None
            Called some 20 times a second while it runs, e.g. to show progress.

        Raises
        ------
        ModelError, DeadlockError, HangError
            See the class; the session is stopped then.
        LavaRuntimeError
            If the session has been stopped.
        """
        steps = step_count("LavaSession.run", steps)
        if not self.alive:
            raise stopped("run")
        if self._running or self._run.runtime._is_running:
            raise LavaRuntimeError("LavaSession.run: it runs already. Try: wait for its end")
        if self._run.owner != os.getpid():
            raise LavaRuntimeError(
                "LavaSession.run: the session belongs to the OS process that has forked this one. "
                "Try: open a session in the OS process that runs it"
            )
        # An asynchronous model is called once per run, so its run cannot be cut into chunks.
        done, chunk, expected = 0, steps if self._run.asynchronous else 1, 0.0
        while done < steps:
            chunk = min(chunk, steps - done)
            begin = time.monotonic()
            asked_at = self._run_chunk(chunk, poll, expected * chunk)
            ran = asked_at - self.steps_done if asked_at else chunk
            done += ran
            self.steps_done += ran
            if asked_at:
                break
            # Chunks bound how long a hang goes unnoticed: aim at one second each.
            seconds = max(time.monotonic() - begin, 1e-6)
            expected = seconds / chunk
            chunk = max(1, min(8 * chunk, int(_CHUNK_SECONDS / expected)))
        return done

    def stop(self, kill: bool = False) -> None:
        """End the run and all its OS processes. Safe to call more than once, from any thread.

        Parameters
        ----------
        kill : bool
            Do not ask the models to end by themselves first.
        """
        run = self._run
        try:
            # While it runs, its models hear of nothing else.
            if run.alive and not (self._running or run.owner != os.getpid()):
                run.keep_values(self.idle_timeout)
                if not kill:
                    with own_logging(), contextlib.suppress(Exception):
                        self._in_thread(run.runtime.end, limit=self.idle_timeout)
        finally:
            _abandon(run)

    def _run_chunk(self, steps: int, poll: Callable[[], None] | None, expected: float) -> int:
        """Run; return the time step in which a model asked for a pause or a stop, or 0.

        ``expected`` says how many seconds that takes where all is well.
        """
        run = self._run
        self._running = True
        try:
            with own_logging():
                run.begin(steps)
                self._supervise(run, steps, poll, expected)
        except BaseException:
            self.stop(kill=True)
            raise
        finally:
            self._running = False
        if not run.runtime._is_started:
            self.stop(kill=True)
        return int(run.asked_at[0])

    def _supervise(
        self,
        run: LavaRun,
        steps: int,
        poll: Callable[[], None] | None,
        expected: float,
    ) -> None:
        begin = checked = quiet_since = time.monotonic()
        used = -1.0
        while True:
            ended = run.listen(_POLL)
            if poll is not None:
                poll()
            if not run.alive:
                raise stopped("run")
            if ended:
                return
            now = time.monotonic()
            if now - checked < 0.2:
                continue
            checked = now
            for actor, error, trace in run.failures():
                if isinstance(error, NotSettledError):  # a conductor's verdict on the network
                    raise error
                raise model_error(actor.label, error, trace) from error
            seconds, running = run.busy_time()
            if seconds > used or running:
                used, quiet_since = seconds, now
            if now - quiet_since > self.idle_timeout:
                raise DeadlockError(_deadlock(run, self.idle_timeout))
            if now - begin > self.timeout + 2 * expected:
                raise HangError(
                    f"LavaSession.run: {steps} step(s) took more than {self.timeout:g} s. "
                    f"{_places(run)}\nTry: a larger timeout if the models are that slow"
                )

    def _in_thread(self, call: Any, limit: float) -> None:
        thread = threading.Thread(target=_swallow, args=(call,), daemon=True)
        thread.start()
        thread.join(limit)


def _swallow(call: Any) -> None:
    """Run a call of Lava's in a thread; its errors are seen by the supervisor."""
    with contextlib.suppress(Exception):
        call()


def _deadlock(run: LavaRun, seconds: float) -> str:
    return (
        f"LavaSession.run: deadlock, nothing has moved for {seconds:g} s. {_places(run)}\n"
        "Try: in every cycle of the graph one process must send before it receives, every "
        "connected port one message per step; a larger idle_timeout if a model sleeps"
    )


def _places(run: LavaRun) -> str:
    return "\n".join(
        ["The models are here:", *(f"  {who}: {where}" for who, where in run.stacks())]
    )


def _abandon(run: LavaRun) -> None:
    """Kill what is left of a run."""
    run.kill()
    run.dump.close()


def _forgotten(run: LavaRun) -> None:
    """Kill the run of a session that is collected; Ctrl-C would be dropped here."""
    try:
        _abandon(run)
    except KeyboardInterrupt:
        threading.Timer(0.01, _thread.interrupt_main).start()
