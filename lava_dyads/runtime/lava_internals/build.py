"""From Lava Processes to ProcessModels that run in this OS process, in linear time.

Lava's own compiler copies graphs (about cubic in the number of Processes); this module walks
from port to port once. It uses Lava's Processes, ports, builders and models as they are.
"""

from __future__ import annotations

import functools
import itertools
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
from lava.magma.core.process.ports.ports import ImplicitVarPort, OutPort, create_port_id
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import DyadsError, ModelError, UnsupportedError, ValidationError, invalid
from lava_dyads.models.events import EventModel, data_ports
from lava_dyads.models.shell import ElementModel, RegisterModel
from lava_dyads.processes.virtual import neuron_of
from lava_dyads.runtime.isolation import own_class, own_copy, own_parameters
from lava_dyads.runtime.pipes import Pipe, Side
from lava_dyads.runtime.randomness import SWITCH, Stream, own_states, swapped
from lava_dyads.runtime.scheduler import Channel, Inbox, Outbox, Task, Turn
from lava_dyads.runtime.stacks import StackTask
from lava_dyads.runtime.virtual_time.engine import (
    DrivenTask,
    EventHub,
    EventMailbox,
    Selector,
    Service,
    Slot,
    Wire,
)

CHANNEL_SIZE = 64
"""Messages that fit into a channel, as in Lava's runtime."""


class _End:
    """One end of a channel, in the form Lava's ports and models expect."""

    __slots__ = ()
    channel: Any

    @property
    def _queue(self) -> Any:
        """What holds the messages; lava.proc.io asks it for its ``qsize``."""
        return self.channel

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a message."""
        return self.channel.shape  # type: ignore[no-any-return]

    @property
    def d_type(self) -> Any:
        """Element type of a message."""
        return self.channel.dtype

    @property
    def size(self) -> int:
        """Messages that fit."""
        return self.channel.size  # type: ignore[no-any-return]

    def start(self) -> None:
        """Nothing to start."""

    def join(self) -> None:
        """Nothing to end."""


class SendEnd(_End, CspSendPort):  # type: ignore[misc]
    """The sending end of a channel."""

    __slots__ = ("_name", "channel")

    def __init__(self, name: str, channel: Any) -> None:
        self._name, self.channel = name, channel

    def send(self, data: Any) -> None:
        """Send; wait while the channel is full."""
        self.channel.send(data)

    def probe(self) -> bool:
        """Tell whether a send would not wait."""
        return bool(self.channel.free())


class RecvEnd(_End, CspRecvPort):  # type: ignore[misc]
    """The receiving end of a channel."""

    __slots__ = ("_name", "channel")

    def __init__(self, name: str, channel: Any) -> None:
        self._name, self.channel = name, channel

    def recv(self) -> AnyArray:
        """Receive; wait while the channel is empty."""
        return self.channel.recv()  # type: ignore[no-any-return]

    def probe(self) -> bool:
        """Tell whether a message waits."""
        return bool(self.channel.probe())

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it."""
        return self.channel.peek()  # type: ignore[no-any-return]


class Answers:
    """Stands in for the ports to Lava's runtime service: what models ask for after a phase."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def send(self, answer: Any) -> None:
        """Note an answer of Lava's protocol (0: done)."""
        self.asked.add(answer.item())

    def join(self) -> None:
        """Nothing to end."""


