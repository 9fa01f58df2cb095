"""Random numbers: each model has its own, as when each is an OS process.

Lava's OS processes are forked: every model has its own copy of the states that the program had
at the start; but for Python's random, which a fork seeds anew. In one OS process they would all
draw from the same generators.

**numpy's global state** (``np.random.rand``, whatever name it goes by, and all that draws from it
further down): every draw asks who draws, by way of the lock that numpy takes for it. Another one's
state is put in place first. So models, sessions in several threads and the program itself do not
disturb each other, and who does not draw pays nothing.

**Python's random and generators that a module holds** cannot be asked. Their states are exchanged
around every turn of a model whose own code, or a function that it calls, mentions them; models
that share one take turns. What the program draws meanwhile in another thread is not kept apart.
"""

from __future__ import annotations

import dis
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import numpy as np
from lava.magma.core.model.py.model import AbstractPyProcessModel

_NUMPYS: Any = np.random.rand.__self__  # type: ignore[attr-defined]
_PYTHONS: Any = random.random.__self__  # type: ignore[attr-defined]
"""The generators behind the functions of np.random and of random."""
_NUMPY_RANDOM: Any = np.random  # the stubs of numpy 2 leave out two of its functions

# --- numpy's global state


class Stream:
    """The state of numpy's global generator as one model has it."""

    __slots__ = ("state",)

    def __init__(self, state: Any) -> None:
        self.state = state


class _Switch:
    """Sees to it that numpy's global generator holds the state of whoever draws.

    It is the lock of the generator: numpy enters it for every draw.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._here = threading.local()
        self._program: Any = None
        self._loaded: Any = None
        self._is_moving = False
        self._users = 0
        self._kind: type | None = None

    def __enter__(self) -> None:
        self._mutex.acquire()
        self.claim()

    def __exit__(self, *_: object) -> None:
        self._mutex.release()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, as a lock of Python's own."""
        return self._mutex.acquire(blocking, timeout)

    def release(self) -> None:
        """Give it back."""
        self._mutex.release()

    @contextmanager
    def drawing(self, who: Callable[[], Stream | None]) -> Iterator[None]:
        """Let what this thread draws inside come from a stream; None: the program's."""
        before = getattr(self._here, "who", None)
        self._here.who = who
        try:
            yield
        finally:
            self._here.who = before

    def claim(self) -> None:
        """Put the state of whoever draws now in place."""
        with self._mutex:
            if self._is_moving or not self._users:
                return
            who = getattr(self._here, "who", None)
            wanted = (who() if who is not None else None) or self._program
            if wanted is self._loaded:
                return
            self._is_moving = True
            try:
                self._loaded.state = _NUMPYS.get_state(legacy=False)
                _NUMPYS.set_state(wanted.state)
                self._loaded = wanted
            finally:
                self._is_moving = False

    def open(self) -> None:
        """Begin to keep streams apart, for one more user."""
        with self._mutex:
            if not self._users:
                self._program = self._loaded = Stream(None)
                self._kind = type(_NUMPY_RANDOM.get_bit_generator())
                self._install(_switched(cast(Any, self._kind))())
            self._users += 1

    def close(self) -> None:
        """End it for one user; after the last one numpy is as it was."""
        with self._mutex:
            if self._users == 1 and self._kind is not None:
                with self.drawing(lambda: None):
                    self.claim()
                self._users = 0
                if isinstance(_NUMPY_RANDOM.get_bit_generator(), self._kind):
                    self._install(self._kind())
            else:
                self._users -= 1

    def _install(self, generator: Any) -> None:
        state = _NUMPYS.get_state(legacy=False)
        _NUMPY_RANDOM.set_bit_generator(generator)
        _NUMPYS.set_state(state)
        # These go through more than one part of the state, and ask once in the middle.
        for name in ("get_state", "set_state", "seed"):
            plain = getattr(_NUMPYS, name)
            setattr(np.random, name, self._whole(plain) if generator.lock is self else plain)

    def _whole(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def whole(*arguments: Any, **options: Any) -> Any:
            with self:
                return call(*arguments, **options)

        return whole

    def after_fork(self) -> None:
        """Forget who held the lock: only the thread that forks lives on."""
        self._mutex = threading.RLock()
        self._is_moving = False


SWITCH = _Switch()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SWITCH.after_fork)


