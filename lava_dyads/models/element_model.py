"""One ProcessModel that drives any element in Lava's synchronous protocol."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.model.py.model import AbstractPyProcessModel, PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import invalid
from lava_dyads.processes.base import ElementProcess

LABELS = {"float": "floating_pt", "loihi2": "fixed_pt"}
"""Lava's tag of every number system."""


class RegisterModel(AbstractPyProcessModel):  # type: ignore[misc]
    """Base of models of one element: their Vars are the element's registers."""

    precision: ClassVar[str] = "float"
    """Number system of the elements it can run."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.take(proc_params["element"], proc_params["schedule"])
        self._registers = {**self.element.memory, **vars(self.schedule)}

    def take(self, element: Any, schedule: Any) -> None:
        """Take the element that it is to drive; refuse one that computes in other numbers."""
        computes = element.arithmetic.name
        if computes != self.precision:
            limit = f"a model of precision {self.precision} needs an element of that precision"
            invalid(type(self).__name__, limit, computes, f"select_tag='{LABELS[computes]}'")
        self.element, self.schedule = element, schedule

    def is_connected(self, port: str) -> bool:
        """Tell whether a channel begins or ends at a port."""
        return bool(getattr(self, port).csp_ports)

    def __setattr__(self, key: str, value: Any) -> None:
        """Keep every Var in the shared memory of its register instead of a private array."""
        register = self.__dict__.get("_registers", {}).get(key)
        if register is not None:
            register[...] = value.reshape(register.shape)
            value = register.reshape(value.shape)
        super().__setattr__(key, value)


class ElementModel(RegisterModel, PyLoihiProcessModel):  # type: ignore[misc]
    """Drive an element: send what it has, receive, hand over, send the answer.

    Exactly one message per port and step, zeros for silence: this is what keeps Lava's
    blocking channels free of deadlock, whatever the graph.
    """

    _wired: tuple[Any, ...] = ()
    _clock: Clock

    def _wire(self) -> tuple[Any, ...]:
        """Note which ports are connected; the others cost nothing."""
        element = self.element
        entries = [(p, getattr(self, p)) for p in element.inputs if self.is_connected(p)]
        numbers = element.arithmetic.dtype
        inputs = tuple(
            (port, _narrowed(entry.recv, numbers), _zeros(entry._shape)) for port, entry in entries
        )
        outputs = []
        for port in element.outputs:
            if self.is_connected(port):
                out = getattr(self, port)
                outputs.append((port, out.send, _zeros(out._shape)))
            else:
                element.listened.discard(port)
        self._wired = (element, self.schedule, inputs, tuple(outputs))
        return self._wired

    def run_spk(self) -> None:
        """Take one step of the element."""
        self.send()
        self.receive()

    def send(self) -> None:
        """Send what the messages of earlier steps have become; populations have nothing yet."""
        element, schedule, _, outputs = self._wired or self._wire()
        clock = schedule.at(self.time_step)
        self.__dict__["_clock"] = clock  # Lava's __setattr__ looks for ports each time
        outbox = element.before(clock)
        if not element.answers:
            _send(outbox, outputs)

    def receive(self) -> None:
        """Receive the messages of this step; populations answer."""
        element, _, inputs, outputs = self._wired
        clock, inbox = self._clock, {}
        for port, recv, zeros in inputs:
            message = recv()
            if message is not zeros and np.count_nonzero(message):
                inbox[port] = message.reshape(element.lanes, -1)
        answer = element.after(clock, inbox)
        if element.answers:
            _send(answer, outputs)
        if clock.last:
            # One message per port and step; noted once, for it costs as much as a message.
            for port, _, _ in outputs:
                element.memory["sends"][list(element.outputs).index(port)] += clock.step


@cache
def _zeros(shape: tuple[int, ...]) -> AnyArray:
    """Return zeros, the same for all; in-process they may reach who listens as they are."""
    zeros = np.zeros(shape)
    zeros.flags.writeable = False
    return zeros


def _narrowed(recv: Callable[[], AnyArray], numbers: np.dtype[Any]) -> Callable[[], AnyArray]:
    """Return a port's ``recv``, in the numbers of an element that is narrower than messages are.

    Else its products would be those of wider numbers, and not the fused network's.
    """
    if numbers != np.float32:
        return recv

    def narrow() -> AnyArray:
        message = recv()
        silent = message is _zeros(message.shape)
        return message if silent else message.astype(numbers, copy=False)

    return narrow


def _send(outbox: Outbox, outputs: tuple[Any, ...]) -> None:
    for port, send, zeros in outputs:
        message = outbox.get(port)
        send(zeros if message is None else message.reshape(zeros.shape))


def lava_members(
    registers: dict[str, AnyArray],
    inputs: Iterable[str],
    outputs: Iterable[str],
    dtype: type = float,
) -> dict[str, LavaPyType]:
    """Return a LavaPyType per Var and port, those for a conductor included.

    Parameters
    ----------
    registers : dict of str to array
        The Vars, with arrays of the right element type.
    inputs, outputs : iterable of str
        The ports.
    dtype : type
        Of the messages.
    """
    members = {name: LavaPyType(np.ndarray, v.dtype.type) for name, v in registers.items()}
    members |= {port: LavaPyType(PyInPort.VEC_DENSE, dtype) for port in inputs}
    members |= {port: LavaPyType(PyOutPort.VEC_DENSE, dtype) for port in outputs}
    members |= {"command_in": LavaPyType(PyInPort.VEC_DENSE, float)}
    members |= {"report_out": LavaPyType(PyOutPort.VEC_DENSE, float)}
    return members


def make_model(
    process: type[ElementProcess],
    name: str,
    members: dict[str, LavaPyType],
    base: Any,
    clock: Any,
    precision: str = "float",
) -> Any:
    """Make a ProcessModel class of a Process (CPU; tag ``floating_pt``, or ``fixed_pt``).

    Parameters
    ----------
    process : class
        The Process it implements.
    name : str
        Name of the class.
    members : dict of str to LavaPyType
        See ``lava_members``.
    base : class
        ``ElementModel`` or ``ReactiveModel``.
    clock : class
        The protocol that it is written for.
    precision : str
        ``float`` or ``loihi2``.
    """
    label = LABELS[precision]
    kind = {"floating_pt": "Floating-point", "fixed_pt": "Fixed-point"}[label]
    text = f"{kind} model of {process.__name__}: its element in a {base.__name__}."
    model = type(name, (base,), {**members, "__doc__": text, "precision": precision})
    model = implements(proc=process, protocol=clock)(model)
    return tag(label)(requires(CPU)(model))


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
