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

import heapq
import itertools
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from greenlet import getcurrent

from lava_dyads.array_types import AnyArray
from lava_dyads.elements.reactive import Command
from lava_dyads.errors import DeadlockError, ModelError, UnsupportedError
from lava_dyads.executors.transport import (
    FRACTION_BITS,
    PAYLOAD_BITS,
    SHARES,
    Transport,
)
from lava_dyads.models.mailbox import Mailbox, not_settled
from lava_dyads.runtime.pipes import Side
from lava_dyads.runtime.randomness import swapped
from lava_dyads.runtime.scheduler import Interrupted
from lava_dyads.runtime.stacks import StackTask as Task
from lava_dyads.runtime.trace import Recorder

WHOLE = -1
"""Index of a message that carries all entries of a port."""

_POLL = 0.1
_IDLE_POLLS = 10_000


class EventHub:
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
        Messages delivered so far.
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
        self.asked_to_pause = False
        self.now = 0.0
        self.deliveries = 0
        self.presentation = -1
        self.limit: float = np.inf
        self.ready: deque[Task] = deque()
        self.boxes: list[EventMailbox] = []
        self.queue = Calendar()
        self.generator = np.random.default_rng([transport.seed, 0])
        self.fault_generator = np.random.default_rng([transport.seed, transport.faults.seed, 2])
        self._latencies: dict[Any, Callable[[], float]] = {}
        self._streams: list[tuple[np.random.Generator, list[float]]] = []
        self._numbers = itertools.count()
        self._listeners: list[Task] = []
        self._cap = 0
        self.idle_polls = 0
        """How often somebody has looked at an empty port since the last message came."""
        self.current: Task | None = None
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
                box.hear(slot)
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

    def latency(self, channel: str) -> Callable[[], float]:
        """Return what draws the latencies of a channel; equal models share one stream."""
        model = self.transport.latency_of(channel)
        if model not in self._latencies:
            seed = [self.transport.seed, 1, len(self._latencies)]
            self._streams.append((np.random.default_rng(seed), []))
            self._latencies[model] = model.stream(*self._streams[-1])
        return self._latencies[model]

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
        generators = (self.generator, self.fault_generator, *(g for g, _ in self._streams))
        return {
            "now": self.now,
            "presentation": self.presentation,
            "generators": [generator.bit_generator.state for generator in generators],
            "ahead": [list(ahead) for _, ahead in self._streams],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the runtime would have that :meth:`state` was asked of; between two runs."""
        self.now, self.presentation = state["now"], state["presentation"]
        generators = (self.generator, self.fault_generator, *(g for g, _ in self._streams))
        for generator, held in zip(generators, state["generators"], strict=True):
            generator.bit_generator.state = held
        for (_, ahead), drawn in zip(self._streams, state["ahead"], strict=True):
            ahead[:] = drawn

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
        except (Exception, SystemExit) as error:  # an OS process of its own would end
            trace = traceback.format_exc()
            raise ModelError(f"{task.label} raised\n{trace}") from error
        if self.measuring:
            task.seconds += time.perf_counter() - begin

    def _advance(self) -> None:
        """Let time pass until somebody has something to do."""
        queue, ready, recorder = self.queue, self.ready, self.recorder
        while queue and not ready:
            self.now, _, target, index, payload, sent = queue.pop()
            if recorder is not None and isinstance(target, Wire):
                place = (sent, self.now, self.presentation, target.number)
                recorder.note(*place, target.place(index), target.content(payload))
            target.deliver(index, payload)
            self.deliveries += 1
            if self.deliveries > self.limit:
                raise not_settled(self._cap)

    def _released(self) -> bool:
        """Send what was to be overtaken and was not; tell whether there was something."""
        for wire in self.faulty:
            wire.release()
        return bool(self.queue)

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

    def tell(self, command: Command, presentation: int) -> None:
        """Pass a command on to the wires."""
        if command == Command.BEGIN:
            self.presentation += 1
        for wire in self.faulty:
            wire.obey(command)

    def poll(self) -> None:
        """Let others run before somebody looks at an empty port again."""
        self.idle_polls += 1
        if self.idle_polls > _IDLE_POLLS * len(self.tasks) and not self.endless:
            self._deadlock()
        task = getattr(getcurrent(), "task", None)
        if task is not None:
            self.post(self.now + _POLL, _Waker(self, task))
            task.give_way("to look at an empty port again")

    def polled(self, side: Side) -> Callable[[], bool]:
        """Return what tells whether a message has come from outside; if none has, time passes."""

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


def current() -> Task:
    """Return the task that runs now."""
    task: Task = getcurrent().task
    return task


class Calendar:
    """What will happen, by time: a heap for the present day, unsorted lists for days to come.

    One heap of everything would be spread over more memory than a cache holds, and every
    message would pay for it.

    Attributes
    ----------
    days_per_unit : float
        Days in a mean latency.
    """

    __slots__ = ("_ahead", "_days", "_end", "_today")

    days_per_unit = 16.0

    def __init__(self) -> None:
        self._today: list[tuple[float, int, Any, int, Any, float]] = []
        self._end = 0.0
        self._days: dict[int, list[tuple[float, int, Any, int, Any, float]]] = {}
        self._ahead: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._today or self._ahead)

    def push(self, entry: tuple[float, int, Any, int, Any, float]) -> None:
        """Note (time, number, target, index, payload, time sent); equal times by number."""
        if entry[0] < self._end:
            heapq.heappush(self._today, entry)
            return
        day = int(entry[0] * self.days_per_unit)
        entries = self._days.get(day)
        if entries is None:
            self._days[day] = [entry]
            heapq.heappush(self._ahead, day)
        else:
            entries.append(entry)

    def pop(self) -> tuple[float, int, Any, int, Any, float]:
        """Return what happens next, and forget it."""
        if not self._today:
            day = heapq.heappop(self._ahead)
            self._today = self._days.pop(day)
            self._end = (day + 1) / self.days_per_unit
            heapq.heapify(self._today)
        return heapq.heappop(self._today)


class _Waker:
    """Wakes a task at a time."""

    def __init__(self, hub: EventHub, task: Any) -> None:
        self.hub, self.task = hub, task

    def deliver(self, index: int, payload: Any) -> None:
        """Wake the task."""
        self.hub.ready.append(self.task)


class Slot:
    """What has come for one InPort of a mailbox: the sum of the changes.

    Attributes
    ----------
    sum : list or array
        By entry of the port's last axis; a list of numbers for a small port with one lane,
        which is several times as quick.
    """

    __slots__ = ("pending", "port", "shape", "sum")

    def __init__(self, port: str, shape: tuple[int, ...]) -> None:
        self.port, self.shape = port, shape
        self.sum: Any = self._nothing()
        self.pending = False

    def _nothing(self) -> Any:
        if len(self.shape) == 1 and self.shape[0] <= _SMALL:
            return [0.0] * self.shape[0]
        return np.zeros(self.shape[::-1])

    def add_whole(self, change: AnyArray) -> None:
        """Add a message that has every entry."""
        self.sum = list(self.sum + change) if isinstance(self.sum, list) else self.sum + change.T

    def take(self) -> AnyArray:
        """Return the sum and begin anew."""
        taken, self.sum = self.sum, self._nothing()
        self.pending = False
        return np.array(taken) if isinstance(taken, list) else taken.T


_SMALL = 32


class Wire:
    """A channel from one port to another, on which messages take their time.

    Parameters
    ----------
    hub : EventHub
    source, target : str
        'process.port' of both ends.
    shape : tuple
        Of the source's messages.
    dtype : numpy type
        Of the source; messages are cast to it, as Lava does.
    ordered : bool
        First in, first out, as Lava's channels are: a message waits for the one before it.

    Attributes
    ----------
    entry : int or None
        The one entry of the source's messages that goes through; None: all.
    offset : int or None
        The entry of the target that a message of one entry belongs to; None: as sent.
    transform : callable or None
        Any other change on the way, by Lava's virtual ports.
    """

    __slots__ = (
        "_latest", "_reader", "box", "dtype", "entry", "events", "hub", "latency", "messages",
        "number", "offset", "ordered", "queue", "shape", "slot", "source", "target", "transform",
    )  # fmt: skip

    def __init__(
        self,
        hub: EventHub,
        source: str,
        target: str,
        shape: tuple[int, ...],
        dtype: Any,
        ordered: bool = False,
    ) -> None:
        self.ordered, self._latest = ordered, 0.0
        self.hub, self.source, self.target, self.shape = hub, source, target, shape
        self.dtype = np.dtype(dtype)
        self.number = len(hub.channels)
        self.latency = hub.latency(f"{source} -> {target}")
        self.messages = self.events = 0
        self.entry: int | None = None
        self.offset: int | None = None
        self.transform: Callable[[AnyArray], AnyArray] | None = None
        self.box: EventMailbox | None = None
        self.slot: Slot | None = None
        self.queue: deque[AnyArray] = deque()
        self._reader: Task | None = None

    # --- sending

    def send(self, data: Any) -> None:
        """Send a whole message, as Lava's OutPorts do."""
        if data.shape != self.shape:
            raise AssertionError(
                f"{self.source} -> {self.target}: a message must have shape {self.shape} "
                f"(got {data.shape})"
            )
        message = np.array(data, self.dtype)
        index = 0 if self.offset is not None else self.entry
        # Into a mailbox goes the one entry that is meant; other ports transform by themselves.
        if self.slot is not None and index is not None:
            self.push(index, message[..., index])
        else:
            self.push(WHOLE, message)

    def push(self, index: int, change: Any) -> None:
        """Put a message on its way: one entry, or ``WHOLE``."""
        hub = self.hub
        self.messages += 1
        if hub.measuring:
            self.events += int(np.count_nonzero(change))
        now = hub.now
        at = now + self.latency()
        if self.ordered:
            at = self.behind(at)
        hub.queue.push((at, next(hub._numbers), self, index, change, now))

    def behind(self, at: float) -> float:
        """Return when a message arrives that overtakes none; equal times keep their order."""
        self._latest = max(at, self._latest)
        return self._latest

    def content(self, payload: Any) -> Any:
        """Return what is on the wire, for a trace."""
        return payload

    def place(self, index: int) -> int:
        """Return the entry of the target that a message is for."""
        if index == WHOLE:
            return WHOLE
        if self.entry is not None:
            return 0
        return index if self.offset is None else self.offset

    # --- receiving

    def deliver(self, index: int, change: Any) -> None:
        """Hand a message over: add it to the mailbox, or queue it up."""
        self.hub.idle_polls = 0  # whoever polls, polls for a reason
        slot, box = self.slot, self.box
        if slot is None or box is None:
            self._enqueue(change)
            return
        if index == WHOLE:
            slot.add_whole(self._transformed(change))
        elif self.entry is not None:
            slot.sum[0] += change
        else:
            slot.sum[index if self.offset is None else self.offset] += change
        box.hear(slot)

    def _transformed(self, change: AnyArray) -> AnyArray:
        return change if self.transform is None else self.transform(change)

    def _enqueue(self, message: AnyArray) -> None:
        self.queue.append(message)
        if self._reader is not None:
            self.hub.ready.append(self._reader)
            self._reader = None

    def recv(self) -> AnyArray:
        """Take the next message; wait while there is none."""
        while not self.queue:
            self.wake_on_arrival()
            current().give_way(f"for {self.target} to hear from {self.source}")
        self._reader = None
        return self.queue.popleft()

    def peek(self) -> AnyArray:
        """Return a copy of the next message without taking it; wait while there is none."""
        message = self.recv()
        self.queue.appendleft(message)
        return message.copy()

    def wake_on_arrival(self) -> None:
        """Make the present task ready when the next message comes."""
        self._reader = current()

    def free(self) -> bool:
        """Tell whether a send would not wait; it never does."""
        return True

    def probe(self) -> bool:
        """Tell whether a message has come; if none has, time passes."""
        if not self.queue:
            self.hub.poll()
        return bool(self.queue)


class FaultyWire(Wire):
    """A wire with a coding of its own, on which things go wrong (see ``Faults``).

    Samples side by side share a message for speed only: each lane has its own faults. What
    travels is (number, content, lanes it is meant for).
    """

    def __init__(
        self,
        hub: EventHub,
        source: str,
        target: str,
        shape: tuple[int, ...],
        dtype: Any,
        ordered: bool = False,
    ) -> None:
        super().__init__(hub, source, target, shape, dtype, ordered)
        faults = self.faults = hub.transport.faults
        self.by_value = hub.transport.coding == "value"
        ends = [end.rpartition(".")[0] for end in (source, target)]
        self.dead = _named(ends, faults.killed)
        self.mute, self.deaf = _named(ends[:1], faults.frozen), _named(ends[1:], faults.frozen)
        self._shares = {s: getattr(faults, s) for s in SHARES if getattr(faults, s)}
        self._sent: dict[int, Any] = {}
        self._heard: dict[int, Any] = {}
        self._newest: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self._kept: tuple[int, int, Any, AnyArray] | None = None
        self._stuck: dict[int, Any] | None = None

    def push(self, index: int, change: Any) -> None:
        """Put a message on its way, if nothing goes wrong."""
        if self.dead or (self.mute and self.hub.presentation > 0):
            return
        self._sent[index] = self._sent.get(index, 0.0) + change
        self._go(index, self._sent[index] if self.by_value else change, change)

    def _go(self, index: int, content: Any, change: Any) -> None:
        hub, faults, generator = self.hub, self.faults, self.hub.fault_generator
        self.messages += 1
        if hub.measuring:
            self.events += int(np.count_nonzero(change))
        number = next(self._numbers)
        if self.ordered:  # a message of zeros is one, too, and has no lanes
            moved = np.asarray(True)
        else:
            moved = np.asarray(change != 0)
            moved = np.asarray(moved.any(axis=-1)) if index == WHOLE else moved
        wrong = {s: generator.random(moved.shape) < share for s, share in self._shares.items()}
        if "noise" in wrong:
            factor = 1.0 + faults.noise_size * generator.normal(size=np.shape(content))
            content = np.where(_over(wrong["noise"], index), content * factor, content)
        if "flip" in wrong:
            flipped = flip_bit(content, generator)
            content = np.where(_over(wrong["flip"], index), flipped, content)
        if "drop" in wrong:
            moved = moved & ~wrong["drop"]
        if "duplicate" in wrong:
            self._post(index, number, content, moved & wrong["duplicate"])
        overtaken, self._kept = self._kept, None
        if "reorder" in wrong and overtaken is None and (moved & wrong["reorder"]).any():
            self._kept = (index, number, content, moved & wrong["reorder"])
            moved = moved & ~wrong["reorder"]
        if "delay" in wrong:
            late = moved & wrong["delay"]
            self._post(index, number, content, late, generator.exponential(faults.delay_time))
            moved = moved & ~late
        self._post(index, number, content, moved)
        if overtaken is not None:  # arrives behind this one, and then some
            self._post(*overtaken, extra=1.0 + 4 * self.latency())

    def _post(
        self, index: int, number: int, content: Any, lanes: AnyArray, extra: float = 0.0
    ) -> None:
        if lanes.any():
            at = self.hub.now + self.latency() + extra
            if self.ordered:  # but for what is to be reordered: that is posted behind the next
                at = self.behind(at)
            self.hub.post(at, self, index, (number, content, lanes))

    def content(self, payload: Any) -> Any:
        """Return what is on the wire."""
        _, content, lanes = payload
        return np.where(_over(lanes, WHOLE if np.ndim(content) > lanes.ndim else 0), content, 0.0)

    def release(self) -> None:
        """Send what was kept back for another message to overtake it."""
        if self._kept is not None:
            self._post(*self._kept)
            self._kept = None

    def obey(self, command: Command) -> None:
        """Forget what was sent and heard; a frozen process says it all over again."""
        if command in (Command.RESET, Command.TURN):
            if self.mute and self.hub.presentation == 0:
                self._stuck = self._sent
            self._sent, self._heard, self._newest = {}, {}, {}
        elif command == Command.BEGIN and self._stuck is not None and not self.dead:
            for index, value in self._stuck.items():
                self._go(index, value, value)

    def deliver(self, index: int, payload: Any) -> None:
        """Decode the message and hand it over."""
        if self.dead or (self.deaf and self.hub.presentation > 0):
            return
        number, content, lanes = payload
        if not self.by_value:
            self._hand_over(index, np.where(_over(lanes, index), content, 0.0))
            return
        newest = self._newest.get(index, np.zeros(lanes.shape, np.int64))
        newer = lanes & (number > newest)  # else an older value, or the same again
        held = self._heard.get(index, np.zeros(np.shape(content)))
        self._newest[index] = np.where(newer, number, newest)
        self._heard[index] = np.where(_over(newer, index), content, held)
        if newer.any():
            self._hand_over(index, self._heard[index] - held)

    def _hand_over(self, index: int, change: AnyArray) -> None:
        super().deliver(index, change.astype(self.dtype))


def _over(lanes: AnyArray, index: int) -> AnyArray:
    """Return a mask over lanes in the shape of a message."""
    return lanes[..., None] if index == WHOLE else lanes


def _named(names: list[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def flip_bit(content: Any, generator: np.random.Generator) -> AnyArray:
    """Return numbers with one random bit flipped in the chip's two's complement payload."""
    top = 1 << (PAYLOAD_BITS - 1)
    scaled = np.rint(np.asarray(content, float) * 2.0**FRACTION_BITS)
    bits = np.nan_to_num(np.clip(scaled, -top, top - 1)).astype(np.int64)
    flipped = 1 << generator.integers(PAYLOAD_BITS, size=bits.shape)
    bits = (bits + 2 * top) % (2 * top) ^ flipped
    return np.where(bits >= top, bits - 2 * top, bits) / 2.0**FRACTION_BITS


class EventMailbox(Mailbox):
    """The mailbox of an event-driven model on this runtime.

    Parameters
    ----------
    hub : EventHub
    task : Task
    slots : list of Slot
        One per InPort for data.
    limit : int
        A conductor's cap of messages.
    """

    def __init__(
        self,
        hub: EventHub,
        task: Task,
        slots: list[Slot],
        limit: int = 0,
    ) -> None:
        self.hub, self.task, self.slots, self.limit = hub, task, slots, limit
        self.waiting = self.pending_now = False
        self.followers: list[EventMailbox] = []
        self.choirs: list[Any] = []
        """Followers that obey together."""
        self.said: list[dict[str, AnyArray]] = []
        """What has been said in obedience, and has not been sent."""
        self._orders: list[tuple[int, int]] = []
        self.over = False
        self._outlets: dict[str, _Outlet] = {}
        hub.boxes.append(self)

    def hear(self, slot: Slot) -> None:
        """Note that something has come into a slot."""
        slot.pending = self.pending_now = True
        if self.waiting:
            self.waiting = False
            self.hub.ready.append(self.task)

    def connect(self, outlets: dict[str, list[Any]]) -> None:
        """Set the wires and pipes of each OutPort; their targets have to be known."""
        self._outlets = {port: _Outlet(wires) for port, wires in outlets.items() if wires}

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

    def hold(self, duration: float) -> None:
        """Sleep in virtual time."""
        hub = self.hub
        pause = duration * (0.5 + hub.generator.random())
        hub.post(hub.now + pause, _Waker(hub, self.task))
        self.task.give_way("until it has rested")

    def drain(self) -> dict[str, AnyArray]:
        """Return what has come, the sum of the changes per port."""
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

    def tell(self, command: Command, presentation: int) -> None:
        """Give a command to all followers; it takes no time."""
        self.hub.tell(command, presentation)
        if command == Command.END:
            for box in self.followers:
                box.end()
            return
        done: dict[EventMailbox, dict[str, AnyArray]] = {}
        for choir in self.choirs:
            done.update(choir.obey(command, presentation) or {})
        for box in self.followers:
            if box not in done:
                box._orders.append((command, presentation))
                box._wake()
            elif done[box]:
                box.said.append(done[box])
                box._wake()

    def silence(self) -> None:
        """Wait until nothing is on its way and nobody has an answer due."""
        self.hub.listen(self.hub.transport.max_deliveries or self.limit)

    def end(self) -> None:
        """End the run for this model, once it has nothing more to do."""
        if not self.task.done:
            self.over = True
            self._wake()

    def _wake(self) -> None:
        if self.waiting:
            self.waiting = False
            self.hub.ready.append(self.task)


class DrivenTask:
    """Runs an :class:`~lava_dyads.models.EventModel` without a stack of its own.

    It does what ``EventModel.run_async`` does, call by call: with thousands of models, what costs
    most is to put their stacks aside, since they are spread over the memory.

    Parameters
    ----------
    label : str
        Name of the Process and class of the model, for messages.
    model : EventModel
    hub : EventHub
    swap, stream :
        See :class:`~lava_dyads.runtime.scheduler.Task`.
    """

    __slots__ = (
        "_begun", "_holding", "done", "hub", "job", "label", "model", "seconds", "stream", "swap",
        "waits_for",
    )  # fmt: skip

    def __init__(
        self,
        label: str,
        model: Any,
        hub: EventHub,
        swap: Callable[[], None] | None = None,
        stream: Any = None,
    ) -> None:
        self.label, self.model, self.hub = label, model, hub
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
                model._send(model.obey(command, presentation))
            if not (box.pending_now or model.restless or due):
                break
            if model.hold_time and not due:
                self._holding, self.waits_for = True, "until it has rested"
                hub = self.hub
                pause = model.hold_time * (0.5 + hub.generator.random())
                hub.post(hub.now + pause, _Waker(hub, self))
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


class _Outlet:
    """The wires of one OutPort, sorted by what they carry."""

    def __init__(self, channels: list[Any]) -> None:
        self.shape, self.dtype = channels[0].shape, channels[0].dtype
        self.pipes = [channel for channel in channels if isinstance(channel, Side)]
        wires: list[Wire] = [channel for channel in channels if isinstance(channel, Wire)]
        vector = bool(wires) and wires[0].hub.transport.packets == "vector"
        self.single: dict[int, list[Wire]] = {}
        self.each: list[Wire] = []
        self.whole: list[Wire] = []
        for wire in wires:
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


class Meeting:
    """Where tasks wait for each other: called by all of them, it returns when the last one calls.

    Parameters
    ----------
    hub : EventHub
    size : int
        Tasks that meet.
    decide : callable
        Called once per meeting; what it returns is what all get.
    """

    def __init__(self, hub: EventHub, size: int, decide: Callable[[], Any]) -> None:
        self._hub, self._size, self._decide = hub, size, decide
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
            self._hub.ready.extend(self._waiting)
            self._waiting.clear()
        return self._decision


class Service:
    """Stands in for the channel from Lava's runtime service to an asynchronous model."""

    def __init__(self, hub: EventHub, pause: AnyArray) -> None:
        self._hub, self._pause = hub, pause

    def probe(self) -> bool:
        """Tell whether the user has asked to pause; if not, time passes."""
        if not self._hub.asked_to_pause:
            self._hub.poll()
        return self._hub.asked_to_pause

    def peek(self) -> AnyArray:
        """Return the command to pause."""
        return self._pause

    def recv(self) -> AnyArray:
        """Return the command to pause."""
        return self._pause

    def join(self) -> None:
        """Nothing to end."""


class Selector:
    """Stands in for Lava's selector: waits for the first of several channels."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub

    def select(self, *channel_actions: Any) -> Any:
        """Wait until one of the channels is ready and return its action's result."""
        while True:
            for channel, action in channel_actions:
                if channel is not None and _ready(channel):
                    return action()
            for channel, _ in channel_actions:
                wire = getattr(channel, "channel", None)
                if isinstance(wire, Wire):
                    wire.wake_on_arrival()
                elif isinstance(wire, Side):
                    self._hub.strangers[current()] = lambda: _any_ready(channel_actions)
            current().give_way("for one of several channels")
            self._hub.strangers.pop(current(), None)


def _ready(channel: Any) -> bool:
    """Look without letting time pass: the selector waits by itself."""
    if isinstance(channel, Service):
        return channel._hub.asked_to_pause
    wire = getattr(channel, "channel", None)
    if isinstance(wire, Side):
        return len(wire) > 0
    return bool(wire.queue) if isinstance(wire, Wire) else bool(channel.probe())


def _any_ready(channel_actions: Any) -> bool:
    return any(channel is not None and _ready(channel) for channel, _ in channel_actions)
