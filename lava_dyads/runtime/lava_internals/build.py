"""From Lava Processes to ProcessModels that run in this OS process, in linear time.

Lava's own compiler copies graphs (about cubic in the number of Processes); this module walks
from port to port once. It uses Lava's Processes, ports, builders and models as they are.
"""

from __future__ import annotations

import functools
import traceback
from typing import Any

import numpy as np
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.compiler.utils import PortInitializer, VarInitializer, VarPortInitializer
from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.model.py.ports import (
    IdentityTransformer,
    PyInPortVectorDense,
    PyOutPortVectorDense,
    RefVarTypeMapping,
)
from lava.magma.core.process.ports.ports import (
    ImplicitVarPort,
    InPort,
    OutPort,
    RefPort,
    create_port_id,
)
from lava.magma.core.process.process import AbstractProcess
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

from lava_dyads.errors import DyadsError, invalid
from lava_dyads.models.element_model import RegisterModel
from lava_dyads.models.events import EventModel, PyConductorModel, data_ports
from lava_dyads.processes.virtual import neuron_of
from lava_dyads.runtime.channels import Channel, FanOut, ReceiveBuffer
from lava_dyads.runtime.failures import is_models_own, model_error
from lava_dyads.runtime.isolation import own_class, own_copy, own_parameters
from lava_dyads.runtime.lava_internals.discovery import destinations, ports_of
from lava_dyads.runtime.lava_internals.node import Node, only_looks
from lava_dyads.runtime.lava_internals.own_models import OwnBuilder, has_own_model
from lava_dyads.runtime.lava_internals.ports import Answers, RecvEnd, SendEnd
from lava_dyads.runtime.pipes import Pipe, Side
from lava_dyads.runtime.randomness import SWITCH, Stream, own_states, swapped
from lava_dyads.runtime.scheduler import Task
from lava_dyads.runtime.stacks import StackTask
from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine
from lava_dyads.runtime.virtual_time.lava_async import Selector, Service
from lava_dyads.runtime.virtual_time.mailbox import DrivenTask, EventMailbox
from lava_dyads.runtime.virtual_time.wire import Slot

CHANNEL_SIZE = 64
"""Messages that fit into a channel, as in Lava's runtime."""


def build(chosen: dict[AbstractProcess, Any], engine: Any, answers: Answers) -> list[Node]:
    """Make the models of connected Processes, with channels between their ports.

    Parameters
    ----------
    chosen : dict of Process to ProcessModel class
    engine : Scheduler or VirtualTimeEngine
        Runs the models.
    answers : Answers
        Takes what models ask for.

    Raises
    ------
    ValidationError
        If a message does not fit the port that it goes to.
    """
    wiring = _Wiring(engine, {process: _builder(process) for process in chosen})
    for process in chosen:
        wiring.connect(process)
    for process in chosen:
        wiring.open_pipes(process)
    state = np.random.get_state(legacy=False)
    builders = enumerate(wiring.builders.items())
    nodes = [_node(p, b, answers, (state, i), engine) for i, (p, b) in builders]
    if isinstance(engine, VirtualTimeEngine):
        _attach(engine, nodes)
        return nodes
    for node in nodes:
        wiring.shorten_in(node)
    for node in nodes:
        wiring.shorten_out(node)  # knows then how messages have to arrive
    return nodes


class _Entrance:
    """An InPort to which channels lead.

    Attributes
    ----------
    label : str
        'process.port'.
    functions : dict of str to list
        By source: what virtual ports do to its messages.
    buffer : ReceiveBuffer
    places : list of int or None
        Per source: which entry of the port's message it fills.
    channels : list or None
        Those of an own model's port.
    """

    __slots__ = (
        "buffer",
        "builder",
        "channels",
        "event_driven",
        "functions",
        "label",
        "name",
        "places",
    )

    def __init__(self, port: Any, builder: Any) -> None:
        self.builder, self.name, self.functions = builder, port.name, {}
        self.label = f"{port.process.name}.{port.name}"
        self.event_driven = issubclass(builder.proc_model, EventModel)
        self.buffer = ReceiveBuffer()
        self.places: list[int | None] = []
        own = isinstance(builder, OwnBuilder)
        self.channels = builder.channels.setdefault(port.name, []) if own else None
        if isinstance(builder, PyProcessBuilder):
            self.functions = builder.py_ports[port.name].transform_funcs
        elif any(source.in_connections for source in port.in_connections):
            self.functions = port.get_incoming_transform_funcs()


