"""Which Processes are connected, and which ProcessModels run them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.compiler.exceptions import NoProcessModelFound
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import AbstractPyProcessModel
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
    found: dict[int, AbstractProcess] = {}
    todo = [_root(start)]
    while todo:
        process = todo.pop()
        if process.id in found:
            continue
        found[process.id] = process
        around = {p.process for port in _ports(process) for p in _neighbours(port)}
        todo += map(_root, around)
    return [found[key] for key in sorted(found)]


def made_vars(process: AbstractProcess) -> list[Any]:
    """Return the Vars of a Process; of one that makes them when asked, those that are there."""
    if isinstance(process, LazyProcess):
        return [value for value in vars(process).values() if isinstance(value, Var)]
    return list(process.vars.members)


def _outwards(process: AbstractProcess) -> Iterable[AbstractProcess]:
    around: AbstractProcess | None = process
    while around is not None:
        yield around
        around = around.parent_proc


def _root(process: AbstractProcess) -> AbstractProcess:
    *_, outermost = _outwards(process)
    return outermost


def _ports(process: AbstractProcess) -> Iterable[Any]:
    if isinstance(process, LazyProcess):
        yield from process.made_ports
        return
    for group in (process.out_ports, process.in_ports, process.ref_ports, process.var_ports):
        yield from group.members


def _neighbours(port: Any) -> list[Any]:
    return [*port.get_dst_ports(), *port.get_src_ports()]


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
    start: AbstractProcess, run_cfg: Any, executable: Any = None
) -> tuple[dict[AbstractProcess, Any], bool]:
    """Choose the ProcessModels of all connected Processes.

    Parameters
    ----------
    start : AbstractProcess
        Any Process of the graph.
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
            f"{start.name}: needs a run configuration, or an executable from Process.compile"
        )
    else:
        chosen = ProcGroupDiGraphs._map_proc_to_model(discover(start), _Selection(run_cfg), [])
    protocols: dict[Any, str] = {}
    for process, model in chosen.items():
        process._model_class = model
        label = f"{process.name} ({model.__name__})"
        if not issubclass(model, AbstractPyProcessModel):
            raise UnsupportedError(f"{label} is not a Python model")
        if model.implements_protocol not in (LoihiProtocol, AsyncProtocol):
            raise UnsupportedError(f"{label}: only LoihiProtocol and AsyncProtocol can be run")
        protocols.setdefault(model.implements_protocol, label)
    alone = any(issubclass(m, EventModel) or _linked(p) for p, m in chosen.items())
    if len(protocols) > 1 and alone:
        raise UnsupportedError(
            "beside EventModels and RefPorts the in-process runtime runs either steps or events: "
            + " but ".join(f"{label} follows {p.__name__}" for p, label in protocols.items())
            + ". Try: the same clock for all"
        )
    return chosen, AsyncProtocol in protocols


def _linked(process: AbstractProcess) -> bool:
    """Tell whether a RefPort leads from or to a Process."""
    return any(map(_neighbours, [*process.ref_ports, *process.var_ports]))
