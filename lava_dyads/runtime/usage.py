"""What a network has used: messages, events, operations and seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_dyads.elements import Connection
from lava_dyads.tables import Tabular


@dataclass(frozen=True)
class ChannelUsage:
    """What one channel has carried.

    Attributes
    ----------
    source, target : str
        'process.port' of both ends.
    messages : int
        Messages, silent ones included.
    events : int
        Entries that are not zero.
    operations : int
        Weights these events touch, where the target is a connection of this library: its own
        counter also has what learning touches.
    """

    source: str
    target: str
    messages: int
    events: int
    operations: int = 0


@dataclass(frozen=True)
class Usage(Tabular):
    """What a network has used; a notebook shows a row per channel.

    Attributes
    ----------
    channels : list of ChannelUsage
    seconds : dict of str to float
        Seconds spent in each model, by Process (ProcessModel); models that compiled code carries
        out are one entry.
    engine : str
        ``steps``, ``compiled``, or ``interpreted`` and why.
    """

    channels: list[ChannelUsage]
    seconds: dict[str, float]
    engine: str = "steps"

    def records(self) -> list[dict[str, object]]:
        """Return a row per channel."""
        return [asdict(channel) for channel in self.channels]

    @property
    def messages(self) -> int:
        """Messages on all channels."""
        return sum(channel.messages for channel in self.channels)

    @property
    def events(self) -> int:
        """Events on all channels."""
        return sum(channel.events for channel in self.channels)

    @property
    def operations(self) -> int:
        """Synaptic operations that events on all channels have caused."""
        return sum(channel.operations for channel in self.channels)


def operations_of(element: Any, target: str, events: int) -> int:
    """Return the number of weights that some events touch on average at a port."""
    port = target.rpartition(".")[2]
    if not isinstance(element, Connection) or element.weightless:
        return 0
    if port == "mean_in":
        everywhere = np.ones((1, element.op.n_in))
        return round(events * element.op.forward_operations(everywhere) / element.op.n_in)
    if port == "difference_in" and "apical_out" in element.listened:
        everywhere = np.ones((1, element.op.n_out))
        return round(events * element.op.backward_operations(everywhere) / element.op.n_out)
    return 0
