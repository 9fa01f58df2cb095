"""The shell: one ProcessModel that drives any element in Lava's synchronous protocol."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules._types import AnyArray
from lava_dyads.rules.elements import Outbox


class ElementModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Drive an element: send what it has, receive, hand over, send the answer.

    Exactly one message per port and step, zeros for silence: this is what keeps Lava's
    blocking channels free of deadlock, whatever the graph.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.element = proc_params["element"]
        self.agenda = proc_params["agenda"]
        self._registers = {**self.element.memory, **vars(self.agenda)}
        self._prepared = False
        self._inputs: list[tuple[str, Any]] = []
        self._outputs: list[tuple[int, str, Any, AnyArray]] = []

    def __setattr__(self, key: str, value: Any) -> None:
        """Keep every Var in the shared memory of its register instead of a private array."""
        register = self.__dict__.get("_registers", {}).get(key)
        if register is not None:
            register[...] = value.reshape(register.shape)
            value = register.reshape(value.shape)
        super().__setattr__(key, value)

    def _prepare(self) -> None:
        """Note which ports are connected; the others cost nothing."""
        element = self.element
        self._inputs = [(port, getattr(self, port)) for port in element.inputs]
        self._outputs = []
        for i, port in enumerate(element.outputs):
            out = getattr(self, port)
            if out.csp_ports:
                self._outputs.append((i, port, out.send, np.zeros(out._shape)))
            else:
                element.listened.discard(port)
        self._prepared = True

    def run_spk(self) -> None:
        """Take one step of the element."""
        if not self._prepared:
            self._prepare()
        element = self.element
        clock = self.agenda.at(self.time_step)
        early = element.before(clock)
        if not element.answers:
            self._send(early)
        inbox = {}
        for port, entry in self._inputs:
            message = entry.recv()
            if np.count_nonzero(message):
                inbox[port] = message.reshape(element.lanes, -1)
        answer = element.after(clock, inbox)
        if element.answers:
            self._send(answer)

    def _send(self, outbox: Outbox) -> None:
        sends = self._registers["sends"]
        for i, port, send, silence in self._outputs:
            message = outbox.get(port)
            send(silence if message is None else message.reshape(silence.shape))
            sends[i] += 1


def make_model(
    process: type[ElementProcess],
    name: str,
    registers: dict[str, AnyArray],
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> type[ElementModel]:
    """Make the ProcessModel class of a Process: the shell with one LavaPyType per member.

    Parameters
    ----------
    process : class
        The Process it implements (LoihiProtocol, CPU, tag ``floating_pt``).
    name : str
        Name of the class.
    registers : dict of str to array
        Its Vars, with arrays of the right element type.
    inputs, outputs : iterable of str
        Its ports.
    """
    members: dict[str, Any] = {
        register: LavaPyType(np.ndarray, value.dtype.type) for register, value in registers.items()
    }
    members |= {port: LavaPyType(PyInPort.VEC_DENSE, float) for port in inputs}
    members |= {port: LavaPyType(PyOutPort.VEC_DENSE, float) for port in outputs}
    members["__doc__"] = f"Floating-point model of {process.__name__}: its element in the shell."
    model: type[ElementModel] = type(name, (ElementModel,), members)
    model = implements(proc=process, protocol=LoihiProtocol)(model)
    model = requires(CPU)(model)
    return tag("floating_pt")(model)  # type: ignore[no-any-return]


def bound(model: type[AbstractProcessModel]) -> type[AbstractProcessModel]:
    """Put a ProcessModel where Lava looks for it: into the module of its Process.

    Lava searches the folder of the Process, not the one of the model.
    """
    home = sys.modules[model.implements_process.__module__]
    if hasattr(home, model.__name__):
        raise AssertionError(f"{home.__name__} already has a {model.__name__}")
    model.__module__ = home.__name__
    setattr(home, model.__name__, model)
    return model
