"""What a function can read that nobody hands to it: closures, globals, attributes of classes."""

from __future__ import annotations

import contextlib
import dis
import inspect
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray

_DEPTH = 5
_MOST = 2000
_NUMBERS = (bool, int, float, np.number)
_PLAIN = (complex, str, bytes, type(None))


@dataclass(frozen=True)
class Hidden:
    """A number or an array that code can reach.

    Attributes
    ----------
    path : str
        How: ``module.NAME.attribute[key]``.
    get : callable
        Returns the value.
    put : callable
        Replaces it.
    """

    path: str
    get: Callable[[], Any]
    put: Callable[[Any], None]

    @contextmanager
    def changed(self) -> Iterator[None]:
        """Give it another value inside the block: of the same type, near the one it has."""
        before = self.get()
        if isinstance(before, np.ndarray):
            kept = before.copy()
            before[...] = _other(kept)
            try:
                yield
            finally:
                before[...] = kept
            return
        self.put(type(before)(_other(np.asarray(before)).item()))
        try:
            yield
        finally:
            self.put(before)


def _other(values: AnyArray) -> AnyArray:
    if values.dtype.kind == "b":
        return ~values
    if values.dtype.kind in "iu":
        return values + np.ones_like(values)
    return values * 1.25 + 0.375


def hidden_values(functions: list[Callable[..., Any]], instance: object = None) -> list[Hidden]:
    """Return the numbers and arrays that functions can reach.

    Followed are closures, the globals that their code names, attributes of classes and of objects
    that are none of numpy's or of the standard library's, lists and dictionaries, and functions
    that they call, five steps deep. Numbers among the attributes of the instance and of its
    classes are its own: rates and the like.
    """
    walk = _Walk()
    for function in functions:
        walk.function(function, 0)
    if instance is not None:
        for name, value in list(vars(instance).items()):
            walk.value(f"self.{name}", value, 0, None)
        for kind in type(instance).__mro__:
            for name, value in list(vars(kind).items()) if not _foreign(kind) else []:
                if not callable(value) and not name.startswith("__"):
                    walk.value(f"{kind.__name__}.{name}", value, 0, None)
    return walk.found


_Put = Callable[[str], Hidden] | None


class _Walk:
    """Goes from object to object and collects what can be changed."""

    def __init__(self) -> None:
        self.found: list[Hidden] = []
        self.seen: set[int] = set()

    def function(self, function: Any, depth: int) -> None:
        """Look into a function's closure and into the globals that it names."""
        function = inspect.unwrap(getattr(function, "__func__", function))
        code = getattr(function, "__code__", None)
        if code is None or id(function) in self.seen or depth > _DEPTH:
            return
        self.seen.add(id(function))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
            with contextlib.suppress(ValueError):  # not filled yet
                path = f"{function.__name__}: {name}"
                self.value(path, cell.cell_contents, depth, _attribute(cell, "cell_contents"))
        scope = function.__globals__
        for name in _global_names(code) & scope.keys():
            path = f"{scope.get('__name__', '?')}.{name}"
            self.value(path, scope[name], depth, _item(scope, name))

    def value(self, path: str, value: Any, depth: int, put: _Put) -> None:
        """Collect a value, or go into it; ``put`` makes what changes a number."""
        if isinstance(value, _NUMBERS):
            if put is not None and len(self.found) < _MOST:
                self.found.append(put(path))
        elif isinstance(value, _PLAIN) or id(value) in self.seen or depth > _DEPTH:
            return
        elif isinstance(value, types.FunctionType):
            if not _foreign(value):
                self.function(value, depth + 1)
        else:
            self.seen.add(id(value))
            if isinstance(value, np.ndarray):
                if value.dtype.kind in "biufc" and value.flags.writeable:
                    self.found.append(Hidden(path, lambda: value, _ignore))
                return
            for part, entry, holder in _parts(value):
                self.value(f"{path}{part}", entry, depth + 1, holder)


def _ignore(value: object) -> None:
    """Arrays are changed in place."""


def _parts(value: Any) -> list[tuple[str, Any, _Put]]:
    """Return what an object holds: how it is reached, what it is, what changes a number there."""
    if isinstance(value, types.MethodType):
        return [(".__self__", value.__self__, None), (".__func__", value.__func__, None)]
    if isinstance(value, dict):
        return [(f"[{key!r}]", value[key], _item(value, key)) for key in list(value)]
    if isinstance(value, list):
        return [(f"[{i}]", entry, _item(value, i)) for i, entry in enumerate(value)]
    if isinstance(value, tuple | set | frozenset):
        return [(f"[{i}]", entry, None) for i, entry in enumerate(value)]
    if isinstance(value, types.ModuleType) or _foreign(value):
        return []
    held = getattr(value, "__dict__", {})
    names = [name for name in list(held) if not name.startswith("__")]
    return [(f".{name}", held[name], _attribute(value, name)) for name in names]


def _global_names(code: types.CodeType) -> set[str]:
    """Return the globals that a piece of code, and what is defined inside of it, names."""
    names = {
        i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _foreign(value: Any) -> bool:
    """Tell whether something is numpy's or the standard library's: nothing of a network's."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):
        module = type(value).__module__
    top = module.partition(".")[0]
    return top in _FOREIGN


def _item(holder: Any, key: Any) -> Callable[[str], Hidden]:
    return lambda path: Hidden(path, lambda: holder[key], lambda v: holder.__setitem__(key, v))


def _attribute(holder: Any, name: str) -> Callable[[str], Hidden]:
    return lambda path: Hidden(
        path, lambda: getattr(holder, name), lambda value: setattr(holder, name, value)
    )


_FOREIGN = {
    "builtins", "numpy", "scipy", "lava", "threading", "logging", "random", "math", "functools",
    "collections", "typing", "abc", "enum", "re", "os", "sys", "time", "dataclasses",
}  # fmt: skip
