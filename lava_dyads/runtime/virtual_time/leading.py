"""Presentations that compiled code leads through on its own, many at a time.

What a conductor does between two presentations costs as much in Python as the messages of a small
network. Where nobody else has a part in it (no trace, no ledger, no message that goes wrong;
sources and sinks of ours beside elements that learn in compiled code), it is done by one call for
many: what sources say is laid out before, what sinks have heard is measured after.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Sink, Source
from lava_dyads.native.events import columns
from lava_dyads.runtime.virtual_time.tables import address, whole_numbers

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.compiled import CompiledNetwork

MOST = 256
"""Presentations led at a time: what they say and hear has to be held."""
_NUMBERS = 1 << 20
"""Numbers that sources say at a time, likewise."""


class Leader:
    """Leads a compiled network through presentations.

    Parameters
    ----------
    network : CompiledNetwork
    """

    def __init__(self, network: CompiledNetwork) -> None:
        self._network = network
        elements = [model.element for model in network.models]
        self._sources = [(e, x) for e, x in enumerate(elements) if isinstance(x, Source)]
        self._sinks = [x for x in elements if type(x) is Sink]
        width = sum(sum(source.outputs.values()) for _, source in self._sources)
        self.led = 0
        """Presentations so far."""
        self._most = min(MOST, _NUMBERS // max(1, width * network.lanes))

    def can_lead(self) -> bool:
        """Tell whether nobody else has a part in it."""
        network = self._network
        engine, schedule = network.engine, network.schedule
        others = [element for _, element in network.single if type(element) is not Sink]
        return (
            engine.transport.plain
            and engine.recorder is None
            and engine.ledger is None
            and not (schedule.stream or others or network.called or network.stacked)
            and bool(network.act(network.loop.EVEN, 0, 0, network.learners.updates))
        )

    def lead(self, first: int, count: int, cap: int) -> int:
        """Lead through full presentations from one on; return through how many, maybe none.

        Raises
        ------
        NotSettledError
            If the cap of messages is reached before silence.
        """
        network = self._network
        schedule = network.schedule
        count = min(count, self._most)
        while count and schedule.settled(first + count - 1).valid < network.lanes:
            count -= 1
        if count < 2 or not self.can_lead():
            return 0
        clocks = [schedule.settled(first + i) for i in range(count)]
        sources = list(self._said(clocks[0].start, count * network.lanes))
        network.tables.make_room(
            sum(posts for _, posts, _ in sources), sum(rows.shape[1] for *_, rows in sources)
        )
        heard = [self._place(sink, count) for sink in self._sinks]
        batches = whole_numbers([0 if c.frozen or not c.learn else c.batch for c in clocks])
        numbers = network.learners.numbers_of(batches)
        engine = network.engine
        head = [
            count, 0, 0, engine.presentation + 1, 0, cap, clocks[0].frozen, address(batches),
            address(numbers), numbers.shape[1], len(sources), sum(map(len, heard)),
        ]  # fmt: skip
        for port, _, rows in sources:
            head += port, address(rows), rows.shape[1]
        for sink, kept in zip(self._sinks, heard, strict=True):
            for name, rows in kept.items():
                register = sink.memory[name]
                head += address(register), register.strides[0], rows.shape[1], address(rows)
        lead = whole_numbers(head)
        lead.view(np.uint64)[columns.LD_SEED] = engine.seed_key
        network.conduct(address(lead))
        network.turn_to(first + count)
        for sink, kept in zip(self._sinks, heard, strict=True):
            sink.measure(kept["output"], kept["target"], clocks[0].start)
        self.led += count
        return count

    def _said(self, start: int, samples: int) -> Iterator[tuple[int, int, AnyArray]]:
        """Yield port, messages that leave it at once, and rows of what each source says."""
        for e, source in self._sources:
            for i, (name, rows) in enumerate(source.said(start, samples).items()):
                port = self._network.port(e, name)
                if port is not None:
                    source.memory["sends"][i] += samples // source.lanes
                    yield *port, np.ascontiguousarray(rows)

    def _place(self, sink: Sink, count: int) -> dict[str, AnyArray]:
        lanes, n = sink.memory["output"].shape
        return {name: np.zeros((count * lanes, n)) for name in ("output", "target")}