class _Wiring:
    """Makes the channels between the ports of Processes, for their builders.

    Parameters
    ----------
    engine : Scheduler or VirtualTimeEngine
    builders : dict of Process to PyProcessBuilder or OwnBuilder
    """

    def __init__(self, engine: Any, builders: dict[Any, Any]) -> None:
        self.engine, self.builders = engine, builders
        self._virtual = isinstance(engine, VirtualTimeEngine)
        self._entrances: dict[Any, _Entrance] = {}

    def connect(self, process: AbstractProcess) -> None:
        """Make the channels that begin at a Process."""
        builder = self.builders[process]
        for port in ports_of(process, OutPort):
            label, dtype = f"{process.name}.{port.name}", np.dtype(_dtype(port))
            event_driven = issubclass(builder.proc_model, EventModel)
            channels: list[Any] = []
            shape, entrances = port.shape, self._entrances
            for target in destinations(port):
                entrance = entrances.get(target) or self._enter(target)
                if entrance is None:  # it leads nowhere
                    continue
                own = entrance.channels
                plain = self._virtual and not entrance.functions and shape == target.shape
                if plain and own is not None:  # most channels of most networks
                    ordered = not (event_driven and entrance.event_driven)
                    wire = self.engine.wire(label, entrance.label, shape, dtype, ordered)
                    channels.append(wire)
                    own.append(wire)
                    continue
                channels.append(self._channel(port, target, entrance, label, dtype, event_driven))
            if not isinstance(builder, OwnBuilder):
                for channel in channels:
                    _add(builder, SendEnd(port.name, channel))
            elif channels:
                builder.channels[port.name] = channels
        for port in ports_of(process, RefPort):
            for target in port.get_dst_ports():
                if target.process in self.builders:
                    self._refer(port, target)
                    self._refer(target, port)

    def open_pipes(self, process: AbstractProcess) -> None:
        """Make the external pipes of a Process; in its ports they come last, as in Lava."""
        if isinstance(self.builders[process], OwnBuilder):
            return
        for port in [*ports_of(process, InPort), *ports_of(process, OutPort)]:
            if not port.external_pipe_flag:
                continue
            name = f"{process.name}.{port.name}"
            size, outward = port.external_pipe_buffer_size, isinstance(port, OutPort)
            pipe = Pipe(self.engine, name, port.shape, _dtype(port), size, outward)
            if self._virtual:
                pipe.inside.probe = self.engine.polled(pipe.inside)  # type: ignore[method-assign]
            self.engine.pipes.append(pipe)
            if outward:
                _add(self.builders[process], SendEnd(port.name, pipe.inside))
                port.external_pipe_csp_recv_port = RecvEnd(port.name, pipe.outside)
            else:
                _add(self.builders[process], RecvEnd(port.name, pipe.inside))
                port.external_pipe_csp_send_port = SendEnd(port.name, pipe.outside)

    def _enter(self, port: Any) -> _Entrance | None:
        """Return the entrance of an InPort; None if nobody runs its Process."""
        if port.process not in self.builders:
            return None
        self._entrances[port] = _Entrance(port, self.builders[port.process])
        return self._entrances[port]

    def _channel(
        self,
        port: Any,
        target: Any,
        entrance: _Entrance,
        label: str,
        dtype: Any,
        event_driven: bool,
    ) -> Any:
        """Make a channel; return it."""
        entry = place = None
        functions: list[Any] = []
        source, own = "", entrance.channels
        if entrance.functions or own is None:
            source = create_port_id(port.process.id, port.name)
            functions = entrance.functions.get(source, [])
            entry, place = neuron_of(functions)
        if not functions and port.shape != target.shape:
            limit = f"the target needs messages of shape {target.shape}"
            invalid(f"{label} -> {entrance.label}", limit, port.shape)
        if entry is not None and not self._virtual:
            del entrance.functions[source]  # done where the message is sent
            functions = []
        channel: Any
        if self._virtual:
            ordered = not (event_driven and entrance.event_driven)
            channel = self.engine.wire(label, entrance.label, port.shape, dtype, ordered)
        else:
            entrance.places.append(place)
            ends, shape = (label, entrance.label), port.shape
            buffer = entrance.buffer
            channel = Channel(self.engine, *ends, shape, dtype, CHANNEL_SIZE, buffer, entry)
        if own is not None:
            own.append(channel)
            if source:
                ways = entrance.builder.transforms.setdefault(entrance.name, {})
                ways[source] = channel, functions
        else:
            end = RecvEnd(entrance.name, channel)
            _add(entrance.builder, end)
            entrance.builder.add_csp_port_mapping(source, end)
        return channel

    def _refer(self, port: Any, target: Any) -> None:
        """Make one of the two channels between a RefPort and a VarPort."""
        begin, finish = (f"{end.process.name}.{end.name}" for end in (port, target))
        source, receiving = self.builders[port.process], self.builders[target.process]
        if self._virtual:
            channel: Any = self.engine.wire(begin, finish, port.shape, _dtype(port), True)
        else:
            channel = Channel(self.engine, begin, finish, port.shape, _dtype(port), CHANNEL_SIZE)
        _add(source, SendEnd(port.name, channel))
        end = RecvEnd(target.name, channel)
        _add(receiving, end)
        receiving.add_csp_port_mapping(create_port_id(port.process.id, port.name), end)

    # Ports get direct ways to their channels: Lava's send() copies for every channel, its
    # recv() transforms and adds source by source. The result is the same, to the bit.

    def shorten_in(self, node: Node) -> None:
        """Let InPorts take from their buffer, and choose the form of messages in there."""
        for port in ports_of(node.process, InPort):
            entrance = self._entrances.get(port)
            if entrance is None or port.external_pipe_flag:
                continue
            buffer, py_port = entrance.buffer, getattr(node.model, port.name)
            if type(py_port) is not PyInPortVectorDense:
                continue
            dtype, shape = np.dtype(py_port._d_type), port.shape
            if dtype.kind not in "iuf" or any(c.dtype != dtype for c in buffer.channels):
                continue
            buffer.shape(shape, dtype)
            places = entrance.places
            filled = [place for place in places if place is not None]
            real = dtype == np.float64
            if isinstance(py_port._transformer, IdentityTransformer):
                buffer.scalar = real and shape == (1,)
                if buffer.scalar:
                    py_port.recv = buffer.number
                elif len(places) == 1:
                    buffer.borrows = only_looks(node.model)
                    py_port.recv = buffer.borrowed if buffer.borrows else buffer.single
                else:
                    buffer.borrows = True  # makes an array of its own
                    py_port.recv = buffer.summed
            elif len(filled) == len(places) == len(set(filled)):
                one = all(channel.shape == (1,) for channel in buffer.channels)
                buffer.scalar = real and one and len(shape) == 1
                buffer.entries, py_port.recv = filled, buffer.gathered
                buffer.borrows = True

    def shorten_out(self, node: Node) -> None:
        """Let OutPorts copy once for all their channels."""
        for port in ports_of(node.process, OutPort):
            channels = node.channels(port.name)
            py_port = getattr(node.model, port.name)
            node.task.outgoing += [c for c in channels if isinstance(c, Channel)]
            dense = type(py_port) is PyOutPortVectorDense and not port.external_pipe_flag
            if dense and channels:
                py_port.send = FanOut(channels, zero_copy=only_looks(node.model)).send


