"""Learning in the chip's arithmetic: 7-bit traces, 8-bit weights, stochastic rounding.

=========  ====================================================================
symbol     meaning
=========  ====================================================================
x1         trace of the mean below, unsigned, 7 bits, in units of 2^-t_x
y1, y2     traces of the two compartments above, unsigned, 7 bits, units 2^-t_y
w, e       weight, 8 bits, in units of 2^-e
F          fractional bits of states
=========  ====================================================================

Traces are unsigned, compartments and differences are not. What counts is y1 - y2, so both
compartments are shown *less what they have in common*::

    y1 = s+ - min(s+, s-)       y2 = s- - min(s+, s-)       y1 - y2 = s+ - s-

One of the two is 0 and all 7 bits serve the difference, also for linear outputs below zero.
The mean has no such partner: it has to be at least 0 (inputs, relu).
"""

from __future__ import annotations

import math
import sys

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.errors import FixedPointError, invalid
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.arithmetic.limits import (
    DECIMATION,
    EXPONENT_MIN,
    MANTISSA,
    STATE,
    TRACE,
    WEIGHT,
)
from lava_dyads.rules.ops import Op
from lava_dyads.rules.optimisers import ChipSGD

FULL = 2**TRACE.value - 1
"""Largest trace."""

_BEYOND, _RANDOM = 39, 62
"""Bits to shift left at most, and random bits: both leave room in 64 for a value of 24 and a sign.
"""


class TracePlasticity:
    """Weights or a bias that learn from integer traces, a sample at a time.

    In order, with t_x = 7 above an input (0 .. 1) and 5 elsewhere (0 .. 4), t_y = 7 - log2 beta
    (rounded) and S() stochastic rounding (floor of the value plus a uniform number in [0, 1))::

        x1 = min(S(mean 2^(t_x - F)), 127)
        y1 - y2 = sign(D) min(S(|D| 2^(t_y - F)), 127)         D = s+ - s-, as sent
        m 2^-r ~ (eta / beta) 2^(e - t_x - t_y)                m odd, 1 .. 7
        w <- w - S(2^-(n - u) m' w)        every 2^u updates, lambda ~ m' 2^-n, u = max(0, n - 7)
        w <- clip(w + S(2^-r m x1 (y1 - y2)), -128, 127)
        bias <- clip(bias + S(2^-r' m' (y1 - y2)))             m' 2^-r' ~ (eta / beta) 2^(F - t_y)

    eta and lambda fall linearly to 0 over the optimiser's horizon. A small decay is applied rarely
    instead of weakly, since no factor of the chip's rule is below 2^-7. The random numbers are a
    hash of seed, layer, number of the update, kind and index of the synapse: whoever holds the
    register, in whatever process, draws the same.

    Separate feedback weights learn by the same equations, with parts swapped: there the error
    is pre and the mean is post (``loihi.engine`` has the rule). They have traces, and random
    numbers, of their own.

    Registers in ``memory``: ``<name>_updates`` (1,).

    Parameters
    ----------
    name : str
        Register that learns.
    memory : dict of str to array
        The registers of the owner; one is added.
    beta : float
        Nudge strength; used as the number system writes it down.
    optimiser : ChipSGD or None
        None: the register is constant.
    numbers : Loihi2
    index : int
        Number of the first entry, where the register is a part of a bias.

    Raises
    ------
    ValidationError
        If it learns and the number system has no beta as small, or as large.
    """

    def __init__(
        self,
        name: str,
        memory: dict[str, AnyArray],
        beta: float,
        optimiser: ChipSGD | None,
        numbers: Loihi2,
        index: int = 0,
    ) -> None:
        self.name, self._memory, self.optimiser = name, memory, optimiser
        self._numbers, self._index = numbers, index
        self.beta = numbers.gain(beta)
        if optimiser is not None and not self.beta > 0:
            limit = "precision loihi2 rounds gains to multiples of 2^-7"
            invalid("beta", limit, beta, "0.125 or 1")
        self.mean_bits = TRACE.value if numbers.layer == 1 else TRACE.value - 2
        self.error_bits = TRACE.value - round(math.log2(self.beta)) if self.beta > 0 else 0
        memory[f"{name}_updates"] = np.zeros(1, np.int64)

    def show(self, exact: bool) -> None:
        """Do nothing: what learns is what is shown."""

    def learn_pair(self, op: Op, down: Array, up: Array, batch: int) -> None:
        """Learn weights (n_out, n_in) from the error above and the mean below, both (1, n)."""
        if self.optimiser is None:
            return
        if np.any(up < 0):
            raise FixedPointError(
                f"{self.name}: a trace of the mean cannot be negative (got {int(up.min())}). "
                "Try: inputs of at least 0 and relu"
            )
        step = self._next()
        weights = self._memory[self.name]
        self._shrink(weights, step)
        x1 = self._trace(up[0], self.mean_bits, step, 1)
        y = self._signed(down[0], step)
        rows, columns = np.flatnonzero(y), np.flatnonzero(x1)
        if not (rows.size and columns.size):
            return
        mantissa, shift = self.factor(step)
        place = rows[:, None] * weights.shape[1] + columns
        change = self._stochastic(mantissa * (y[rows, None] * x1[columns]), shift, step, 2, place)
        limit = 2 ** (WEIGHT.value - 1)
        where = np.ix_(rows, columns)
        if op.mask is not None:
            change *= op.mask[where]
        weights[where] = np.clip(weights[where] + change, -limit, limit - 1)

    def learn_alone(self, down: Array, batch: int) -> None:
        """Learn a bias (n,) from the error, (1, n)."""
        if self.optimiser is None:
            return
        step = self._next()
        y = self._signed(down[0], step)
        exponent = self._numbers.fraction - self.error_bits
        mantissa, shift = mantissa_and_shift(self._rate(step), exponent)
        change = self._stochastic(mantissa * y, shift, step, 4, self._places(len(y)))
        bias = self._memory[self.name]
        limit = 2 ** (STATE.value - 1) - 1
        bias[...] = np.clip(bias + change, -limit, limit)

    def factor(self, step: int) -> tuple[int, int]:
        """Return m and r of the weights' update, counted from 1: m 2^-r x1 (y1 - y2)."""
        exponent = self._numbers.exponent - self.mean_bits - self.error_bits
        return mantissa_and_shift(self._rate(step), exponent)

    def _shrink(self, weights: Array, step: int) -> None:
        """Let the weights decay, where this is an update that does it."""
        assert self.optimiser is not None
        if not self.optimiser.decay:
            return
        mantissa, shift, period = decay_parts(self.optimiser.decay_at(step))
        if mantissa and step % period == 0:
            place = np.arange(weights.size).reshape(weights.shape)
            wide = mantissa * weights.astype(np.int64)
            weights -= self._stochastic(wide, shift, step, 5, place)

    def _rate(self, step: int) -> float:
        assert self.optimiser is not None
        return min(self.optimiser.rate(step) / self.beta, sys.float_info.max)

    def _next(self) -> int:
        updates = self._memory[f"{self.name}_updates"]
        updates += 1
        return int(updates[0])

    def _signed(self, difference: Array, step: int) -> IntArray:
        """Return y1 - y2."""
        trace = self._trace(np.abs(difference), self.error_bits, step, 3)
        return np.asarray(np.sign(difference) * trace)

    def _trace(self, value: Array, bits: int, step: int, stream: int) -> IntArray:
        shift = self._numbers.fraction - bits
        made = self._stochastic(
            value.astype(np.int64), shift, step, stream, self._places(len(value))
        )
        limited: IntArray = np.minimum(made, FULL)
        return limited

    def _places(self, n: int) -> IntArray:
        return np.arange(self._index, self._index + n)

    def _stochastic(
        self, value: IntArray, shift: int, step: int, stream: int, place: IntArray
    ) -> IntArray:
        """Return floor((value + u) / 2^shift), u uniform in 0 .. 2^shift - 1.

        Values have 24 bits at most. What would be beyond 2^40 saturates wherever it goes to, and
        a step of a probability below 2^-38 is none.
        """
        if shift <= 0:
            return value << min(-shift, _BEYOND)
        if shift > _RANDOM:
            return np.zeros_like(value)
        numbers = self._numbers
        # Kinds 1 .. 5 are those of forward synapses.
        key = numbers.seed, numbers.layer, stream + 5 * numbers.synapse, step
        random = hashed(key, place)
        noise = (random >> np.uint64(64 - shift)).astype(np.int64)
        return (value + noise) >> shift


