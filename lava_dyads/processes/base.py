"""The base of every Process here: Vars and ports read off an element of ``lava_dyads.rules``."""

from __future__ import annotations

import atexit
import importlib
import logging
import mmap
import multiprocessing.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import numpy as np
from lava.magma.core.process.process import ProcessServer
from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess
from lava.magma.runtime.runtime import Runtime

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import checked
from lava_dyads.elements import Element
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.plasticity import OF_DECORRELATION
from lava_dyads.errors import invalid
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.lazy import LazyProcess


def find_models() -> None:
    """Let Lava find the models of a Process, whoever has imported it.

    The one import that looks upwards, and the one that is made by name: models know the Processes
    they run, and no Process its models.
    """
    importlib.import_module("lava_dyads.models")


_SHARED: WeakSet[PresentationSchedule] = WeakSet()
"""Schedules whose registers are in shared memory; thousands of Processes may have the same."""


class NamedOutPort(OutPort):
    """An OutPort that names both ends where it cannot be connected."""

    def connect(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect to one or several InPorts, or OutPorts of the Process around."""
        if type(ports) is InPort and connection_configs is None and ports.shape == self.shape:
            ours, theirs = vars(self)["out_connections"], vars(ports)["in_connections"]
            known = ports in ours if len(ours) <= len(theirs) else self in theirs
            if not known:
                # As Lava, which makes a set of all connections so far for every new one.
                ours.append(ports)
                theirs.append(self)
                return
        for port in ports if isinstance(ports, list) else [ports]:
            if isinstance(port, InPort) and port.shape != self.shape:
                ends = [f"{end.process.name}.{end.name}" for end in (self, port)]
                invalid(" -> ".join(ends), f"the target needs shape {port.shape}", self.shape)
        super().connect(ports, connection_configs)


NamedOutPort.__name__ = OutPort.__name__  # Lava's compiler asks for it


class ElementProcess(LazyProcess):
    """A Process that is one element: its registers are Vars, its ports are ports.

    Ports have shape (n,) with one lane and (lanes, n) with more. Two more, ``command_in`` and
    ``report_out``, connect it with a conductor where the clock is asynchronous. The registers
    live in shared memory, so :meth:`read` returns a whole array at once, also while the network
    runs; ``Var.get`` and ``Var.set`` work too, element by element.

    Parameters
    ----------
    element : Element
        What the process does.
    schedule : PresentationSchedule or None
        When it does it; None: one endless presentation.
    name : str or None
    variables : tuple of str or None
        Registers that become Vars; None: all of them.
    """

    counts: Member[Var]
    sends: Member[Var]
    learn: Member[Var]
    window: Member[Var]
    command_in: Member[InPort]
    report_out: Member[OutPort]

    @checked
    def __init__(
        self,
        element: Element,
        *,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        variables: tuple[str, ...] | None = None,
    ) -> None:
        find_models()
        self.element = element
        self.schedule = schedule or PresentationSchedule(lanes=element.lanes)
        if self.schedule.lanes != element.lanes:
            invalid(f"{name}.schedule", f"needs {element.lanes} lanes", self.schedule.lanes)
        super().__init__(name or type(self).__name__)
        self._variables = variables
        element.map_memory(shared)
        if self.schedule not in _SHARED:
            _SHARED.add(self.schedule)
            self.schedule.learn = shared(self.schedule.learn)
            self.schedule.window = shared(self.schedule.window)

    def _parameters(self) -> dict[str, Any]:
        return {"name": self.name, "element": self.element, "schedule": self.schedule}

    def _planned(self, collection: str) -> list[str]:
        if collection == "vars":
            return list(self.registers(self._variables))
        if collection == "in_ports":
            return [*self.element.inputs, "command_in"]
        return [*self.element.outputs, "report_out"] if collection == "out_ports" else []

    def _member(self, name: str) -> Any:
        element = self.element
        if name in element.inputs:
            return InPort(self._port_shape(element.inputs[name]))
        if name in element.outputs:
            return NamedOutPort(self._port_shape(element.outputs[name]))
        if name in ("command_in", "report_out"):
            return control_ports()[name]
        value = self.registers(self._variables).get(name)
        if value is None:
            return None
        shape = self._shape(value)
        return Var(shape, init=value.reshape(shape))

    def registers(self, variables: tuple[str, ...] | None = None) -> dict[str, AnyArray]:
        """Return the values of the Vars by name: the element's memory, ``learn`` and ``window``."""
        memory = self.element.memory
        if variables is None:  # what one optimiser alone has is no Var of every model
            variables = tuple(n for n in memory if not n.endswith(OF_DECORRELATION))
        chosen = {name: memory[name] for name in variables}
        return {**chosen, "learn": self.schedule.learn, "window": self.schedule.window}

    @checked
    def read(self, register: str) -> AnyArray:
        """Return a copy of a register, in the shape of its Var.

        Raises
        ------
        ValidationError
            If there is no such register.
        """
        registers = self.registers()
        if register not in registers:
            invalid(f"{self.name}.read", "unknown register", register, ", ".join(sorted(registers)))
        value = registers[register]
        return value.reshape(self._shape(value)).copy()

    def _port_shape(self, n: int) -> tuple[int, ...]:
        return (n,) if self.element.lanes == 1 else (self.element.lanes, n)

    def _shape(self, value: AnyArray) -> tuple[int, ...]:
        """Leave out the axis of a single lane, as on the ports."""
        one_lane = value.ndim == 2 and value.shape[0] == 1 and self.element.lanes == 1
        return value.shape[1:] if one_lane else value.shape


def control_ports() -> dict[str, Any]:
    """Return the ports by which a Process follows a :class:`Conductor`.

    ``command_in`` takes [command, presentation], ``report_out`` answers [messages sent, received].
    """
    return {"command_in": InPort((2,)), "report_out": NamedOutPort((2,))}


@contextmanager
def own_logging() -> Iterator[None]:
    """Undo what Lava does to the root logger: every Process would add one more handler."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def shared(array: AnyArray) -> AnyArray:
    """Return the array if it is in anonymous shared memory, else a copy of it that is.

    Forked OS processes see the same memory; it has no name, so there is nothing to clean up.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, memoryview | mmap.mmap):
        return array
    memory, offset = _arena.take(array.nbytes)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


