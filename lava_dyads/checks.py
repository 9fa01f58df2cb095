"""Types at the boundary: a value becomes what its annotation says, or an error of one line.

Annotations are the one place where a type is written down; mypy and this module read the same.
What users reasonably pass is taken and turned into the plain type: numpy's numbers, lists for
tuples, texts for paths. What would go wrong later, or pass in silence, is refused: True as a
number, 2.5 as a count, nan, a text where a list of texts is asked for.

=====================  ===========================================================
annotation             takes
=====================  ===========================================================
``int``                whole numbers of 64 bits, numpy's too; no bool
``float``              finite real numbers, numpy's too; no bool
``Share`` and others   the same, within limits
``str``, ``bool``      texts, truth values
``Path``               texts and paths
``tuple[X, ...]``      lists, tuples, ranges, one-dimensional arrays
``Mapping[K, V]``      mappings
``Literal``, unions    any of their members
a class                its instances
anything else          anything: whoever needs more looks for itself
=====================  ===========================================================
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import math
import numbers
import operator
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec, TypeAlias, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

from lava_dyads.errors import ValidationError, invalid, message

P = ParamSpec("P")
R = TypeVar("R")


class Limit(NamedTuple):
    """What a value has to satisfy beyond its type: ``Annotated[float, Limit(...)]``.

    Attributes
    ----------
    words : str
        The limit as a message has it.
    example : str
        What to try.
    holds : callable
        Tells whether a value satisfies it.
    """

    words: str
    example: str
    holds: Callable[[Any], bool] = lambda value: True


Share: TypeAlias = Annotated[
    float, Limit("must lie in [0, 1]", "0, 0.5 or 1", lambda v: 0 <= v <= 1)
]
Positive: TypeAlias = Annotated[float, Limit("must be positive", "0.1", lambda v: 0 < v < math.inf)]
NotNegative: TypeAlias = Annotated[
    float, Limit("must be at least 0", "0", lambda v: 0 <= v < math.inf)
]
Patience: TypeAlias = Annotated[float, Limit("must be positive seconds", "10", lambda v: v > 0)]
"""Seconds after which something gives up; inf: never."""
Count: TypeAlias = Annotated[int, Limit("must be at least 1", "1", lambda v: v >= 1)]
Size: TypeAlias = Annotated[
    int, Limit("must be at least 1, and at most 2^40", "1", lambda v: 1 <= v <= 1 << 40)
]
"""Entries of an array: more do not fit anywhere."""
Natural: TypeAlias = Annotated[int, Limit("must be at least 0", "0", lambda v: v >= 0)]


class _RefusedError(Exception):
    """A value is not of a kind; the text says what is, where the kind's words would not."""


class Kind(NamedTuple):
    """What an annotation takes.

    Attributes
    ----------
    words : str
        For messages, after 'must be'.
    plural : str
        The same of many, after 'a list of'.
    example : str
        What to try.
    take : callable
        Returns the value as that kind.
    """

    words: str
    plural: str
    example: str
    take: Callable[[Any], Any]


