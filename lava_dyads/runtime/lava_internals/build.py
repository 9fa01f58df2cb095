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
from lava.magma.core.process.ports.ports import ImplicitVarPort, OutPort, create_port_id
from lava.magma.core.process.process import AbstractProcess
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

from lava_dyads.errors import DyadsError, ModelError, invalid
from lava_dyads.models.element_model import RegisterModel
from lava_dyads.models.events import EventModel, PyConductorModel, data_ports
from lava_dyads.processes.virtual import neuron_of
from lava_dyads.runtime.channels import Channel, FanOut, ReceiveBuffer
from lava_dyads.runtime.isolation import own_class, own_copy, own_parameters
from lava_dyads.runtime.lava_internals.node import Node, only_looks
from lava_dyads.runtime.lava_internals.ports import Answers, RecvEnd, SendEnd
from lava_dyads.runtime.pipes import Pipe, Side
from lava_dyads.runtime.randomness import SWITCH, Stream, own_states, swapped
from lava_dyads.runtime.scheduler import Task
from lava_dyads.runtime.stacks import StackTask
from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine
from lava_dyads.runtime.virtual_time.lava_async import Selector, Service
from lava_dyads.runtime.virtual_time.mailbox import DrivenTask, EventMailbox
from lava_dyads.runtime.virtual_time.wire import Slot, Wire

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
    kind = StackTask if isinstance(engine, VirtualTimeEngine) else Task
    builders = enumerate(wiring.builders.items())
    nodes = [_node(p, b, answers, (state, i), kind) for i, (p, b) in builders]
    if isinstance(engine, VirtualTimeEngine):
        _attach(engine, nodes)
        return nodes
    for node in nodes:
        wiring.shorten_in(node)
    for node in nodes:
        wiring.shorten_out(node)  # knows then how messages have to arrive
    return nodes


class _Wiring:
    """Makes the channels between the ports of Processes, for their builders.

    Parameters
    ----------
    engine : Scheduler or VirtualTimeEngine
    builders : dict of Process to PyProcessBuilder
    """

    def __init__(self, engine: Any, builders: dict[Any, Any]) -> None:
        self.engine, self.builders = engine, builders
        self._buffers: dict[int, ReceiveBuffer] = {}
        self._names: dict[int, str] = {}
        self._places: dict[int, list[int | None]] = {}
        """Per InPort and source: which entry of the port's message the source fills."""

    def connect(self, process: AbstractProcess) -> None:
        """Make the channels that begin at a Process."""
        for port in process.out_ports.members:
            for target in port.get_dst_ports():
                if target.process in self.builders:  # else it leads nowhere
                    self._connect_io(process, port, target)
        for port in process.ref_ports.members:
            for target in port.get_dst_ports():
                if target.process in self.builders:
                    self._channel(process, port, target)
                    self._channel(target.process, target, port)

    def open_pipes(self, process: AbstractProcess) -> None:
        """Make the external pipes of a Process; in its ports they come last, as in Lava."""
        for port in [*process.in_ports.members, *process.out_ports.members]:
            if not port.external_pipe_flag:
                continue
            name = f"{process.name}.{port.name}"
            size, outward = port.external_pipe_buffer_size, isinstance(port, OutPort)
            pipe = Pipe(self.engine, name, port.shape, _dtype(port), size, outward)
            if isinstance(self.engine, VirtualTimeEngine):
                pipe.inside.probe = self.engine.polled(pipe.inside)  # type: ignore[method-assign]
            self.engine.pipes.append(pipe)
            if outward:
                self._add(process, SendEnd(port.name, pipe.inside))
                port.external_pipe_csp_recv_port = RecvEnd(port.name, pipe.outside)
            else:
                self._add(process, RecvEnd(port.name, pipe.inside))
                port.external_pipe_csp_send_port = SendEnd(port.name, pipe.outside)

    def _connect_io(self, process: AbstractProcess, port: Any, target: Any) -> None:
        initializer = self.builders[target.process].py_ports[target.name]
        source = create_port_id(process.id, port.name)
        transforms = initializer.transform_funcs.get(source, [])
        entry, place = neuron_of(transforms)
        if entry is not None and not isinstance(self.engine, VirtualTimeEngine):
            del initializer.transform_funcs[source]  # done where the message is sent
        if not transforms and port.shape != target.shape:
            names = f"{process.name}.{port.name} -> {target.process.name}.{target.name}"
            invalid(names, f"the target needs messages of shape {target.shape}", port.shape)
        self._places.setdefault(id(target), []).append(place)
        buffer = self._buffers.setdefault(id(target), ReceiveBuffer())
        self._channel(process, port, target, buffer, entry)

    def _channel(
        self,
        source: AbstractProcess,
        port: Any,
        target: Any,
        buffer: ReceiveBuffer | None = None,
        entry: int | None = None,
    ) -> None:
        names = self._named(source, port), self._named(target.process, target)
        shape, dtype = port.shape, _dtype(port)
        if isinstance(self.engine, VirtualTimeEngine):
            ends = source.model_class, target.process.model_class
            ordered = not all(issubclass(model, EventModel) for model in ends)
            channel: Any = self.engine.wire(*names, shape, dtype, ordered)
        else:
            channel = Channel(self.engine, *names, shape, dtype, CHANNEL_SIZE, buffer, entry)
        self._add(source, SendEnd(port.name, channel))
        end = RecvEnd(target.name, channel)
        self._add(target.process, end)
        receiving = self.builders[target.process]
        receiving.add_csp_port_mapping(create_port_id(source.id, port.name), end)

    def _named(self, process: AbstractProcess, port: Any) -> str:
        """Return 'process.port', one text for all channels of a port."""
        if id(port) not in self._names:
            self._names[id(port)] = f"{process.name}.{port.name}"
        return self._names[id(port)]

    def _add(self, process: AbstractProcess, end: Any) -> None:
        self.builders[process].csp_ports.setdefault(end.name, []).append(end)

    # Ports get direct ways to their channels: Lava's send() copies for every channel, its
    # recv() transforms and adds source by source. The result is the same, to the bit.

    def shorten_in(self, node: Node) -> None:
        """Let InPorts take from their buffer, and choose the form of messages in there."""
        for port in node.process.in_ports.members:
            buffer, py_port = self._buffers.get(id(port)), getattr(node.model, port.name)
            if (
                buffer is None
                or port.external_pipe_flag
                or type(py_port) is not PyInPortVectorDense
            ):
                continue
            dtype, shape = np.dtype(py_port._d_type), port.shape
            if dtype.kind not in "iuf" or any(c.dtype != dtype for c in buffer.channels):
                continue
            buffer.shape(shape, dtype)
            places = self._places[id(port)]
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
        for port in node.process.out_ports.members:
            py_port = getattr(node.model, port.name)
            channels = [end.channel for end in py_port.csp_ports]
            node.task.outgoing += [c for c in channels if isinstance(c, Channel)]
            dense = type(py_port) is PyOutPortVectorDense and not port.external_pipe_flag
            if dense and channels:
                py_port.send = FanOut(channels, zero_copy=only_looks(node.model)).send


