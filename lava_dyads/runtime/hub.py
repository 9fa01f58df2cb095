"""Cooperative tasks and channels: many ProcessModels in one OS process.

Every ProcessModel is a task with a stack of its own (a greenlet; a switch costs about 0.3 us,
where a thread costs 50). A task that receives from an empty channel, or sends into a full one,
gives way; whoever fills or drains the channel makes it ready again. The order of the tasks is
fixed, so a run is deterministic.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from greenlet import getcurrent, greenlet

from lava_dyads.errors import DeadlockError, ModelError
from lava_dyads.rules._types import AnyArray


class Task:
    """One ProcessModel with a stack of its own.

    Parameters
    ----------
    label : str
        Name of the Process and class of the model, for messages.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.job: Callable[[], None] = _nothing
        self.done = True
        self.waits_for = ""
        self.seconds = 0.0
        """Time spent in its jobs, while the hub measures."""
        self._stack: Any = None

    def enter(self) -> None:
        """Start or continue the job on the task's own stack."""
        self._stack = greenlet(self._forever)
        self._stack.task = self
        self.enter = self._stack.switch  # type: ignore[method-assign]
        self.enter()

    def _forever(self) -> None:
        # One stack for all jobs: making a new one for each would cost more than the switch.
        while True:
            self.job()
            self.done = True
            getcurrent().parent.switch()

    def close(self) -> None:
        """Unwind the stack; a suspended one holds references that nobody can collect."""
        if self._stack is not None:
            self._stack.throw()
            self._stack = None
            del self.enter  # the reference to the stack

    def give_way(self, reason: str) -> None:
        """Return to the hub until somebody makes the task ready."""
        self.waits_for = reason
        getcurrent().parent.switch()
        self.waits_for = ""


def _nothing() -> None:
    """Do nothing."""


class Hub:
    """Runs one job of every task to its end.

    Parameters
    ----------
    tasks : list of Task
        In the order of execution.
    """

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks
        self.measuring = False
        """Whether tasks are timed and channels count what they carry."""
        self.channels: list[Channel] = []
        self._order: list[int] = []
        self.speaks_first: dict[Task, bool] | None = {}
        """Whether a task's first act was to send; None once that is known."""
        self.ready: deque[Task] = deque()
        self.idle: Callable[[], bool] = lambda: False
        """Called when every task waits; returns whether it could help one of them."""

    def run(self, jobs: list[Callable[[], None]]) -> None:
        """Run job i on task i; return when all are done.

        Raises
        ------
        ModelError
            If a job raises; its traceback is part of the message, the error its cause.
        DeadlockError
            If every task that is not done waits for another one; says who waits for what.
        """
        for task, job in zip(self.tasks, jobs, strict=True):
            task.job, task.done = job, False
        if len(self._order) != len(self.tasks):
            self._order = list(range(len(self.tasks)))
        self.ready.extend([self.tasks[i] for i in self._order])
        finished: list[Task] = []
        while True:
            while self.ready:
                task = self.ready.popleft()
                begin = time.perf_counter() if self.measuring else 0.0
                try:
                    task.enter()
                except Exception as error:
                    trace = traceback.format_exc()
                    raise ModelError(f"{task.label} raised\n{trace}") from error
                if self.measuring:
                    task.seconds += time.perf_counter() - begin
                if task.done:
                    finished.append(task)
            if len(finished) == len(self.tasks):
                self._arrange(finished)
                return
            if not self.idle():
                waiting = [f"  {t.label} waits {t.waits_for}" for t in self.tasks if not t.done]
                raise DeadlockError(
                    "deadlock, every process waits for another one:\n"
                    + "\n".join(waiting)
                    + "\nTry: in every cycle of the graph one process must send before it "
                    "receives, and every connected port one message per step"
                )

    def _arrange(self, finished: list[Task]) -> None:
        """Choose the order in which the fewest tasks have to wait, after the first job.

        Those that send before they receive come first; the rest as they ended.
        """
        if self.speaks_first is None:
            return
        first = self.speaks_first
        position = {task: i for i, task in enumerate(finished)}
        numbers = range(len(self.tasks))
        tasks = self.tasks
        self._order = sorted(
            numbers, key=lambda i: (not first.get(tasks[i], True), position[tasks[i]])
        )
        self.speaks_first = None

    def note(self, sends: bool) -> None:
        """Note the first act of the present task."""
        task = getattr(getcurrent(), "task", None)
        if task is not None and self.speaks_first is not None:
            self.speaks_first.setdefault(task, sends)


class Channel:
    """A queue of messages from one port to another.

    Parameters
    ----------
    hub : Hub
    source, target : str
        'process.port' of both ends, for messages.
    shape : tuple
        Of a message, as the source sends it.
    dtype : numpy type
        Of the source; data are cast to it, as Lava does.
    size : int
        Messages that fit before the sender has to wait.
    """

    def __init__(
        self, hub: Hub, source: str, target: str, shape: tuple[int, ...], dtype: Any, size: int
    ) -> None:
        self.hub, self.source, self.target = hub, source, target
        self.shape, self.dtype, self.size = shape, np.dtype(dtype), size
        self.queue: deque[AnyArray] = deque()
        self.messages = self.events = 0
        hub.channels.append(self)
        self._receiver: Task | None = None
        self._sender: Task | None = None

    def send(self, data: Any) -> None:
        """Put one message into the queue; wait while it is full."""
        if data.shape != self.shape:
            raise AssertionError(
                f"{self.source} -> {self.target}: a message must have shape {self.shape} "
                f"(got {data.shape})"
            )
        message = np.array(data, self.dtype)
        if self.hub.speaks_first is not None:
            self.hub.note(sends=True)
        if self.hub.measuring:
            self.messages += 1
            self.events += int(np.count_nonzero(message))
        while len(self.queue) >= self.size:
            self._sender = getcurrent().task
            self._sender.give_way(f"to send on {self.source}: {self.target} has not listened")
        self.queue.append(message)
        if self._receiver is not None:
            self.hub.ready.append(self._receiver)
            self._receiver = None

    def free(self) -> bool:
        """Tell whether a send would not wait."""
        return len(self.queue) < self.size

    def probe(self) -> bool:
        """Tell whether a message waits."""
        return bool(self.queue)

    def recv(self) -> AnyArray:
        """Take one message; wait while there is none."""
        if self.hub.speaks_first is not None:
            self.hub.note(sends=False)
        while not self.queue:
            self._receiver = getcurrent().task
            self._receiver.give_way(f"for {self.target} to hear from {self.source}")
        if self._sender is not None:
            self.hub.ready.append(self._sender)
            self._sender = None
        return self.queue.popleft()
