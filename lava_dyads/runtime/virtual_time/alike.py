"""Populations whose tables differ only by where their registers lie.

Thousands of neurons that are Processes of their own are mostly one automaton. Of each kind one is
entered into the tables by what it is; the rows of the others are those, moved.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Population
from lava_dyads.native.events import columns
from lava_dyads.runtime.virtual_time.tables import address

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.table_maker import TableMaker

_MOVED = [columns.E_REG0, columns.E_REG1, columns.E_BIAS]
"""Columns of a population's row that are addresses of its registers."""
_OWN = [
    columns.E_NUMBER, columns.E_STATE, columns.E_CH0, columns.E_CH1,
    columns.E_PEND0, columns.E_PEND1,
]  # fmt: skip
_SAME = [i for i in range(len(columns.ELEMENT)) if i not in (*_MOVED, *_OWN)]
_CHANNEL_PLACES = [columns.C_SENT, columns.C_MESSAGES, columns.C_EVENTS]
"""Columns of a channel that are addresses of its population's registers."""


class Rows:
    """Rows of a section of the tables, entered one by one or many at once.

    Parameters
    ----------
    width : int
    kind : str
        ``q`` for whole numbers, ``d`` for real ones.
    """

    def __init__(self, width: int, kind: str = "q") -> None:
        self._width, self._kind = width, kind
        self._parts: list[AnyArray] = []
        self._last = array(kind)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, row: Iterable[Any]) -> None:
        """Enter a row."""
        self._last.extend(row)
        self._size += 1

    def extend(self, rows: AnyArray) -> None:
        """Enter rows."""
        self._close()
        self._parts.append(rows)
        self._size += len(rows)

    def _close(self) -> None:
        if self._last:
            part = np.frombuffer(self._last, np.int64 if self._kind == "q" else float)
            self._parts.append(part.reshape(-1, self._width))
            self._last = array(self._kind)

    def made(self) -> AnyArray:
        """Return all rows; they can be written to."""
        self._close()
        if len(self._parts) != 1:
            empty = np.zeros((0, self._width), np.int64 if self._kind == "q" else float)
            self._parts = [np.concatenate([empty, *self._parts])]
        return self._parts[0]


class Alike:
    """Populations of one kind: the first one is entered, the others have its rows, moved.

    Parameters
    ----------
    first : int
        Number of the first one.
    base : int
        Where its block begins.
    """

    def __init__(self, first: int, base: int) -> None:
        self.first, self._base = first, base
        self._numbers: list[int] = []
        self._bases: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def add(self, number: int, base: int) -> None:
        """Take another one in."""
        self._numbers.append(number)
        self._bases.append(base)

    @property
    def numbers(self) -> AnyArray:
        """Numbers of all but the first."""
        return np.array(self._numbers, np.int64)

    @property
    def shifts(self) -> AnyArray:
        """By how many bytes the block of each of them lies behind that of the first."""
        return np.array(self._bases, np.int64) - self._base

    def move(self, rows: AnyArray, same: list[int], places: list[int]) -> None:
        """Enter in the rows of all what the first has in some columns, and addresses moved."""
        numbers, shifts, first = self.numbers[:, None], self.shifts[:, None], rows[self.first]
        rows[numbers, same] = first[same]
        rows[numbers, places] = first[places] + shifts

    def enter(self, maker: TableMaker) -> int:
        """Enter all but the first into the tables; return how many numbers wait for them."""
        first, numbers, shifts = self.first, self.numbers, self.shifts
        row, count = maker.elements[first].copy(), np.arange(len(numbers))
        self.move(maker.elements, _SAME, _MOVED)
        maker._reals[numbers], maker._shifts[numbers] = maker._reals[first], shifts
        begin, states = row[columns.E_STATE], row[columns.E_STATES]
        registers = maker._addresses.made()[begin : begin + states]
        maker.elements[numbers, columns.E_STATE] = len(maker._addresses) + states * count
        maker._addresses.extend((registers[None] + shifts[:, None, None]).reshape(-1, 1))
        spoken = slice(row[columns.E_CH0], row[columns.E_CH1])
        channels, reals = maker._channels.made()[spoken], maker._channel_reals.made()[spoken]
        start = len(maker._channels) + len(channels) * count
        maker.elements[numbers, columns.E_CH0] = start
        maker.elements[numbers, columns.E_CH1] = start + len(channels)
        maker._channels.extend(self.channels(channels))
        maker._channel_reals.extend(np.tile(reals, (len(numbers), 1)))
        inputs, waiting = maker._models[first].element.inputs, 0
        for port, n in inputs.items():
            role, slot, _, stride = maker._slots[first, port]
            offsets = maker._pending + waiting + count * sum(inputs.values()) * maker.lanes
            maker.elements[numbers, columns.E_PEND0 + slot] = offsets
            for e, offset in zip(numbers.tolist(), offsets.tolist(), strict=True):
                maker._slots[e, port] = role, slot, offset, stride
            waiting += n * maker.lanes
        return waiting * len(numbers)

    def channels(self, rows: AnyArray) -> AnyArray:
        """Return the rows of channels of all but the first, given its own."""
        moved = np.repeat(rows[None], len(self._numbers), 0)
        moved[:, :, _CHANNEL_PLACES] += self.shifts[:, None, None]
        return moved.reshape(-1, rows.shape[1])


def kind(model: Any) -> Hashable:
    """Return what populations have in common whose tables can be moved; None: nothing."""
    element = model.element
    if type(element) is not Population or vars(element).keys() & {"before", "after"}:
        return None
    if element.awake != slice(None) or not element.beside():
        return None
    # Layouts are kept, and the same for all that are alike.
    plan, listened = id(element._layout), frozenset(element.listened)
    return plan, element.unit, listened, model.hold_time, element.plasticity.optimiser


def begin(element: Population) -> int:
    """Return where the block of a population begins."""
    assert element.block is not None
    return address(element.block)
