"""Lava's runtime with a session over it: what happens to the one reaches the other.

A stopped runtime of Lava's must not be touched again: its channels are unmapped, and the next
use of one ends the interpreter (segmentation fault). And what starts OS processes or names
shared memory must not be parted by Ctrl-C: nobody would know that there is something to end.
"""

from __future__ import annotations

import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.core.run_conditions import RunSteps
from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing
from lava.magma.runtime.message_infrastructure.shared_memory_manager import SharedMemoryManager
from lava.magma.runtime.runtime import Runtime

from lava_dyads.errors import LavaRuntimeError
from lava_dyads.interrupts import ENDING, held_back
from lava_dyads.runtime.lava_internals.exchange import (
    Exchange,
    ask_value,
    last_values,
    stopped,
    tell_value,
)
from lava_dyads.runtime.lava_internals.shared_memory import check_fits


@contextmanager
def _forking() -> Iterator[None]:
    """Fork without a signal in the midst of it, neither here nor in the child.

    The child takes the block off when it knows that it has to ignore Ctrl-C.
    """
    with held_back():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _SharedMemory(SharedMemoryManager):  # type: ignore[misc]
    """Makes shared memory that is known to whoever removes it, or none."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def start(self) -> None:
        with _forking():
            super().start()

    def create_shared_memory(self, size: int) -> Any:
        self.sizes.append(size)
        with held_back():
            return super().create_shared_memory(size)

    def shutdown(self) -> None:
        """Remove it all, also where the OS process that should do so has been killed."""
        rings = list(self._shared_memory_handles)
        try:
            super().shutdown()
        finally:
            for ring in rings:
                with suppress(FileNotFoundError):
                    ring.unlink()


class _Infrastructure(MultiProcessing):  # type: ignore[misc]
    """Starts OS processes that are known to whoever ends them, or none."""

    def start(self) -> None:
        self._smm = _SharedMemory()
        self._smm.start()

    def build_actor(self, *arguments: Any) -> Any:
        with _forking():
            return super().build_actor(*arguments)


class SupervisedRuntime(Runtime):  # type: ignore[misc]
    """What the Processes of a session hold as their runtime.

    ``Process.run`` with a number of steps, and ``Process.stop``, do what the session does.

    Parameters
    ----------
    executable : Executable
    session : weak reference to a session
        It must not be kept alive by its Processes.
    exchange : Exchange
        For the values of Vars.
    """

    def __init__(self, executable: Any, session: weakref.ref[Any], exchange: Exchange) -> None:
        super().__init__(executable, ActorType.MultiProcessing)
        self._session, self._exchange = session, exchange
        self.dead = False
        self._paused_from_outside = False

    def __del__(self) -> None:
        """Leave the end to the session; it may be another OS process's in a forked one."""

    def _build_message_infrastructure(self) -> None:
        self._messaging_infrastructure = _Infrastructure()
        self._messaging_infrastructure.start()

    def _build_processes(self) -> None:
        executable = self._executable
        self._check_memory(len(executable.proc_builders) + len(executable.runtime_service_builders))
        super()._build_processes()
        self._check_memory(0)  # external pipes are made last

    def _check_memory(self, actors: int) -> None:
        slots = self._executable.sync_channel_builders[0].port_initializer.size
        check_fits(self._messaging_infrastructure.smm.sizes, slots, actors)

    def start(self, run_condition: Any) -> None:
        """Run; a blocking number of steps under the eyes of the session."""
        session = self._session()
        self._check_alive("run")
        if session is not None and getattr(run_condition, "blocking", False):
            session.run(run_condition.num_steps)
        else:
            super().start(run_condition)

    def begin(self, steps: int) -> None:
        """Start a number of steps."""
        if self._paused_from_outside:
            raise LavaRuntimeError(
                "LavaSession.run: after Process.pause Lava never says that steps are done. "
                "Try: session.run, which needs no pause, instead of RunContinuous"
            )
        self._is_started = True
        super().start(RunSteps(steps, blocking=False))

    def stop(self) -> None:
        """End the session."""
        session = self._session()
        if session is not None:
            session.stop()

    def end(self) -> None:
        """Ask the models to end, as Lava does."""
        super().stop()

    def wait(self) -> None:
        """Wait for the end of a run that does not block."""
        self._check_alive("wait")
        super().wait()

    def pause(self) -> None:
        """Pause a run that does not block."""
        self._check_alive("pause")
        self._paused_from_outside |= self._is_running
        super().pause()

    def get_var(self, var_id: int, idx: Any = None) -> Any:
        """Return the value of a Var."""
        self._check_idle("get")
        return ask_value(self, self._exchange, var_id, idx, self._patience)

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Set the value of a Var."""
        self._check_idle("set")
        tell_value(self, self._exchange, var_id, value, idx, self._patience)

    def last_values(self, limit: float) -> dict[int, Any]:
        """Return the present values in all models, by the number of the Var."""
        return last_values(self, self._exchange, limit)

    @property
    def _patience(self) -> float:
        session = self._session()
        return 60.0 if session is None else float(session.timeout)

    def _check_idle(self, what: str) -> None:
        self._check_alive(what)
        if self._is_running:
            raise LavaRuntimeError(
                f"Var.{what}: the network is running. Try: wait() or pause() first; read() of "
                "the Processes of lava_dyads works at any time"
            )

    def _check_alive(self, what: str) -> None:
        if self.dead:
            raise stopped(what)
