"""A network of our own event-driven Processes, carried out by compiled code.

The conductor stays as it is; what its followers do between two of its commands is one call of
:mod:`lava_dyads.native.events.loop`. Every Process keeps its model, its Vars and its counters: the
compiled loop reads and writes the registers of the elements where they are. What it does is,
message by message, what the engine does without it. Elements that it knows nothing of (an output
unit whose loss is inside, a product of two layers) are called, with the messages that came for
them.
"""

from __future__ import annotations

import logging
import operator
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Outbox, Population
from lava_dyads.elements.reactive import Command
from lava_dyads.executors.counter import FAULT, HOLD, LATENCY
from lava_dyads.models.events import PyConductorModel, ReactiveModel
from lava_dyads.models.mailbox import not_settled
from lava_dyads.native.events import columns
from lava_dyads.native.registry import event_loop
from lava_dyads.runtime.batching.commands import batch_commands
from lava_dyads.runtime.virtual_time.coded_tables import coding
from lava_dyads.runtime.virtual_time.leading import Leader
from lava_dyads.runtime.virtual_time.learners import Learners
from lava_dyads.runtime.virtual_time.mailbox import DrivenTask
from lava_dyads.runtime.virtual_time.table_maker import TableMaker, Uncovered
from lava_dyads.runtime.virtual_time.tables import address

if TYPE_CHECKING:
    from lava_dyads.elements.stacked_populations import StackedPopulations
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine

_LOG = logging.getLogger(__name__)
_NO_GROUPS: list[tuple[Any, list[Any]]] = []
_NO_NUMBA = "numba is not installed. Try: pip install 'lava-dyads[fast]'"


def compile_followers(
    engine: VirtualTimeEngine, nodes: list[Any], measure: bool, compiled: bool | None
) -> str | None:
    """Let compiled code carry out the followers of the conductor; return why not, if so.

    Parameters
    ----------
    engine : VirtualTimeEngine
    nodes : list of Node
    measure : bool
        Whether every model is to be timed.
    compiled : bool or None
        None: unless every model is timed.
    """
    if compiled is None and measure:
        reason: str | None = "every model is timed"
    else:
        reason = "compiled=False" if compiled is False else why_not(engine, nodes)
    if reason is None:
        conductor = next(node for node in nodes if _conducts(node.model))
        try:
            engine.compiled = CompiledNetwork(engine, conductor, nodes)
        except Uncovered as uncovered:
            reason = str(uncovered)
    if reason is not None and not measure:
        batch_commands(nodes)
    level = logging.WARNING if reason == _NO_NUMBA else logging.INFO
    _LOG.log(level, "asynchronous messages: %s", f"interpreted, {reason}" if reason else "compiled")
    return reason


def why_not(engine: VirtualTimeEngine, nodes: list[Any]) -> str | None:
    """Return why a graph cannot be compiled; None: it can."""
    transport = engine.transport
    if transport.packets != "event":
        return "messages travel as whole vectors"
    if engine.inlets or engine.pipes:
        return "an external pipe leads into it"
    conductors = [node for node in nodes if _conducts(node.model)]
    if len(conductors) != 1:
        return f"it needs one conductor, here are {len(conductors)}"
    followers = set(conductors[0].model._mailbox.followers)
    models = [node.model for node in nodes if node is not conductors[0]]
    for node in nodes:
        reason = None if node is conductors[0] else _foreign(node, followers)
        if reason:
            return f"{node.process.name}: {reason}"
    if len({id(model.schedule) for model in models}) != 1:
        return "Processes have schedules of their own"
    if any(model.element.arithmetic.dtype != np.float64 for model in models):
        return "numbers are narrower than float64"
    known = columns.LATENCY_MODELS
    others = {w.latency_model.model for w in engine.channels if w.latency_model.model not in known}
    if others:
        return f"latency {', '.join(sorted(others))} is not compiled"
    return None if event_loop() else _NO_NUMBA


