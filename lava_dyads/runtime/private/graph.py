"""From Lava Processes to ProcessModels that run in this OS process, in linear time.

Lava's own compiler copies graphs (about cubic in the number of Processes); this module walks
from port to port once. It uses Lava's Processes, ports, builders and models as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.compiler.exceptions import NoProcessModelFound
from lava.magma.compiler.utils import PortInitializer, VarInitializer, VarPortInitializer
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import AbstractPyProcessModel, PyLoihiProcessModel
from lava.magma.core.model.py.ports import (
    IdentityTransformer,
    PyInPortVectorDense,
    PyOutPortVectorDense,
    RefVarTypeMapping,
)
from lava.magma.core.process.ports.ports import ImplicitVarPort, create_port_id
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.models.events import data_ports
from lava_dyads.processes.virtual import neuron_of
from lava_dyads.rules._types import AnyArray
from lava_dyads.runtime.events import EventHub, EventMailbox, Selector, Service, Slot, Wire
from lava_dyads.runtime.hub import Channel, Task

CHANNEL_SIZE = 64
"""Messages that fit into a channel, as in Lava's runtime."""


class SendEnd(CspSendPort):  # type: ignore[misc]
    """The sending end of a channel, in the form Lava's ports expect."""

    def __init__(self, name: str, channel: Channel) -> None:
        self._name, self.channel = name, channel
        self._shape, self._dtype = channel.shape, channel.dtype
        self.send = channel.send

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""

    def probe(self) -> bool:
        """Tell whether a send would not wait."""
        return self.channel.free()


class RecvEnd(CspRecvPort):  # type: ignore[misc]
    """The receiving end of a channel, in the form Lava's ports expect."""

    def __init__(self, name: str, channel: Channel) -> None:
        self._name, self.channel = name, channel
        self._shape, self._dtype = channel.shape, channel.dtype
        self.recv = channel.recv

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""

    def probe(self) -> bool:
        """Tell whether a message waits."""
        return self.channel.probe()

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it."""
        message = self.channel.recv()
        self.channel.queue.appendleft(message)
        return message.copy()


class Answers:
    """Stands in for the ports to Lava's runtime service: what models ask for after a phase."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def send(self, answer: Any) -> None:
        """Note an answer of Lava's protocol (0: done)."""
        self.asked.add(int(np.asarray(answer).flat[0]))

    def join(self) -> None:
        """Nothing to end."""


@dataclass
class Node:
    """A Process with its running model.

    Attributes
    ----------
    process, model : the Process and its model instance
    task : Task
    """

    process: AbstractProcess
    model: Any
    task: Task

    def spike(self) -> Callable[[], None]:
        """Return the job of a spiking phase.

        Lava's own handler does the same by way of messages; this one asks only the guards
        that a model has, which makes a step three times as fast.
        """
        model, kind, plain = self.model, type(self.model), PyLoihiProcessModel
        if kind._spike is not plain._spike:
            return model._spike  # type: ignore[no-any-return]
        state, run = vars(model), model.run_spk
        guarded = any(getattr(kind, g) is not getattr(plain, g) for g in _GUARDS)

        def job() -> None:
            # Straight into the instance: Lava's __setattr__ looks for ports each time.
            state["time_step"] += 1
            state["phase"] = plain.Phase.SPK
            run()
            if state["_req_pause"] or state["_req_stop"]:
                model._handle_pause_or_stop_req()
            elif guarded:
                if model.lrn_guard():
                    early = model.pre_guard()
                    asked = _ASK.REQ_PRE_LRN_MGMT if early else _ASK.REQ_LEARNING
                    model.process_to_service.send(asked)
                elif model.post_guard():
                    model.process_to_service.send(_ASK.REQ_POST_LRN_MGMT)

        return job


_GUARDS = ("lrn_guard", "pre_guard", "post_guard")
_ASK = PyLoihiProcessModel.Response


def process_count() -> int:
    """Return how many Processes have been made so far; it never falls."""
    return int(ProcessServer()._next_id)


def forget(processes: Iterable[AbstractProcess]) -> None:
    """Take Processes and their Vars off Lava's global lists, which would keep them for ever."""
    gone = {id(process) for process in processes}
    server, variables = ProcessServer(), VarServer()
    server.processes[:] = [p for p in server.processes if id(p) not in gone]
    variables.vars[:] = [v for v in variables.vars if id(v.process) not in gone]


