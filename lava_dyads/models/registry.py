"""The ProcessModels: one per Process, made from one base each, and the two granularities."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Protocol

import numpy as np
from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Element
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import UnsupportedError, ValidationError, message
from lava_dyads.executors.step import Network
from lava_dyads.models.element_model import ElementModel, bound, lava_members, make_model
from lava_dyads.models.events import ReactiveModel
from lava_dyads.plan.plan import OUTSIDE, Link
from lava_dyads.processes import (
    PARTS,
    DatasetSource,
    DyadNetwork,
    ElementProcess,
    GatherProcess,
    MetricSink,
    process_of,
)
from lava_dyads.processes.network import PARAMETERS
from lava_dyads.rules.arithmetic import Arithmetic, Loihi2


class _Exemplary(Protocol):
    """A Process class that can show its smallest element."""

    __name__: str

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Element:
        """Return the smallest element."""


LEAVES: dict[type[ElementProcess], type[ElementModel]] = {}
"""Synchronous floating-point ProcessModel of every Process, by Process class."""

FIXED_LEAVES: dict[type[ElementProcess], type[ElementModel]] = {}
"""Synchronous fixed-point ProcessModel of every Process, by Process class."""

EVENT_LEAVES: dict[type[ElementProcess], type[ReactiveModel]] = {}
"""Asynchronous, event-driven ProcessModel of every Process, by Process class."""


def _enter(process: type[ElementProcess], exemplary: type[_Exemplary]) -> None:
    element, schedule = exemplary.example(), PresentationSchedule()
    registers = {**element.memory, "learn": schedule.learn, "window": schedule.window}
    members = lava_members(registers, element.inputs, element.outputs)
    name = f"Py{process.__name__}Model"
    LEAVES[process] = bound(
        make_model(process, f"{name}Float", members, ElementModel, LoihiProtocol)
    )
    EVENT_LEAVES[process] = make_model(
        process, f"{name}Event", members, ReactiveModel, AsyncProtocol
    )


def _enter_fixed(process: type[ElementProcess], exemplary: type[_Exemplary]) -> None:
    element, schedule = exemplary.example(Loihi2()), PresentationSchedule()
    registers = {**element.memory, "learn": schedule.learn, "window": schedule.window}
    members = lava_members(registers, element.inputs, element.outputs, np.int32)
    name = f"Py{process.__name__}ModelFixed"
    FIXED_LEAVES[process] = bound(
        make_model(process, name, members, ElementModel, LoihiProtocol, Loihi2.name)
    )


_STREAMS: tuple[Any, ...] = (DatasetSource, MetricSink, GatherProcess)
for _process in (*PARTS, *_STREAMS):
    _enter(_process, _process)
    with suppress(ValidationError):  # what integers cannot do says so
        _enter_fixed(_process, _process)


def layer_processes(
    network: Network, schedule: PresentationSchedule, leave_out: Collection[str] = ()
) -> tuple[dict[str, ElementProcess], list[Link]]:
    """Make the Processes of the ``layer`` granularity, not yet connected.

    Parameters
    ----------
    network : Network
    schedule : PresentationSchedule
        Set to the network's steps.
    leave_out : collection of str
        Elements that get no Process here.

    Returns
    -------
    processes : dict of str to Process
        By the names of the network's elements.
    links : list of Link
        What :func:`connect` has to connect; ``OUTSIDE`` are the network's own ports.
    """
    schedule.steps, schedule.read_step = network.steps, network.read_step
    processes: dict[str, ElementProcess] = {}
    for name, element in network.elements.items():
        if name in leave_out:
            continue
        process: Any = process_of(element)
        processes[name] = process(element=element, schedule=schedule, name=name)
    return processes, network.links


def connect(processes: dict[str, ElementProcess], links: list[Link]) -> None:
    """Connect ports of Processes link by link; ``OUTSIDE`` may be among the processes."""
    for link in links:
        output = getattr(processes[link.source], link.output)
        entry = getattr(processes[link.target], link.input)
        output.connect(entry)


def lead(proc: DyadNetwork, processes: Iterable[ElementProcess]) -> None:
    """Pass a network's conductor on to its processes."""
    for process in processes:
        proc.command_in.connect(process.command_in)
        process.report_out.connect(proc.report_out)


