"""Asynchronous messages as a discrete-event simulation in virtual time.

Every message of an event-driven ProcessModel is on its way for a time drawn from its channel's
latency model; what arrives first is delivered first, whoever sent first. But a channel that
begins or ends at any other model is first in, first out, as Lava's are: messages that wait for
nobody overtake each other only between EventModels, which add changes up. A model runs when a
message has arrived for it, or when a time it has asked for has come, and not otherwise. Where
nothing is on its way and every model waits, there is silence: a conductor is told, or, without
one, the run ends.

It also runs unmodified models of Lava's AsyncProtocol, which receive, probe and select on their
ports; their messages queue up in the order of arrival.
"""

from __future__ import annotations

import itertools
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from greenlet import getcurrent

from lava_dyads.elements.reactive import Command
from lava_dyads.errors import DeadlockError, NotSettledError, UnsupportedError
from lava_dyads.executors.counter import FAULT, draw, seed_key, unit
from lava_dyads.executors.transport import ROUNDS_IN_VAIN, Transport
from lava_dyads.models.mailbox import not_settled
from lava_dyads.runtime.failures import is_models_own, model_error
from lava_dyads.runtime.pipes import Side
from lava_dyads.runtime.randomness import swapped
from lava_dyads.runtime.scheduler import Interrupted
from lava_dyads.runtime.stacks import StackTask as Task
from lava_dyads.runtime.stacks import current
from lava_dyads.runtime.trace import Recorder
from lava_dyads.runtime.virtual_time.calendar import CalendarQueue, Waker
from lava_dyads.runtime.virtual_time.faults import FaultyWire
from lava_dyads.runtime.virtual_time.wire import Wire

if TYPE_CHECKING:
    from lava_dyads.runtime.ledger import Ledger
    from lava_dyads.runtime.virtual_time.compiled import CompiledNetwork
    from lava_dyads.runtime.virtual_time.mailbox import EventMailbox
    from lava_dyads.runtime.virtual_time.wire import Slot

_POLL = 0.1
_IDLE_POLLS = 10_000