def _attach(engine: VirtualTimeEngine, nodes: list[Node]) -> None:
    """Give asynchronous models what they wait with; event-driven ones a mailbox."""
    boxes: dict[Any, EventMailbox] = {}
    for node in nodes:
        model = node.model
        conducts = isinstance(model, PyConductorModel)
        model.service_to_process = Service(engine, MGMT_COMMAND.PAUSE, conducts)
        model._selector = Selector(engine)
        if not hasattr(model, "_mailbox"):
            continue
        if isinstance(model, EventModel) and type(model).run_async is EventModel.run_async:
            old = node.task
            node.task = DrivenTask(old.label, model, engine, old.swap, old.stream)
        inputs, _ = data_ports(model)
        slots = {name: Slot(name, tuple(getattr(model, name)._shape)) for name in inputs}
        box = EventMailbox(
            engine, node.task, list(slots.values()), getattr(model, "max_deliveries", 0)
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
    task_kind: Any,
) -> Node:
    """Make a model; ``begin``: numpy's global state, and the number of the model."""
    kind: Any = builder.proc_model
    label = f"{process.name} ({kind.__name__})"
    ours = is_ours(kind)
    swap, stream = (None, None) if ours else (own_states(kind, begin[1]), Stream(begin[0]))
    if not ours:
        builder._proc_model = own_class(kind)
        builder.proc_params = own_parameters(process.proc_params)
    with swapped(swap), SWITCH.drawing(lambda: stream):
        try:
            model = builder.build()
        except DyadsError as error:
            raise type(error)(f"{label}: {error}") from error
        except (Exception, SystemExit) as error:
            trace = traceback.format_exc()
            raise ModelError(f"{label} failed while it started\n{trace}") from error
    task: Any = task_kind(label, swap, stream)
    model.process_to_service = answers
    for port in model.py_ports:
        port.start()
    # A class of its own must not be kept for ever.
    model.__class__ = _built(kind) if ours else _built.__wrapped__(builder.proc_model)
    return Node(process, model, task)


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
