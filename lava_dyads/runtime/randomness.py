"""numpy's global random state: one for each model, as when each is an OS process.

Lava's OS processes are forked: every model has its own copy of the state that the program had
at the start. In one OS process they would all draw from the same. To exchange the state costs
some 15 us, so it is done only for models whose own methods mention ``random``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from lava.magma.core.model.py.model import AbstractPyProcessModel


@cache
def draws_from_global(model: type) -> bool:
    """Tell whether a method of a ProcessModel class, or of its bases, mentions ``random``."""
    own = [base for base in model.__mro__ if base not in AbstractPyProcessModel.__mro__]
    functions = [f for base in own for f in vars(base).values() if isinstance(f, FunctionType)]
    return any(_mentions_random(function.__code__) for function in functions)


def _mentions_random(code: CodeType) -> bool:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return "random" in code.co_names or any(map(_mentions_random, inner))


def own_random_state(state: Any) -> Callable[[], None]:
    """Return what exchanges numpy's global random state with one that begins as ``state``."""

    def swap() -> None:
        nonlocal state
        shared = np.random.get_state(legacy=False)
        np.random.set_state(state)
        state = shared

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
