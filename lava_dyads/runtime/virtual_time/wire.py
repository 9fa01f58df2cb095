"""Channels on which messages take their time, and the slots that they arrive in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.executors.counter import LATENCY
from lava_dyads.runtime.stacks import StackTask as Task
from lava_dyads.runtime.stacks import current

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import Stream, VirtualTimeEngine
    from lava_dyads.runtime.virtual_time.mailbox import EventMailbox


WHOLE = -1
"""Index of a message that carries all entries of a port."""


class Slot:
    """What has come for one InPort of a mailbox: the sum of the changes.

    Attributes
    ----------
    sum : list or array
        By entry of the port's last axis; a list of numbers for a small port with one lane,
        which is several times as quick.
    """

    __slots__ = ("pending", "port", "shape", "sum")

    def __init__(self, port: str, shape: tuple[int, ...]) -> None:
        self.port, self.shape = port, shape
        self.sum: Any = self._nothing()
        self.pending = False

    def _nothing(self) -> Any:
        if len(self.shape) == 1 and self.shape[0] <= _SMALL:
            return [0.0] * self.shape[0]
        return np.zeros(self.shape[::-1])

    def add_whole(self, change: AnyArray) -> None:
        """Add a message that has every entry."""
        self.sum = list(self.sum + change) if isinstance(self.sum, list) else self.sum + change.T

    def take(self) -> AnyArray:
        """Return the sum and begin anew."""
        taken, self.sum = self.sum, self._nothing()
        self.pending = False
        return np.array(taken) if isinstance(taken, list) else taken.T


_SMALL = 32
_NOTHING: deque[AnyArray] = deque()
"""The queue of every wire that has never queued anything up: an empty one takes 600 bytes."""


class Wire:
    """A channel from one port to another, on which messages take their time.

    Parameters
    ----------
    engine : VirtualTimeEngine
    source, target : str
        'process.port' of both ends.
    shape : tuple
        Of the source's messages.
    dtype : numpy type
        Of the source; messages are cast to it, as Lava does.
    ordered : bool
        First in, first out, as Lava's channels are: a message waits for the one before it.

    Attributes
    ----------
    entry : int or None
        The one entry of the source's messages that goes through; None: all.
    offset : int or None
        The entry of the target that a message of one entry belongs to; None: as sent.
    transform : callable or None
        Any other change on the way, by Lava's virtual ports.
    """

    __slots__ = (
        "_latest",
        "_reader",
        "_share",
        "box",
        "dtype",
        "engine",
        "entry",
        "events",
        "latency_model",
        "messages",
        "number",
        "offset",
        "ordered",
        "queue",
        "shape",
        "slot",
        "source",
        "target",
        "transform",
    )  # fmt: skip

    def __init__(
        self,
        engine: VirtualTimeEngine,
        source: str,
        target: str,
        shape: tuple[int, ...],
        dtype: Any,
        ordered: bool = False,
    ) -> None:
        self.ordered, self._latest = ordered, 0.0
        self.engine, self.source, self.target, self.shape = engine, source, target, shape
        self.dtype = np.dtype(dtype)
        self.number = len(engine.channels)
        self.latency_model = engine.transport.latency_everywhere or engine.transport.latency_of(
            f"{source} -> {target}"
        )
        self._share: Stream | None = None  # made when it is asked: compiled wires never are
        self.messages = self.events = 0
        self.entry: int | None = None
        self.offset: int | None = None
        self.transform: Callable[[AnyArray], AnyArray] | None = None
        self.box: EventMailbox | None = None
        self.slot: Slot | None = None
        self.queue = _NOTHING
        self._reader: Task | None = None

    # --- sending

    def send(self, data: Any) -> None:
        """Send a whole message, as Lava's OutPorts do."""
        if data.shape != self.shape:
            raise AssertionError(
                f"{self.source} -> {self.target}: a message must have shape {self.shape} "
                f"(got {data.shape})"
            )
        message = np.array(data, self.dtype)
        index = 0 if self.offset is not None else self.entry
        # Into a mailbox goes the one entry that is meant; other ports transform by themselves.
        if self.slot is not None and index is not None:
            self.push(index, message[..., index])
        else:
            self.push(WHOLE, message)

    def push(self, index: int, change: Any) -> None:
        """Put a message on its way: one entry, or ``WHOLE``."""
        engine = self.engine
        self.messages += 1
        if engine.measuring:
            self.events += int(np.count_nonzero(change))
        now = engine.now
        at = now + self.latency()
        if self.ordered:
            at = self.behind(at)
        engine.queue.push((at, next(engine._numbers), self, index, change, now))

    def latency(self) -> float:
        """Return the time that the next message takes."""
        if self._share is None:
            self._share = self.engine.stream(LATENCY, self.number)
        return self.latency_model.quantile(self._share())

    def behind(self, at: float) -> float:
        """Return the arrival of a message that overtakes none; equal times keep their order."""
        self._latest = max(at, self._latest)
        return self._latest

    def content(self, payload: Any) -> Any:
        """Return the message on the wire, for a trace."""
        return payload

    def place(self, index: int) -> int:
        """Return the entry of the target that a message is for."""
        if index == WHOLE:
            return WHOLE
        if self.entry is not None:
            return 0
        return index if self.offset is None else self.offset

    # --- receiving

    def deliver(self, index: int, change: Any) -> None:
        """Hand a message over: add it to the mailbox, or queue it up."""
        self.engine.idle_polls = 0  # whoever polls, polls for a reason
        slot, box = self.slot, self.box
        if slot is None or box is None:
            self._enqueue(change)
            return
        if index == WHOLE:
            slot.add_whole(self._transformed(change))
        elif self.entry is not None:
            slot.sum[0] += change
        else:
            slot.sum[index if self.offset is None else self.offset] += change
        box.receive(slot)

    def _transformed(self, change: AnyArray) -> AnyArray:
        return change if self.transform is None else self.transform(change)

    def _enqueue(self, message: AnyArray) -> None:
        if self.queue is _NOTHING:
            self.queue = deque()
        self.queue.append(message)
        if self._reader is not None:
            self.engine.ready.append(self._reader)
            self._reader = None

    def recv(self) -> AnyArray:
        """Take the next message; wait while there is none."""
        while not self.queue:
            self.wake_on_arrival()
            current().give_way(f"for {self.target} to hear from {self.source}")
        self._reader = None
        return self.queue.popleft()

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it; wait while there is none."""
        message = self.recv()
        self.queue.appendleft(message)
        return message.copy()

    def wake_on_arrival(self) -> None:
        """Make the present task ready when the next message comes."""
        self._reader = current()

    def free(self) -> bool:
        """Tell whether a send would not wait; it never does."""
        return True

    def probe(self) -> bool:
        """Tell whether a message has come; if none has, time passes."""
        if not self.queue:
            self.engine.poll()
        return bool(self.queue)