def _add(builder: Any, end: Any) -> None:
    builder.csp_ports.setdefault(end.name, []).append(end)


def _attach(engine: VirtualTimeEngine, nodes: list[Node]) -> None:
    """Give asynchronous models what they wait with; event-driven ones a mailbox."""
    boxes: dict[Any, tuple[Node, EventMailbox]] = {}
    selector, service = Selector(engine), Service(engine, MGMT_COMMAND.PAUSE)
    for node in nodes:
        model = node.model
        conducts = isinstance(model, PyConductorModel)
        model.service_to_process = (
            Service(engine, MGMT_COMMAND.PAUSE, conducts) if conducts else service
        )
        model._selector = selector
        if hasattr(model, "_mailbox"):
            model._mailbox = _own_mailbox(engine, node) if node.own else _mailbox(engine, node)
            boxes[model] = node, model._mailbox
    listening = {wire: box for node, box in boxes.values() for wire in node.channels("command_in")}
    for node, box in boxes.values():
        ports = node.model.element.outputs if node.own else data_ports(node.model)[1]
        box.connect({name: node.channels(name) for name in ports})
        box.followers = [listening[wire] for wire in node.channels("command_out")]


def _own_mailbox(engine: VirtualTimeEngine, node: Node) -> EventMailbox:
    """Return the mailbox of a model that was made here."""
    ways: OwnBuilder = node.model._ways
    inputs = [name for name in node.model.element.inputs if name in ways.channels]
    slots = [Slot(name, getattr(node.process, name).shape) for name in inputs]
    box = EventMailbox(engine, node.task, slots)
    for slot in slots:
        for wire in ways.channels[slot.port]:
            wire.box, wire.slot = box, slot
        for wire, functions in ways.transforms.get(slot.port, {}).values():
            wire.entry, wire.offset = neuron_of(functions)
            if functions and wire.entry is None and wire.offset is None:
                wire.transform = functools.partial(_transformed, functions)
    return box


