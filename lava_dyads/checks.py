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

import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Annotated, Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lava_dyads.errors import ValidationError, invalid, message
from lava_dyads.kinds import ANYTHING, GENERIC, Kind, Limit, RefusedError, kind_of

P = ParamSpec("P")
R = TypeVar("R")


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


def taken_fields(cls: type[Any], values: Mapping[str, object], owner: str) -> dict[str, Any]:
    """Return values for fields of a dataclass as what these are annotated as; owner as above."""
    return {
        name: _taken(values[name], kind, f"{owner}{name}", default)
        for name, default, kind in _plan(cls)  # type: ignore[arg-type]
        if name in values
    }


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the arguments of a function into what they are annotated as (decorator).

    Raises
    ------
    ValidationError
        When it is called: naming the first argument that is of another kind.
    """
    owner = function.__qualname__.removesuffix(".__init__")
    signature = inspect.signature(function)

    parameters = list(signature.parameters.values())
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    defaults = {p.name: p.default for p in parameters}
    several = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)

    @functools.cache
    def kinds() -> dict[str, Kind]:
        names = function.__globals__
        single = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        found = {p.name: kind_of(_resolved(p.annotation, names)) for p in single}
        return {name: kind for name, kind in found.items() if kind is not ANYTHING}

    def take(name: str, value: object) -> Any:
        default = defaults[name]
        kind = None if value is default else kinds().get(name)
        return value if kind is None else _taken(value, kind, f"{owner}.{name}", default)

    @functools.wraps(function)
    def made(*args: P.args, **options: P.kwargs) -> R:
        if several:
            try:
                bound = signature.bind(*args, **options)
            except TypeError:  # the function says it better
                return function(*args, **options)
            bound.arguments.update({n: take(n, v) for n, v in bound.arguments.items()})
            given, named = bound.args, bound.kwargs
        elif len(args) > len(positional) or not defaults.keys() >= options.keys():
            return function(*args, **options)  # which says what is wrong
        else:  # a tenth of what binding costs
            given = tuple(map(take, positional, args))
            named = {name: take(name, value) for name, value in options.items()}
        try:
            return function(*given, **named)
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
    return _taken(value, kind_of(annotation), what, None)


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
    if type(value) is float and ndim is None and math.isfinite(value):
        return np.array(value)
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
        finite = np.isfinite(made)
        bad = np.zeros((0, made.ndim), int) if finite.all() else np.argwhere(~finite)
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
    except RefusedError as error:
        plain = isinstance(default, int | float | str) and default != "" and kind.example in GENERIC
        example = error.try_ or (repr(default) if plain else kind.example)
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
            kind_of(_resolved(f.type, vars(sys.modules[homes[f.name].__module__]))),
        )
        for f in fields(cls)
        if f.init
    )


def _annotations(owner: type) -> Iterable[str]:
    return tuple(inspect.get_annotations(owner))


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """Return the type that an annotation written as text names; Any where only mypy knows."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return _resolved(eval(annotation, dict(names)), names)  # an alias may be a text again
    except NameError:
        return Any
