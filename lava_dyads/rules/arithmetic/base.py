"""What a number system is, and floating point.

Only the operations whose result depends on the number system are here: creating a register,
holding a sum of messages, multiplying by a gain, storing a result back into a register.
Additions are plain numpy.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from lava_dyads.array_types import Array, Signal
from lava_dyads.errors import invalid
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.namespaces import Into, Namespace

GRID = 2.0**-8
"""Multiples of it are *exactly representable*: float64 sums and products of a few are exact."""


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return zeros; more than numpy can count is too much memory, and no error of another kind."""
    if math.prod(shape) * dtype.itemsize >= 1 << 62:
        raise MemoryError(f"an array of shape {shape}")
    return np.zeros(shape, dtype)


@runtime_checkable
class Arithmetic(Protocol):
    """What units and elements need from a number system.

    ``name`` is that of the command line, ``float`` or ``loihi2``; ``unit`` what one step of a state
    register stands for, in units of the activity; ``exact`` whether sums are exact: then there is
    no rounding chatter, and silence is silence.
    """

    @property
    def name(self) -> str:
        """Name of the number system."""

    @property
    def unit(self) -> float:
        """Step of a state register."""

    @property
    def exact(self) -> bool:
        """Whether sums are exact."""

    @property
    def xp(self) -> Namespace:
        """Namespace of its arrays, see ``rules.namespaces``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of every register."""

    def at(self, layer: int, depth: int) -> Arithmetic:
        """Return the arithmetic of a layer, counted from 1, in a network of that depth."""

    def backward(self) -> Arithmetic:
        """Return the arithmetic of the layer's separate feedback synapses."""

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return a register of zeros."""

    def number(self, value: ArrayLike, what: str = "value") -> Array:
        """Return numbers in units of the activity as the number system writes them down."""

    def weights(self, value: ArrayLike, what: str = "weights") -> Array:
        """Return weights as the number system writes them down."""

    def real(self, register: Array) -> Array:
        """Return the values of numbers, in units of the activity."""

    def real_weights(self, register: Array) -> Array:
        """Return the values of a register of weights."""

    def accumulate(self, register: Array, message: Signal, what: str) -> bool:
        """Add a message of changes to what is held; tell whether there was one."""

    def basal(self, held: Array) -> Array:
        """Return a sum of basal messages in units of the state."""

    def apical(self, held: Array) -> Array:
        """Return a sum of apical messages in units of the state."""

    def payload(self, change: Array, what: str) -> Array:
        """Return a change as a message can carry it."""

    def total(self, message: Array, what: str) -> Array:
        """Return a sum of products as a connection hands it over."""

    def threshold(self, value: float) -> float:
        """Return a threshold in units of a state register."""

    def gain(self, value: float) -> float:
        """Return the number that stands for a gain."""

    def scale(self, gain: float, value: Array) -> Array:
        """Return gain * value in this number system."""

    def store(self, register: Array, value: Array, what: str = "state") -> None:
        """Write value into register, rounded and limited to what it can hold."""

    def apply(self, activation: Activation, value: Array) -> Array:
        """Return f(value)."""

    def held(self, value: Array, what: str = "state") -> Array:
        """Return a value as a register can hold it."""

    def response(self, activation: Activation, basal: Array, gain: float, apical: Signal) -> Array:
        """Return f(basal + gain apical); f(basal) where there is no apical drive."""

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

    def slope(self, activation: Activation, value: Array) -> Array:
        """Return f'(value), dimensionless."""

    def error(self, loss: Loss, output: Array, target: Array) -> Array:
        """Return the gradient l'(output) of a loss."""


