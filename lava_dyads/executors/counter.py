"""Random numbers by counter: number n of a stream is a function of its key and of n alone.

So a latency depends on who sends, in which presentation and as which message, and not on what else
runs, on how many threads or in which engine. A stream is SplitMix64 with the key as its seed::

    draw(key, n) = mix(key + (n + 1) * 0x9E3779B97F4A7C15)              (64 bits)
    unit(key, n) = floor(draw(key, n) / 2^11) / 2^53                    in [0, 1)

and a key comes from another one in the same way, ``draw(draw(seed, presentation + 1), ...)``.

References
----------
G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
"""

from __future__ import annotations

import math

_ALL = (1 << 64) - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

LATENCY, HOLD, FAULT = range(3)
"""What streams are for: the latencies of a channel, the hold times of a mailbox, faults."""


def draw(key: int, n: int) -> int:
    """Return number n of the stream of a key, 64 bits.

    Examples
    --------
    >>> draw(1234567, 0)
    6457827717110365317
    """
    x = (key + (n + 1) * _STEP) & _ALL
    x = ((x ^ (x >> 30)) * _FIRST) & _ALL
    x = ((x ^ (x >> 27)) * _SECOND) & _ALL
    return x ^ (x >> 31)


def unit(key: int, n: int) -> float:
    """Return number n of the stream of a key, uniform in [0, 1)."""
    return (draw(key, n) >> 11) * 2.0**-53


def normal(key: int, n: int) -> float:
    """Return a normal number made of numbers n and n + 1 of a stream (Box and Muller, 1958)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(key, n)))
    return radius * math.cos(2.0 * math.pi * unit(key, n + 1))


def seed_key(seed: int) -> int:
    """Return the key of a seed, of whatever size."""
    key = 0
    while True:
        key, seed = draw(key ^ (seed & _ALL), 0), seed >> 64
        if not seed:
            return key
