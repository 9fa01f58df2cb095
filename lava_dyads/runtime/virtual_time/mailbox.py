"""Event-driven models in virtual time: how they wait, answer and send."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements.reactive import Command
from lava_dyads.errors import DeadlockError
from lava_dyads.executors.counter import HOLD
from lava_dyads.models.mailbox import Mailbox
from lava_dyads.runtime.pipes import Side
from lava_dyads.runtime.stacks import StackTask as Task
from lava_dyads.runtime.virtual_time.calendar import Waker
from lava_dyads.runtime.virtual_time.wire import WHOLE, Slot, Wire

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine


class EventMailbox(Mailbox):
    """The mailbox of an event-driven model on this runtime.

    Parameters
    ----------
    engine : VirtualTimeEngine
    task : Task
    slots : list of Slot
        One per InPort for data.
    limit : int
        A conductor's cap of messages.
    """

    def __init__(
        self,
        engine: VirtualTimeEngine,
        task: Task,
        slots: list[Slot],
        limit: int = 0,
    ) -> None:
        self.engine, self.task, self.slots, self.limit = engine, task, slots, limit
        self.waiting = self.pending_now = False
        self.followers: list[EventMailbox] = []
        self.command_batches: list[Any] = []
        """Followers that obey together."""
        self.said: list[dict[str, AnyArray]] = []
        """What has been said in obedience, and has not been sent."""
        self._orders: list[tuple[int, int]] = []
        self.over = False
        self._outlets: dict[str, Outlet] = {}
        self.number = len(engine.boxes)
        self._share = engine.stream(HOLD, self.number)
        engine.boxes.append(self)

    def receive(self, slot: Slot) -> None:
        """Note that something has come into a slot."""
        slot.pending = self.pending_now = True
        if self.waiting:
            self.waiting = False
            self.engine.ready.append(self.task)

    def connect(self, outlets: dict[str, list[Any]]) -> None:
        """Set the wires and pipes of each OutPort; their targets have to be known."""
        self._outlets = {port: Outlet(wires) for port, wires in outlets.items() if wires}

    def outlet(self, port: str) -> Outlet | None:
        """Return where the messages of an OutPort go; None: nowhere."""
        return self._outlets.get(port)

    @property
    def pending(self) -> bool:
        """Whether a message waits."""
        return self.pending_now

    def wait(self) -> bool:
        """Wait until a message or a command has come; return False at the end of the run."""
        while not (self.pending_now or self._orders):
            if self.over:
                self.over = False
                return False
            self.waiting = True
            self.task.give_way("for any message")
        return True

    def sleep(self, duration: float) -> None:
        """Sleep in virtual time."""
        self.wake_after(duration)
        self.task.give_way("until it has rested")

    def wake_after(self, duration: float) -> None:
        """Run the task again after a jittered time of that mean."""
        engine = self.engine
        engine.post(engine.now + duration * (0.5 + self._share()), Waker(engine, self.task))

    def drain(self) -> dict[str, AnyArray]:
        """Return the sum of the changes that have come, per port."""
        self.pending_now = False
        return {slot.port: slot.take() for slot in self.slots if slot.pending}

    def commands(self) -> list[tuple[int, int]]:
        """Return the commands since the last call."""
        orders, self._orders = self._orders, []
        return orders

    def send(self, port: str, change: AnyArray) -> None:
        """Send the entries of a change that are not zero."""
        outlet = self._outlets.get(port)
        if outlet is not None:
            outlet.send(change)

    def command(self, command: Command, presentation: int) -> None:
        """Give a command to all followers; it takes no time."""
        self.engine.command(command, presentation)
        if self.engine.compiled is not None:  # its followers have no tasks
            self.engine.compiled.handle(command, presentation)
            return
        if command == Command.END:
            for box in self.followers:
                box.end()
            return
        done: dict[EventMailbox, dict[str, AnyArray]] = {}
        for batch in self.command_batches:
            done.update(batch.handle(command, presentation) or {})
        for box in self.followers:
            if box not in done:
                box._orders.append((command, presentation))
                box._wake()
            elif done[box]:
                box.said.append(done[box])
                box._wake()

    def lead(self, first: int, count: int) -> int:
        """Let compiled code lead through presentations, where it knows all that has a part."""
        cap = self.engine.transport.max_deliveries or self.limit
        return self.engine.lead(first, count, cap)

    def await_quiescence(self) -> None:
        """Wait until nothing is on its way and nobody has an answer due."""
        self.engine.listen(self.engine.transport.max_deliveries or self.limit)

    def end(self) -> None:
        """End the run for this model, once it has nothing more to do."""
        if not self.task.done:
            self.over = True
            self._wake()

    def _wake(self) -> None:
        if self.waiting:
            self.waiting = False
            self.engine.ready.append(self.task)


class DrivenTask:
    """Runs an :class:`~lava_dyads.models.EventModel` without a stack of its own.

    It does what ``EventModel.run_async`` does, call by call: with thousands of models, what costs
    most is to put their stacks aside, since they are spread over the memory.

    Parameters
    ----------
    label : str
        Name of the Process and class of the model, for messages.
    model : EventModel
    engine : VirtualTimeEngine
    swap, stream :
        See :class:`~lava_dyads.runtime.scheduler.Task`.
    """

    __slots__ = (
        "_begun", "_holding", "done", "engine", "job", "label", "model", "seconds", "stream",
        "swap", "waits_for",
    )  # fmt: skip

    def __init__(
        self,
        label: str,
        model: Any,
        engine: VirtualTimeEngine,
        swap: Callable[[], None] | None = None,
        stream: Any = None,
    ) -> None:
        self.label, self.model, self.engine = label, model, engine
        self.swap, self.stream = swap, stream
        self.job: Callable[[], None] | None = None
        self.done, self.seconds, self.waits_for = True, 0.0, ""
        self._begun = self._holding = False

    def enter(self) -> None:
        """Go on until there is nothing more to do for now."""
        model = self.model
        box = model._mailbox
        if not self._begun:
            self._begun = True
            model._send(model.begin())
        due, self._holding = self._holding, False
        while box.said:
            model._send(box.said.pop(0))
        while True:
            for command, presentation in box.commands():
                model._send(model.handle(command, presentation))
            if not (box.pending_now or model.self_scheduled or due):
                break
            if model.hold_time and not due:
                self._holding, self.waits_for = True, "until it has rested"
                box.wake_after(model.hold_time)
                return
            due = False
            model._send(model.answer(box.drain()))
        if box.over:
            box.over, self._begun, self.done = False, False, True
            return
        box.waiting, self.waits_for = True, "for any message"

    def close(self) -> None:
        """Nothing to unwind; after an error it begins anew."""
        self._begun = self._holding = False

    def give_way(self, reason: str) -> None:
        """Refuse: it has no stack to put aside."""
        raise DeadlockError(f"{self.label} would wait {reason}: an EventModel only answers")


class Outlet:
    """The wires of one OutPort, sorted by what they carry."""

    __slots__ = ("dtype", "each", "pipes", "shape", "single", "whole")

    def __init__(self, channels: list[Any]) -> None:
        self.shape, self.dtype = channels[0].shape, channels[0].dtype
        self.pipes: list[Side] = []
        self.single: dict[int, list[Wire]] = {}
        self.each: list[Wire] = []
        self.whole: list[Wire] = []
        for wire in channels:
            if isinstance(wire, Side):
                self.pipes.append(wire)
                continue
            vector = wire.engine.transport.packets == "vector"
            if wire.entry is not None and wire.slot is not None:
                self.single.setdefault(wire.entry, []).append(wire)
            elif (
                wire.slot is None or wire.transform is not None or (vector and wire.offset is None)
            ):
                self.whole.append(wire)
            else:
                self.each.append(wire)

    def send(self, change: AnyArray) -> None:
        """Put the entries of a change that are not zero on their way."""
        change = np.array(change, self.dtype).reshape(self.shape)
        if self.each or self.single:
            axes = tuple(range(change.ndim - 1))
            moved = change.any(axis=axes) if axes else change
            for i in np.flatnonzero(moved).tolist():
                entry = change[..., i] if axes else change.item(i)
                for wire in self.single.get(i, ()):
                    wire.push(i, entry)
                for wire in self.each:
                    wire.push(i, entry)
        if (self.whole or self.pipes) and change.any():
            for wire in self.whole:
                wire.push(WHOLE, change)
            for pipe in self.pipes:
                pipe.send(change)