@dataclass
class Node:
    """A Process with its running model.

    Attributes
    ----------
    process, model : the Process and its model instance
    task : Task, or StackTask where it is asynchronous
    """

    process: AbstractProcess
    model: Any
    task: Any

    def spikes(self, measuring: bool) -> list[Turn]:
        """Return the turns in a spiking phase.

        Lava's own handler does the same by way of messages; these ask only the guards that a
        model has, which makes a step three times as fast. The phase is set once for many
        steps, by :meth:`enter`.

        An element that speaks before it hears has a turn for each, so that it need not wait in
        between; but only one where it is measured.
        """
        kind, plain = type(self.model), PyLoihiProcessModel
        if kind._spike is not plain._spike:
            return [self._turn(kind._spike)]
        if any(getattr(kind, g) is not getattr(plain, g) for g in _GUARDS):
            return [self._turn(_spike_and_ask)]
        hears = any(getattr(self.model, port.name).csp_ports for port in self.process.in_ports)
        two = hears and only_looks(self.model) and not self.model.element.answers
        if two and self.task.swap is None and not measuring:
            return [(self.task, _speak, self.model), (Task(self.task.label), _hear, self.model)]
        return [self._turn(_spike)]

    @property
    def foreign_ends(self) -> list[Any]:
        """The ends by which its model sends on channels of Lava's own, as VarWire does."""
        values = vars(self.model).values()
        return [v for v in values if isinstance(v, CspSendPort) and not isinstance(v, SendEnd)]

    def handler(self, name: str) -> Turn | None:
        """Return the turn in another phase, with Lava's handler; None if it would do nothing."""
        kind, plain = type(self.model), PyLoihiProcessModel
        idle = all(getattr(kind, n) is getattr(plain, n) for n in (*_GUARDS, *_PHASES))
        return None if idle else self._turn(getattr(kind, name))

    def march(self, steps: int | None, meet: Callable[[], int | None]) -> None:
        """Run time steps beside asynchronous models.

        Parameters
        ----------
        steps : int or None
            None: until the meeting says so.
        meet : callable
            Waits for the others that run in steps; returns the phase that comes next, 0 at the
            end of the time step, None at the end of the run.
        """
        kind, plain = type(self.model), PyLoihiProcessModel
        spike = _spike_and_ask if kind._spike is plain._spike else kind._spike
        for _ in itertools.count() if steps is None else range(steps):
            self.enter()
            spike(self.model)
            while phase := meet():
                getattr(self.model, PHASES[phase])()
            if phase is None:
                break
        self.host()

    @property
    def steps(self) -> bool:
        """Whether it runs in steps, and not by messages."""
        return bool(self.model.implements_protocol is LoihiProtocol)

    def enter(self) -> None:
        """Begin the spiking phase."""
        self.model.phase = PyLoihiProcessModel.Phase.SPK

    def host(self) -> None:
        """Begin the host phase."""
        self.model._host()

    def _turn(self, job: Callable[[Any], None]) -> Turn:
        """Let a job draw from the task's own random state, if it has one."""
        swap = self.task.swap
        if swap is None:
            return self.task, job, self.model

        def owned(model: Any) -> None:
            with swapped(swap):
                job(model)

        return self.task, owned, self.model


def _spike(model: Any) -> None:
    """Take one step of a model without guards."""
    # Straight into the instance: Lava's __setattr__ looks for ports each time.
    state = model.__dict__
    state["time_step"] += 1
    model.run_spk()
    if state["_req_pause"] or state["_req_stop"]:
        model._handle_pause_or_stop_req()


def _speak(model: Any) -> None:
    """Begin one step of an element's model."""
    model.__dict__["time_step"] += 1
    model.speak()


def _hear(model: Any) -> None:
    """End it."""
    model.hear()
    state = model.__dict__
    if state["_req_pause"] or state["_req_stop"]:
        model._handle_pause_or_stop_req()


def _spike_and_ask(model: Any) -> None:
    """Take one step of a model; ask for the phases that its guards want."""
    state = model.__dict__
    state["time_step"] += 1
    model.run_spk()
    if state["_req_pause"] or state["_req_stop"]:
        model._handle_pause_or_stop_req()
    elif model.lrn_guard() and model.pre_guard():  # as often as Lava asks: a guard may draw
        model.process_to_service.send(_ASK.REQ_PRE_LRN_MGMT)
    elif model.lrn_guard():
        model.process_to_service.send(_ASK.REQ_LEARNING)
    elif model.post_guard():
        model.process_to_service.send(_ASK.REQ_POST_LRN_MGMT)


PHASES = {-4: "_pre_mgmt", -5: "_lrn", -6: "_post_mgmt"}
"""Lava's phases by what a model asks for at the end of one (LoihiProtocol)."""
_GUARDS = ("lrn_guard", "pre_guard", "post_guard")
_PHASES = ("_pre_mgmt", "_lrn", "_post_mgmt")
_ASK = PyLoihiProcessModel.Response