def alias_weights(proc: DyadNetwork, processes: Mapping[str, Any]) -> None:
    """Let a network's Vars of weights be those of its connections."""
    for k, (name, connection) in enumerate(proc.network.connections.items(), 1):
        getattr(proc, f"weights_{k}").alias(processes[name].weights)
        if connection.separate:
            getattr(proc, f"feedback_{k}").alias(processes[name].feedback)


@bound
@implements(proc=DyadNetwork)
@tag("floating_pt", "layer")
class SubDyadNetworkModel(AbstractSubProcessModel):  # type: ignore[misc]
    """``layer``: one Process per element of the network, with the network's Vars as aliases."""

    conducted = False

    def __init__(self, proc: DyadNetwork) -> None:
        processes, links = layer_processes(proc.network, proc.schedule)
        for name, process in processes.items():
            # Lava finds sub-processes among the attributes only.
            setattr(self, f"part_{name}", process)
        connect({**processes, OUTSIDE: proc}, links)
        if self.conducted:
            lead(proc, processes.values())
        network = proc.network
        alias_weights(proc, processes)
        for k, name in enumerate(network.populations, 1):
            population: Any = processes[name]
            getattr(proc, f"biases_{k}").alias(population.bias)
        first = processes[next(iter(network.populations))]
        proc.learn.alias(first.learn)
        proc.window.alias(first.window)


@implements(proc=DyadNetwork)
@tag("floating_pt", "layer")
class EventSubDyadNetworkModel(SubDyadNetworkModel):
    """``layer`` with event-driven processes that follow a conductor."""

    conducted = True


@cache
def fused_model(parameters: tuple[str, ...], precision: str = "float") -> type[ElementModel]:
    """Return the ProcessModel of the ``network`` granularity for a network's parameters.

    It is made per set of them, since Lava wants a class attribute for every Var.
    """
    schedule = PresentationSchedule()
    dtype = np.float64 if precision == "float" else np.int32
    registers: dict[str, AnyArray] = {name: np.zeros(1, dtype) for name in parameters}
    registers |= {"learn": schedule.learn, "window": schedule.window}
    members = lava_members(registers, ("input_in", "target_in"), ("output_out",), dtype)
    kind = "Float" if precision == "float" else "Fixed"
    name = f"PyDyadNetwork{len(parameters)}Model{kind}"
    model: type[ElementModel] = make_model(
        DyadNetwork, name, members, ElementModel, LoihiProtocol, precision
    )
    return model


def leaf_of(process: ElementProcess, clock: str = "sync") -> type[ElementModel | ReactiveModel]:
    """Return the ProcessModel that runs a Process of this library by itself.

    Its number system is that of the element, so that no run configuration can get it wrong.
    """
    precision = process.element.arithmetic.name
    if precision != "float" and clock != "sync":
        raise UnsupportedError("precision loihi2: the chip's cores step together. Try: clock sync")
    if isinstance(process, DyadNetwork):
        parameters = (v for v in process.network.memory if v.startswith(PARAMETERS))
        return fused_model(tuple(parameters), precision)
    kind: Any = type(process)
    model = _leaf(kind, precision, clock)
    if model is None:
        what = f"{type(process).__name__}: there is no ProcessModel for it"
        hint = "precision float, or a model of your own and select_models"
        raise UnsupportedError(message(f"precision {precision}", what, process.name, hint))
    return model


@cache
def _leaf(kind: Any, precision: str, clock: str) -> type[ElementModel | ReactiveModel] | None:
    """Return the ProcessModel of a class of Processes; None if there is none."""
    leaves: Mapping[Any, Any] = LEAVES if clock == "sync" else EVENT_LEAVES
    if precision != "float":
        leaves = FIXED_LEAVES
    return next((leaves[cls] for cls in kind.__mro__ if cls in leaves), None)