def check_fields(record: Any, owner: str = "") -> None:
    """Turn the fields of a dataclass into what they are annotated as; for ``__post_init__``.

    A default that was left alone is right whatever it is.

    Parameters
    ----------
    record : dataclass
    owner : str
        What messages begin with; empty: the name of the class and a dot.

    Raises
    ------
    ValidationError
        Naming the first field that is of another kind.
    """
    cls: Any = type(record)
    for name, default, kind in _plan(cls):
        value = getattr(record, name)
        if value is not default:
            made = _taken(value, kind, f"{owner or f'{cls.__name__}.'}{name}", default)
            if made is not value:
                object.__setattr__(record, name, made)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the arguments of a function into what they are annotated as (decorator).

    Raises
    ------
    ValidationError
        When it is called: naming the first argument that is of another kind.
    """
    owner = function.__qualname__.removesuffix(".__init__")
    signature = inspect.signature(function)

    @functools.cache
    def kinds() -> dict[str, Kind]:
        names = function.__globals__
        asked = signature.parameters.values()
        single = [p for p in asked if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        return {p.name: _kind(_resolved(p.annotation, names)) for p in single}

    @functools.wraps(function)
    def made(*args: P.args, **options: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **options)
        except TypeError:  # the function says it better
            return function(*args, **options)
        for name, value in bound.arguments.items():
            default = signature.parameters[name].default
            if name in kinds() and value is not default:
                bound.arguments[name] = _taken(value, kinds()[name], f"{owner}.{name}", default)
        try:
            return function(*bound.args, **bound.kwargs)
        except MemoryError as error:
            limit = f"does not fit into memory ({error or 'numpy has none left'})"
            raise ValidationError(f"{owner}: {limit}. Try: smaller sizes") from error

    return made


def taken(value: object, annotation: Any, what: str) -> Any:
    """Return a value as what an annotation says.

    Raises
    ------
    ValidationError
        If it is of another kind.

    Examples
    --------
    >>> taken([np.int64(3), 4], tuple[int, ...], "sizes")
    (3, 4)
    >>> taken(True, int, "epochs")
    Traceback (most recent call last):
    lava_dyads.errors.ValidationError: epochs: must be a whole number (got True). Try: 1
    """
    return _taken(value, _kind(annotation), what, None)


def entries(
    values: object,
    what: str,
    needed: Mapping[str, Any],
    others: Mapping[str, Any] = MappingProxyType({}),
    error: type[ValidationError] = ValidationError,
) -> dict[str, Any]:
    """Return a mapping that was read from a file, with its entries as what they should be.

    Parameters
    ----------
    values : object
        What was read.
    what : str
        What it is, for messages.
    needed, others : mapping of str to annotation
        Entries that have to be there, and that may be; whatever else there is stays as it is.
    error : type of ValidationError
        What to raise.

    Raises
    ------
    ValidationError
        If it is no mapping, or an entry is missing or of another kind.

    Examples
    --------
    >>> entries({"epochs": 3, "more": None}, "meta", {"epochs": int})
    {'epochs': 3, 'more': None}
    """
    try:
        made = dict(taken(values, Mapping[str, Any], what))
        for name in needed:
            if name not in made:
                invalid(what, f"needs {' and '.join(needed)}", sorted(made), f"an entry {name}")
        for name, annotation in {**needed, **others}.items():
            if name in made:
                made[name] = taken(made[name], annotation, f"{what}: {name}")
    except ValidationError as refused:
        raise error(str(refused)) from refused
    return made


def real_array(
    value: object, what: str, ndim: int | None = None, try_: str = ""
) -> NDArray[np.float64]:
    """Return an array of finite real numbers, float64.

    Raises
    ------
    ValidationError
        If it is something else, is not finite, or does not have ``ndim`` axes.
    """
    for_values = try_ or "numpy.isfinite, which finds all that are not"
    try_ = try_ or "numpy.zeros(shape)"
    made = plain_array(value, what, try_)
    if made.dtype.kind not in "iuf":
        invalid(what, "must be an array of real numbers", value, try_)
    if ndim is not None and made.ndim != ndim:
        limit = f"must have {ndim} {'axis' if ndim == 1 else 'axes'}"
        invalid(what, limit, f"shape {made.shape}", try_)
    try:
        with np.errstate(over="ignore"):  # a longdouble may be too large
            made = made.astype(np.float64, copy=False)
        bad = np.argwhere(~np.isfinite(made))
    except MemoryError:
        invalid(what, "does not fit into memory", value, "a smaller array")
    if len(bad):
        place = tuple(bad[0].tolist())
        where = f"{what}{list(place)}" if place else what
        limit = "must be a finite vector" if made.ndim <= 1 else "must be finite"
        invalid(where, limit, made[place], for_values)
    return made


def plain_array(
    value: object, what: str, try_: str = "", limit: str = "must be an array"
) -> NDArray[Any]:
    """Return an array of anything but objects.

    Raises
    ------
    ValidationError
        If it is none, e.g. with rows of several lengths.
    """
    try:
        made = np.asarray(value)
        plain = made.dtype.kind != "O"
    except Exception:  # ragged, or an object whose conversion fails in whatever way
        plain = False
    if not plain:
        invalid(what, limit, value, try_ or "numpy.zeros(shape)")
    return made


def _taken(value: object, kind: Kind, what: str, default: object) -> Any:
    try:
        return kind.take(value)
    except _RefusedError as error:
        plain = (
            isinstance(default, int | float | str) and default != "" and kind.example in _GENERIC
        )
        example = repr(default) if plain else kind.example
        invalid(what, str(error) or f"must be {kind.words}", value, example)
    except Exception as error:  # an object that fails even where it is asked for its class
        limit = f"must be {kind.words}"
        raise ValidationError(message(what, limit, value, kind.example)) from error


@functools.cache
def _plan(cls: Any) -> tuple[tuple[str, object, Kind], ...]:
    """Return name, default and kind of every field that is given at construction."""
    homes = {name: owner for owner in reversed(cls.__mro__) for name in _annotations(owner)}
    return tuple(
        (
            f.name,
            f.default,
            _kind(_resolved(f.type, vars(sys.modules[homes[f.name].__module__]))),
        )
        for f in fields(cls)
        if f.init
    )


def _annotations(owner: type) -> Iterable[str]:
    return tuple(inspect.get_annotations(owner))


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """Return what an annotation written as text stands for; Any where only mypy knows."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return _resolved(eval(annotation, dict(names)), names)  # an alias may be a text again
    except NameError:
        return Any


