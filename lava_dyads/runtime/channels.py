"""Channels between ports of Processes that run in one OS process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from greenlet import getcurrent

from lava_dyads.array_types import AnyArray

if TYPE_CHECKING:
    from lava_dyads.runtime.scheduler import Scheduler


_AWAITED = object()
"""Stands where a message is missing that somebody waits for."""


class ReceiveBuffer(list):  # type: ignore[type-arg]
    """What has arrived at one port: the next message of every channel, None for nothing.

    The channels stand in the order of connection. What does not fit into its place queues up in
    the channel.

    Attributes
    ----------
    channels : list of Channel
    queued : int
        Messages that wait behind those in their places.
    scalar : bool
        Whether messages are Python floats: ports of shape (1,) and float64.
    entries : list of int
        For :meth:`gathered`: which entry of the whole message a channel fills.
    zero_message : array
        A message of zeros; nobody may change it.
    waiter : greenlet or None
    borrows : bool
        Whether the receiver only looks at messages, and at none after its step: then it may have
        the sender's own array.
    """

    # In a large network most of what a message costs are cache misses. So there is one object
    # per port, and its methods, not closures with their many cells, are the ways to receive.
    __slots__ = (
        "borrows",
        "channels",
        "entries",
        "nothing",
        "queued",
        "scalar",
        "waiter",
        "zero_message"
    )  # fmt: skip

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.borrows = False
        self.queued = 0
        self.scalar = False
        self.entries: list[int] = []
        self.zero_message: AnyArray = np.zeros(0)
        self.waiter: Any = None
        self.nothing: tuple[None, ...] = ()

    def shape(self, shape: tuple[int, ...], dtype: Any) -> None:
        """Note what the port receives, once all channels are there."""
        self.zero_message = zero_message(shape, dtype)[1]
        self.nothing = nothing(len(self))

    def number(self) -> AnyArray:
        """Add Python floats up, in the order of the sources, as Lava adds arrays."""
        total = 0.0
        if not self.queued:
            try:
                for message in self:
                    total += message
            except TypeError:  # a place is empty: wait, and begin again
                total = 0.0
            else:
                self[:] = self.nothing
                return np.array((total,))
        for channel in self.channels:
            total += channel.take()
        return np.array((total,))

    def summed(self) -> AnyArray:
        """Add arrays up, in the order of the sources."""
        total = self.zero_message.copy()
        for channel in self.channels:
            total += channel.take()
        return total

    def single(self) -> AnyArray:
        """Return the message of the only source; it is the receiver's own."""
        message = self[0]
        channel = self.channels[0]
        if message is None or self.queued:
            message = channel.take()
        else:
            self[0] = None
        return message.copy() if channel.shared else message  # type: ignore[no-any-return]

    def borrowed(self) -> AnyArray:
        """Return the message of the only source, maybe the sender's own array: only to look at."""
        message = self[0]
        if message is None or self.queued:
            return self.channels[0].take()  # type: ignore[no-any-return]
        self[0] = None
        return message  # type: ignore[no-any-return]

    def gathered(self) -> AnyArray:
        """Put the message of source k into entry ``entries[k]`` of a whole one."""
        if self.queued or any(message is None for message in self):
            messages = [channel.take() for channel in self.channels]
        else:
            messages = self[:]
            self[:] = self.nothing
        message = self.zero_message.copy()
        joined = messages if self.scalar else np.concatenate(messages, axis=-1)
        message[..., self.entries] = joined
        return message


@cache
def zero_message(shape: tuple[int, ...], dtype: Any) -> tuple[tuple[int, ...], AnyArray]:
    """Return a shape, and zeros that nobody may change, the same objects for all that ask."""
    zeros: AnyArray = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return shape, zeros


@cache
def nothing(n: int) -> tuple[None, ...]:
    """Return n times None, the same for all that ask."""
    return (None,) * n


