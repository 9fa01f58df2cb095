"""Which Processes are connected, and which ProcessModels run them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.compiler.exceptions import NoProcessModelFound
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort, VarPort
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.process.variable import Var, VarServer
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.models.events import EventModel
from lava_dyads.processes.lazy import LazyProcess


def process_count() -> int:
    """Return the number of Processes made so far; it never falls."""
    return int(ProcessServer()._next_id)


def forget(processes: Iterable[AbstractProcess]) -> None:
    """Take Processes, those around them, and their Vars off Lava's global lists.

    The lists would keep them, and the runtime that they hold, for ever.
    """
    gone = {id(around) for process in processes for around in _outwards(process)}
    server, variables = ProcessServer(), VarServer()
    server.processes[:] = [p for p in server.processes if id(p) not in gone]
    variables.vars[:] = [v for v in variables.vars if id(v.process) not in gone]


def assign(process: AbstractProcess, runtime: Any) -> None:
    """Let a Process, and those around it, ask a runtime for their Vars."""
    for around in _outwards(process):
        around._runtime = runtime


def discover(start: AbstractProcess) -> list[AbstractProcess]:
    """Return all top-level Processes that are connected with one, in order of creation."""
    first = _root(start)
    found, seen, todo = {first}, {first}, [first]
    while todo:
        process = todo.pop()
        around = {p._process for port in _ports(process) for p in _neighbours(port)} - seen
        seen |= around
        fresh = {_root(neighbour) for neighbour in around} - found
        found |= fresh
        todo += fresh
    return sorted(found, key=operator.attrgetter("id"))


def ports_of(process: AbstractProcess, kind: type) -> list[Any]:
    """Return the ports of a kind, by name; of a Process that makes them when asked, those there."""
    if isinstance(process, LazyProcess):
        made = [port for port in process.made_ports if isinstance(port, kind)]
        return sorted(made, key=_name) if len(made) > 1 else made
    return list(getattr(process, _COLLECTIONS[kind]).members)


_name = operator.attrgetter("_name")
_COLLECTIONS = {
    OutPort: "out_ports",
    InPort: "in_ports",
    RefPort: "ref_ports",
    VarPort: "var_ports",
}


def destinations(port: Any) -> list[Any]:
    """Return the ports that an OutPort leads to, as Lava's ``get_dst_ports`` does."""
    out = port.out_connections
    if any(target.out_connections for target in out):
        return port.get_dst_ports()  # type: ignore[no-any-return]
    return out  # type: ignore[no-any-return]


def made_vars(process: AbstractProcess) -> list[Any]:
    """Return the Vars of a Process; of one that makes them when asked, those that are there."""
    if isinstance(process, LazyProcess):
        return [value for value in vars(process).values() if type(value) is Var]
    return list(process.vars.members)


def _outwards(process: AbstractProcess) -> Iterable[AbstractProcess]:
    around: AbstractProcess | None = process
    while around is not None:
        yield around
        around = around.parent_proc


def _root(process: AbstractProcess) -> AbstractProcess:
    *_, outermost = _outwards(process)
    return outermost


def _ports(process: AbstractProcess) -> list[Any]:
    if isinstance(process, LazyProcess):
        return process.made_ports
    return [port for kind in _COLLECTIONS for port in ports_of(process, kind)]


def _neighbours(port: Any) -> list[Any]:
    sources = port.in_connections
    if any(source.in_connections for source in sources):
        sources = port.get_src_ports()
    return [*destinations(port), *sources]


class _Selection:
    """A run configuration for Lava's mapping that looks a Process class up only once."""

    def __init__(self, run_cfg: Any) -> None:
        self._run_cfg = run_cfg
        self._models: dict[type, list[Any]] = {}
        self.exception_proc_model_map = self

    def __contains__(self, process: object) -> bool:
        return True

    def __getitem__(self, process: AbstractProcess) -> type[AbstractProcessModel]:
        known = getattr(self._run_cfg, "exception_proc_model_map", None)
        if known is not None and process in known:
            return known[process]  # type: ignore[no-any-return]
        kind = type(process)
        if kind not in self._models:
            try:
                self._models[kind] = ProcGroupDiGraphs._find_proc_models(proc=process)
            except NoProcessModelFound:
                self._models[kind] = []
        models = self._models[kind]
        if not models:
            raise ValidationError(
                f"{process.name}: no ProcessModel found for {kind.__name__}. Try: keep it in the "
                "module of the Process, or in the same folder"
            )
        try:
            return self._run_cfg.select(process, models)  # type: ignore[no-any-return]
        except AssertionError as error:
            names = ", ".join(f"{m.__name__} (tags {m.tags})" for m in models)
            raise ValidationError(
                f"{process.name}: no ProcessModel of {kind.__name__} fits the run configuration "
                f"({error}). Found: {names}"
            ) from error


def choose(
    graph: list[AbstractProcess], run_cfg: Any, executable: Any = None
) -> tuple[dict[AbstractProcess, Any], bool]:
    """Choose the ProcessModels of all connected Processes.

    Parameters
    ----------
    graph : list of AbstractProcess
        All that are connected.
    run_cfg : RunConfig
    executable : Executable or None
        What Lava's compiler has chosen already; then the run configuration does not count.

    Returns
    -------
    models : dict of Process to ProcessModel class
    asynchronous : bool
        Whether they follow AsyncProtocol, and not LoihiProtocol.

    Raises
    ------
    ValidationError
        If no ProcessModel fits.
    UnsupportedError
        If a Process needs what this runtime does not do.
    """
    if executable is not None:
        chosen = {process: b.proc_model for process, b in executable.proc_builders.items()}
    elif run_cfg is None:
        raise ValidationError(
            f"{graph[0].name}: needs a run configuration, or an executable from Process.compile"
        )
    else:
        chosen = ProcGroupDiGraphs._map_proc_to_model(graph, _Selection(run_cfg), [])
    first: dict[Any, AbstractProcess] = {}
    for process, model in chosen.items():
        process._model_class = model
        first.setdefault(model, process)
    protocols: dict[Any, str] = {}
    for model, process in first.items():
        label = f"{process.name} ({model.__name__})"
        if not issubclass(model, AbstractPyProcessModel):
            raise UnsupportedError(f"{label} is not a Python model")
        if model.implements_protocol not in (LoihiProtocol, AsyncProtocol):
            raise UnsupportedError(f"{label}: only LoihiProtocol and AsyncProtocol can be run")
        protocols.setdefault(model.implements_protocol, label)
    alone = len(protocols) > 1 and (
        any(issubclass(m, EventModel) for m in first) or any(map(_linked, chosen))
    )
    if alone:
        raise UnsupportedError(
            "beside EventModels and RefPorts the in-process runtime runs either steps or events: "
            + " but ".join(f"{label} follows {p.__name__}" for p, label in protocols.items())
            + ". Try: the same clock for all"
        )
    return chosen, AsyncProtocol in protocols


def _linked(process: AbstractProcess) -> bool:
    """Tell whether a RefPort leads from or to a Process."""
    return any(_neighbours(p) for kind in (RefPort, VarPort) for p in ports_of(process, kind))
