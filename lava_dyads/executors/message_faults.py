"""What happens to a message on its way, as a function of its number.

For message n of a channel, with the channel's key for faults::

    key = draw(channel, n)
    whole = draw(key, 0)                  of the message as a whole: its times, by number
    lane = draw(key, 1 + l)               sample l: fault f happens where unit(lane, f) < share
    bit = unit(lane, 6 + 3 i)             which one of entry i is flipped
    noise = normal(lane, 7 + 3 i)         made of two numbers

so faults do not depend on the engine, on the order of events or on who else draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.executors.counter import draw, normal, unit
from lava_dyads.executors.transport import FRACTION_BITS, PAYLOAD_BITS, SHARES, Faults

DOUBLE, LATE, BEHIND, FURTHER = range(4)
"""Numbers of a message as a whole: the latency of its double, what it is late by, its latency
behind the one that overtakes it, and further behind."""

_ENTRIES = len(SHARES)
_TOP = 1 << (PAYLOAD_BITS - 1)


class Fate:
    """What befalls one message.

    Parameters
    ----------
    faults : Faults
    channel : int
        Key of the channel's faults in this presentation.
    number : int
        Of the message on its channel.
    shape : tuple of int
        Of the lanes.
    """

    def __init__(self, faults: Faults, channel: int, number: int, shape: tuple[int, ...]) -> None:
        key = draw(channel, number)
        self._faults, self._shape, self._whole = faults, shape, draw(key, 0)
        self._lanes = [draw(key, 1 + lane) for lane in range(int(np.prod(shape)))]

    def share(self, what: int) -> float:
        """Return a number of the message as a whole, uniform in [0, 1)."""
        return unit(self._whole, what)

    def befalls(self, fault: str) -> AnyArray:
        """Return in which lanes a fault happens."""
        place, share = SHARES.index(fault), getattr(self._faults, fault)
        if not share:
            return np.zeros(self._shape, bool)
        return np.reshape([unit(lane, place) < share for lane in self._lanes], self._shape)

    def corrupted(self, content: Any) -> Any:
        """Return what arrives of a message; the very same object, if it is what was sent."""
        noisy, flipped = self.befalls("noise"), self.befalls("flip")
        if not (noisy.any() or flipped.any()):
            return content
        rows = np.array(content, float).reshape(len(self._lanes), -1)
        for lane, key in enumerate(self._lanes):
            for i, value in enumerate(rows[lane]):
                if noisy.flat[lane]:
                    value *= 1.0 + self._faults.noise_size * normal(key, _ENTRIES + 3 * i + 1)
                if flipped.flat[lane]:
                    bit = int(unit(key, _ENTRIES + 3 * i) * PAYLOAD_BITS)
                    value = flip_bit(value, bit)
                rows[lane, i] = value
        return rows.reshape(np.shape(content))


def payload(value: float) -> int:
    """Return a number as the chip's graded payload, two's complement.

    Examples
    --------
    >>> payload(1.5), payload(-(2.0**-16)) == (1 << 24) - 1
    (98304, True)
    """
    scaled = float(np.rint(value * 2.0**FRACTION_BITS))
    if scaled != scaled:
        scaled = 0.0
    return int(min(max(scaled, -_TOP), _TOP - 1)) % (2 * _TOP)


def flip_bit(value: float, bit: int) -> float:
    """Return what a payload says with one bit flipped."""
    bits = payload(value) ^ (1 << bit)
    return (bits - 2 * _TOP if bits >= _TOP else bits) / 2.0**FRACTION_BITS


def check_bits(value: float) -> int:
    """Return the check bits of a payload, the exclusive or of its three bytes.

    They tell every single bit that is flipped, and all but 1 in 256 of other changes.
    """
    bits = payload(value)
    return (bits ^ bits >> 8 ^ bits >> 16) & 255


def understood(sent: Any, arrived: Any, lanes: tuple[int, ...]) -> AnyArray:
    """Return in which lanes, of that shape, the check bits fit what has arrived."""
    if arrived is sent:
        return np.asarray(True)
    fits = np.vectorize(lambda a, b: check_bits(a) == check_bits(b), otypes=[bool])(sent, arrived)
    return np.asarray(fits.reshape(*lanes, -1).all(axis=-1))
