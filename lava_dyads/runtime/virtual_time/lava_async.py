"""What models of Lava's AsyncProtocol ask for: the runtime service and the selector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lava_dyads.array_types import AnyArray
from lava_dyads.runtime.pipes import Side
from lava_dyads.runtime.stacks import current
from lava_dyads.runtime.virtual_time.wire import Wire

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


class Service:
    """Stands in for the channel from Lava's runtime service to an asynchronous model."""

    def __init__(self, engine: VirtualTimeEngine, pause: AnyArray, conducts: bool = False) -> None:
        self._engine, self._pause, self._conducts = engine, pause, conducts

    def probe(self) -> bool:
        """Tell whether the user has asked to pause; if not, time passes."""
        # A conductor waits for silence anyway: others run meanwhile.
        if not (self._engine.asked_to_pause or self._conducts):
            self._engine.poll()
        return self._engine.asked_to_pause

    def peek(self) -> AnyArray:
        """Return the command to pause."""
        return self._pause

    def recv(self) -> AnyArray:
        """Return the command to pause."""
        return self._pause

    def join(self) -> None:
        """Nothing to end."""


class Selector:
    """Stands in for Lava's selector: waits for the first of several channels."""

    def __init__(self, engine: VirtualTimeEngine) -> None:
        self._engine = engine

    def select(self, *channel_actions: Any) -> Any:
        """Wait until one of the channels is ready and return its action's result."""
        while True:
            for channel, action in channel_actions:
                if channel is not None and _ready(channel):
                    return action()
            for channel, _ in channel_actions:
                wire = getattr(channel, "channel", None)
                if isinstance(wire, Wire):
                    wire.wake_on_arrival()
                elif isinstance(wire, Side):
                    self._engine.strangers[current()] = lambda: _any_ready(channel_actions)
            current().give_way("for one of several channels")
            self._engine.strangers.pop(current(), None)


def _ready(channel: Any) -> bool:
    """Look without letting time pass: the selector waits by itself."""
    if isinstance(channel, Service):
        return channel._engine.asked_to_pause
    wire = getattr(channel, "channel", None)
    if isinstance(wire, Side):
        return len(wire) > 0
    return bool(wire.queue) if isinstance(wire, Wire) else bool(channel.probe())


def _any_ready(channel_actions: Any) -> bool:
    return any(channel is not None and _ready(channel) for channel, _ in channel_actions)