@cache
def _switched(kind: type) -> type:
    """Return a bit generator that asks for the state of whoever draws, reads or seeds it."""
    base: Any = kind

    def state(self: Any) -> Any:
        with SWITCH:
            return base.state.__get__(self)

    def set_state(self: Any, value: Any) -> None:
        with SWITCH:
            base.state.__set__(self, value)

    def seed(self: Any, *arguments: Any) -> None:
        with SWITCH:
            base._legacy_seeding(self, *arguments)

    def reduce(self: Any) -> Any:
        plain = base()
        plain.state = self.state
        return plain.__reduce__()

    members = {
        "lock": SWITCH,
        "state": property(state, set_state),
        "_legacy_seeding": seed,
        "__reduce__": reduce,
    }
    return type(kind.__name__, (kind,), members)  # its name is part of its state


# --- what else models share


_others = threading.RLock()
"""Held by the model whose states are in place."""


def own_states(kind: type, number: int) -> Callable[[], None] | None:
    """Return the exchange of shared states for a model's own; None if it shares none.

    Its own begin as copies; but Python's random, which seeds itself anew in a fork, is seeded
    with the number of the model. Every second call puts the shared ones back.
    """
    shared = shared_generators(kind)
    if not shared:
        return None
    with _others:  # else they may be another model's
        own = [_first_state(generator, number) for generator in shared]
    inside = False

    def swap() -> None:
        nonlocal own, inside
        if not inside:
            _others.acquire()
        held = [_state(generator) for generator in shared]
        for generator, state in zip(shared, own, strict=True):
            _restore(generator, state)
        own, inside = held, not inside
        if not inside:
            _others.release()

    return swap


@contextmanager
def swapped(swap: Callable[[], None] | None) -> Iterator[None]:
    """Have the exchange done inside, and undone after it."""
    if swap is not None:
        swap()
    try:
        yield
    finally:
        if swap is not None:
            swap()


def _first_state(generator: Any, number: int) -> Any:
    if generator is not _PYTHONS:
        return _state(generator)
    following = random.Random()
    following.setstate(generator.getstate())
    return random.Random((following.getrandbits(64) << 32) + number).getstate()


def _state(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state(legacy=False)


def _restore(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


_FOREIGN = {*sys.stdlib_module_names, "numpy", "scipy", "lava", "lava_dyads"}


@cache
def shared_generators(kind: type) -> tuple[Any, ...]:
    """Return the generators that the code of a ProcessModel class reaches by names of modules."""
    found: dict[int, Any] = {}
    own = [base for base in kind.__mro__ if base not in AbstractPyProcessModel.__mro__]
    todo: list[Any] = [value for base in own for value in vars(base).values()]
    seen: set[int] = set()
    while todo:
        value = todo.pop()
        owner = getattr(value, "__self__", None)
        for generator in (value, owner, _PYTHONS if value is random else None):
            if isinstance(generator, random.Random | np.random.Generator | np.random.RandomState):
                found[id(generator)] = generator
        function = getattr(value, "__func__", value)
        if isinstance(function, property):
            todo += [function.fget, function.fset]
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            todo += value.values() if isinstance(value, dict) else value
        elif isinstance(function, FunctionType) and id(function) not in seen and _is_users(value):
            seen.add(id(function))
            todo += _reached(function.__code__, function.__globals__)
            todo += [c.cell_contents for c in function.__closure__ or () if _is_full(c)]
        elif isinstance(value, type) and id(value) not in seen and _is_users(value):
            seen.add(id(value))
            todo += vars(value).values()
    found.pop(id(_NUMPYS), None)  # asks who draws
    return tuple(found.values())


def _is_users(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").partition(".")[0] not in _FOREIGN


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _reached(code: CodeType, names: dict[str, Any]) -> list[Any]:
    """Return the objects that a piece of code names, in its module or in modules there."""
    reached = [names[name] for name in code.co_names if name in names]
    for value in list(reached):
        if isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in _FOREIGN:
            reached += [vars(value)[name] for name in code.co_names if name in vars(value)]
    if "random" in code.co_names and "random" not in names and _imports_random(code):
        reached.append(random)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            reached += _reached(constant, names)
    return reached


def _imports_random(code: CodeType) -> bool:

    return any(
        i.opname == "IMPORT_NAME" and i.argval == "random" for i in dis.get_instructions(code)
    )