def await_arrival(ends: list[Any], patience: float = 0.25) -> None:
    """Wait until what was sent on channels of Lava's own has arrived: threads carry it."""
    deadline = time.monotonic() + patience
    for end in ends:
        while end._req is not None and end._req.get_value() and time.monotonic() < deadline:
            time.sleep(0.0002)
    if ends:
        time.sleep(0.005)  # from the hands of the thread into the queue


def process_count() -> int:
    """Return how many Processes have been made so far; it never falls."""
    return int(ProcessServer()._next_id)


def forget(processes: Iterable[AbstractProcess]) -> None:
    """Take Processes and their Vars off Lava's global lists, which would keep them for ever."""
    gone = {id(process) for process in processes}
    server, variables = ProcessServer(), VarServer()
    server.processes[:] = [p for p in server.processes if id(p) not in gone]
    variables.vars[:] = [v for v in variables.vars if id(v.process) not in gone]


def assign(process: AbstractProcess, runtime: Any) -> None:
    """Let a Process, and those around it, ask a runtime for their Vars."""
    around: AbstractProcess | None = process
    while around is not None:
        around._runtime = runtime
        around = around.parent_proc


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


def build(chosen: dict[AbstractProcess, Any], hub: Any, answers: Answers) -> list[Node]:
    """Make the models of connected Processes, with channels between their ports.

    Parameters
    ----------
    chosen : dict of Process to ProcessModel class
    hub : Hub or EventHub
        Runs the models.
    answers : Answers
        Takes what models ask for.

    Raises
    ------
    ValidationError
        If a message does not fit the port that it goes to.
    """
    wiring = _Wiring(hub, {process: _builder(process) for process in chosen})
    for process in chosen:
        wiring.connect(process)
    for process in chosen:
        wiring.open_pipes(process)
    state = np.random.get_state(legacy=False)
    kind = StackTask if isinstance(hub, EventHub) else Task
    builders = enumerate(wiring.builders.items())
    nodes = [_node(p, b, answers, (state, i), kind) for i, (p, b) in builders]
    if isinstance(hub, EventHub):
        _attach(hub, nodes)
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
    hub : Hub or EventHub
    builders : dict of Process to PyProcessBuilder
    """

    def __init__(self, hub: Any, builders: dict[Any, Any]) -> None:
        self.hub, self.builders = hub, builders
        self._inboxes: dict[int, Inbox] = {}
        self._places: dict[int, list[int | None]] = {}
        """Per InPort and source: which entry of the port's message the source fills."""

    def connect(self, process: AbstractProcess) -> None:
        """Make the channels that begin at a Process."""
        for port in process.out_ports:
            for target in port.get_dst_ports():
                if target.process in self.builders:  # else it leads nowhere
                    self._connect_io(process, port, target)
        for port in process.ref_ports:
            for target in port.get_dst_ports():
                if target.process in self.builders:
                    self._channel(process, port, target)
                    self._channel(target.process, target, port)

    def open_pipes(self, process: AbstractProcess) -> None:
        """Make the external pipes of a Process; in its ports they come last, as in Lava."""
        for port in [*process.in_ports, *process.out_ports]:
            if not port.external_pipe_flag:
                continue
            name = f"{process.name}.{port.name}"
            size, outward = port.external_pipe_buffer_size, isinstance(port, OutPort)
            pipe = Pipe(self.hub, name, port.shape, _dtype(port), size, outward)
            if isinstance(self.hub, EventHub):
                pipe.inside.probe = self.hub.polled(pipe.inside)  # type: ignore[method-assign]
            self.hub.pipes.append(pipe)
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
        if entry is not None and not isinstance(self.hub, EventHub):
            del initializer.transform_funcs[source]  # done where the message is sent
        if not transforms and port.shape != target.shape:
            names = f"{process.name}.{port.name} -> {target.process.name}.{target.name}"
            invalid(names, f"the target needs messages of shape {target.shape}", port.shape)
        self._places.setdefault(id(target), []).append(place)
        inbox = self._inboxes.setdefault(id(target), Inbox())
        self._channel(process, port, target, inbox, entry)

    def _channel(
        self,
        source: AbstractProcess,
        port: Any,
        target: Any,
        inbox: Inbox | None = None,
        entry: int | None = None,
    ) -> None:
        names = f"{source.name}.{port.name}", f"{target.process.name}.{target.name}"
        shape, dtype = port.shape, _dtype(port)
        if isinstance(self.hub, EventHub):
            ends = source.model_class, target.process.model_class
            ordered = not all(issubclass(model, EventModel) for model in ends)
            channel: Any = self.hub.wire(*names, shape, dtype, ordered)
        else:
            channel = Channel(self.hub, *names, shape, dtype, CHANNEL_SIZE, inbox, entry)
        self._add(source, SendEnd(port.name, channel))
        end = RecvEnd(target.name, channel)
        self._add(target.process, end)
        receiving = self.builders[target.process]
        receiving.add_csp_port_mapping(create_port_id(source.id, port.name), end)

    def _add(self, process: AbstractProcess, end: Any) -> None:
        self.builders[process].csp_ports.setdefault(end.name, []).append(end)

    # Ports get direct ways to their channels: Lava's send() copies for every channel, its
    # recv() transforms and adds source by source. The result is the same, to the bit.

    def shorten_in(self, node: Node) -> None:
        """Let InPorts take from their inbox, and choose the form of messages in there."""
        for port in node.process.in_ports:
            inbox, py_port = self._inboxes.get(id(port)), getattr(node.model, port.name)
            if inbox is None or port.external_pipe_flag or type(py_port) is not PyInPortVectorDense:
                continue
            dtype, shape = np.dtype(py_port._d_type), port.shape
            if dtype.kind not in "iuf" or any(c.dtype != dtype for c in inbox.channels):
                continue
            inbox.shape(shape, dtype)
            places = self._places[id(port)]
            filled = [place for place in places if place is not None]
            real = dtype == np.float64
            if isinstance(py_port._transformer, IdentityTransformer):
                inbox.scalar = real and shape == (1,)
                if inbox.scalar:
                    py_port.recv = inbox.number
                elif len(places) == 1:
                    inbox.borrows = only_looks(node.model)
                    py_port.recv = inbox.borrowed if inbox.borrows else inbox.single
                else:
                    inbox.borrows = True  # makes an array of its own
                    py_port.recv = inbox.summed
            elif len(filled) == len(places) == len(set(filled)):
                one = all(channel.shape == (1,) for channel in inbox.channels)
                inbox.scalar = real and one and len(shape) == 1
                inbox.entries, py_port.recv = filled, inbox.gathered
                inbox.borrows = True

    def shorten_out(self, node: Node) -> None:
        """Let OutPorts copy once for all their channels."""
        for port in node.process.out_ports:
            py_port = getattr(node.model, port.name)
            channels = [end.channel for end in py_port.csp_ports]
            node.task.outgoing += [c for c in channels if isinstance(c, Channel)]
            dense = type(py_port) is PyOutPortVectorDense and not port.external_pipe_flag
            if dense and channels:
                py_port.send = Outbox(channels, given=only_looks(node.model)).send


