"""Event-driven ProcessModels: one way to write them, for Lava's AsyncProtocol and in-process."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyAsyncProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Outbox
from lava_dyads.elements.reactive import HOLD_TIME, Command, Reactive, check_silent
from lava_dyads.models.element_model import RegisterModel, bound
from lava_dyads.models.mailbox import LavaMailbox, Mailbox
from lava_dyads.processes.conductor import Conductor

CONTROL = ("command_in", "report_out", "command_out", "report_in")


class EventModel(PyAsyncProcessModel):  # type: ignore[misc]
    """Base of event-driven models: say what you answer to messages, the rest is here.

    Write ``answer``; where needed also ``begin`` (what is sent when a run starts) and ``handle``
    (what a conductor says). Ports have to be ``VEC_DENSE``. Messages are changes: what comes
    on a port before the next answer adds up.

    Attributes
    ----------
    hold_time : float
        Mean time it gathers messages before it answers, in mean latencies; 0: none.
    self_scheduled : bool
        Set it in ``answer`` where it has to go on without a further message.
    """

    hold_time: float = 0.0
    self_scheduled: bool = False
    _mailbox: Mailbox | None = None

    def begin(self) -> Outbox:
        """Return the messages at the start of a run, by port; None is silence."""
        return {}

    @abstractmethod
    def answer(self, inbox: dict[str, AnyArray]) -> Outbox:
        """Take the sum of the changes on each port; return the changes to send, by port."""

    def handle(self, command: int, presentation: int) -> Outbox:
        """Take a command of a conductor; return the changes to send, by port."""
        return {}

    @property
    def mailbox(self) -> Mailbox:
        """The way messages come and go; a runtime may have brought its own."""
        if self._mailbox is None:
            inputs, outputs = data_ports(self)
            self._mailbox = LavaMailbox(self, inputs, outputs)
        return self._mailbox

    def run_async(self) -> None:
        """Answer messages until the run ends."""
        box = self.mailbox
        self._send(self.begin())
        while box.wait():
            for command, presentation in box.commands():
                self._send(self.handle(command, presentation))
            while box.pending or self.self_scheduled:
                if self.hold_time:
                    box.sleep(self.hold_time)
                self._send(self.answer(box.drain()))

    def _send(self, outbox: Outbox) -> None:
        for port, change in outbox.items():
            if change is not None:
                self.mailbox.send(port, change)


def data_ports(model: Any) -> tuple[list[str], list[str]]:
    """Return the names of a model's InPorts and OutPorts, those of the conductor left out."""
    ports = {
        name: entry.cls
        for cls in reversed(type(model).__mro__)
        for name, entry in vars(cls).items()
        if isinstance(entry, LavaPyType) and name not in CONTROL
    }
    inputs = [name for name, cls in ports.items() if issubclass(cls, PyInPort)]
    return inputs, [name for name, cls in ports.items() if issubclass(cls, PyOutPort)]


class ReactiveModel(RegisterModel, EventModel):
    """Drive an element by messages and the commands of a conductor."""

    def take(self, element: Any, schedule: Any) -> None:
        """Take the element that it is to drive; refuse one that never falls silent."""
        super().take(element, schedule)
        check_silent(element)
        self.hold_time = HOLD_TIME if element.coalescing else 0.0

    @cached_property
    def _reactive(self) -> Reactive:
        return Reactive(self.element, self.schedule)

    def begin(self) -> Outbox:
        """Note who listens; the conductor says when to speak."""
        element = self.element
        element.listened -= {port for port in element.outputs if not self.is_connected(port)}
        return {}

    def answer(self, inbox: dict[str, AnyArray]) -> Outbox:
        """Hand the messages to the element."""
        lanes, numbers = self.element.lanes, self.element.arithmetic.dtype
        if numbers == np.float32:  # narrower than messages are
            inbox = {p: m.astype(numbers) for p, m in inbox.items()}
        outbox = self._reactive.receive({p: m.reshape(lanes, -1) for p, m in inbox.items()})
        if self.self_scheduled != self._reactive.self_scheduled:
            self.self_scheduled = self._reactive.self_scheduled
        return self._counted(outbox)

    def handle(self, command: int, presentation: int) -> Outbox:
        """Hand the command to the element."""
        outbox = self._reactive.handle(command, presentation)
        self.self_scheduled = self._reactive.self_scheduled
        return self._counted(outbox)

    def _counted(self, outbox: Outbox) -> Outbox:
        spoken: Outbox = {
            p: m for p, m in outbox.items() if m is not None and p in self.element.listened
        }
        for i, port in enumerate(self.element.outputs):
            self.element.memory["sends"][i] += port in spoken
        return spoken


@bound
@implements(proc=Conductor, protocol=AsyncProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConductorModel(PyAsyncProcessModel):  # type: ignore[misc]
    """Tells its followers what to do, each time after silence (see ``Conductor``)."""

    command_out: ClassVar[LavaPyType] = LavaPyType(PyOutPort.VEC_DENSE, float)
    report_in: ClassVar[LavaPyType] = LavaPyType(PyInPort.VEC_DENSE, float)
    _mailbox: Mailbox | None = None

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.schedule = proc_params["schedule"]
        self.max_deliveries: int = proc_params["max_deliveries"]
        self._presentations = 0

    @property
    def mailbox(self) -> Mailbox:
        """The way messages come and go; a runtime may have brought its own."""
        if self._mailbox is None:
            self._mailbox = LavaMailbox(self, [], [])
        return self._mailbox

    def run_async(self) -> None:
        """Lead through as many presentations as the run has steps."""
        box = self.mailbox
        first = self._presentations - int(self.schedule.window[0])
        box.command(Command.RESET, first)
        i, last = 0, False
        while not last:
            asked_to_end = self.check_for_stop_cmd() or self.check_for_pause_cmd()
            last = i == self.num_steps - 1 or asked_to_end
            box.await_quiescence()
            done = 0 if last else box.lead(first + i, self.num_steps - 1 - i)
            if not done:
                box.command(Command.BEGIN, first + i)
                box.await_quiescence()
                box.command(Command.SEND, first + i)
                box.await_quiescence()
                box.command(Command.LEARN if last else Command.TURN, first + i)
                done = 1
            self._presentations += done
            i += done
        box.await_quiescence()
        box.command(Command.END, 0)
