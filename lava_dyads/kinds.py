"""What an annotation takes, and how it turns a value into that; for :mod:`lava_dyads.checks`."""

from __future__ import annotations

import collections.abc
import functools
import math
import numbers
import operator
import os
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union

import numpy as np

from lava_dyads.suggestions import nearest


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


class RefusedError(Exception):
    """A value is not of a kind; the text says what is, where the kind's words would not.

    Attributes
    ----------
    try_ : str
        What to try, where the kind's example is not it.
    """

    def __init__(self, text: str = "", try_: str = "") -> None:
        super().__init__(text)
        self.try_ = try_


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


ANYTHING = Kind("anything", "anything", "...", lambda value: value)
"""The kind of whatever no annotation says more of."""


@functools.cache
def kind_of(annotation: Any) -> Kind:
    """Return the kind of values that an annotation takes."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        limits = [note for note in inner[1:] if isinstance(note, Limit)]
        return _limited(inner[0], limits[0]) if limits else kind_of(inner[0])
    if origin is Literal:
        return _choice(inner)
    if origin in (Union, types.UnionType):
        return _union([kind_of(member) for member in inner])
    if origin is os.PathLike:
        return _PLAIN[Path]
    if origin in _CONTAINERS and inner:
        return _CONTAINERS[origin](*inner)
    asked = not getattr(annotation, "_is_protocol", False)
    asked = asked or getattr(annotation, "_is_runtime_protocol", False)
    plain = annotation in (object, Any)  # Any is a class since Python 3.11
    if origin is None and isinstance(annotation, type) and not plain and asked:
        return _instance(annotation)
    return ANYTHING


def _whole(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise RefusedError
    try:
        made = operator.index(value)
    except Exception as error:  # of an object of whatever kind
        raise RefusedError from error
    if not -(2**63) <= made < 2**63:
        raise RefusedError
    return made


def _real(value: Any) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise RefusedError
    try:
        return float(value)
    except Exception as error:
        raise RefusedError from error


def _finite(value: Any) -> float:
    made = _real(value)
    if not math.isfinite(made):
        raise RefusedError
    return made


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise RefusedError
    return str.__str__(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise RefusedError
    return bool(value)


def _path(value: Any) -> Path:
    try:
        made = Path(value)
        if b"\0" in os.fsencode(made):
            raise RefusedError
    except (TypeError, ValueError) as error:
        raise RefusedError from error
    return made


def _nothing(value: Any) -> None:
    if value is not None:
        raise RefusedError


def _function(value: Any) -> Any:
    if not callable(value):
        raise RefusedError
    return value


_FUNCTION = Kind("a function", "functions", "a function or a lambda", _function)
GENERIC = ("0", "1", "0.1", "'name'", "True")
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
            raise RefusedError
        return value

    name = cls.__name__
    words = f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    return Kind(words, f"{name} objects", f"{name}(...)", take)


def _choice(choices: tuple[Any, ...]) -> Kind:
    def take(value: Any) -> Any:
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return choice
        raise RefusedError("", nearest(value, map(str, choices)))

    words = " or ".join(map(str, choices))
    return Kind(words, words, words, take)


def _limited(annotation: Any, limit: Limit) -> Kind:
    number = annotation in (int, float)
    inner = kind_of(annotation)
    if annotation is float:
        inner = Kind("a number", "numbers", inner.example, _real)  # whether nan, the limit says

    def take(value: Any) -> Any:
        try:
            made = inner.take(value)
        except RefusedError as error:
            raise error if number else RefusedError(limit.words) from None
        if not limit.holds(made):
            raise RefusedError(limit.words)
        return made

    return Kind(inner.words, inner.plural, limit.example, take)


def _union(members: list[Kind]) -> Kind:
    def take(value: Any) -> Any:
        beyond = try_ = ""
        for member in members:
            try:
                return member.take(value)
            except RefusedError as error:
                beyond, try_ = beyond or str(error), try_ or error.try_
        raise RefusedError(beyond, try_)

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
        raise RefusedError
    try:
        return list(value)
    except Exception as error:  # of an object that only looks like a list
        raise RefusedError from error


def _many(item: Any, *more: Any, make: Callable[[list[Any]], Any], any_order: bool = False) -> Kind:
    """Return the kind of tuples, lists and sequences."""
    endless = more in ((), (...,))
    kinds = [kind_of(item)] if endless else [kind_of(each) for each in (item, *more)]

    def take(value: Any) -> Any:
        entries = _listed(value, any_order)
        if not endless and len(entries) != len(kinds):
            raise RefusedError
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
    keys, values = kind_of(key), kind_of(value)

    def take(given: Any) -> Any:
        if not isinstance(given, Mapping):
            raise RefusedError
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