class _Arena:
    """Hands out pieces of anonymous shared memory; small ones share a block.

    A map per register would run into the system's limit (65,530 on Linux) with a few thousand
    Processes. A block is freed when the last array in it is.
    """

    block_size = 1 << 20
    alignment = 64

    def __init__(self) -> None:
        self._block: mmap.mmap | None = None
        self._used = 0

    def take(self, size: int) -> tuple[mmap.mmap, int]:
        """Return memory and the offset of a piece of it."""
        if size > self.block_size // 8:
            return mmap.mmap(-1, size), 0
        if self._block is None or self._used + size > self.block_size:
            self._block, self._used = mmap.mmap(-1, self.block_size), 0
        offset = self._used
        self._used += -(-max(1, size) // self.alignment) * self.alignment
        return self._block, offset


_arena = _Arena()


@atexit.register  # after multiprocessing.util, which would wait for them for ever
def _end_actors() -> None:
    """End what a program has left running on Lava's runtime."""
    for process in ProcessServer().processes:
        if isinstance(process._runtime, Runtime):
            # Lava's __del__ would ask the dead to stop.
            process._runtime._is_started, process._runtime = False, None
    for child in multiprocessing.active_children():
        if child._parent_pid != os.getpid():  # type: ignore[attr-defined]
            # A forked OS process inherits the list, but must not end what is not its own.
            multiprocessing.process._children.discard(child)  # type: ignore[attr-defined]
        elif isinstance(child, SystemProcess):
            child.kill()