def _transformed(functions: list[Any], message: Any) -> Any:
    """Return what virtual ports make of a message."""
    for function in functions:
        message = function(message)
    return message


def _mailbox(engine: VirtualTimeEngine, node: Node) -> EventMailbox:
    """Return the mailbox of an event-driven model that Lava's builder has made."""
    model = node.model
    inputs, _ = data_ports(model)
    slots = {name: Slot(name, tuple(getattr(model, name)._shape)) for name in inputs}
    box = EventMailbox(engine, node.task, list(slots.values()), getattr(model, "max_deliveries", 0))
    for name, slot in slots.items():
        port = getattr(model, name)
        for end in port.csp_ports:
            _route(end, port, slot, box)
    return box


def _route(end: Any, port: Any, slot: Slot, box: EventMailbox) -> None:
    """Tell a wire where in the mailbox its messages go."""
    wire = end.channel
    if isinstance(wire, Side):
        box.engine.inlets.append((wire, slot, box))
        return
    wire.box, wire.slot = box, slot
    if isinstance(port._transformer, IdentityTransformer):
        return
    functions = port._transformer._csp_port_to_fp[end]
    wire.entry, wire.offset = neuron_of(functions)
    if wire.entry is None and wire.offset is None:
        wire.transform = functools.partial(port._transformer.transform, csp_port=end)


def _node(
    process: AbstractProcess,
    builder: Any,
    answers: Answers,
    begin: tuple[Any, int],
    engine: Any,
) -> Node:
    """Make a model; ``begin``: numpy's global state, and the number of the model."""
    kind: Any = builder.proc_model
    label = f"{process.name} ({kind.__name__})"
    ours = is_ours(kind)
    swap, stream = (None, None) if ours else (own_states(kind, begin[1]), Stream(begin[0]))
    if not ours:
        builder._proc_model = own_class(kind)
        builder.proc_params = own_parameters(process.proc_params)
    engine.building = label
    with swapped(swap), SWITCH.drawing(lambda: stream):
        try:
            model = builder.build()
        except DyadsError as error:
            raise type(error)(f"{label}: {error}") from error
        except BaseException as error:
            if not is_models_own(error):
                raise
            trace = traceback.format_exc()
            raise model_error(label, error, trace, "failed while it started:") from error
    model.process_to_service = answers
    if not isinstance(builder, OwnBuilder):
        for port in model.py_ports:
            port.start()
        # A class of its own must not be kept for ever.
        model.__class__ = _built(kind) if ours else _built.__wrapped__(builder.proc_model)
    return Node(process, model, _task(label, model, engine, swap, stream))


def _task(label: str, model: Any, engine: Any, swap: Any, stream: Any) -> Any:
    if not isinstance(engine, VirtualTimeEngine):
        return Task(label, swap, stream)
    if isinstance(model, EventModel) and type(model).run_async is EventModel.run_async:
        return DrivenTask(label, model, engine, swap, stream)
    return StackTask(label, swap, stream)


def is_ours(kind: type) -> bool:
    """Tell whether a ProcessModel is one of this library, which shares what it is given.

    Registers are in shared memory, and a user may hold on to the network that a model computes.
    """
    return issubclass(kind, RegisterModel) or kind.__module__.startswith("lava_dyads.")


@functools.cache
def _built(kind: Any) -> Any:
    """Return the class of a model whose ports are all there.

    Lava's __setattr__ looks at every value that is set, for ports, and doubles the cost of a
    small model.
    """
    if kind.__setattr__ is not AbstractPyProcessModel.__setattr__:
        return kind
    members = {"__setattr__": object.__setattr__, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), members)


def _builder(process: AbstractProcess) -> Any:
    model = process.model_class
    if has_own_model(process, model):
        return OwnBuilder(process, model)
    builder = PyProcessBuilder(model, process.id, process.proc_params)
    builder.set_variables(
        [VarInitializer(v.name, v.shape, own_copy(v.init), v.id) for v in process.vars.members]
    )
    io_ports = [*process.in_ports.members, *process.out_ports.members]
    builder.set_py_ports([_initializer(p, p.get_incoming_transform_funcs()) for p in io_ports])
    builder.set_ref_ports(
        [_initializer(p, p.get_outgoing_transform_funcs()) for p in process.ref_ports.members]
    )
    var_ports = []
    for port in process.var_ports.members:
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
