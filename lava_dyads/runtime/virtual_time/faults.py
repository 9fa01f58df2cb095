"""Wires on which messages get lost, late, doubled or wrong."""

from __future__ import annotations

import itertools
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements.reactive import Command
from lava_dyads.executors.transport import FRACTION_BITS, PAYLOAD_BITS, SHARES
from lava_dyads.runtime.virtual_time.wire import WHOLE, Wire

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


class FaultyWire(Wire):
    """A wire with a coding of its own, on which things go wrong (see ``Faults``).

    Samples side by side share a message for speed only: each lane has its own faults. What
    travels is (number, content, lanes it is meant for).
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
        self.by_value = engine.transport.coding == "value"
        ends = [end.rpartition(".")[0] for end in (source, target)]
        self.dead = _named(ends, faults.killed)
        self.mute, self.deaf = _named(ends[:1], faults.frozen), _named(ends[1:], faults.frozen)
        self._shares = {s: getattr(faults, s) for s in SHARES if getattr(faults, s)}
        self._sent: dict[int, Any] = {}
        self._heard: dict[int, Any] = {}
        self._newest: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self._kept: tuple[int, int, Any, AnyArray] | None = None
        self._stuck: dict[int, Any] | None = None

    def push(self, index: int, change: Any) -> None:
        """Put a message on its way, if nothing goes wrong."""
        if self.dead or (self.mute and self.engine.presentation > 0):
            return
        self._sent[index] = self._sent.get(index, 0.0) + change
        self._go(index, self._sent[index] if self.by_value else change, change)

    def _go(self, index: int, content: Any, change: Any) -> None:
        engine, faults, generator = self.engine, self.faults, self.engine.fault_generator
        self.messages += 1
        if engine.measuring:
            self.events += int(np.count_nonzero(change))
        number = next(self._numbers)
        if self.ordered:  # a message of zeros is one, too, and has no lanes
            moved = np.asarray(True)
        else:
            moved = np.asarray(change != 0)
            moved = np.asarray(moved.any(axis=-1)) if index == WHOLE else moved
        wrong = {s: generator.random(moved.shape) < share for s, share in self._shares.items()}
        if "noise" in wrong:
            factor = 1.0 + faults.noise_size * generator.normal(size=np.shape(content))
            content = np.where(_over(wrong["noise"], index), content * factor, content)
        if "flip" in wrong:
            flipped = flip_bit(content, generator)
            content = np.where(_over(wrong["flip"], index), flipped, content)
        if "drop" in wrong:
            moved = moved & ~wrong["drop"]
        if "duplicate" in wrong:
            self._post(index, number, content, moved & wrong["duplicate"])
        overtaken, self._kept = self._kept, None
        if "reorder" in wrong and overtaken is None and (moved & wrong["reorder"]).any():
            self._kept = (index, number, content, moved & wrong["reorder"])
            moved = moved & ~wrong["reorder"]
        if "delay" in wrong:
            late = moved & wrong["delay"]
            self._post(index, number, content, late, generator.exponential(faults.delay_time))
            moved = moved & ~late
        self._post(index, number, content, moved)
        if overtaken is not None:  # arrives behind this one, and then some
            self._post(*overtaken, extra=1.0 + 4 * self.latency())

    def _post(
        self, index: int, number: int, content: Any, lanes: AnyArray, extra: float = 0.0
    ) -> None:
        if lanes.any():
            at = self.engine.now + self.latency() + extra
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
            self._post(*self._kept)
            self._kept = None

    def handle(self, command: Command) -> None:
        """Forget what was sent and heard; a frozen process says it all over again."""
        if command in (Command.RESET, Command.TURN):
            if self.mute and self.engine.presentation == 0:
                self._stuck = self._sent
            self._sent, self._heard, self._newest = {}, {}, {}
        elif command == Command.BEGIN and self._stuck is not None and not self.dead:
            for index, value in self._stuck.items():
                self._go(index, value, value)

    def deliver(self, index: int, payload: Any) -> None:
        """Decode the message and hand it over."""
        if self.dead or (self.deaf and self.engine.presentation > 0):
            return
        number, content, lanes = payload
        if not self.by_value:
            self._hand_over(index, np.where(_over(lanes, index), content, 0.0))
            return
        newest = self._newest.get(index, np.zeros(lanes.shape, np.int64))
        newer = lanes & (number > newest)  # else an older value, or the same again
        held = self._heard.get(index, np.zeros(np.shape(content)))
        self._newest[index] = np.where(newer, number, newest)
        self._heard[index] = np.where(_over(newer, index), content, held)
        if newer.any():
            self._hand_over(index, self._heard[index] - held)

    def _hand_over(self, index: int, change: AnyArray) -> None:
        super().deliver(index, change.astype(self.dtype))


def _over(lanes: AnyArray, index: int) -> AnyArray:
    """Return a mask over lanes in the shape of a message."""
    return lanes[..., None] if index == WHOLE else lanes


def _named(names: list[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def flip_bit(content: Any, generator: np.random.Generator) -> AnyArray:
    """Return numbers with one random bit flipped in the chip's two's complement payload."""
    top = 1 << (PAYLOAD_BITS - 1)
    scaled = np.rint(np.asarray(content, float) * 2.0**FRACTION_BITS)
    bits = np.nan_to_num(np.clip(scaled, -top, top - 1)).astype(np.int64)
    flipped = 1 << generator.integers(PAYLOAD_BITS, size=bits.shape)
    bits = (bits + 2 * top) % (2 * top) ^ flipped
    return np.where(bits >= top, bits - 2 * top, bits) / 2.0**FRACTION_BITS
