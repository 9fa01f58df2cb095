"""Tables of messages with a coding of their own, see ``native.events.coding``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.executors.transport import Transport
from lava_dyads.native.events import columns
from lava_dyads.runtime.virtual_time.tables import real_numbers, whole_numbers

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


def coding(transport: Transport) -> int:
    """Return how messages are coded, as the header of the tables says it."""
    if transport.plain:
        return 0
    return (
        columns.CODED | columns.BY_VALUE * transport.by_value | columns.CHECKED * transport.robust
    )


def coded_sections(
    engine: VirtualTimeEngine, destinations: AnyArray, lanes: int
) -> dict[str, AnyArray]:
    """Return the sections that only coded messages need; empty ones where there are none.

    Parameters
    ----------
    engine : VirtualTimeEngine
    destinations : int array
        Rows of the table of destinations.
    lanes : int
    """
    plain = engine.transport.plain
    wires: list[Any] = [] if plain else engine.channels
    rows = [
        [columns.DEAD * w.dead | columns.MUTE * w.mute | columns.DEAF * w.deaf, -1, 0, 0]
        for w in wires
    ]
    faults = engine.transport.faults
    rows_of = destinations[:0] if plain else destinations
    # Of a wire, they are in the order of its entries.
    by_wire = np.argsort(rows_of[:, columns.D_WIRE], kind="stable")
    size = len(rows_of) * lanes
    reals = {name: np.zeros(size) for name in ("said", "heard", "stuck")}
    numbers = {name: np.zeros(size, np.int64) for name in ("last", "newest")}
    return {
        "wires": whole_numbers(rows),
        "faults": real_numbers([getattr(faults, name) for name in columns.FAULTS]),
        "says": np.zeros(lanes),
        "parts": np.zeros(lanes, np.int64),
        "kept": np.zeros(len(rows) * lanes),
        "turns": whole_numbers(by_wire),
        **reals,
        **numbers,
    }
