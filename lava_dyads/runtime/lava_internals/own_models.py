"""Models of this library's own Processes, made without Lava's builder.

Lava's builder makes an object for every Var and port of a model, connected or not; a network of
thousands of neurons takes most of its start, and of its memory, for what nobody uses. The models
here are instances of the same classes: Vars are looked up among the registers, ports are made when
somebody asks.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import (
    AbstractPyPort,
    IdentityTransformer,
    PyInPortVectorDense,
    PyOutPortVectorDense,
    VirtualPortTransformer,
)
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort

from lava_dyads.array_types import AnyArray
from lava_dyads.models.element_model import RegisterModel
from lava_dyads.processes import ElementProcess
from lava_dyads.runtime.lava_internals.discovery import made_vars
from lava_dyads.runtime.lava_internals.ports import RecvEnd, SendEnd


class OwnBuilder:
    """Makes the model of an element's Process.

    Parameters
    ----------
    process : ElementProcess
    kind : ProcessModel class
        One that :func:`element_class` knows.

    Attributes
    ----------
    channels : dict of str to list
        By port.
    """

    __slots__ = ("channels", "proc_model", "process", "transforms")

    def __init__(self, process: ElementProcess, kind: type[RegisterModel]) -> None:
        self.process, self.proc_model = process, kind
        self.channels: dict[str, list[Any]] = {}
        self.transforms: dict[str, dict[str, tuple[Any, list[Any]]]] = {}
        """By InPort and source: the channel, and what virtual ports do to its messages."""

    def build(self) -> Any:
        """Return the model."""
        kind: Any = self.proc_model
        made = element_class(kind)
        model = made.__new__(made)
        model.__dict__.update(made.begin_with, _home=self.process, _ways=self)
        model.take(self.process.element, self.process.schedule)
        return model


def has_own_model(process: Any, kind: Any) -> bool:
    """Tell whether a model can be made here: of plain members, with the values they have."""
    if not isinstance(process, ElementProcess) or element_class(kind) is None:
        return False
    plain = process._added is None and all(
        isinstance(port, (InPort, OutPort)) and not port.external_pipe_flag
        for port in process.made_ports
    )
    return plain and all(_untouched(process, var) for var in made_vars(process))


def _untouched(process: ElementProcess, var: Any) -> bool:
    """Tell whether a Var begins with what its register has."""
    if not isinstance(var.init, np.ndarray):
        return False
    return np.may_share_memory(var.init, process.registers()[var.name])


class _Register:
    """A Var of a model: a register of its element, in the shape of the Var."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: Any = None) -> Any:
        if model is None:
            return self
        register = self._of(model)
        return register.reshape(model._home._shape(register))

    def __set__(self, model: Any, value: Any) -> None:
        register = self._of(model)
        register[...] = value.reshape(register.shape)

    def _of(self, model: Any) -> AnyArray:
        memory: dict[str, AnyArray] = model.element.memory
        if self.name in memory:
            return memory[self.name]
        register: AnyArray = getattr(model.schedule, self.name)
        return register


class _Port:
    """A port of a model, made when somebody asks for it."""

    def __init__(self, name: str, lava_type: LavaPyType) -> None:
        self.name, self.type = name, lava_type

    def __get__(self, model: Any, owner: Any = None) -> Any:
        if model is None:
            return self
        name, channels = self.name, model._ways.channels.get(self.name, ())
        shape = getattr(model._home, name).shape
        if self.type.cls is PyOutPortVectorDense:
            ends: Any = _Ends(SendEnd, name, channels)
            port = PyOutPortVectorDense(ends, model, shape, self.type.d_type)
        else:
            ways = model._ways.transforms.get(name, {})
            ends, transformer = _Ends(RecvEnd, name, channels), _IDENTITY
            if any(functions for _, functions in ways.values()):
                ends = list(ends)
                found = {end.channel: end for end in ends}
                transformer = VirtualPortTransformer(
                    {source: found[channel] for source, (channel, _) in ways.items()},
                    {source: functions for source, (_, functions) in ways.items() if functions},
                )
            port = PyInPortVectorDense(ends, model, shape, self.type.d_type, transformer)
        model.__dict__[name] = port
        return port


class _Ends(Sequence[Any]):
    """The ends of a port's channels, as Lava's ports hold them; each is made when it is asked."""

    __slots__ = ("_channels", "_kind", "_name")

    def __init__(self, kind: type, name: str, channels: Sequence[Any]) -> None:
        self._kind, self._name, self._channels = kind, name, channels

    def __len__(self) -> int:
        return len(self._channels)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self._kind(self._name, channel) for channel in self._channels[i]]
        return self._kind(self._name, self._channels[i])


_IDENTITY = IdentityTransformer()


class _Later:
    """A list or a mapping that is made when somebody asks for it."""

    def __init__(self, name: str, kind: type) -> None:
        self.name, self.kind = name, kind

    def __get__(self, model: Any, owner: Any = None) -> Any:
        return self if model is None else model.__dict__.setdefault(self.name, self.kind())


_PORTS = (PyInPortVectorDense, PyOutPortVectorDense)


@functools.cache
def element_class(kind: Any) -> Any:
    """Return the class of the models made here for a ProcessModel class; None: it is another's."""
    if any(getattr(kind, n) is not getattr(RegisterModel, n) for n in ("__init__", "__setattr__")):
        return None
    types = {
        name: value
        for cls in reversed(kind.__mro__)
        for name, value in vars(cls).items()
        if isinstance(value, LavaPyType)
    }
    if any(t.cls not in (*_PORTS, np.ndarray) for t in types.values()):
        return None
    members: dict[str, Any] = {
        name: _Register(name) if t.cls is np.ndarray else _Port(name, t)
        for name, t in types.items()
    }
    # What Lava's own __init__ sets, once for all.
    nobody: Any = kind.__new__(kind)
    super(RegisterModel, nobody).__init__(None)
    begin_with = {}
    for name, value in vars(nobody).items():
        if isinstance(value, (list, dict)):
            members.setdefault(name, _Later(name, type(value)))
        elif name in _CHANGING:
            begin_with[name] = value
        elif name != "_selector":
            members.setdefault(name, value)
    members |= {
        "__module__": kind.__module__,
        "__setattr__": object.__setattr__,
        "is_connected": lambda model, port: port in model._ways.channels,
        "begin_with": begin_with,
        "model_id": property(lambda model: model._home.id),
        "_registers": property(lambda model: model._home.registers()),
        "proc_params": property(lambda model: model._home.proc_params),
        "py_ports": property(
            lambda model: [v for v in vars(model).values() if isinstance(v, AbstractPyPort)]
        ),
    }
    return type(kind.__name__, (kind,), members)


_CHANGING = ("time_step", "_req_pause", "_req_stop")
"""What is looked up in the instance itself."""
