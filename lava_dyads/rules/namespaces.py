"""Array namespaces: what equations are written in, so that the same text serves any array library.

An equation takes its arrays and ``xp``, a namespace with the functions of the Python array API
standard as far as numpy and ``jax.numpy`` both have them, and changes no array that it was given::

    def relu(a, xp):
        return xp.maximum(a, 0)

Where results are kept is no part of it. The numpy executors write them over registers: for them
``xp`` is :class:`Into`, which has a place to write to. What an equation has made itself, it may
write to by :func:`put` and :func:`added`, which do so where arrays can be written to.

Standard: https://data-apis.org/array-api; ``put`` and ``added`` are ``at(array)[index].set`` and
``.add`` of its extension library, array-api-extra.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from lava_dyads.array_types import AnyArray, Array

Namespace: TypeAlias = Any
"""A module such as numpy or jax.numpy, or an object with its functions."""


class Into:
    """numpy's namespace with a place to write to: every function below returns that register.

    For equations of one entry at a time that read each argument once. What has no ``out`` here
    takes memory of its own, as in numpy.

    Parameters
    ----------
    register : array

    Examples
    --------
    >>> register = np.zeros(2)
    >>> Into(register).maximum(np.array([-1.0, 2.0]), 0) is register, register
    (True, array([0., 2.]))
    """

    __slots__ = ("register",)

    def __init__(self, register: AnyArray) -> None:
        self.register = register

    def add(self, one: Any, other: Any) -> AnyArray:
        """Write one + other."""
        np.add(one, other, out=self.register)
        return self.register

    def subtract(self, one: Any, other: Any) -> AnyArray:
        """Write one - other."""
        np.subtract(one, other, out=self.register)
        return self.register

    def multiply(self, one: Any, other: Any) -> AnyArray:
        """Write one * other."""
        np.multiply(one, other, out=self.register)
        return self.register

    def divide(self, one: Any, other: Any) -> AnyArray:
        """Write one / other."""
        np.divide(one, other, out=self.register)
        return self.register

    def sqrt(self, a: Any) -> AnyArray:
        """Write the square root."""
        np.sqrt(a, out=self.register)
        return self.register

    def maximum(self, one: Any, other: Any) -> AnyArray:
        """Write the larger one."""
        np.maximum(one, other, out=self.register)
        return self.register

    def clip(self, a: Any, least: Any, most: Any) -> AnyArray:
        """Write a within bounds."""
        np.clip(a, least, most, out=self.register)
        return self.register

    def tanh(self, a: Any) -> AnyArray:
        """Write tanh a."""
        np.tanh(a, out=self.register)
        return self.register

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def over(array: Array, xp: Namespace) -> Namespace:
    """Return the namespace that may write over an array: :class:`Into` it, where that is numpy."""
    return Into(array) if xp is np else xp


def put(array: Any, index: Any, value: Any) -> Any:
    """Return an array of one's own with a value at an index: itself, where it can be written to."""
    if isinstance(array, np.ndarray):
        array[index] = value
        return array
    return array.at[index].set(value)


def added(array: Any, index: Any, value: Any) -> Any:
    """Return an array of one's own with a value added at an index, see :func:`put`."""
    if isinstance(array, np.ndarray):
        array[index] += value
        return array
    return array.at[index].add(value)


def whole(number: Any) -> int:
    """Return a number of numpy as an int, of others, which may be known later, as it is."""
    return int(number) if isinstance(number, np.generic) else number