def only_looks(model: Any) -> bool:
    """Tell whether a model leaves messages as they are, sent or received, and keeps none.

    Elements of this library do. They also take part in every step, so that no message is left
    for the next one.
    """
    if not isinstance(model, ElementModel) or type(model).run_spk is not ElementModel.run_spk:
        return False
    element = model.element
    ours = type(element).__module__.startswith("lava_dyads.")
    return ours and not vars(element).keys() & {"before", "after"}


def _attach(hub: EventHub, nodes: list[Node]) -> None:
    """Give asynchronous models what they wait with; event-driven ones a mailbox."""
    boxes: dict[Any, EventMailbox] = {}
    for node in nodes:
        model = node.model
        model.service_to_process = Service(hub, MGMT_COMMAND.PAUSE)
        model._selector = Selector(hub)
        if not hasattr(model, "_mailbox"):
            continue
        if isinstance(model, EventModel) and type(model).run_async is EventModel.run_async:
            old = node.task
            node.task = DrivenTask(old.label, model, hub, old.swap, old.stream)
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
    if isinstance(wire, Side):
        box.hub.inlets.append((wire, slot, box))
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
        [VarInitializer(v.name, v.shape, own_copy(v.init), v.id) for v in process.vars]
    )
    io_ports = [*process.in_ports, *process.out_ports]
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