class VirtualTimeEngine:
    """Virtual time: what will happen, and who runs now.

    Parameters
    ----------
    transport : Transport
        How messages travel.

    Attributes
    ----------
    now : float
        Virtual time, in mean latencies.
    deliveries : int
        Messages delivered so far, hold times that ended included; ``arrived``: without them.
    presentation : int
        Commands to begin so far, less one.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.tasks: list[Task] = []
        self.channels: list[Wire] = []
        self.faulty: list[FaultyWire] = []
        """Those of the channels that keep things back and take note of commands."""
        self.measuring = False
        self.recorder: Recorder | None = None
        self.ledger: Ledger | None = None
        self.asked_to_pause = False
        self.now = 0.0
        self.deliveries = self.arrived = 0
        self.presentation = -1
        self.limit: float = np.inf
        self.ready: deque[Task] = deque()
        self.boxes: list[EventMailbox] = []
        self.queue = CalendarQueue()
        self.compiled: CompiledNetwork | None = None
        """Those that compiled code carries out; None: nobody."""
        self._key = seed_key(transport.seed)
        self._keys: dict[int, int] = {}
        """Of the present presentation, by what its streams are for."""
        self._fault_key = draw(seed_key(transport.faults.seed), 0)
        self.understood, self._in_vain = False, 0
        """Whether a numbered message has been understood since messages were repeated last, and how
        often they were since one has."""
        self._numbers = itertools.count()
        self._listeners: list[Task] = []
        self._cap = 0
        self.idle_polls = 0
        """How often somebody has looked at an empty port since the last message came."""
        self.current: Task | None = None
        self.building = ""
        """Who runs."""
        self.pipes: list[Any] = []
        self.outside = threading.Condition()
        self.interrupted = False
        self.endless = False
        """Whether the run lasts until the user asks to pause."""
        self.inlets: list[tuple[Side, Slot, EventMailbox]] = []
        """External pipes into mailboxes."""
        self.strangers: dict[Any, Callable[[], bool]] = {}
        """Tasks that wait for other threads, with what tells that they need no longer."""

    def ask_to_pause(self) -> None:
        """Let models see that the user wants them to end; from another thread."""
        with self.outside:
            self.asked_to_pause = True
            self.outside.notify_all()

    def wait_outside(self, reason: Callable[[], str], ready: Callable[[], bool]) -> None:
        """Put the present task aside until another thread has made ``ready`` true."""
        while not ready():
            task = current()
            self.strangers[task] = ready
            task.give_way(reason())
            self.strangers.pop(task, None)

    def _take_in(self) -> bool:
        """Hand over what has come from outside; tell whether somebody can go on."""
        for side, slot, box in self.inlets:
            while len(side):
                slot.add_whole(side.recv())
                box.receive(slot)
        self.ready.extend(task for task, ready in self.strangers.items() if ready())
        return bool(self.ready)

    def _outsiders(self) -> bool:
        """Wait for other threads, where a task or the run does; tell whether it can go on."""
        if not (self.strangers or self.endless):
            return False

        def moved() -> bool:
            come = any(len(side) for side, _, _ in self.inlets)
            return come or any(ready() for ready in self.strangers.values())

        with self.outside:
            self.outside.wait_for(lambda: self.asked_to_pause or self.interrupted or moved())
        if self._take_in():
            return True
        if self.interrupted or not self.endless:
            raise Interrupted  # a task would wait for what nobody will send any more
        self.endless = False
        self.ready.extend(task for task in self.tasks if not task.done)
        return True

    def close(self) -> None:
        """Unwind all stacks, in the thread that ran them."""
        for task in self.tasks:
            task.close()

    def wire(
        self, source: str, target: str, shape: tuple[int, ...], dtype: Any, ordered: bool = False
    ) -> Wire:
        """Make a channel from one port to another ('process.port'); see :class:`Wire`."""
        if self.transport.plain:
            wire = Wire(self, source, target, shape, dtype, ordered)
        else:
            wire = FaultyWire(self, source, target, shape, dtype, ordered)
            self.faulty.append(wire)
        self.channels.append(wire)
        return wire

    def stream(self, purpose: int, number: int) -> Stream:
        """Return the random numbers of a channel or mailbox, for a purpose."""
        return Stream(self, purpose, number)

    def key(self, purpose: int) -> int:
        """Return the key of the present presentation's streams for a purpose (``counter``)."""
        key = self._keys.get(purpose)
        if key is None:
            seeds = self._key ^ self._fault_key if purpose == FAULT else self._key
            key = self._keys[purpose] = draw(draw(seeds, self.presentation + 1), purpose)
        return key

    def state(self) -> dict[str, Any]:
        """Return all that the next run depends on, of what no Process holds; for JSON.

        Raises
        ------
        UnsupportedError
            If Processes are frozen: what they repeat is not part of it.
        """
        if self.transport.faults.frozen:
            raise UnsupportedError(
                "Faults.frozen: what a frozen Process repeats is in no checkpoint. "
                "Try: no checkpoints, or no frozen Processes"
            )
        return {"now": self.now, "presentation": self.presentation}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the runtime would have that :meth:`state` was asked of; between two runs."""
        self.now, self.presentation = state["now"], state["presentation"]
        self._keys.clear()

    def post(self, at: float, target: Any, index: int = 0, payload: Any = None) -> None:
        """Let something happen: ``target.deliver(index, payload)`` at a time."""
        self.queue.push((at, next(self._numbers), target, index, payload, self.now))

    def run(self, jobs: list[Callable[[], None]]) -> None:
        """Run job i on task i; return when all are done.

        Raises
        ------
        ModelError
            If a job raises; its traceback is part of the message, the error its cause.
        NotSettledError
            If a conductor's cap of messages is reached before silence.
        DeadlockError
            If there is silence and a task waits for a message that nobody sends.
        """
        for task, job in zip(self.tasks, jobs, strict=True):
            task.job, task.done = job, False
        self.ready.extend(self.tasks)
        self.limit = np.inf
        helpers = (self._released, self._take_in, self._told, self._outsiders, self._ended)
        while True:
            while self.ready:
                self._enter(self.ready.popleft())
            if self.queue:
                self._advance()
            elif self.compiled is not None and self.compiled.moving:
                self.compiled.advance()
            elif all(task.done for task in self.tasks):
                return
            elif not any(help_() for help_ in helpers):
                self._deadlock()

    def _enter(self, task: Task) -> None:
        begin = time.perf_counter() if self.measuring else 0.0
        self.current = task
        try:
            if task.swap is None:
                task.enter()
            else:
                with swapped(task.swap):
                    task.enter()
        except NotSettledError:  # the network's, while its conductor had compiled code lead
            raise
        except BaseException as error:
            if not is_models_own(error):
                raise
            raise model_error(task.label, error, traceback.format_exc()) from error
        if self.measuring:
            task.seconds += time.perf_counter() - begin

    def _advance(self) -> None:
        """Let time pass until somebody has something to do."""
        queue, ready, recorder = self.queue, self.ready, self.recorder
        while queue and not ready:
            self.now, _, target, index, payload, sent = queue.pop()
            if isinstance(target, Wire):
                self.arrived += 1
                if recorder is not None:
                    place = (sent, self.now, self.presentation, target.number)
                    recorder.note(*place, target.place(index), target.content(payload))
            target.deliver(index, payload)
            self.deliveries += 1
            if self.deliveries > self.limit:
                raise not_settled(self._cap)

    def _released(self) -> bool:
        """Send what was kept back, or repeat what was lost; tell whether there was something."""
        self._release()
        while not self._moving():
            if not self._repeat():
                return False
        return True

    def _moving(self) -> bool:
        return bool(self.queue) or (self.compiled is not None and self.compiled.moving)

    def _release(self) -> None:
        if self.compiled is not None:
            self.compiled.release()
            return
        for wire in self.faulty:
            wire.release()

    def _repeat(self) -> bool:
        """Send again what was not understood; tell whether there was any, and some hope."""
        if not self.transport.robust:
            return False
        self._in_vain = 0 if self.understood else self._in_vain + 1
        self.understood = False
        if self._in_vain > ROUNDS_IN_VAIN:
            return False
        if self.compiled is not None:
            return self.compiled.repeat()
        repeated = [wire.repeat() for wire in self.faulty]
        return any(repeated)

    def _told(self) -> bool:
        """Tell those who wait for silence that there is; tell whether anybody does."""
        self.ready.extend(self._listeners)
        self._listeners.clear()
        return bool(self.ready)

    def _ended(self) -> bool:
        """End the run of all mailboxes; tell whether one was not at its end."""
        for box in self.boxes:
            box.end()
        return bool(self.ready)

    def listen(self, limit: int) -> None:
        """Let the present task wait for silence, through at most that many messages."""
        self.limit, self._cap = self.deliveries + limit, limit
        task = current()
        self._listeners.append(task)
        task.give_way("for silence")

    def lead(self, first: int, count: int, cap: int) -> int:
        """Let compiled code lead through presentations; return through how many, maybe none."""
        if self.compiled is None:
            return 0
        self._cap = cap
        led = self.compiled.leader.lead(first, count, cap)
        if led:
            self.presentation += led
            self._keys.clear()
        return led

    @property
    def seed_key(self) -> int:
        """The key that those of all presentations come from."""
        return self._key

    def command(self, command: Command, presentation: int) -> None:
        """Pass a command on to the wires."""
        if self.ledger is not None:
            self.ledger.note(command, presentation)
        if command == Command.BEGIN:
            self.presentation += 1
            self._keys.clear()
            self._in_vain = 0
        for wire in self.faulty:
            wire.handle(command)

    def poll(self) -> None:
        """Let others run before somebody looks at an empty port again."""
        self.idle_polls += 1
        if self.idle_polls > _IDLE_POLLS * len(self.tasks) and not self.endless:
            self._deadlock()
        task = getattr(getcurrent(), "task", None)
        if task is not None:
            self.post(self.now + _POLL, Waker(self, task))
            task.give_way("to look at an empty port again")

    def polled(self, side: Side) -> Callable[[], bool]:
        """Return a probe for messages from outside; if none has come, time passes."""

        def probe() -> bool:
            if not len(side):
                self.poll()
            return len(side) > 0

        return probe

    def _deadlock(self) -> None:
        waiting = [f"  {t.label} waits {t.waits_for}" for t in self.tasks if not t.done]
        raise DeadlockError(
            "deadlock, no message is on its way and these still wait:\n" + "\n".join(waiting)
        )


class Stream:
    """The random numbers of one channel or mailbox: in every presentation they begin anew.

    Parameters
    ----------
    engine : VirtualTimeEngine
    purpose : int
        See ``executors.counter``.
    number : int
        Of the channel or mailbox.
    """

    __slots__ = ("_engine", "_key", "_next", "_number", "_presentation", "_purpose")

    def __init__(self, engine: VirtualTimeEngine, purpose: int, number: int) -> None:
        self._engine, self._purpose, self._number = engine, purpose, number
        self._presentation = self._key = self._next = -2

    def __call__(self) -> float:
        """Return the next number, uniform in [0, 1)."""
        presentation = self._engine.presentation
        if presentation != self._presentation:
            self._key = draw(self._engine.key(self._purpose), self._number)
            self._presentation, self._next = presentation, -1
        self._next += 1
        return unit(self._key, self._next)


class Barrier:
    """Where tasks wait for each other: called by all of them, it returns when the last one calls.

    Parameters
    ----------
    engine : VirtualTimeEngine
    size : int
        Tasks that meet.
    decide : callable
        Called once per meeting; what it returns is what all get.
    """

    def __init__(self, engine: VirtualTimeEngine, size: int, decide: Callable[[], Any]) -> None:
        self._engine, self._size, self._decide = engine, size, decide
        self._waiting: list[Task] = []
        self._decision: Any = None

    def __call__(self) -> Any:
        """Wait for the others; return what was decided."""
        if len(self._waiting) + 1 < self._size:
            task = current()
            self._waiting.append(task)
            task.give_way("for the others to end their time step")
        else:
            self._decision = self._decide()
            self._engine.ready.extend(self._waiting)
            self._waiting.clear()
        return self._decision
