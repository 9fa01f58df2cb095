"""Ends of channels in the form that Lava's ports and models expect."""

from __future__ import annotations

from typing import Any

from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort

from lava_dyads.array_types import AnyArray


class _End:
    """One end of a channel, in the form Lava's ports and models expect."""

    __slots__ = ()
    channel: Any

    @property
    def _queue(self) -> Any:
        """What holds the messages; lava.proc.io asks it for its ``qsize``."""
        return self.channel

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a message."""
        return self.channel.shape  # type: ignore[no-any-return]

    @property
    def d_type(self) -> Any:
        """Element type of a message."""
        return self.channel.dtype

    @property
    def size(self) -> int:
        """Messages that fit."""
        return self.channel.size  # type: ignore[no-any-return]

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""


class SendEnd(_End, CspSendPort):  # type: ignore[misc]
    """The sending end of a channel."""

    __slots__ = ("_name", "channel")

    def __init__(self, name: str, channel: Any) -> None:
        self._name, self.channel = name, channel

    def send(self, data: Any) -> None:
        """Send; wait while the channel is full."""
        self.channel.send(data)

    def probe(self) -> bool:
        """Tell whether a send would not wait."""
        return bool(self.channel.free())


class RecvEnd(_End, CspRecvPort):  # type: ignore[misc]
    """The receiving end of a channel."""

    __slots__ = ("_name", "channel")

    def __init__(self, name: str, channel: Any) -> None:
        self._name, self.channel = name, channel

    def recv(self) -> AnyArray:
        """Receive; wait while the channel is empty."""
        return self.channel.recv()  # type: ignore[no-any-return]

    def probe(self) -> bool:
        """Tell whether a message waits."""
        return bool(self.channel.probe())

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it."""
        return self.channel.peek()  # type: ignore[no-any-return]


class Answers:
    """Stands in for the ports to Lava's runtime service: what models ask for after a phase."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def send(self, answer: Any) -> None:
        """Note an answer of Lava's protocol (0: done)."""
        self.asked.add(answer.item())

    def join(self) -> None:
        """Nothing to end."""