def discover(start: AbstractProcess) -> list[AbstractProcess]:
    """Return all top-level Processes that are connected with one, in order of creation."""
    found: dict[int, AbstractProcess] = {}
    todo = [_root(start)]
    while todo:
        process = todo.pop()
        if process.id in found:
            continue
        found[process.id] = process
        todo += [_root(p.process) for port in _ports(process) for p in _neighbours(port)]
    return [found[key] for key in sorted(found)]


def _root(process: AbstractProcess) -> AbstractProcess:
    while process.parent_proc is not None:
        process = process.parent_proc
    return process


def _ports(process: AbstractProcess) -> Iterable[Any]:
    for group in (process.out_ports, process.in_ports, process.ref_ports, process.var_ports):
        yield from list(group)


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


def choose(start: AbstractProcess, run_cfg: Any) -> tuple[dict[AbstractProcess, Any], bool]:
    """Choose the ProcessModels of all connected Processes.

    Parameters
    ----------
    start : AbstractProcess
        Any Process of the graph.
    run_cfg : RunConfig

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
    if len(protocols) > 1:
        raise UnsupportedError(
            "the in-process runtime runs either steps or events: "
            + " but ".join(f"{label} follows {p.__name__}" for p, label in protocols.items())
            + ". Try: the same clock for all"
        )
    return chosen, AsyncProtocol in protocols


def build(chosen: dict[AbstractProcess, Any], hub: Any, answers: Answers) -> list[Node]:
    """Make the models of connected Processes, with channels between their ports.

    Parameters
    ----------
    chosen : dict of Process to ProcessModel class
    hub : Hub or EventHub
        Runs the models.
    answers : Answers
        Takes what models ask for.
    """
    builders = {}
    for process in chosen:
        builders[process] = _builder(process)
    for process in chosen:
        for port in [*process.out_ports, *process.ref_ports]:
            for target in port.get_dst_ports():
                if target.process not in builders:
                    continue  # a port of a hierarchical Process that leads nowhere
                _connect(hub, builders, process, port, target)
                if port in list(process.ref_ports):
                    _connect(hub, builders, target.process, target, port)
    nodes = [_node(process, builder, answers) for process, builder in builders.items()]
    if isinstance(hub, EventHub):
        _attach(hub, nodes)
    return nodes


def _attach(hub: EventHub, nodes: list[Node]) -> None:
    """Give asynchronous models what they wait with; event-driven ones a mailbox."""
    boxes: dict[Any, EventMailbox] = {}
    for node in nodes:
        model = node.model
        model.service_to_process = Service(hub, MGMT_COMMAND.PAUSE)
        model._selector = Selector(hub)
        if not hasattr(model, "_mailbox"):
            continue
        inputs, _ = data_ports(model)
        slots = {name: Slot(name, tuple(getattr(model, name)._shape)) for name in inputs}
        box = EventMailbox(
            hub, node.task, list(slots.values()), getattr(model, "max_deliveries", 0)
        )
        for name, slot in slots.items():
            port = getattr(model, name)
            for end in port.csp_ports:
                _route(end, port, slot, box)
        model._mailbox = boxes[model] = box
    listening = {
        end.channel: boxes[model]
        for model in boxes
        for end in getattr(getattr(model, "command_in", None), "csp_ports", ())
    }
    for model, box in boxes.items():
        box.connect({name: _wires(model, name) for name in data_ports(model)[1]})
        box.followers = [listening[wire] for wire in _wires(model, "command_out")]


def _wires(model: Any, port: str) -> list[Wire]:
    return [end.channel for end in getattr(getattr(model, port, None), "csp_ports", ())]


def _route(end: Any, port: Any, slot: Slot, box: EventMailbox) -> None:
    """Tell a wire where in the mailbox its messages go."""
    wire = end.channel
    wire.box, wire.slot = box, slot
    if isinstance(port._transformer, IdentityTransformer):
        return
    functions = port._transformer._csp_port_to_fp[end]
    wire.entry, wire.offset = neuron_of(functions)
    if wire.entry is None and wire.offset is None:
        wire.transform = functools.partial(port._transformer.transform, csp_port=end)


def _node(process: AbstractProcess, builder: Any, answers: Answers) -> Node:
    label = f"{process.name} ({builder.proc_model.__name__})"
    model = builder.build()
    model.process_to_service = answers
    for port in model.py_ports:
        port.start()
        _shorten(port)
    kind: Any = type(model)
    model.__class__ = _built(kind)
    return Node(process, model, Task(label))


@cache
def _built(kind: Any) -> Any:
    """Return the class of a model whose ports are all there.

    Lava's __setattr__ looks at every value that is set, for ports, and doubles the cost of a
    small model.
    """
    if kind.__setattr__ is not AbstractPyProcessModel.__setattr__:
        return kind
    members = {"__setattr__": object.__setattr__, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), members)


def _shorten(port: Any) -> None:
    """Give a port with one plain partner a direct way to its channel.

    Lava's send() goes through a list of one; its recv() adds every source to zeros, of which
    0 + x remains for one source.
    """
    ends = port.csp_ports
    if type(port) is PyOutPortVectorDense and len(ends) == 1:
        port.send = ends[0].channel.send
    elif (
        type(port) is PyInPortVectorDense
        and len(ends) == 1
        and isinstance(port._transformer, IdentityTransformer)
    ):
        channel = ends[0].channel
        if channel.dtype == np.dtype(port._d_type) and channel.dtype.kind in "if":
            zero = channel.dtype.type(0)
            port.recv = lambda: channel.recv() + zero


def _builder(process: AbstractProcess) -> Any:
    model = process.model_class
    builder = PyProcessBuilder(model, process.id, process.proc_params)
    builder.set_variables([VarInitializer(v.name, v.shape, v.init, v.id) for v in process.vars])
    io_ports = [*process.in_ports, *process.out_ports]
    for port in io_ports:
        if port.external_pipe_flag:
            raise UnsupportedError(
                f"{process.name}.{port.name}: external pipes are not supported in-process yet. "
                "Try: Lava's own runtime"
            )
    builder.set_py_ports([_initializer(p, p.get_incoming_transform_funcs()) for p in io_ports])
    builder.set_ref_ports(
        [_initializer(p, p.get_outgoing_transform_funcs()) for p in process.ref_ports]
    )
    var_ports = []
    for port in process.var_ports:
        if isinstance(port, ImplicitVarPort):
            setattr(model, port.name, port)
        plain = _initializer(port, port.get_incoming_transform_funcs())
        kind = _var_port_class(port)
        arguments = (plain.name, plain.shape, port.var.name, plain.d_type, plain.port_type)
        var_ports.append(VarPortInitializer(*arguments, CHANNEL_SIZE, kind, plain.transform_funcs))
    builder.set_var_ports(var_ports)
    builder.check_all_vars_and_ports_set()
    return builder


def _initializer(port: Any, transforms: Any) -> PortInitializer:
    kind = type(port).__name__
    return PortInitializer(port.name, port.shape, _dtype(port), kind, CHANNEL_SIZE, transforms)


def _dtype(port: Any) -> Any:
    model = port.process.model_class
    member = port.var.name if hasattr(port, "var") else port.name
    return getattr(model, member).d_type


def _var_port_class(port: Any) -> Any:
    sources = port.get_src_ports()
    if not sources:
        return None
    return RefVarTypeMapping.get(getattr(sources[0].process.model_class, sources[0].name).cls)


def _connect(
    hub: Any, builders: dict[Any, Any], source: AbstractProcess, port: Any, target: Any
) -> None:
    names = f"{source.name}.{port.name}", f"{target.process.name}.{target.name}"
    shape, dtype = port.shape, _dtype(port)
    if isinstance(hub, EventHub):
        channel: Any = hub.wire(*names, shape, dtype)
    else:
        channel = Channel(hub, *names, shape, dtype, CHANNEL_SIZE)
    receiving = builders[target.process]
    builders[source].set_csp_ports([SendEnd(port.name, channel)])
    end = RecvEnd(target.name, channel)
    receiving.set_csp_ports([end])
    receiving.add_csp_port_mapping(create_port_id(source.id, port.name), end)