@functools.cache
def _kind(annotation: Any) -> Kind:
    """Return what an annotation takes."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        limits = [note for note in inner[1:] if isinstance(note, Limit)]
        return _limited(inner[0], limits[0]) if limits else _kind(inner[0])
    if origin is Literal:
        return _choice(inner)
    if origin in (Union, types.UnionType):
        return _union([_kind(member) for member in inner])
    if origin is os.PathLike:
        return _PLAIN[Path]
    if origin in _CONTAINERS and inner:
        return _CONTAINERS[origin](*inner)
    asked = not getattr(annotation, "_is_protocol", False)
    asked = asked or getattr(annotation, "_is_runtime_protocol", False)
    plain = annotation in (object, Any)  # Any is a class since Python 3.11
    if origin is None and isinstance(annotation, type) and not plain and asked:
        return _instance(annotation)
    return Kind("anything", "anything", "...", lambda value: value)


def _whole(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise _RefusedError
    try:
        made = operator.index(value)
    except Exception as error:  # of an object of whatever kind
        raise _RefusedError from error
    if not -(2**63) <= made < 2**63:
        raise _RefusedError
    return made


def _real(value: Any) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _RefusedError
    try:
        return float(value)
    except Exception as error:
        raise _RefusedError from error


def _finite(value: Any) -> float:
    made = _real(value)
    if not math.isfinite(made):
        raise _RefusedError
    return made


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _RefusedError
    return str.__str__(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise _RefusedError
    return bool(value)


def _path(value: Any) -> Path:
    try:
        made = Path(value)
        if b"\0" in os.fsencode(made):
            raise _RefusedError
    except (TypeError, ValueError) as error:
        raise _RefusedError from error
    return made


def _nothing(value: Any) -> None:
    if value is not None:
        raise _RefusedError


def _function(value: Any) -> Any:
    if not callable(value):
        raise _RefusedError
    return value


_FUNCTION = Kind("a function", "functions", "a function or a lambda", _function)
_GENERIC = ("0", "1", "0.1", "'name'", "True")
_NONE = Kind("None", "None", "None", _nothing)
_PLAIN: dict[Any, Kind] = {
    int: Kind("a whole number", "whole numbers", "1", _whole),
    float: Kind("a finite number", "finite numbers", "0.1", _finite),
    str: Kind("a text", "texts", "'name'", _text),
    bool: Kind("True or False", "True or False", "True", _truth),
    Path: Kind("a path", "paths", "a text or a pathlib.Path", _path),
    None: _NONE,
    type(None): _NONE,
    Callable: _FUNCTION,
}


def _instance(cls: type) -> Kind:
    def take(value: Any) -> Any:
        if not isinstance(value, cls):
            raise _RefusedError
        return value

    name = cls.__name__
    words = f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    return Kind(words, f"{name} objects", f"{name}(...)", take)


def _choice(choices: tuple[Any, ...]) -> Kind:
    def take(value: Any) -> Any:
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return choice
        raise _RefusedError

    words = " or ".join(map(str, choices))
    return Kind(words, words, words, take)


def _limited(annotation: Any, limit: Limit) -> Kind:
    number = annotation in (int, float)
    inner = _kind(annotation)
    if annotation is float:
        inner = Kind("a number", "numbers", inner.example, _real)  # whether nan, the limit says

    def take(value: Any) -> Any:
        try:
            made = inner.take(value)
        except _RefusedError as error:
            raise error if number else _RefusedError(limit.words) from None
        if not limit.holds(made):
            raise _RefusedError(limit.words)
        return made

    return Kind(inner.words, inner.plural, limit.example, take)


def _union(members: list[Kind]) -> Kind:
    def take(value: Any) -> Any:
        beyond = ""
        for member in members:
            try:
                return member.take(value)
            except _RefusedError as error:
                beyond = beyond or str(error)
        raise _RefusedError(beyond)

    words = " or ".join(dict.fromkeys(member.words for member in members))
    plural = " or ".join(dict.fromkeys(member.plural for member in members))
    return Kind(words, plural, members[0].example, take)


def _listed(value: Any, any_order: bool = False) -> list[Any]:
    """Return the entries of a list, or of whatever stands for one."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return list(value)
    text = isinstance(value, str | bytes | bytearray | memoryview | np.ndarray | Mapping)
    wanted = collections.abc.Iterable if any_order else collections.abc.Sequence
    if text or not isinstance(value, wanted):
        raise _RefusedError
    try:
        return list(value)
    except Exception as error:  # of an object that only looks like a list
        raise _RefusedError from error


