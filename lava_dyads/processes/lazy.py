"""Lava Processes whose ports, Vars and collections are made when somebody asks for them.

Lava makes six collections per Process, gives each member its name and its Process, and keeps a
formatter and a handler for logging: most of what thousands of Processes of one neuron take, in time
and in memory. Most of it nobody ever looks at. Here a Process knows the names of its members; each
is made at the first look, and is then what it would have been from the beginning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lava.magma.core.process.interfaces import AbstractProcessMember
from lava.magma.core.process.ports.ports import RefPort, VarPort
from lava.magma.core.process.process import (
    Collection,
    LogConfig,
    ProcessParameters,
    ProcessServer,
)
from lava.magma.core.process.variable import VarServer

from lava_dyads.lava_types import AbstractPort, AbstractProcess, InPort, OutPort, Var

_KINDS: dict[str, tuple[str, type]] = {
    "out_ports": ("OutPort", OutPort),
    "in_ports": ("InPort", InPort),
    "ref_ports": ("RefPort", RefPort),
    "var_ports": ("VarPort", VarPort),
    "vars": ("Var", Var),
    "procs": ("SubProcess", AbstractProcess),
}
"""Lava's collections: name of the attribute, name of the collection, what is in it."""


class Members(Collection):  # type: ignore[misc]
    """A collection whose members are made when somebody looks at them.

    Parameters
    ----------
    process : LazyProcess
    name : str
        Of the collection, as Lava calls it.
    names : iterable of str
        Of the members.
    """

    _iterator = -1
    _is_coroutine = False

    def __init__(self, process: LazyProcess, name: str, names: Iterable[str]) -> None:
        self.process, self.name, self._names = process, name, tuple(sorted(names))

    @property
    def _members(self) -> dict[str, Any]:
        state = self.__dict__
        if "_made" not in state:
            state["_made"] = {name: getattr(self.process, name) for name in self._names}
            state.update(state["_made"])
        made: dict[str, Any] = state["_made"]
        return made

    def __getstate__(self) -> dict[str, Any]:
        """Return all there is: a copy makes no members."""
        return {**self.__dict__, "_made": self._members}


class LazyProcess(AbstractProcess):
    """A Process with members that are made at the first look."""

    parent_proc: Any = None
    _model: Any = None
    _model_class: Any = None
    _is_compiled = False
    _folded_view: Any = None
    _folded_view_inst_id = -1
    _runtime: Any = None  # Lava's __del__ looks for it, also where __init__ refused its arguments
    _added: dict[str, Any] | None = None

    def __init__(self, name: str) -> None:
        # In the place of Lava's own: its attributes are above, or made at the first look.
        self.id: int = ProcessServer().register(self)
        self.name = name

    @property
    def log(self) -> logging.Logger:
        """The root logger, as in Lava."""
        return logging.getLogger()

    def _parameters(self) -> dict[str, Any]:
        """Return what Lava hands to the model."""
        raise NotImplementedError

    def _planned(self, collection: str) -> list[str]:
        """Return the names of the members of one of Lava's collections."""
        raise NotImplementedError

    def _member(self, name: str) -> Any:
        """Return a new port or Var; None: there is none of that name."""
        raise NotImplementedError

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Make what is missing."""
            made = self._made(name) if "id" in self.__dict__ else None
            if made is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            self.__dict__[name] = made
            return made

    def _made(self, name: str) -> Any:
        if name in _KINDS:
            called, kind = _KINDS[name]
            added = [k for k, member in (self._added or {}).items() if isinstance(member, kind)]
            return Members(self, called, [*self._planned(name), *added])
        if name == "proc_params":
            return ProcessParameters(initial_parameters=self._parameters())
        if name == "_log_config":
            return LogConfig(file="lava.log")
        member = self._member(name)
        if member is not None:
            member._name, member._process = name, self
        if isinstance(member, Var) and self._runtime is not None:
            # Lava's list would keep it, and the runtime with it, for ever.
            listed = VarServer().vars
            if listed[-1] is member:
                listed.pop()
            adopt = getattr(self._runtime, "adopt", None)
            if adopt is not None:
                adopt(member)
        return member

    def _post_init(self) -> None:
        """Note the members that a subclass has made by itself."""
        added = {
            name: value
            for name, value in vars(self).items()
            if _IS_MEMBER[type(value)]
            and (isinstance(value, AbstractProcess) or value.process is None)
        }
        if added:
            self._added = added
            self._init_proc_member_obj(added)  # type: ignore[attr-defined]

    @property
    def made_ports(self) -> list[Any]:
        """The ports that somebody has looked at: all that can be connected."""
        return [value for value in vars(self).values() if _IS_PORT[type(value)]]


class _Subclasses(dict[type, bool]):
    """Which classes are of a kind: to ask Lava's abstract classes takes several times as long."""

    def __init__(self, *kinds: type) -> None:
        self._kinds = kinds

    def __missing__(self, kind: type) -> bool:
        self[kind] = issubclass(kind, self._kinds)
        return self[kind]


_IS_PORT = _Subclasses(AbstractPort)
_IS_MEMBER = _Subclasses(AbstractProcessMember, AbstractProcess)
