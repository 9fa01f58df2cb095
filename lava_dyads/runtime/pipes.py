"""External pipes: data between a running network and the program around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import LavaRuntimeError
from lava_dyads.runtime.scheduler import Scheduler


class Pipe:
    """A queue between a port and other threads, with a side for each.

    On the ``inside`` a task waits, so that other tasks go on; on the ``outside`` a thread does.

    Parameters
    ----------
    scheduler : Scheduler
    port : str
        'process.port', for messages.
    shape : tuple
        Of a message.
    dtype : numpy type
        Data are cast to it.
    size : int
        Messages that fit.
    outward : bool
        Whether data leave the network.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        port: str,
        shape: tuple[int, ...],
        dtype: Any,
        size: int,
        outward: bool,
    ) -> None:
        self.outward = outward
        self.port, self.shape, self.dtype, self.size = port, shape, np.dtype(dtype), size
        self.queue: deque[AnyArray] = deque()
        self.changed = scheduler.outside
        self.closed = False
        self.inside = Side(self, scheduler.wait_outside)
        self.outside = Side(self, self._wait_in_thread)

    def close(self, patience: float = 0.01) -> None:
        """End all waiting on the outside; nobody will answer any more.

        A thread that reads may first take what is there, as long as it goes on doing so.
        """
        with self.changed:
            left = -1
            while self.outward and not self.closed and len(self.queue) not in (0, left):
                left = len(self.queue)
                self.changed.wait(patience)
            self.closed = True
            self.changed.notify_all()

    def _wait_in_thread(self, reason: Callable[[], str], ready: Callable[[], bool]) -> None:
        with self.changed:
            self.changed.wait_for(lambda: ready() or self.closed)
        if not ready():
            raise LavaRuntimeError(f"{self.port}: the runtime has been stopped")


class Side:
    """One side of a pipe; what Lava's ports and ``lava.proc.io`` ask of a channel.

    Parameters
    ----------
    pipe : Pipe
    wait : callable
        Waits until its second argument returns true; the first one says what for.
    """

    def __init__(
        self, pipe: Pipe, wait: Callable[[Callable[[], str], Callable[[], bool]], None]
    ) -> None:
        self._pipe, self._wait = pipe, wait
        self.shape, self.dtype, self.size = pipe.shape, pipe.dtype, pipe.size
        self.qsize = self.__len__

    def __len__(self) -> int:
        return len(self._pipe.queue)

    def probe(self) -> bool:
        """Tell whether a message waits."""
        return bool(self._pipe.queue)

    def free(self) -> bool:
        """Tell whether a send would not wait."""
        return len(self) < self.size

    def send(self, data: Any) -> None:
        """Put a copy of data into the pipe; wait while it is full."""
        pipe = self._pipe
        if data.shape != pipe.shape:
            raise AssertionError(
                f"external pipe of {pipe.port}: a message must have shape {pipe.shape} "
                f"(got {data.shape})"
            )
        message = np.array(data, pipe.dtype)
        self._wait(self._why_full, lambda: len(pipe.queue) < pipe.size)
        with pipe.changed:
            pipe.queue.append(message)
            pipe.changed.notify_all()

    def recv(self) -> AnyArray:
        """Take one message; wait while there is none."""
        pipe = self._pipe
        self._wait(self._why_empty, self.probe)
        with pipe.changed:
            message = pipe.queue.popleft()
            pipe.changed.notify_all()
        return message

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it; wait while there is none."""
        self._wait(self._why_empty, self.probe)
        return self._pipe.queue[0].copy()

    def _why_full(self) -> str:
        return f"to send on {self._pipe.port}: nobody has taken from its external pipe"

    def _why_empty(self) -> str:
        return f"for {self._pipe.port} to hear from its external pipe"
