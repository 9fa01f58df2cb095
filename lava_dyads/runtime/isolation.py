"""What a model is given is its own, as when it is an OS process: arguments and class attributes.

A forked OS process has a copy of all that its program holds, but for memory that is shared on
purpose. In one OS process each model gets such a copy of its arguments and of the attributes of
its class. Globals of modules stay common to all.
"""

from __future__ import annotations

import copy
import ctypes
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
from lava.magma.core.model.py.model import AbstractPyProcessModel, PyAsyncProcessModel
from lava.magma.core.model.py.model import PyLoihiProcessModel as _Loihi
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.interfaces import AbstractProcessMember
from lava.magma.core.process.process import AbstractProcess, ProcessParameters

_LAVAS = {*_Loihi.__mro__, *PyAsyncProcessModel.__mro__, *AbstractPyProcessModel.__mro__}
_COMMON = (
    AbstractProcess, AbstractProcessMember, LavaPyType, type, types.ModuleType,
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.GeneratorType,
    ctypes.Array, ctypes.Structure, ctypes._SimpleCData,
)  # fmt: skip
"""Of these there is one for all: behaviour, Lava's own, memory shared by way of ctypes."""
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)


def own_copy(value: Any) -> Any:
    """Return a copy of what a model is given; what is shared on purpose stays the same.

    So do arrays in shared memory (``mmap``, ``multiprocessing``), Processes, and what cannot be
    copied at all, as open files and locks.
    """
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return value if _is_shared(value) else value.copy(order="K")
    if isinstance(value, (*_PLAIN, *_COMMON)):
        return value
    memo = {id(part): part for part in _common_parts(value)}
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # whatever a class of somebody's raises where it cannot be copied
        return value


def own_parameters(parameters: Any) -> Any:
    """Return a Process's parameters for one model."""
    held = getattr(parameters, "_parameters", None)
    if not isinstance(parameters, ProcessParameters) or not isinstance(held, dict):
        return parameters
    return ProcessParameters({name: own_copy(value) for name, value in held.items()})


def own_class(kind: type) -> type:
    """Return a subclass with copies of the data that a ProcessModel class and its bases hold."""
    bases = [base for base in kind.__mro__ if base not in _LAVAS]
    held: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    for base in reversed(bases):
        for name, value in vars(base).items():
            if name.startswith("__") or hasattr(type(value), "__get__"):
                continue
            own = own_copy(value)
            if own is not value:
                held[name] = own
            else:
                held.pop(name, None)  # overrides that of a base further up
    return type(kind.__name__, (kind,), held)


def _common_parts(value: Any) -> Iterator[Any]:
    """Find what is not to be copied, in containers, arrays of objects and attributes."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        part = todo.pop()
        if id(part) in seen or isinstance(part, _PLAIN):
            continue
        seen.add(id(part))
        if isinstance(part, _COMMON) or (isinstance(part, np.ndarray) and _is_shared(part)):
            yield part
        elif isinstance(part, np.ndarray):
            todo += part.ravel().tolist() if part.dtype.hasobject else []
        elif isinstance(part, dict):
            todo += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set | frozenset):
            todo += part
        else:
            todo += getattr(part, "__dict__", {}).values()


def _is_shared(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether an array looks at memory that is not numpy's own."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            return True
        owner = owner.base
    return owner is not None and not isinstance(owner, bytes | bytearray)
