"""Objects with options of their own, chosen by a name: rules and optimisers.

Their options are the fields of a dataclass. Annotations say what each takes, the class docstring
what it means, and everything that shows or takes options reads them from there.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from lava_dyads.checks import taken_fields
from lava_dyads.errors import invalid, nearest


class Optioned(Protocol):
    """A dataclass that a name stands for."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


Given = TypeVar("Given", contravariant=True)
Made = TypeVar("Made", covariant=True)


class Becomes(Generic[Given, Made]):
    """For type checkers: a field that takes one thing and holds another."""

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: object = None) -> Made: ...

        def __set__(self, instance: object, value: Given) -> None: ...


T = TypeVar("T", bound=Optioned)
C = TypeVar("C")


class Preset(float):
    """A default that nobody has asked for: who knows better may put another number there."""


def options(chosen: Optioned | type[Optioned]) -> dict[str, Any]:
    """Return the options of an object with their values, or of a class with their defaults."""
    return {f.name: getattr(chosen, f.name) for f in fields(chosen) if f.init}


def label(chosen: Optioned) -> str:
    """Return name and options for a title."""
    given = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in options(chosen).items()
    ]
    return ", ".join((chosen.name, *given))


def with_options(chosen: T, given: Mapping[str, Any], owner: str = "") -> T:
    """Return an object with other options.

    Parameters
    ----------
    chosen : object
    given : mapping of str to object
        Values by name, of whatever kind.
    owner : str
        What an option's name is preceded by in messages, e.g. ``NetworkSpec.``.

    Raises
    ------
    ValidationError
        If it has no such option, or takes no such value; with the option as it was written.
    """
    known = options(chosen)
    for name, value in given.items():
        if name not in known:
            near = nearest(name, known)
            invalid(f"{owner}{name}", f"{chosen.name} has no such option", value, near)
    return replace(chosen, **taken_fields(type(chosen), given, owner)) if given else chosen


def meanings(cls: type[Any]) -> dict[str, str]:
    """Return what the options of a class mean: the parameters of its docstring and its bases'.

    Examples
    --------
    >>> from lava_dyads.rules.optimisers import Momentum
    >>> meanings(Momentum)["horizon"].partition(":")[0]
    'Updates over which the rate falls linearly to 0'
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", text, re.M | re.S)
        entries = re.split(r"^(?=\S)", section[1], flags=re.M) if section else []
        for entry in filter(None, entries):
            names, _, meaning = entry.partition("\n")
            shared = " ".join(meaning.split()).rstrip(".")
            found |= dict.fromkeys(names.partition(" : ")[0].split(", "), shared)
    return {f.name: found.get(f.name, "") for f in fields(cls)}


def short_form(field: str, find: Callable[[Any], Optioned]) -> Callable[[type[C]], type[C]]:
    """Let a dataclass be made with the options of one of its fields beside its own (decorator).

    ``NetworkSpec(layers, rule="dp", alpha=0.5)`` is short for
    ``NetworkSpec(layers, rule=DualPropagation(alpha=0.5))``.

    Parameters
    ----------
    field : str
        Name of the field.
    find : callable
        Returns the object for what was given for the field.
    """

    def decorated(cls: type[C]) -> type[C]:
        plain: Any = cls.__init__
        own = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]

        @functools.wraps(plain)
        def made(self: C, *args: Any, **given: Any) -> None:
            others = {name: given.pop(name) for name in list(given) if name not in own}
            if others:
                chosen = find(given.get(field, own[field].default))
                known = {*own, *options(chosen)}
                for name in others.keys() - known:
                    limit = f"neither a field nor an option of {field} {chosen.name}"
                    invalid(f"{cls.__name__}.{name}", limit, others[name], nearest(name, known))
                given[field] = with_options(chosen, others, f"{cls.__name__}.")
            plain(self, *args, **given)

        cls.__init__ = made  # type: ignore[assignment]
        return cls

    return decorated
