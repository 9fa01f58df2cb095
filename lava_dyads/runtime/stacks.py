"""Tasks with a stack of their own: what asynchronous models run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet


class StackTask:
    """One ProcessModel with a stack of its own.

    Parameters
    ----------
    label : str
        Name of the Process and class of the model, for messages.
    swap, stream :
        See :class:`~lava_dyads.runtime.scheduler.Task`.
    """

    def __init__(
        self, label: str, swap: Callable[[], None] | None = None, stream: Any = None
    ) -> None:
        self.label, self.swap, self.stream = label, swap, stream
        self.job: Callable[[], None] = _nothing
        self.done = True
        self.waits_for = ""
        self.seconds = 0.0
        """Time spent in its jobs, while the engine measures."""
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
        """Return to the engine until somebody makes the task ready."""
        self.waits_for = reason
        getcurrent().parent.switch()
        self.waits_for = ""


def _nothing() -> None:
    """Do nothing."""


def current() -> StackTask:
    """Return the task that runs now."""
    task: StackTask = getcurrent().task
    return task
