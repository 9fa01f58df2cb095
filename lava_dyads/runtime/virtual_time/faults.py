"""Wires on which messages get lost, late, doubled or wrong."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements.reactive import Command
from lava_dyads.executors import message_faults
from lava_dyads.executors.counter import FAULT, draw
from lava_dyads.executors.message_faults import Fate
from lava_dyads.runtime.virtual_time.wire import WHOLE, Wire

if TYPE_CHECKING:
    from lava_dyads.executors.transport import Faults
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


class FaultyWire(Wire):
    """A wire with a coding of its own, on which things go wrong (see ``Faults``).

    Samples side by side share a message for speed only: each lane has its own faults. What
    travels is (number, content, lanes it is meant for).

    Attributes
    ----------
    dead, mute, deaf : bool
        Whether one end is killed, its source frozen, its target frozen.
    """

    def __init__(
        self,
        engine: VirtualTimeEngine,
        source: str,
        target: str,
        shape: tuple[int, ...],
        dtype: Any,
        ordered: bool = False,
    ) -> None:
        super().__init__(engine, source, target, shape, dtype, ordered)
        faults = self.faults = engine.transport.faults
        self.by_value, self.checked = engine.transport.by_value, engine.transport.robust
        self.dead, self.mute, self.deaf = ends_of(faults, source, target)
        self._sent: dict[int, Any] = {}
        self._last: dict[int, Any] = {}
        self._heard: dict[int, Any] = {}
        self._newest: dict[int, Any] = {}
        self._number, self._key = 0, 0
        self._presentation = -2
        self._kept: tuple[int, int, Any, AnyArray, Fate] | None = None
        self._stuck: dict[int, Any] | None = None

    def push(self, index: int, change: Any) -> None:
        """Put a message on its way, if nothing goes wrong."""
        if self.dead or (self.mute and self.engine.presentation > 0):
            return
        self._sent[index] = self._sent.get(index, 0.0) + change
        if self.ordered:  # a message of zeros is one, too, and has no lanes
            moved = np.asarray(True)
        else:
            moved = np.asarray(change != 0)
            moved = np.asarray(moved.any(axis=-1)) if index == WHOLE else moved
        content = self._sent[index] if self.by_value else change
        self._go(index, content, moved, int(np.count_nonzero(change)))

    def _go(self, index: int, content: Any, moved: AnyArray, events: int) -> None:
        number, fate = self._next(moved.shape)
        self.messages += 1
        if self.engine.measuring:
            self.events += events
        if self.checked:
            last = self._last.get(index, np.zeros(moved.shape, np.int64))
            self._last[index] = np.where(moved, number, last)
        arrived = fate.corrupted(content)
        if self.checked:
            moved = moved & message_faults.understood(content, arrived, moved.shape)
        moved = moved & ~fate.befalls("drop")
        latency = self.latency()
        double = self.latency_model.quantile(fate.share(message_faults.DOUBLE))
        self._post(index, number, arrived, moved & fate.befalls("duplicate"), double)
        overtaken, self._kept = self._kept, None
        behind = moved & fate.befalls("reorder")
        if overtaken is None and behind.any():
            self._kept = (index, number, arrived, behind, fate)
            moved = moved & ~behind
        late = moved & fate.befalls("delay")
        extra = self.faults.delay_time * -math.log(1.0 - fate.share(message_faults.LATE))
        self._post(index, number, arrived, late, latency + extra)
        self._post(index, number, arrived, moved & ~late, latency)
        if overtaken is not None:  # arrives behind this one, and then some
            further = self.latency_model.quantile(overtaken[-1].share(message_faults.FURTHER))
            self._release(overtaken, 1.0 + 4 * further)

    def _next(self, lanes: tuple[int, ...]) -> tuple[int, Fate]:
        """Return the number of the next message, from 1 on in every presentation, and its fate."""
        engine = self.engine
        if self._presentation != engine.presentation:
            self._presentation, self._number = engine.presentation, 0
            self._key = draw(engine.key(FAULT), self.number)
        self._number += 1
        return self._number, Fate(self.faults, self._key, self._number - 1, lanes)

    def _post(self, index: int, number: int, content: Any, lanes: AnyArray, latency: float) -> None:
        if lanes.any():
            at = self.engine.now + latency
            if self.ordered:  # but for what is to be reordered: that is posted behind the next
                at = self.behind(at)
            self.engine.post(at, self, index, (number, content, lanes))

    def content(self, payload: Any) -> Any:
        """Return the message on the wire."""
        _, content, lanes = payload
        return np.where(_over(lanes, WHOLE if np.ndim(content) > lanes.ndim else 0), content, 0.0)

    def release(self) -> None:
        """Send what was kept back for another message to overtake it."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._release(kept)

    def _release(self, kept: tuple[int, int, Any, AnyArray, Fate], extra: float = 0.0) -> None:
        index, number, content, lanes, fate = kept
        latency = self.latency_model.quantile(fate.share(message_faults.BEHIND))
        self._post(index, number, content, lanes, latency + extra)

    def repeat(self) -> bool:
        """Send the values again that the other end has not understood; tell whether there were."""
        repeated = False
        for index in sorted(self._last):
            last = self._last[index]
            missing = last > self._newest.get(index, 0)
            if missing.any():
                self._go(index, self._sent[index], missing, int(missing.sum()))
                repeated = True
        return repeated

    def handle(self, command: Command) -> None:
        """Forget what was sent and heard; a frozen process says it all over again."""
        if command in (Command.RESET, Command.TURN):
            if self.mute and self.engine.presentation == 0:
                self._stuck = self._sent
            self._sent, self._last, self._heard, self._newest = {}, {}, {}, {}
        elif command == Command.BEGIN and self._stuck is not None and not self.dead:
            for index, value in sorted(self._stuck.items()):
                moved = np.asarray(value != 0)
                moved = np.asarray(moved.any(axis=-1)) if index == WHOLE else moved
                self._sent[index] = value
                if moved.any():
                    self._go(index, value, moved, int(np.count_nonzero(value)))

    def deliver(self, index: int, payload: Any) -> None:
        """Decode the message and hand it over, if it says anything new."""
        if self.dead or (self.deaf and self.engine.presentation > 0):
            return
        number, content, lanes = payload
        if not self.by_value:
            self._hand_over(index, np.where(_over(lanes, index), content, 0.0))
            return
        newest = self._newest.get(index, np.zeros(lanes.shape, np.int64))
        newer = lanes & (number > newest)  # else an older value, or the same again
        if not newer.any():
            return
        self.engine.understood = True
        held = self._heard.get(index, np.zeros(np.shape(content)))
        self._newest[index] = np.where(newer, number, newest)
        self._heard[index] = np.where(_over(newer, index), content, held)
        change = self._heard[index] - held
        if self.slot is None or change.any():  # mailboxes add changes up: nothing adds nothing
            self._hand_over(index, change)

    def _hand_over(self, index: int, change: AnyArray) -> None:
        super().deliver(index, change.astype(self.dtype))


def _over(lanes: AnyArray, index: int) -> AnyArray:
    """Return a mask over lanes in the shape of a message."""
    return lanes[..., None] if index == WHOLE else lanes


def ends_of(faults: Faults, source: str, target: str) -> tuple[bool, bool, bool]:
    """Return whether an end is killed, the source frozen, and the target frozen."""
    ends = [end.rpartition(".")[0] for end in (source, target)]
    return (
        _named(ends, faults.killed),
        _named(ends[:1], faults.frozen),
        _named(ends[1:], faults.frozen),
    )


def _named(names: list[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