def mantissa_and_shift(rate: float, exponent: int) -> tuple[int, int]:
    """Return m and r such that m 2^-r is nearest to rate 2^exponent, m within its signed bits.

    Examples
    --------
    >>> mantissa_and_shift(2.0**-6, -3), mantissa_and_shift(0.7 * 2.0**-6, -3)
    ((1, 9), (3, 11))
    """
    if not math.isfinite(rate):
        invalid("rate", "must be finite", rate, "0.01")
    if rate <= 0:
        return 0, 1
    bits = MANTISSA.value - 1
    fraction, power = math.frexp(rate)
    mantissa = round(fraction * 2**bits)
    shift = bits - power - exponent
    while mantissa % 2 == 0:
        mantissa, shift = mantissa // 2, shift - 1
    return mantissa, shift


def decay_parts(decay: float) -> tuple[int, int, int]:
    """Return m, n and p such that w <- w - m 2^-n w every p updates stands for a decay.

    p is a power of two, as small as a factor of at least 2^-7 allows, and at most 2^9: where the
    chip has nothing as small, m is 0.

    Examples
    --------
    >>> decay_parts(2.0**-3), decay_parts(3 * 2.0**-14)
    ((1, 3, 1), (3, 7, 128))
    """
    mantissa, shift = mantissa_and_shift(decay, 0)
    excess = max(0, shift - (DECIMATION.value - EXPONENT_MIN.value))
    shift -= excess
    if excess:  # rounded once: a mantissa of three bits has been rounded already
        mantissa = round(decay * 2.0**shift)
    rarer = max(0, shift + EXPONENT_MIN.value)
    return (mantissa, shift - rarer, 2**rarer) if mantissa else (0, 0, 1)


def hashed(key: tuple[int, ...], index: IntArray) -> AnyArray:
    """Return uniform 64-bit numbers that depend on a key and an index: splitmix64.

    Source: Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, 2014.
    """
    start = 0
    for word in key:
        start = _mixed_one(start + word * 0x9E3779B97F4A7C15 + 1)
    z = index.astype(np.uint64)
    z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _mixed_one(z: int) -> int:
    mask = 0xFFFFFFFFFFFFFFFF
    z &= mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)
