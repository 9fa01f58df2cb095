"""Cooperative tasks and channels: many ProcessModels in one OS process.

A *stack* (greenlet; a switch costs about 0.3 us, where a thread costs 50) runs the jobs of one
task after the other. Where a job has to wait, for a message or for room, its stack is put aside
and another one goes on with the next task. So only tasks that wait cost a switch, and the order
of the tasks is chosen such that few do. The order is fixed: a run is deterministic.

Stacks live as long as a run does, in the thread that runs it.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from lava_dyads.errors import DeadlockError, ModelError
from lava_dyads.runtime.failures import Passing, is_models_own, model_error

if TYPE_CHECKING:
    from lava_dyads.runtime.channels import Channel

Turn = tuple["Task", Callable[[Any], None], Any]
"""A task and its job: a function and what to call it with."""


class Task:
    """One ProcessModel, as the scheduler sees it.

    Parameters
    ----------
    label : str
        Name of the Process and class of the model, for messages.
    swap : callable or None
        Exchanges what the task has for itself with what all others share; called whenever it
        begins, ends, is put aside or goes on.
    stream : Stream or None
        What it draws from as numpy's global state; None: the program's.

    Attributes
    ----------
    seconds : float
        Time spent in its jobs, while the scheduler measures.
    outgoing : list of Channel
        What it sends on; empty once the order of the tasks is chosen.
    """

    __slots__ = ("label", "outgoing", "seconds", "speaks_first", "stream", "swap", "waits")

    def __init__(
        self, label: str, swap: Callable[[], None] | None = None, stream: Any = None
    ) -> None:
        self.label, self.swap, self.stream = label, swap, stream
        self.seconds = 0.0
        self.outgoing: list[Channel] = []
        self.speaks_first = False
        self.waits: Callable[[], str] = str


class Scheduler:
    """Runs one job of every task to its end.

    Parameters
    ----------
    measuring : bool
        Whether tasks are timed and channels count what they carry.
    """

    def __init__(self, measuring: bool = False) -> None:
        self.measuring = measuring
        self.channels: list[Channel] = []
        self.pipes: list[Any] = []
        """The external pipes; ends of them are in other threads."""
        self.current: Task | None = None
        """Whose job runs."""
        self.building = ""
        """Whose model is being made."""
        self.idle: Callable[[], bool] = lambda: False
        """Called when every task waits; returns whether it could help one of them."""
        self.outside = threading.Condition()
        """Held while data are exchanged with other threads (external pipes)."""
        self.interrupted = False
        """Set under ``outside`` to end a wait for data from there."""
        self.looking_outside = False
        """Whether it waits for data from there now."""
        self._strangers: dict[Any, Callable[[], bool]] = {}
        self._ready: deque[Any] = deque()
        self._waiting: dict[Any, Task] = {}
        self._free: list[Any] = []
        self._turns: Iterator[Turn] = iter(())
        self._spent = True
        self._ordered = False

    def run(self, turns: list[Turn]) -> None:
        """Run one job per task; return when all are done.

        The first time the list is put into the order in which the fewest tasks have to wait.

        Raises
        ------
        ModelError
            If a job raises; its traceback is part of the message, the error its cause.
        DeadlockError
            If every task that is not done waits for another one; says who waits for what.
        """
        finished: list[Task] = []
        if self.measuring or not self._ordered:
            self._turns = iter([(turn[0], self._watch(finished), turn) for turn in turns])
        else:
            self._turns = iter(turns)
        self._spent = False
        ready, waiting = self._ready, self._waiting
        try:
            while True:
                if not self._spent:
                    stack = self._free.pop() if self._free else greenlet(self._work)
                    stack.switch()
                elif ready:
                    ready.popleft().switch()
                elif not waiting:
                    break
                elif not (self.idle() or self._look_outside()):
                    raise DeadlockError(self._deadlock())
        except DeadlockError:
            raise
        except BaseException as error:
            if not is_models_own(error):
                raise
            raise self._failure(error) from error
        if not self._ordered:
            self._arrange(turns, finished)

    def run_only(self, job: Callable[[int], None], steps: int) -> None:
        """Run the job of the only task, which has nobody to wait for, for some steps.

        Raises
        ------
        ModelError
            As :meth:`run`.
        """
        try:
            job(steps)
        except BaseException as error:
            if not is_models_own(error):
                raise
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> ModelError:
        label = self.current.label if self.current else "a process"
        return model_error(label, error, traceback.format_exc())

    def close(self) -> None:
        """Unwind all stacks; a suspended one holds references that nobody can collect."""
        stacks = [*self._free, *self._waiting, *self._ready]
        for held in (self._free, self._waiting, self._ready, self._strangers):
            held.clear()
        for stack in stacks:
            with contextlib.suppress(Exception):
                stack.throw()
        self.current = None

    def _work(self) -> None:
        """Take one job after the other, on one stack."""
        me = getcurrent()
        while True:
            for task, job, model in self._turns:
                self.current = task
                job(model)
            self._spent = True
            self._free.append(me)
            me.parent.switch()

    def wait(self, reason: Callable[[], str]) -> Any:
        """Put the present task aside until somebody wakes its stack."""
        me, task = getcurrent(), self.current
        if task is None:
            raise DeadlockError(f"the caller of the network would wait {reason()}")
        if task.outgoing:
            # Its first wait; nobody else has run since, so what it has sent is still there.
            task.speaks_first = any(channel.probe() for channel in task.outgoing)
            task.outgoing = []
        task.waits = reason
        self._waiting[me] = task
        if self.measuring:
            task.seconds += time.perf_counter()
        if task.swap is not None:
            task.swap()
        try:
            me.parent.switch()
        finally:
            self.current = task
            if task.swap is not None:
                task.swap()
            if self.measuring:
                task.seconds -= time.perf_counter()

    def wake(self, stack: Any) -> None:
        """Let a stack go on that was put aside."""
        del self._waiting[stack]
        self._ready.append(stack)

    def wait_outside(self, reason: Callable[[], str], ready: Callable[[], bool]) -> None:
        """Put the present task aside until another thread has made ``ready`` true."""
        while not ready():
            self._strangers[getcurrent()] = ready
            self.wait(reason)

    def _look_outside(self) -> bool:
        """Wait for other threads, if a task does; tell whether one of them can go on."""
        if not self._strangers:
            return False

        def moved() -> list[Any]:
            return [stack for stack, ready in self._strangers.items() if ready()]

        self.looking_outside = True
        with self.outside:
            self.outside.wait_for(lambda: self.interrupted or moved())
            found = moved()
        self.looking_outside = False
        if not found:
            raise Interrupted
        for stack in found:
            del self._strangers[stack]
            self.wake(stack)
        return True

    def _watch(self, finished: list[Task]) -> Callable[[Turn], None]:
        """Return a function that does the job of a turn and notes its time and its end."""

        def watch(turn: Turn) -> None:
            task, job, model = turn
            task.seconds -= time.perf_counter()
            job(model)
            task.seconds += time.perf_counter()
            finished.append(task)

        return watch

    def _arrange(self, turns: list[Turn], finished: list[Task]) -> None:
        """Put those first that had sent before they waited; the rest as they ended."""
        rank = {task: (not task.speaks_first, place) for place, task in enumerate(finished)}
        turns.sort(key=lambda turn: rank[turn[0]])
        self._ordered = True
        for task, *_ in turns:
            task.outgoing = []

    def _deadlock(self) -> str:
        waiting = sorted(f"  {task.label} waits {task.waits()}" for task in self._waiting.values())
        return (
            "deadlock, every process waits for another one:\n"
            + "\n".join(waiting)
            + "\nTry: in every cycle of the graph one process must send before it receives, and "
            "every connected port one message per step"
        )


class Interrupted(Passing):
    """A run that waited for data from outside was stopped."""
