"""Repairs Lava 0.10.0, the last there is, from outside, so that newer Pythons can import it.

Lava breaks in three places. Dataclasses of its compiler have defaults that cannot be hashed, which
Python refuses since 3.11. Its message infrastructure sets the start method of the whole program,
which fails wherever ``multiprocessing`` has been used before, on every Python. And it reshapes
messages by a keyword that numpy 2.5 no longer knows.

No file of Lava is touched. A finder notices the few modules in question when they are imported and
gives each its own ``import``, by which ``dataclasses`` and ``multiprocessing`` mean what Lava
needs; nobody else sees any of it. Lava's OS processes, queues and semaphores are made by the
context ``fork``, since its models cannot be sent to a fresh interpreter, and the start method of
the program remains the program's own business.

This has to be in place before the first ``import lava``. So a line in ``lava_dyads.pth`` executes
this file when an interpreter starts, by itself, without ``lava_dyads``: at the top it may import
nothing that costs. Where no such line is read (``--target``, ``PYTHONPATH``, a zip), importing
``lava_dyads`` before ``lava`` does it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

LAVA = "lava-nc==0.10.0"
"""The release that is repaired, as pip and uv name it."""

INSTALL_LAVA = "lava-dyads install-lava"
"""The command that brings it."""

_FORKING = "multiprocessing"
_MODULES = {
    "lava.magma.compiler.builders.channel_builder": _FORKING,
    "lava.magma.compiler.channels.pypychannel": _FORKING,
    "lava.magma.compiler.channels.watchdog": _FORKING,
    "lava.magma.compiler.var_model": "dataclasses",
    "lava.magma.core.process.ports.ports": "",
    "lava.magma.runtime.message_infrastructure.multiprocessing": _FORKING,
    "lava.magma.runtime.message_infrastructure.shared_memory_manager": _FORKING,
    "lava.magma.runtime.runtime": _FORKING,
}
"""What is repaired, and which of its imports is given another meaning."""


class _View:
    """A module as one of Lava's sees it: with some names replaced."""

    def __init__(self, module: Any, **names: Any) -> None:
        self._module = module
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _forking() -> Any:
    """Return ``multiprocessing`` with whatever it makes made by ``fork``, where there is a fork."""
    import multiprocessing
    from multiprocessing import managers

    if "fork" not in multiprocessing.get_all_start_methods():
        return multiprocessing
    context = multiprocessing.get_context("fork")

    def shared_memory_manager(*args: Any, **options: Any) -> Any:
        return managers.SharedMemoryManager(*args, **{"ctx": context, **options})

    def set_start_method(method: str | None, force: bool = False) -> None:
        """Leave the start method to the program."""

    return _View(
        context,
        managers=_View(managers, SharedMemoryManager=shared_memory_manager),
        set_start_method=set_start_method,
    )


def _tolerant() -> Any:
    """Return ``dataclasses`` with a decorator that takes instances of dataclasses as defaults."""
    import dataclasses

    def dataclass(cls: Any = None, **options: Any) -> Any:
        decorate: Callable[[Any], Any] = dataclasses.dataclass(**options)

        def decorated(cls: Any) -> Any:
            kinds = {type(default) for default in vars(cls).values()}
            lent: list[Any] = [
                k for k in kinds if k.__hash__ is None and dataclasses.is_dataclass(k)
            ]
            for kind in lent:
                kind.__hash__ = object.__hash__
            try:
                return decorate(cls)
            finally:
                for kind in lent:
                    kind.__hash__ = None

        return decorated if cls is None else decorated(cls)

    return _View(dataclasses, dataclass=dataclass)


_VIEWS = {_FORKING: _forking, "dataclasses": _tolerant}


def _importing(top: str) -> dict[str, Any]:
    """Return built-ins whose ``import`` gives a view instead of a module."""
    import builtins

    def see(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        module = builtins.__import__(name, globals, locals, fromlist or (), level)
        seen = level == 0 and module.__name__ == top
        return _VIEWS[top]() if seen else module

    return {**vars(builtins), "__import__": see}


def _mend(module: ModuleType) -> None:
    """Mend a module of Lava that is there: what it holds of ``multiprocessing``, its reshaping."""
    names = vars(module)
    port = names.get("ReshapePort")
    if port is not None:
        for name in ("get_transform_func_fwd", "get_transform_func_bwd"):
            setattr(port, name, _without_keyword(getattr(port, name)))
    if _MODULES[module.__name__] != _FORKING:
        return
    view = _forking()
    for name in ("Event", "Manager", "Process", "Queue", "Semaphore", "managers"):
        if name in names:
            names[name] = getattr(view, name)
    actor = names.get("SystemProcess")
    if actor is not None and "fork" in sys.modules[_FORKING].get_all_start_methods():
        actor._start_method, actor._Popen = "fork", staticmethod(view.Process._Popen)


def _without_keyword(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that gives ``numpy.reshape`` its shape in a way every numpy knows."""
    if hasattr(method, "__wrapped__"):
        return method
    from functools import partial, wraps
    from operator import methodcaller

    @wraps(method)
    def mended(port: Any) -> Any:
        made = method(port)
        shape = getattr(made, "keywords", {}).get("newshape")
        return made if shape is None else partial(methodcaller("reshape", shape))

    return mended


class _Loader:
    """The loader of a module of Lava; it repairs what it loads."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module as ever."""
        return self.loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own ``import``; then nothing shows who has loaded it."""
        top = _MODULES[module.__name__]
        if module.__spec__ is not None:
            module.__loader__ = module.__spec__.loader = self.loader
        if top:
            vars(module)["__builtins__"] = _importing(top)
        self.loader.exec_module(module)
        _mend(module)


class _Finder:
    """Finds the modules of Lava that are repaired, by way of the finders that come after it."""

    repairs_lava = True

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec with a loader that repairs it; None for any other module."""
        if name not in _MODULES:
            return None
        for finder in list(sys.meta_path):
            if getattr(finder, "repairs_lava", False) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


def install() -> None:
    """Repair Lava as it is imported, and what of it has been; once, however often it is called."""
    others = [f for f in sys.meta_path if not getattr(f, "repairs_lava", False)]
    sys.meta_path[:] = [_Finder(), *others]
    for name in _MODULES:
        module = sys.modules.get(name)
        if module is not None:
            _mend(module)


def has_lava() -> bool:
    """Tell whether Lava is installed."""
    from importlib.util import find_spec

    try:
        return find_spec("lava.magma") is not None  # a part: other packages are called lava, too
    except ModuleNotFoundError:
        return False


def require_lava(what: str) -> None:
    """Raise where Lava is not installed.

    Parameters
    ----------
    what : str
        What needs it.

    Raises
    ------
    MissingLavaError
        With the command that brings it.
    """
    if not has_lava():
        from lava_dyads.errors import MissingLavaError

        raise MissingLavaError(missing_lava(what))


def missing_lava(what: str) -> str:
    """Return the line that says what needs Lava, and how to get it.

    >>> print(missing_lava("LavaSession"))
    LavaSession: needs Lava, which is not installed. Try: lava-dyads install-lava
    """
    return f"{what}: needs Lava, which is not installed. Try: {INSTALL_LAVA}"


install()