def _conducts(model: Any) -> bool:
    plain = isinstance(model, PyConductorModel)
    return plain and type(model).run_async is PyConductorModel.run_async


def _foreign(node: Any, followers: set[Any]) -> str | None:
    """Return why a Process cannot take part."""
    model = node.model
    same = isinstance(model, ReactiveModel) and isinstance(node.task, DrivenTask)
    own = same and all(
        getattr(type(model), name) is getattr(ReactiveModel, name)
        for name in ("answer", "handle", "begin")
    )
    if not own:
        return f"a model of its own, {type(model).__name__}"
    return None if model._mailbox in followers else "no conductor leads it"


class CompiledNetwork:
    """The followers of a conductor, as tables, and what is on its way between them.

    Parameters
    ----------
    engine : VirtualTimeEngine
    conductor : Node
    nodes : list of Node
        All of them.

    Raises
    ------
    Uncovered
        If there is something that the tables cannot say.
    """

    def __init__(self, engine: VirtualTimeEngine, conductor: Any, nodes: list[Any]) -> None:
        self.engine, self.loop = engine, event_loop()
        followers = [node for node in nodes if node is not conductor]
        self.models: list[Any] = [node.model for node in followers]
        self._members = set(self.models)
        for model in self.models:
            model.begin()
        self.schedule, self._groups = self.models[0].schedule, _NO_GROUPS
        self._sources = [(e, m) for e, m in enumerate(self.models) if not m.element.inputs]
        self.seconds = 0.0
        self.lanes: int = self.models[0].element.lanes
        zeros = np.zeros(len(engine.channels), np.int64)
        self._before: tuple[AnyArray, AnyArray] = (zeros, zeros)
        self._build()
        if not all(self.learners.native):
            # What compiled code does not do at commands, those that are alike do together.
            pairs = zip(followers, self.learners.native, strict=True)
            batch_commands([conductor, *(node for node, native in pairs if not native)])
            batches = conductor.model._mailbox.command_batches
            self._groups = [(batch.stacked, batch.models) for batch in batches]
            if batches:
                self._build()  # their registers have moved
        self.leader = Leader(self)

    def _build(self) -> None:
        """Make the tables of the registers as they lie."""
        maker = TableMaker(self.engine, self.models)
        self.learners = Learners(maker, self.models)
        self.tables = maker.tables(**self.learners.sections)
        self._ports, self._pends = maker.ports_by_name, maker.pends
        self._header, self._elements = self.tables.header, self.tables.sections["elements"]
        self._coding = self._header[columns.S_CODED] = coding(self.engine.transport)
        self._header[columns.S_CODED_ROWS] = len(self.tables.sections["turns"])
        self._address = self.tables.address
        # What the tables have addresses of has to stay in the memory.
        self._registers = [tuple(model.element.memory.values()) for model in self.models]
        self._share(self.learners.native)

    def _follow(self) -> None:
        """Make the tables anew if somebody has put registers elsewhere between two runs."""
        for model, known in zip(self.models, self._registers, strict=True):
            if any(map(operator.is_not, model.element.memory.values(), known)):
                self._before = self.counted()
                self._groups = _NO_GROUPS  # they look at the registers that were
                self._build()
                return

    def _share(self, native: list[bool]) -> None:
        """Note who counts, learns and forgets in Python: all that compiled code does not."""
        self._elements[:, columns.E_NATIVE] = native
        learners = len(self.learners.sections["learners"])
        self._header[columns.S_LEARNERS] = learners if any(native) else 0
        theirs = {model for model, own in zip(self.models, native, strict=True) if not own}
        groups = [(group, models) for group, models in self._groups if theirs.issuperset(models)]
        self.stacked: list[StackedPopulations] = [group for group, _ in groups]
        theirs.difference_update(model for _, models in groups for model in models)
        called = self._elements[:, columns.E_KIND] == columns.CALLED
        alone = [(e, m) for e, m in enumerate(self.models) if m in theirs]
        self.single = [(e, m.element) for e, m in alone if not called[e]]
        self.called = [m for e, m in alone if called[e]]

    def __contains__(self, model: object) -> bool:
        return model in self._members

    @property
    def moving(self) -> bool:
        """Whether something is on its way."""
        s = self._header
        return bool(s[columns.S_TODAY] or s[columns.S_WAITING])

    def act(self, verb: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Call the compiled loop."""
        # A number of another type, a bool, say, and all would be compiled once more.
        return int(self.loop.act(self._address, verb, int(a), int(b), int(c)))

    def handle(self, command: Command, presentation: int) -> None:
        """Let all obey a command of the conductor."""
        if command in (Command.LEARN, Command.TURN):
            self._learn(presentation)
            presentation += command == Command.TURN
        if command == Command.RESET:  # a run begins
            self._follow()
        if command in (Command.RESET, Command.TURN):
            self._reset(presentation)
        if command == Command.BEGIN:
            self._begin(presentation)
        if command == Command.SEND:
            self._speak(presentation)

    def _learn(self, presentation: int) -> None:
        clock = self.schedule.settled(presentation)
        learners = self.learners
        updates = learners.updates
        if clock.batch:
            learners.prepare(updates + 1)
        if not self.act(self.loop.LEARN, clock.frozen, clock.batch, updates):
            self._share([False] * len(self.models))  # somebody has set their counts apart
        for stacked in self.stacked:
            stacked.memory["residual"][0] = 0.0  # they have come to rest
            stacked.finish(clock)
        for e, element in self.single:
            if isinstance(element, Population):
                element._spoken = bool(self._elements[e, columns.E_SPOKEN])
            element.after(clock, {})
        for model in self.called:
            model._reactive.handle(Command.LEARN, presentation)

    def _reset(self, presentation: int) -> None:
        self.act(self.loop.RESET)
        for stacked in self.stacked:
            Population.reset(stacked)
        for _, element in self.single:
            element.reset()
        for model in self.called:
            model._reactive.handle(Command.RESET, presentation)
        self.turn_to(presentation)

    def turn_to(self, presentation: int) -> None:
        """Let the tables know what a presentation is."""
        clock = self.schedule.settled(presentation)
        self._header[columns.S_VALID] = clock.valid
        self._header[columns.S_LEARN] = clock.learn

    def _begin(self, presentation: int) -> None:
        """Begin a presentation: all streams of random numbers anew, then the sources' rows."""
        engine, s = self.engine, self._header
        keys = s.view(np.uint64)
        keys[columns.S_LATENCY], keys[columns.S_HOLD] = engine.key(LATENCY), engine.key(HOLD)
        keys[columns.S_FAULT], s[columns.S_PRESENTATION] = engine.key(FAULT), engine.presentation
        self.tables.now = engine.now
        self.act(self.loop.BEGIN)
        if engine.transport.faults.frozen and engine.presentation > 0:
            self._in_turn(self.loop.SAY_AGAIN)
        for e, model in self._sources:
            self._post(e, model.handle(Command.BEGIN, presentation))

    def _speak(self, presentation: int) -> None:
        s = self._header
        s[columns.S_CURSOR] = 0
        while (why := self.act(self.loop.SPEAK_UP)) != columns.SILENT:
            if why == columns.GROW:
                self.tables.make_room()
            else:
                e = int(s[columns.S_ARGUMENT])
                self._post(e, self.models[e].handle(Command.SEND, presentation))
                self._go_on(e)

    def _in_turn(self, verb: int) -> None:
        """Let coded messages be sent that nobody has asked for."""
        self._header[columns.S_CURSOR] = 0
        while self.act(verb) == columns.GROW:
            self.tables.make_room()

    def release(self) -> None:
        """Send what was kept back and has not been overtaken."""
        if self._coding:
            self._in_turn(self.loop.LET_GO)

    def repeat(self) -> bool:
        """Send the values again that their receivers have not understood; tell if there were."""
        self._header[columns.S_ARGUMENT] = 0
        self._in_turn(self.loop.REPEAT)
        return bool(self._header[columns.S_ARGUMENT])

    def advance(self) -> None:
        """Let things happen until there is silence.

        Raises
        ------
        NotSettledError
            If the engine's limit of deliveries is reached before.
        """
        self._header[columns.S_LIMIT] = min(self.engine.limit, 1 << 62)
        self._until_silence(self.loop.ADVANCE, 0)

    def conduct(self, lead: int) -> None:
        """Lead through the presentations of a list (``native.events.conducting``), by its address.

        Raises
        ------
        NotSettledError
            If its cap of deliveries is reached before a silence.
        """
        self.tables.now = self.engine.now
        self._until_silence(self.loop.CONDUCT, lead)

    def _until_silence(self, verb: int, lead: int) -> None:
        engine, s = self.engine, self._header
        begin = time.perf_counter()
        s[columns.S_DELIVERIES] = engine.deliveries
        s[columns.S_TRACING] = engine.recorder is not None
        why = columns.AGAIN
        while why != columns.SILENT:
            why = self.act(verb, lead)
            engine.now, engine.deliveries = self.tables.now, int(s[columns.S_DELIVERIES])
            engine.arrived += int(s[columns.S_ARRIVED])
            s[columns.S_ARRIVED] = 0
            engine.understood |= bool(s[columns.S_UNDERSTOOD])
            s[columns.S_UNDERSTOOD] = 0
            if s[columns.S_TRACED]:
                self._flush()
            if why == columns.GROW:
                self.tables.make_room()
            elif why == columns.CALL:
                self._call(int(s[columns.S_ARGUMENT]))
            elif why == columns.LIMIT:
                raise not_settled(engine._cap)
        self.seconds += time.perf_counter() - begin

    def _call(self, e: int) -> None:
        """Let an element answer for itself."""
        got, model, inbox = self._elements[e, columns.E_GOT], self.models[e], {}
        self._elements[e, columns.E_GOT] = 0
        for slot, (port, pending) in enumerate(self._pends[e]):
            if got >> slot & 1:
                inbox[port] = pending.copy()
                pending.fill(0)
        self._post(e, model.answer(inbox))
        self._go_on(e)

    def _go_on(self, e: int) -> None:
        model = self.models[e]
        if model.self_scheduled and not self._elements[e, columns.E_HOLDING]:
            self.act(self.loop.REST, e)

    def _post(self, e: int, outbox: Outbox) -> None:
        """Put what an element says on its way."""
        for name, message in outbox.items():
            if message is None or (e, name) not in self._ports:
                continue
            port, posts = self._ports[e, name]
            said = np.ascontiguousarray(message, float)
            width = said.size // self._header.item(columns.S_LANES)
            self.tables.make_room(posts, width)
            self.act(self.loop.POST, port, address(said), width)

    def port(self, e: int, name: str) -> tuple[int, int] | None:
        """Return a port's number and how many messages leave it at once; None: nobody hears."""
        return self._ports.get((e, name))

    def _flush(self) -> None:
        """Hand the rows of a trace over."""
        recorder, s = self.engine.recorder, self._header
        rows = self.tables.sections["trace"][: s[columns.S_TRACED]]
        assert recorder is not None
        recorder.note_rows(rows, self.engine.presentation)
        s[columns.S_TRACED] = 0

    def counted(self) -> tuple[AnyArray, AnyArray]:
        """Return the messages and events of every wire so far."""
        sections, (messages, events) = self.tables.sections, self._before
        sent = sections["messages"] + sections["count"]
        several = self._header[columns.S_LANES] > 1
        return messages + sent, events + (sections["events"] if several else sent)

    def report(self) -> None:
        """Write the counts of messages into the wires."""
        for wire, messages, events in zip(self.engine.channels, *self.counted(), strict=True):
            wire.messages, wire.events = int(messages), int(events)
