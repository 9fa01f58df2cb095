"""Equations as programs: what was written for arrays, carried out by compiled code.

An equation of ``rules`` is called once with :class:`Traced` arguments and :data:`TRACED` for its
array namespace; every operation that it performs becomes an instruction. So the equations stand
where they stood, and the event loop (:mod:`lava_dyads.native.event_loop`) runs them without
compiling anything anew. Values are (lanes, n) arrays; a reduction along the last axis fills its
rows, so that what follows broadcasts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray

CODES = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "less", "less_equal", "equal",
    "not_equal", "logical_and", "logical_or", "where", "tanh", "exp", "sqrt", "log", "abs",
    "row_max", "row_sum", "constant",
)  # fmt: skip
"""Names of the instructions; the number of one is its place."""

_UNARY = ("tanh", "exp", "sqrt", "log", "abs")


class UntraceableError(Exception):
    """An equation asked for something that no instruction stands for."""


class Trace:
    """Collects instructions; value v is written by instruction v - inputs."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.rows: list[tuple[int, int, int, int]] = []
        self.constants: list[float] = []
        self._known: dict[tuple[int, int, int, int, float], int] = {}

    def value(self, code: str, *arguments: Any) -> Traced:
        """Return the result of an instruction; the same one twice is one value."""
        x, y, z = (*(self.place(a) for a in arguments), 0, 0)[:3]
        return self._row(CODES.index(code), (x, y, z), 0.0)

    def place(self, value: Any) -> int:
        """Return the number of a value; numbers become constants."""
        if isinstance(value, Traced):
            return value.place
        if isinstance(value, bool | int | float | np.number | np.bool_):
            return self._row(CODES.index("constant"), (0, 0, 0), float(value)).place
        raise UntraceableError(f"a {type(value).__name__}")

    def _row(self, code: int, places: tuple[int, int, int], constant: float) -> Traced:
        key = (code, *places, constant)
        if key not in self._known or constant != constant:
            self.rows.append((code, *places))
            self.constants.append(constant)
            self._known[key] = self.inputs + len(self.rows) - 1
        return Traced(self, self._known[key])


class Traced:
    """Stands for an array (lanes, n) whose numbers are not known yet."""

    __array_ufunc__ = None
    dtype = np.dtype(np.float64)

    @property
    def shape(self) -> Traced:
        """Return itself: an array of its shape is as wide as it is."""
        return self

    def __init__(self, trace: Trace, place: int) -> None:
        self.trace, self.place = trace, place

    def max(self, axis: int = -1, keepdims: bool = True) -> Traced:
        """Return the largest entry of each row."""
        return self._reduced("row_max", axis, keepdims)

    def sum(self, axis: int = -1, keepdims: bool = True) -> Traced:
        """Return the sum of each row."""
        return self._reduced("row_sum", axis, keepdims)

    def _reduced(self, code: str, axis: int, keepdims: bool) -> Traced:
        if axis != -1 or not keepdims:
            raise UntraceableError("a reduction that is not along rows")
        return self.trace.value(code, self)

    def __pow__(self, power: Any) -> Traced:
        if power != 2:
            raise UntraceableError(f"a power of {power}")
        return self.trace.value("multiply", self, self)

    def __neg__(self) -> Traced:
        return self.trace.value("multiply", self, -1.0)

    def __abs__(self) -> Traced:
        return self.trace.value("abs", self)

    def __bool__(self) -> bool:
        raise UntraceableError("a decision by values")

    __hash__ = object.__hash__


def _binary(code: str, turned: bool = False) -> Callable[[Traced, Any], Traced]:
    def operation(self: Traced, other: Any) -> Traced:
        pair = (other, self) if turned else (self, other)
        return self.trace.value(code, *pair)

    return operation


for _names, _code, _turned in (
    (("__add__",), "add", False), (("__radd__",), "add", True),
    (("__sub__",), "subtract", False), (("__rsub__",), "subtract", True),
    (("__mul__",), "multiply", False), (("__rmul__",), "multiply", True),
    (("__truediv__",), "divide", False), (("__rtruediv__",), "divide", True),
    (("__lt__",), "less", False), (("__gt__",), "less", True),
    (("__le__",), "less_equal", False), (("__ge__",), "less_equal", True),
    (("__eq__",), "equal", False), (("__ne__",), "not_equal", False),
    (("__and__", "__rand__"), "logical_and", False), (("__or__", "__ror__"), "logical_or", False),
):  # fmt: skip
    for _name in _names:
        setattr(Traced, _name, _binary(_code, _turned))


class TracedNamespace:
    """The functions of an array namespace (``rules.namespaces``) on traced values."""

    int8 = np.int8

    def __getattr__(self, name: str) -> Callable[..., Traced]:
        if name not in CODES:
            raise UntraceableError(f"xp.{name}")

        def function(*arguments: Any) -> Traced:
            trace = next(a.trace for a in arguments if isinstance(a, Traced))
            return trace.value(name, *arguments)

        return function

    def clip(self, a: Traced, least: Any, most: Any) -> Traced:
        """Return a within bounds."""
        return self.minimum(self.maximum(a, least), most)

    def zeros_like(self, a: Traced) -> Traced:
        """Return zeros."""
        return a.trace.value("multiply", 0.0, 1.0)

    def ones_like(self, a: Traced) -> Traced:
        """Return ones."""
        return a.trace.value("multiply", 1.0, 1.0)

    def zeros(self, shape: Traced, dtype: Any = None) -> Traced:
        """Return zeros in the shape of a traced value."""
        return self.zeros_like(shape)

    def asarray(self, a: Any, dtype: Any = None) -> Any:
        """Return truth values as numbers, which they are."""
        return a


TRACED = TracedNamespace()
"""The namespace to hand to an equation that is to be traced."""


class Program:
    """Instructions that write values, and which of these are the results.

    Attributes
    ----------
    rows : int array, shape (instructions, 4)
        Code and up to three arguments, by number of the value.
    constants : array, shape (instructions,)
        What an instruction ``constant`` writes.
    inputs : int
        Values that are given: the first ones.
    results : list of int
        Numbers of the values that are wanted.
    """

    def __init__(self, equation: Callable[..., Sequence[Any]], inputs: int) -> None:
        trace = Trace(inputs)
        made = equation(*(Traced(trace, i) for i in range(inputs)))
        self.results = [trace.place(value) for value in made]
        self.inputs = inputs
        self.rows: AnyArray = np.array(trace.rows, np.int64).reshape(-1, 4)
        self.constants: AnyArray = np.array(trace.constants, np.float64)

    @property
    def values(self) -> int:
        """How many values there are."""
        return self.inputs + len(self.rows)