class Float:
    """IEEE floating point.

    Below, eps is the rounding unit of the chosen type. A gradient read from a nudge of size
    beta has relative error of about eps / beta: use beta >= 0.01 in float32.

    Parameters
    ----------
    dtype : dtype-like
        ``float64`` (default) or ``float32``.

    Examples
    --------
    >>> register = Float().zeros((2,))
    >>> Float().store(register, Float().scale(0.5, register + 1))
    >>> register
    array([0.5, 0.5])
    """

    name = "float"
    unit = 1.0
    exact = False
    xp: Namespace = np
    """Where its arrays live, see ``rules.namespaces``."""

    def __init__(self, dtype: DTypeLike = np.float64) -> None:
        try:
            self._dtype = np.dtype(dtype)
        except Exception:  # numpy raises several kinds
            self._dtype = np.dtype(object)
        if self._dtype not in (np.float64, np.float32):
            invalid("Float.dtype", "must be float64 or float32", dtype, "float64")

    def over(self, xp: Namespace) -> Float:
        """Return the same numbers in another namespace."""
        made = Float(self._dtype)
        made.xp = xp
        return made

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of every register."""
        return self._dtype

    def at(self, layer: int, depth: int) -> Float:
        """Return itself: all layers compute alike."""
        return self

    def backward(self) -> Float:
        """Return itself."""
        return self

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return a register of zeros of the given shape."""
        return zeros(shape, self._dtype)

    def number(self, value: ArrayLike, what: str = "value") -> Array:
        """Return a copy of the value."""
        return np.array(value, self._dtype)

    def weights(self, value: ArrayLike, what: str = "weights") -> Array:
        """Return a copy of the value."""
        return np.array(value, self._dtype)

    def real(self, register: Array) -> Array:
        """Return a copy of the register."""
        return register.copy()

    def real_weights(self, register: Array) -> Array:
        """Return a copy of the register."""
        return register.copy()

    def accumulate(self, register: Array, message: Signal, what: str) -> bool:
        """Add a message of changes to what is held; tell whether there was one."""
        if message is None:
            return False
        register += message
        return True

    def basal(self, held: Array) -> Array:
        """Return the sum."""
        return held

    def apical(self, held: Array) -> Array:
        """Return the sum."""
        return held

    def payload(self, change: Array, what: str) -> Array:
        """Return the change."""
        return change

    def total(self, message: Array, what: str) -> Array:
        """Return the sum."""
        return message

    def threshold(self, value: float) -> float:
        """Return the value."""
        return value

    def gain(self, value: float) -> float:
        """Return the gain."""
        return value

    def scale(self, gain: float, value: Array) -> Array:
        """Return gain * value (gain dimensionless)."""
        return gain * value

    def store(self, register: Array, value: Array, what: str = "state") -> None:
        """Write value into register."""
        register[...] = value

    def apply(self, activation: Activation, value: Array) -> Array:
        """Return f(value)."""
        return activation.f(value, self.xp)

    def held(self, value: Array, what: str = "state") -> Array:
        """Return the value."""
        return value

    def response(self, activation: Activation, basal: Array, gain: float, apical: Signal) -> Array:
        """Return f(basal + gain apical)."""
        return activation.f(driven(basal, gain, apical, self.xp), self.xp)

    def respond(
        self,
        register: Array,
        activation: Activation,
        basal: Array,
        gain: float,
        apical: Signal,
        what: str = "state",
    ) -> None:
        """Write the :meth:`response` into register, which is all the memory it takes."""
        into = Into(register)
        drive = driven(basal, gain, apical, into)
        made = activation.f(drive, into if activation.in_place else np)
        if made is not register:
            register[...] = made

    def slope(self, activation: Activation, value: Array) -> Array:
        """Return f'(value)."""
        return activation.derivative(value, self.xp)

    def error(self, loss: Loss, output: Array, target: Array) -> Array:
        """Return l'(output)."""
        return loss.gradient(output, target, self.xp)


def driven(basal: Array, gain: float, apical: Signal, xp: Namespace) -> Array:
    """Return the drive of a compartment, basal + gain apical."""
    if apical is None or not gain:
        return basal
    if abs(gain) == 1.0:
        drive: Array = (xp.add if gain > 0 else xp.subtract)(basal, apical)
    else:
        drive = xp.add(basal, xp.multiply(apical, gain))
    return drive


def on_grid(value: ArrayLike) -> Array:
    """Return the nearest multiples of ``GRID``.

    Examples
    --------
    >>> on_grid([0.1, 0.5])
    array([0.1015625, 0.5      ])
    """
    return np.asarray(np.round(np.asarray(value, float) / GRID) * GRID)


def check_on_grid(what: str, value: ArrayLike) -> None:
    """Raise where a number is no multiple of ``GRID``.

    Raises
    ------
    ValidationError
        Naming the first such entry and the nearest multiple.
    """
    array = np.asarray(value, float)
    bad = np.argwhere(array != on_grid(array))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        entry = f"{what}[{', '.join(map(str, where))}]" if where else what
        got = float(array[where])
        nearest = float(on_grid(got)) or GRID
        limit = "must be a multiple of 2^-8, so that every sum is exact"
        invalid(entry, limit, got, f"{nearest!r}")