class Channel:
    """A queue of messages from one port to another.

    Parameters
    ----------
    scheduler : Scheduler
    source, target : str
        'process.port' of both ends, for messages.
    shape : tuple
        Of a message, as the source sends it.
    dtype : numpy type
        Of the source; data are cast to it, as Lava does.
    size : int
        Messages that fit before the sender has to wait.
    buffer : ReceiveBuffer or None
        Where messages arrive; None: one of its own.
    entry : int or None
        The one entry of the last axis that is carried; None: all.
    """

    __slots__ = (
        "_queue",
        "_sender",
        "buffer",
        "dtype",
        "entry",
        "events",
        "index",
        "messages",
        "scheduler",
        "shape",
        "shared",
        "size",
        "source",
        "target",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        source: str,
        target: str,
        shape: tuple[int, ...],
        dtype: Any,
        size: int,
        buffer: ReceiveBuffer | None = None,
        entry: int | None = None,
    ) -> None:
        self.scheduler, self.source, self.target = scheduler, source, target
        self.shape, self.dtype, self.size = shape, np.dtype(dtype), size
        self.buffer = ReceiveBuffer() if buffer is None else buffer
        self.entry = entry
        self.index = len(self.buffer)
        self.buffer.append(None)
        self.buffer.channels.append(self)
        self.messages = self.events = 0
        self.shared = False
        """Whether other channels carry the same array: who receives it has to copy."""
        self._queue: deque[Any] | None = None
        self._sender: Any = None
        scheduler.channels.append(self)

    def __len__(self) -> int:
        held = self.buffer[self.index]
        return (held is not None and held is not _AWAITED) + len(self._queue or ())

    def probe(self) -> bool:
        """Tell whether a message waits."""
        held = self.buffer[self.index]
        return held is not None and held is not _AWAITED

    def free(self) -> bool:
        """Tell whether a send would not wait."""
        return len(self) < self.size

    def check(self, data: Any) -> None:
        """Refuse data of another shape than the port's."""
        if data.shape != self.shape:
            raise AssertionError(
                f"{self.source} -> {self.target}: a message must have shape {self.shape} "
                f"(got {data.shape})"
            )

    def note(self, data: AnyArray) -> None:
        """Count a message."""
        carried = data if self.entry is None else data[..., self.entry]
        self.messages += 1
        self.events += int(np.count_nonzero(carried))

    def send(self, data: Any) -> None:
        """Put a copy of data into the queue; wait while it is full."""
        self.check(data)
        message = np.array(data, self.dtype)
        if self.scheduler.measuring:
            self.note(message)
        if self.entry is not None:
            message = message[..., self.entry : self.entry + 1]
        self.put(message.item() if self.buffer.scalar else message)

    def recv(self) -> AnyArray:
        """Take one message; wait while there is none."""
        message = self.take()
        if self.buffer.scalar:
            return np.array((message,))
        return message.copy() if self.shared else message  # type: ignore[no-any-return]

    def put(self, message: Any) -> None:
        """Put a message into the queue as it is; wait while it is full."""
        while len(self) >= self.size:
            self._sender = getcurrent()
            self.scheduler.wait(self._why_full)
        buffer = self.buffer
        held = buffer[self.index]
        if held is None or held is _AWAITED:
            buffer[self.index] = message
            if held is _AWAITED:
                self.scheduler.wake(buffer.waiter)
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append(message)
            buffer.queued += 1

    def take(self) -> Any:
        """Take one message as it is; wait while there is none."""
        buffer, index = self.buffer, self.index
        message = buffer[index]
        if message is None:
            buffer[index], buffer.waiter = _AWAITED, getcurrent()
            self.scheduler.wait(self._why_empty)
            message = buffer[index]
        buffer[index] = None
        if self._queue:
            buffer[index] = self._queue.popleft()
            buffer.queued -= 1
        if self._sender is not None:
            self.scheduler.wake(self._sender)
            self._sender = None
        return message

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it; wait while there is none."""
        message = self.take()
        buffer = self.buffer
        if buffer[self.index] is not None:
            self._queue = self._queue or deque()
            self._queue.appendleft(buffer[self.index])
            buffer.queued += 1
        buffer[self.index] = message
        return np.array(message, self.dtype, ndmin=len(self.shape))

    def _why_full(self) -> str:
        return f"to send on {self.source}: {self.target} has not listened"

    def _why_empty(self) -> str:
        return f"for {self.target} to hear from {self.source}"


class FanOut:
    """What leaves by one port: one copy of the data for all its channels.

    Adding zero is the copy: receivers in Lava add to zeros, which turns -0.0 into 0.0.

    Parameters
    ----------
    channels : list of Channel
        All of one port, at least one; their buffers know how messages have to arrive.
    zero_copy : bool
        Whether the sender leaves what it has sent as it is until its next step.

    Attributes
    ----------
    send : callable
        What takes the data.
    """

    __slots__ = ("buffers", "channels", "dtype", "places", "send", "shape", "zero_message")

    def __init__(self, channels: list[Channel], zero_copy: bool = False) -> None:
        self.channels = channels
        self.buffers = tuple(channel.buffer for channel in channels)
        places = [channel.index for channel in channels]
        self.places = bytes(places) if max(places) < 256 else tuple(places)
        self.dtype = channels[0].dtype
        self.shape, self.zero_message = zero_message(channels[0].shape, self.dtype)
        whole = all(channel.entry is None for channel in channels)
        arrays = [channel for channel in channels if not channel.buffer.scalar]
        for channel in channels:
            channel.shared = len(arrays) > 1
        if whole and not arrays:
            send = self.number
        elif whole and len(channels) == 1:
            send = self.single
        else:
            send = self.mixed
        if zero_copy and any(buffer.borrows for buffer in self.buffers):
            one = whole and len(channels) == len(arrays) == 1
            send = self.zero_copy if one else self.zero_copy_each
            for channel in channels:
                channel.shared = False  # whoever does not borrow gets a copy at once
        self.send: Callable[[Any], None] = send
        if channels[0].scheduler.measuring:
            self.send = self._counted(send)

    def number(self, data: Any) -> None:
        """Send one number to each receiver."""
        if data.shape != self.shape:
            self.channels[0].check(data)
        number = float(data.item())
        for buffer, place in zip(self.buffers, self.places):  # noqa: B905 (the check is slow)
            if buffer[place] is None:
                buffer[place] = number
            else:
                buffer.channels[place].put(number)

    def single(self, data: Any) -> None:
        """Send an array to the only receiver."""
        if data.shape != self.shape:
            self.channels[0].check(data)
        message = data + self.zero_message
        if message.dtype is not self.dtype:
            message = message.astype(self.dtype)
        channel = self.channels[0]
        buffer, place = channel.buffer, channel.index
        if buffer[place] is None:
            buffer[place] = message
        else:
            channel.put(message)

    def mixed(self, data: Any) -> None:
        """Send to receivers of the whole and of single entries, as arrays or numbers."""
        if data.shape != self.shape:
            self.channels[0].check(data)
        message = data + self.zero_message
        if message.dtype is not self.dtype:
            message = message.astype(self.dtype)
        values = message.reshape(-1).tolist()
        for channel in self.channels:
            buffer, place, entry = channel.buffer, channel.index, channel.entry
            if buffer.scalar:
                part = values[entry or 0]
            else:
                part = message if entry is None else message[..., entry : entry + 1]
            if buffer[place] is None:
                buffer[place] = part
            else:
                channel.put(part)

    def zero_copy(self, data: Any) -> None:
        """Send an array that will not change before the next step to the only receiver."""
        if data.shape != self.shape:
            self.channels[0].check(data)
        message = data if data.dtype is self.dtype else data.astype(self.dtype)
        buffer, place = self.buffers[0], self.places[0]
        if buffer[place] is None:
            buffer[place] = message
        else:
            self.channels[0].put(message)

    def zero_copy_each(self, data: Any) -> None:
        """Send an array that will not change before the next step: who borrows gets it as it is.

        Of buffers that add up or gather, too: they make an array of their own.
        """
        if data.shape != self.shape:
            self.channels[0].check(data)
        message = data if data.dtype is self.dtype else data.astype(self.dtype)
        values: list[Any] = []
        for channel in self.channels:
            buffer, place, entry = channel.buffer, channel.index, channel.entry
            if buffer.scalar:
                values = values or message.reshape(-1).tolist()
                part = values[entry or 0]
            else:
                part = message if entry is None else message[..., entry : entry + 1]
                if not buffer.borrows:
                    part = part + 0  # who keeps it may change it
            if buffer[place] is None:
                buffer[place] = part
            else:
                channel.put(part)

    def _counted(self, send: Callable[[Any], None]) -> Callable[[Any], None]:
        def counted(data: Any) -> None:
            for channel in self.channels:
                channel.check(data)
                channel.note(np.asarray(data, self.dtype))
            send(data)

        return counted