def _many(item: Any, *more: Any, make: Callable[[list[Any]], Any], any_order: bool = False) -> Kind:
    """Return the kind of tuples, lists and sequences."""
    endless = more in ((), (...,))
    kinds = [_kind(item)] if endless else [_kind(each) for each in (item, *more)]

    def take(value: Any) -> Any:
        entries = _listed(value, any_order)
        if not endless and len(entries) != len(kinds):
            raise _RefusedError
        each = kinds * len(entries) if endless else kinds
        return make([kind.take(entry) for kind, entry in zip(each, entries, strict=True)])

    example = ", ".join(kind.example for kind in kinds)
    if endless:
        inner = kinds[0].plural
        return Kind(f"a list of {inner}", f"lists of {inner}", f"[{example}]", take)
    alike = len(set(kinds)) == 1
    words = f"{len(kinds)} {kinds[0].plural}" if alike else ", ".join(k.words for k in kinds)
    return Kind(f"a tuple of {words}", f"tuples of {words}", f"({example})", take)


def _table(key: Any, value: Any) -> Kind:
    keys, values = _kind(key), _kind(value)

    def take(given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise _RefusedError
        return {keys.take(k): values.take(v) for k, v in given.items()}

    example = f"{{{keys.example}: {values.example}}}"
    words = f"{keys.plural} to {values.plural}"
    return Kind(f"a mapping of {words}", f"mappings of {words}", example, take)


_CONTAINERS: dict[Any, Callable[..., Kind]] = {
    tuple: functools.partial(_many, make=tuple),
    collections.abc.Sequence: functools.partial(_many, make=tuple),
    collections.abc.Iterable: functools.partial(_many, make=tuple, any_order=True),
    list: functools.partial(_many, make=list),
    dict: _table,
    collections.abc.Mapping: _table,
    collections.abc.Callable: lambda *_: _FUNCTION,
    type: lambda _: _instance(type),
}
