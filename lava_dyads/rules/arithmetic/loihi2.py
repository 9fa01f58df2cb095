"""The integers of Loihi 2.

One step of a number stands for a power of two, here called its *unit*:

==================  =====  ====================  ==========================================
variable            bits   unit                  overflow
==================  =====  ====================  ==========================================
weights             8      2^-e, e per layer     refused on entry; learning saturates
feedback weights    8      2^-e', e' per layer   refused on entry; learning saturates
bias                24     2^-F                  refused on entry; learning saturates
s_plus, s_minus     24     2^-F                  saturates at +-(2^23 - 1)
message (payload)   24     2^-F                  wraps
basal, apical       24     2^-(F + e), e or e'   wraps
held mean, error    24     2^-F                  wraps
learning traces     7      see ``rules.traces``  saturates at 127, unsigned
==================  =====  ====================  ==========================================

Whatever is added up over messages *wraps*: addition modulo 2^24 is associative, so neither order
nor grouping of messages can matter, and a sum that fits is right even where a part of it did
not. Whatever a neuron computes *saturates*. Shifting and rounding happens after the
accumulation, once per update of a neuron and never per message:

    round(v, k) = (v + 2^(k - 1)) >> k          nearest, halves up;  |error| <= 1/2

In strict mode (the default) an overflow is an error that names variable, value and bits; so is
any array that does not hold integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.array_types import AnyArray, Array, Signal
from lava_dyads.checks import Count, Natural, check_fields
from lava_dyads.errors import FixedPointError, invalid
from lava_dyads.kinds import Limit
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.arithmetic.base import zeros
from lava_dyads.rules.arithmetic.limits import GAIN_FRACTION, PAYLOAD, STATE, WEIGHT
from lava_dyads.rules.losses import Huber, Loss
from lava_dyads.rules.namespaces import Namespace

ON_CHIP = ("relu", "linear", "soft-threshold")
"""Activations with a place on the chip."""

_LOG2E_BITS, _TABLE_BITS, _VALUE_BITS = 14, 8, 15
_LOG2E = round(2**_LOG2E_BITS / np.log(2.0))
_TABLE = np.rint(2.0**_VALUE_BITS * 2.0 ** (-np.arange(2**_TABLE_BITS + 1) / 2**_TABLE_BITS))
_POWERS: AnyArray = _TABLE.astype(np.int64)


_FRACTION = Limit("must lie in 1 .. 22 bits", "9", lambda v: 1 <= v <= STATE.value - 2)
Exponent = Annotated[int, Limit("must lie in 0 .. 15", "7", lambda v: 0 <= v <= 15)]


@dataclass(frozen=True)
class Loihi2:
    """Integers within the widths of Loihi 2.

    Parameters
    ----------
    fraction : int
        F, fractional bits of states and payloads, 1 .. 22.
    weight_exponents : tuple of int
        e of every layer from the input up: a weight w is stored as round(w 2^e) in 8 bits. One
        entry stands for all layers.
    strict : bool
        Raise on overflow instead of wrapping and saturating.
    seed : int
        Of the stochastic rounding of learning.
    feedback_exponents : tuple of int
        e' of the separate feedback weights of every layer, written like the exponents of the
        weights (the entry of layer 1 stands for nothing); empty: those of the weights.
    layer, depth : int
        Which layer of how many this is the arithmetic of, from 1; set by :meth:`at`.
    synapse : int
        Which synapses of the layer, 0 forward or 1 feedback; set by :meth:`backward`. They draw
        different random numbers.

    Raises
    ------
    ValidationError
        If a parameter is out of range.

    Examples
    --------
    >>> chip = Loihi2(fraction=4)
    >>> register = chip.zeros((2,))
    >>> chip.store(register, chip.number([0.5, -1.0]))
    >>> register
    array([  8, -16], dtype=int32)
    """

    name: ClassVar[str] = "loihi2"
    exact: ClassVar[bool] = True
    xp: ClassVar[Namespace] = np

    fraction: Annotated[int, _FRACTION] = 9
    weight_exponents: tuple[Exponent, ...] = (7,)
    strict: bool = True
    seed: Natural = 0
    feedback_exponents: tuple[Exponent, ...] = ()
    layer: Count = 1
    depth: Count = 1
    synapse: Literal[0, 1] = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.weight_exponents:
            invalid("Loihi2.weight_exponents", "needs at least one", self.weight_exponents, "7")
        if not 1 <= self.layer <= self.depth:
            invalid("Loihi2.layer", f"must lie in 1 .. depth = {self.depth}", self.layer)
        for name in ("weight_exponents", "feedback_exponents"):
            exponents = getattr(self, name)
            if len(exponents) not in (0, 1, self.depth) and self.depth > 1:
                invalid(f"Loihi2.{name}", f"needs 1 or {self.depth}", exponents)

    @property
    def dtype(self) -> np.dtype[Any]:
        """int32, the type of Lava's fixed-point models; the widths above are what may be used."""
        return np.dtype(np.int32)

    @property
    def unit(self) -> float:
        """2^-F."""
        return 2.0**-self.fraction

    @property
    def exponent(self) -> int:
        """Weight exponent e of the connection below this layer."""
        return _of_layer(self.weight_exponents, self.layer)

    def at(self, layer: int, depth: int) -> Loihi2:
        """Return the arithmetic of a layer, counted from 1, in a network of that depth."""
        return replace(self, layer=layer, depth=depth)

    def backward(self) -> Loihi2:
        """Return the arithmetic of the feedback synapses: their exponent, their randomness."""
        exponents = self.feedback_exponents or self.weight_exponents
        return replace(self, weight_exponents=exponents, synapse=1)

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return a register of zeros of the given shape."""
        return zeros(shape, self.dtype)

    def number(self, value: ArrayLike, what: str = "value") -> Array:
        """Return round(value 2^F); 24 bits.

        Raises
        ------
        FixedPointError
            If a number does not fit, strict or not.
        """
        return self._written(value, self.fraction, STATE.value, what)

    def weights(self, value: ArrayLike, what: str = "weights") -> Array:
        """Return round(value 2^e); 8 bits.

        Raises
        ------
        FixedPointError
            If a weight does not fit, strict or not.
        """
        return self._written(value, self.exponent, WEIGHT.value, what)

    def real(self, register: Array) -> Array:
        """Return register 2^-F."""
        return np.asarray(register * 2.0**-self.fraction)

    def real_weights(self, register: Array) -> Array:
        """Return register 2^-e."""
        return np.asarray(register * float(2.0**-self.exponent))

    def _written(self, value: ArrayLike, exponent: int, bits: int, what: str) -> Array:
        scaled = np.rint(np.asarray(value, float) * 2.0**exponent)
        check_width(what, scaled, bits, whole=False)
        written: Array = scaled.astype(self.dtype)
        return written

    def accumulate(self, register: Array, message: Signal, what: str) -> bool:
        """Add a message of changes to what is held, modulo 2^24; tell whether there was one.

        Raises
        ------
        FixedPointError
            In strict mode, if the sum does not fit into 24 bits or is not made of integers.
        """
        if message is None:
            return False
        register[...] = self._wrapped(register + self._integers(message, what), STATE.value, what)
        return True

    def basal(self, held: Array) -> Array:
        """Return round(held, e) with e of the connection below."""
        return rounded(held, self.exponent)

    def apical(self, held: Array) -> Array:
        """Return round(held, e') with e' of the feedback from above; a head's drive as it is."""
        if self.layer == self.depth:
            return held
        exponents = self.feedback_exponents or self.weight_exponents
        return rounded(held, _of_layer(exponents, self.layer + 1))

    def payload(self, change: Array, what: str) -> Array:
        """Return a change modulo 2^24.

        Raises
        ------
        FixedPointError
            In strict mode, if it does not fit into 24 bits.
        """
        return self._wrapped(self._integers(change, what), PAYLOAD.value, what)

    def total(self, message: Array, what: str) -> Array:
        """Return a sum of products modulo 2^24, as it reaches the accumulator of the neuron."""
        return self._wrapped(self._integers(message, what), STATE.value, what)

    def threshold(self, value: float) -> float:
        """Return floor(value 2^F): sent is what moved by more."""
        return float(np.floor(value * 2.0**self.fraction))

    def gain(self, value: float) -> float:
        """Return the multiple of 2^-7 that stands for a gain.

        Raises
        ------
        ValidationError
            If it does not fit into the 24 bits of a state.
        """
        limit = 2.0 ** (STATE.value - 1 - GAIN_FRACTION)
        if not abs(value) < limit:
            invalid("gain", f"precision loihi2 knows gains below {limit:g}", value, "1")
        return float(round(value * 2**GAIN_FRACTION) / 2**GAIN_FRACTION)

    def scale(self, gain: float, value: Array) -> Array:
        """Return round(m value, 7) with m = round(gain 2^7): exact for gains 0 and +-1."""
        mantissa = round(gain * 2**GAIN_FRACTION)
        wide = self._integers(value, "scaled value").astype(np.int64)
        return rounded(mantissa * wide, GAIN_FRACTION)

    def store(self, register: Array, value: Array, what: str = "state") -> None:
        """Write value into register, saturated at +-(2^23 - 1).

        Raises
        ------
        FixedPointError
            In strict mode, if it does not fit.
        """
        register[...] = self.held(value, what)

    def held(self, value: Array, what: str = "state") -> Array:
        """Return a value saturated at +-(2^23 - 1).

        Raises
        ------
        FixedPointError
            In strict mode, if it does not fit.
        """
        value = self._integers(value, what)
        limit = 2 ** (STATE.value - 1) - 1
        if self.strict and not fits(value, STATE.value):
            check_width(self._named(what), value, STATE.value)
        return np.asarray(np.clip(value, -limit, limit))

    def apply(self, activation: Activation, value: Array) -> Array:
        """Return max(value, 0) (relu), value (linear), or that beyond a width (soft threshold).

        Raises
        ------
        ValidationError
            For other activations: they have no place on the chip.
        """
        self.check(activation)
        return activation.in_steps(self.unit).f(self._integers(value, "drive"))

    def respond(
        self,
        register: Array,
        activation: Activation,
        basal: Array,
        gain: float,
        apical: Signal,
        what: str = "state",
    ) -> None:
        """Write the :meth:`response` into register."""
        self.store(register, self.response(activation, basal, gain, apical), what)

    def response(self, activation: Activation, basal: Array, gain: float, apical: Signal) -> Array:
        """Return ``f(basal +- round(|gain| apical))``."""
        drive = basal
        if apical is not None and gain:
            scaled = self.scale(abs(gain), apical)
            drive = basal + scaled if gain > 0 else basal - scaled
        return self.apply(activation, drive)

    def slope(self, activation: Activation, value: Array) -> Array:
        """Return 0 or 1."""
        self.check(activation)
        return activation.in_steps(self.unit).derivative(self._integers(value, "drive"))

    def check(self, activation: Activation) -> None:
        """Raise where an activation has no place on the chip."""
        if activation.name not in ON_CHIP:
            limit = f"precision loihi2 knows {', '.join(ON_CHIP)}: there is no table on a neuron"
            invalid("activation", limit, activation.name, "relu")

    def error(self, loss: Loss, output: Array, target: Array) -> Array:
        """Return l'(output) in units of the state.

        output - target, that within delta, softmax - target, or the softmax of an output and 0
        (which is the sigmoid) - target.

        Raises
        ------
        ValidationError
            For a loss that has no integer form.
        """
        if loss.name == "squared-error":
            return output - target
        if isinstance(loss, Huber):
            delta = int(self.number(loss.delta, "delta"))
            return np.clip(output - target, -delta, delta)
        if loss.name == "cross-entropy":
            return integer_softmax(output, self.fraction) - target
        if loss.name == "binary-cross-entropy":
            pairs = np.stack([output, np.zeros_like(output)], axis=-1)
            return integer_softmax(pairs, self.fraction)[..., 0] - target
        invalid("loss", "precision loihi2 knows no integer form", loss.name, "squared-error")

    def _integers(self, value: Array, what: str) -> Array:
        if value.dtype.kind not in "iu":
            what = self._named(what)
            raise FixedPointError(f"{what}: must hold integers on the chip (got {value.dtype})")
        return value

    def _named(self, what: str) -> str:
        return f"layer {self.layer} {what}"

    def _wrapped(self, value: Array, bits: int, what: str) -> Array:
        if self.strict:
            if not fits(value, bits):
                check_width(self._named(what), value, bits)
            return value.astype(np.int32, copy=False)
        half = 1 << (bits - 1)
        return (((value.astype(np.int64) + half) & (2 * half - 1)) - half).astype(self.dtype)


def _of_layer(exponents: tuple[int, ...], layer: int) -> int:
    """Return the entry of a layer; one entry stands for all."""
    return exponents[min(layer, len(exponents)) - 1]


def rounded(value: Array, shift: int) -> Array:
    """Return (value + 2^(shift - 1)) >> shift: the nearest integer, halves up.

    Examples
    --------
    >>> rounded(np.array([5, 6, -6, -7]), 2)
    array([ 1,  2, -1, -2])
    """
    if not shift:
        return value
    # numpy knows >> for integers only, which the arithmetic has made sure of.
    shifted: Array = (value + (1 << (shift - 1))) >> shift  # type: ignore[operator]
    return shifted


def fitting_exponent(weights: ArrayLike, most: int = 15) -> int:
    """Return the largest e, 0 .. most, at which all weights round(w 2^e) fit into +-127.

    Raises
    ------
    FixedPointError
        If they do not fit even with e = 0.

    Examples
    --------
    >>> fitting_exponent([0.3, -1.2])
    6
    """
    largest = np.max(np.abs(np.asarray(weights, float)), initial=0.0)
    limit = 2 ** (WEIGHT.value - 1) - 1
    for exponent in range(most, 0, -1):
        if np.rint(largest) <= limit and np.rint(largest * 2.0**exponent) <= limit:
            return exponent
    if not np.rint(largest) <= limit:  # nor is nan
        raise FixedPointError(
            f"weights: {largest:g} does not fit into {WEIGHT.value} bits, it must be below "
            f"{limit + 0.5}. Try: smaller weights (train with --weight-decay), or --precision float"
        )
    return 0


def feedback_exponents(transposed: Sequence[Array | None], most: int = 15) -> tuple[int, ...]:
    """Return :func:`fitting_exponent` of separate feedback weights per layer; () for tied ones."""
    if all(b is None for b in transposed):
        return ()
    return tuple(0 if b is None else fitting_exponent(b, most) for b in transposed)


def blended(alpha: float, plus: Array, minus: Array) -> Array:
    """Return alpha plus + (1 - alpha) minus of integers, alpha a multiple of 2^-7.

    Examples
    --------
    >>> blended(0.5, np.array([5]), np.array([2]))
    array([4])
    """
    share = round(alpha * 2**GAIN_FRACTION)
    return rounded(share * plus + (2**GAIN_FRACTION - share) * minus, GAIN_FRACTION)


def check_width(what: str, value: Array, bits: int, whole: bool = True) -> None:
    """Raise where a number does not fit into a signed integer of that width.

    Parameters
    ----------
    what : str
        Name of the variable.
    value : array
    bits : int
        Width, sign included.
    whole : bool
        Whether the array has to be one of integers.

    Raises
    ------
    FixedPointError
        Naming variable, value and bits.
    """
    if whole and value.dtype.kind not in "iu":
        raise FixedPointError(f"{what}: must hold integers on the chip (got {value.dtype})")
    if not fits(value, bits):
        low, high, limit = value.min(), value.max(), 1 << (bits - 1)
        worst = low if not low >= -limit else high
        raise FixedPointError(
            f"{what}: {worst:.0f} does not fit into {bits} bits, {-limit} .. {limit - 1}. "
            "Try: a smaller fraction or weight exponent, or quantise on representative data"
        )


def fits(value: Array, bits: int) -> bool:
    """Tell whether all numbers fit into a signed integer of that width; nan does not."""
    if not value.size:
        return True
    limit = 1 << (bits - 1)
    low, high = np.minimum.reduce(value, axis=None), np.maximum.reduce(value, axis=None)
    return bool(low >= -limit and high < limit)


def integer_softmax(output: Array, fraction: int) -> Array:
    """Return softmax(output) in integers, in units of 2^-fraction.

    In order, with t = max(output) - output and everything an integer::

        t <- t round(2^14 / ln 2) >> 14             so that e^-t = 2^-t
        n + r = t, n whole, r rounded to 2^-8       (2^-r from a table of 257 numbers of 16 bits)
        p = 2^-r >> n
        softmax = round(p 2^F / sum p)

    The head needs its whole layer and a division, so on the chip it is a job for the embedded
    processors. Errors are below 2^-7 from F = 11 on.

    Parameters
    ----------
    output : int array, shape (lanes, n)
    fraction : int
        F.
    """
    t = output.max(axis=-1, keepdims=True).astype(np.int64) - output
    t = (t * _LOG2E) >> _LOG2E_BITS
    if fraction >= _TABLE_BITS:
        t = rounded(t, fraction - _TABLE_BITS)
    else:
        t = t << (_TABLE_BITS - fraction)
    whole = np.minimum(t >> _TABLE_BITS, 62)
    p = _POWERS[t & (2**_TABLE_BITS - 1)] >> whole
    total = p.sum(axis=-1, keepdims=True)
    share: Array = ((p << fraction) + total // 2) // total
    return share
