"""From models and wires to the tables of the compiled event loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Connection, Gather, Head, Population, Sink, Source
from lava_dyads.elements.connection import TaughtConnection
from lava_dyads.native.events import columns
from lava_dyads.native.programs import TRACED, Program, UntraceableError
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.units import Unit
from lava_dyads.runtime.virtual_time.alike import Alike, Rows, begin, kind
from lava_dyads.runtime.virtual_time.coded_tables import coded_sections
from lava_dyads.runtime.virtual_time.mailbox import EventMailbox, Outlet
from lava_dyads.runtime.virtual_time.op_tables import LARGEST, operations, synapses
from lava_dyads.runtime.virtual_time.tables import Tables, address, real_numbers, whole_numbers

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine

_TRACED_FLOAT = Float().over(TRACED)


class Uncovered(Exception):  # noqa: N818 (not an error: the present engine takes over)
    """Something that the tables cannot say."""


class TableMaker:
    """Makes the tables of a network.

    Parameters
    ----------
    engine : VirtualTimeEngine
    models : list of ReactiveModel
        The followers, in their conductor's order; their elements are numbered so.

    Attributes
    ----------
    elements : int array
        Rows of the elements.
    programs : list of Program
    ports_by_name : dict
        (Element, output port) to the number of the port and its destinations.
    pends : dict
        Element that is called, to its input ports and where their messages wait.

    Raises
    ------
    Uncovered
        If a message goes another way than from entry to entry.
    """

    def __init__(self, engine: VirtualTimeEngine, models: list[Any]) -> None:
        self._engine, self._models = engine, models
        self.elements = np.zeros((len(models), len(columns.ELEMENT)), np.int64)
        self.elements[:, [columns.E_PORT0, columns.E_PORT1]] = -1
        self._reals = np.zeros((len(models), 3))
        self._numbers: dict[EventMailbox, int] = {m._mailbox: e for e, m in enumerate(models)}
        self.ports_by_name: dict[tuple[int, str], tuple[int, int]] = {}
        self.pends: dict[int, list[tuple[str, AnyArray]]] = {}
        self.lanes = models[0].element.lanes
        self._addresses = Rows(1)
        self._channels = Rows(len(columns.CHANNEL))
        self._channel_reals = Rows(len(columns.CHANNEL_REALS), "d")
        self._spoken: dict[tuple[int, str], int] = {}
        """By element and output port: which of its channels it is, counted from its first."""
        self.programs: list[Program] = []
        self._known: dict[Any, int] = {}
        self._pending = 0
        self._slots: dict[tuple[int, str], tuple[int, int, int, int]] = {}
        """(Element, input port): role, slot or base, offset, distance of lanes."""
        self._waiting: list[tuple[int, str, int, int]] = []
        self._targets: list[AnyArray] = []
        self._weights: list[AnyArray] = []
        self._values: list[AnyArray] = []
        self._lengths: list[int] = []
        self._counts: list[int] = []
        self._width = 1
        self.alike: dict[Hashable, Alike] = {}
        """Populations that have the rows of one of them, moved, by their kind."""
        self.firsts = list(range(len(models)))
        """Of each element: the one whose rows it has, maybe itself."""
        self._shifts = np.zeros(len(models), np.int64)
        for e, model in enumerate(models):
            if model.element.lanes != self.lanes:
                raise Uncovered("Processes have lanes of their own")
            self.elements[e, columns.E_NUMBER] = model._mailbox.number
            self._enter(e, model)
        for alike in filter(None, self.alike.values()):
            self._pending += alike.enter(self)
        self._connect()

    # --- elements

    def _enter(self, e: int, model: Any) -> None:
        element, same = model.element, kind(model)
        if same is not None and same in self.alike:
            self.alike[same].add(e, begin(element))
            self.firsts[e] = self.alike[same].first
            return
        row = self.elements[e]
        row[columns.E_COALESCES] = element.coalescing
        self._reals[e, columns.R_HOLD] = model.hold_time
        makers: dict[type, Callable[[int, Any], bool]] = {
            Population: self._population,
            Head: self._head,
            Connection: self._linear,
            TaughtConnection: self._linear,
            Gather: self._relay,
            Sink: self._sink,
            Source: self._source,
        }
        make = makers.get(type(element))
        plain = not vars(element).keys() & {"before", "after"}
        if make is None or not plain or not make(e, element):
            self._called(e, element)
        elif same is not None:
            self.alike[same] = Alike(e, begin(element))

    def _called(self, e: int, element: Any) -> None:
        """Let an element be called with what came for it."""
        row = self.elements[e]
        row[columns.E_KIND] = columns.CALLED
        for slot, (port, n) in enumerate(element.inputs.items()):
            self._wait(e, port, slot, n)
            self._waiting.append((e, port, self._slots[e, port][2], n))

    def _wait(self, e: int, port: str, slot: int, n: int) -> None:
        self._slots[e, port] = (columns.PEND, slot, self._pending, n)
        self._pending += n * self.lanes
        self._width = max(self._width, n)

    def _coalesce(self, e: int, element: Any, names: tuple[tuple[str, str], ...]) -> None:
        """Let two ports wait, and be added to their registers."""
        row = self.elements[e]
        for slot, (port, name) in enumerate(names):
            row[columns.E_PEND0 + slot] = self._pending
            self._wait(e, port, slot, element.inputs[port])
            self._register(row, slot, element.memory[name])

    def _register(self, row: AnyArray, slot: int, register: AnyArray) -> None:
        row[columns.E_REG0 + slot] = address(register)
        row[columns.E_STRIDE0 + slot] = register.strides[0]

    def program(self, key: Any, equation: Callable[..., Any], inputs: int) -> int:
        """Return the number of a program; what has the same key is the same one."""
        if key not in self._known:
            self.programs.append(Program(equation, inputs))
            self._known[key] = len(self.programs) - 1
        return self._known[key]

    def _population(self, e: int, element: Population) -> bool:
        """Enter a population; return False if its unit is no plain function of its registers."""
        unit, memory = element.unit, element.memory
        registers = [memory[name] for name in unit.state]
        sent = {c: memory[f"sent_{c}"] for c in element.channels}
        rows = [*registers, memory["basal"], memory["apical"], *sent.values()]
        strides = {register.strides[0] for register in registers}
        bias = memory["bias"]
        beside = all(r.strides[1] == 8 or r.shape[1] == 1 for r in rows)
        plain = element.sharing == 1 and beside and len(strides) == 1
        plain = plain and (bias.strides[0] == 8 or len(bias) == 1)
        if (
            unit.spiking
            or unit.impulses
            or unit.blocks
            or element.awake != slice(None)
            or not plain
        ):
            return False
        spoken = [
            c for c in element.channels
            if c not in unit.extra or f"{c}_out" in element.listened or c == unit.learning_error
        ]  # fmt: skip
        n, inputs = element.n, len(unit.state) + 3
        try:
            nudged, free = (
                self.program(
                    (unit, tuple(spoken), learn), _unit_equation(unit, spoken, learn), inputs
                )
                for learn in (True, False)
            )
        except (UntraceableError, NotImplementedError, TypeError, AttributeError):
            return False
        row = self.elements[e]
        row[columns.E_KIND], row[columns.E_N], row[columns.E_STRIDE] = (
            columns.POPULATION,
            n,
            strides.pop(),
        )
        row[columns.E_NUDGED], row[columns.E_FREE] = nudged, free
        row[columns.E_INSTANT], row[columns.E_MUTUAL] = unit.instantaneous, unit.mutual
        self._reals[e, columns.R_THRESHOLD] = element.restless_above
        row[columns.E_STATE], row[columns.E_STATES] = len(self._addresses), len(registers)
        for register in registers:
            self._addresses.add((address(register),))
        row[columns.E_BIAS] = address(bias)
        self._coalesce(e, element, (("basal_in", "basal"), ("apical_in", "apical")))
        row[columns.E_CH0] = len(self._channels)
        for k, c in enumerate(spoken):
            heard = c not in unit.extra or f"{c}_out" in element.listened
            self._channel(e, element, c, k, sent[c], heard)
            self._spoken[e, f"{c}_out"] = k
            self._channel_reals.add((element._thresholds[c], element._scales[c]))
        row[columns.E_CH1] = len(self._channels)
        return True

    def _channel(
        self, e: int, element: Any, name: str, result: int, sent: AnyArray, heard: bool
    ) -> None:
        """Enter what an element sends on change; the port comes when it is connected."""
        counts, places = element.memory["counts"], element._places
        counters = [address(counts[places[f"{k}_{name}"] :]) for k in ("messages", "events")]
        self._channels.add([result, address(sent), sent.strides[0], -1, *counters, heard])

    def _head(self, e: int, element: Head) -> bool:
        row = self.elements[e]
        try:
            program = self.program(
                (element.loss, element.beta),
                lambda output, target: [element.drive(output, target, _TRACED_FLOAT)],
                2,
            )
        except (UntraceableError, TypeError, AttributeError):
            return False
        row[columns.E_KIND], row[columns.E_N], row[columns.E_NUDGED] = (
            columns.HEAD,
            element.n,
            program,
        )
        row[columns.E_FROZEN] = element.frozen
        self._reals[e, columns.R_BETA], self._reals[e, columns.R_THRESHOLD] = (
            element.beta,
            element.threshold,
        )
        self._coalesce(e, element, (("mean_in", "held_output"), ("target_in", "held_target")))
        row[columns.E_CH0] = len(self._channels)
        self._channel(e, element, "drive", 0, element.memory["sent_drive"], True)
        self._channel_reals.add((element.threshold, element.beta))
        self._spoken[e, "drive_out"] = 0
        row[columns.E_CH1] = len(self._channels)
        return True

    def _linear(self, e: int, element: Connection) -> bool:
        row, op, memory = self.elements[e], element.op, element.memory
        rows = [memory["held_mean"], memory["held_difference"]]
        if any(r.strides[1] != 8 and r.shape[1] > 1 for r in rows):
            return False
        if type(op) is Dense:
            for first, weights in (
                (columns.E_W, element.weights),
                (columns.E_B, element.feedback),
            ):
                row[first], row[first + 1 : first + 3] = address(weights), weights.strides
        elif not self._probe(e, element):
            return False
        row[columns.E_KIND], row[columns.E_NIN], row[columns.E_NOUT] = (
            columns.LINEAR,
            op.n_in,
            op.n_out,
        )
        for slot, register in enumerate(rows):
            self._register(row, slot, register)
            counter = element.memory["counts"][element._places[element.counted[slot]] :]
            row[columns.E_COUNT0 + slot] = address(counter)
        self._slots[e, "mean_in"] = (columns.UP, 0, 0, 0)
        self._slots[e, "difference_in"] = (columns.DOWN, 0, 0, 0)
        for port in set(element.inputs) - {"mean_in", "difference_in"}:
            self._add(e, port, memory[f"held_{port.removesuffix('_in')}"])
        return True

    def _add(self, e: int, port: str, register: AnyArray) -> None:
        """Let messages be added to a register (lanes, n) as they come."""
        self._slots[e, port] = (columns.ADD, register.strides[1], address(register),
                                register.strides[0])  # fmt: skip

    def _probe(self, e: int, element: Connection) -> bool:
        """Enter which weight leads from where to where, found out from the op itself."""
        op, row = element.op, self.elements[e]
        if op.n_in * op.n_out > LARGEST:
            return False
        made = []
        for n, product, weights, count in (
            (op.n_in, op.forward, element.weights, op.forward_operations),
            (op.n_out, op.transpose, element.feedback, op.backward_operations),
        ):
            table = synapses(op, n, product, weights)
            if table is None:
                return False
            made.append((*table, operations(count, n)))
        row[columns.E_TABLE] = 1
        for column, (targets, places, values, lengths, counts) in zip(
            (columns.E_UP, columns.E_DOWN), made, strict=True
        ):
            row[column] = len(self._lengths)
            self._targets.append(targets)
            self._weights.append(places)
            self._values.append(values)
            self._lengths += lengths
            self._counts += counts
        return True

    def _relay(self, e: int, element: Gather) -> bool:
        row = self.elements[e]
        row[columns.E_KIND] = columns.RELAY
        self._slots[e, "each_in"] = (columns.PASS, 0, 0, 0)
        return True

    def _sink(self, e: int, element: Sink) -> bool:
        self.elements[e, columns.E_KIND] = columns.COLLECT
        for name in ("output", "target"):
            self._add(e, f"{name}_in", element.memory[name])
        return True

    def _source(self, e: int, element: Source) -> bool:
        self.elements[e, columns.E_KIND] = columns.COLLECT  # hears nothing
        return True

    # --- wires

    def _connect(self) -> None:
        """Enter for every entry of every port where its messages go."""
        self._ports = Rows(len(columns.PORT))
        self._start: list[int] = [0]
        self._destinations = Rows(len(columns.DESTINATION))
        self._sends: dict[tuple[int, int], int] = {}
        self._ways: dict[Any, tuple[int, int, int, int, int]] = {}
        worst = worst_loads = 0
        for e, model in enumerate(self._models):
            posts, element = 1, model.element
            for i, port in enumerate(element.outputs):
                outlet = model._mailbox.outlet(port)
                if outlet is not None:
                    posts += self._port(e, port, outlet, element.outputs[port], self._sent(e, i))
            worst = max(worst, posts)
            worst_loads = max(worst_loads, 1 + sum(element.outputs.values()))
        self._worst, self._worst_loads = worst, worst_loads
        self._place_ports()

    def _sent(self, e: int, i: int) -> int:
        """Return where an element counts what it sends by port i."""
        first = self.firsts[e]
        if (first, i) not in self._sends:
            self._sends[first, i] = address(self._models[first].element.memory["sends"][i:])
        return self._sends[first, i] + self._shifts.item(e)

    def _port(self, e: int, port: str, outlet: Outlet, n: int, sends: int) -> int:
        if outlet.whole or outlet.pipes:
            raise Uncovered(f"{self._models[e].element.process_name}.{port} sends whole vectors")
        number, before = len(self._ports), len(self._destinations)
        self._ports.add((len(self._start) - 1, n, sends))
        add, ways = self._destinations.add, self._ways
        for i in range(n):
            for wire in (*outlet.single.get(i, ()), *outlet.each):
                to, role, slot, offset, stride = ways.get(wire.slot) or self._way(wire)
                place = wire.place(i)
                if role == columns.PEND:
                    offset += place
                elif role == columns.ADD:
                    offset, slot = offset + place * slot, 0
                add((to, role, place, wire.number, place, offset, stride, slot))
            self._start.append(len(self._destinations))
        posts = len(self._destinations) - before
        self.ports_by_name[e, port] = number, posts
        return posts

    def _way(self, wire: Any) -> tuple[int, int, int, int, int]:
        """Return to which element the messages for a slot go, and what becomes of them there."""
        e = self._numbers.get(wire.box)
        if e is None:
            raise Uncovered(f"{wire.target} is not one of the conductor's followers")
        role, slot, offset, stride = self._slots[e, wire.slot.port]
        self._ways[wire.slot] = e, role, slot, offset, stride
        return self._ways[wire.slot]

    def _place_ports(self) -> None:
        """Tell channels and connections the numbers of their ports."""
        kinds = self.elements[:, columns.E_KIND].tolist()
        begin = self.elements[:, columns.E_CH0].tolist()
        channels: list[int] = []
        numbers: list[int] = []
        for (e, port), (number, _) in self.ports_by_name.items():
            if port not in self._models[e].element.listened:
                continue
            spoken = self._spoken.get((self.firsts[e], port))
            if kinds[e] == columns.LINEAR:
                column = columns.E_PORT0 if port == "basal_out" else columns.E_PORT1
                self.elements[e, column] = number
            elif kinds[e] == columns.RELAY:
                self.elements[e, columns.E_PORT0] = number
            elif spoken is not None:
                channels.append(begin[e] + spoken)
                numbers.append(number)
        self._channels.made()[channels, columns.C_PORT] = numbers

    # --- tables

    def tables(self, **more: AnyArray) -> Tables:
        """Return the tables, with further sections."""
        lanes, wires = self.lanes, self._engine.channels
        everywhere = self._engine.transport.latency_everywhere
        latencies = [everywhere] if everywhere else [wire.latency_model for wire in wires]
        kinds = {name: i for i, name in enumerate(columns.LATENCY_MODELS)}
        pending = np.zeros(max(1, self._pending))
        for e, port, offset, n in self._waiting:
            view = pending[offset : offset + n * lanes].reshape(lanes, n)
            self.pends.setdefault(e, []).append((port, view))
        speakers = (columns.POPULATION, columns.CALLED)
        values = max((p.values for p in self.programs), default=1)
        return Tables(
            lanes,
            self._worst,
            self._worst_loads,
            elements=self.elements,
            reals=self._reals,
            addresses=whole_numbers(self._addresses.made()),
            channels=whole_numbers(self._channels.made()),
            channel_reals=real_numbers(self._channel_reals.made()),
            ports=whole_numbers(self._ports.made()),
            start=whole_numbers(self._start),
            destinations=self._destinations.made(),
            ways=self._destinations.made()[:, columns.D_WIRE].copy(),
            model=np.fromiter((kinds[latency.model] for latency in latencies), np.int64),
            mean=np.fromiter((latency.mean for latency in latencies), float),
            count=np.zeros(len(wires), np.int64),
            messages=np.zeros(len(wires), np.int64),
            events=np.zeros(len(wires), np.int64),
            pending=pending,
            followers=np.flatnonzero(np.isin(self.elements[:, columns.E_KIND], speakers)),
            program_start=whole_numbers(np.cumsum([0, *(len(p.rows) for p in self.programs)])),
            program=whole_numbers(_joined([p.rows for p in self.programs])),
            constants=real_numbers(_joined([p.constants for p in self.programs])),
            results=self._results(),
            work=np.zeros(values * max(self._width * lanes, columns.STEPS)),
            message=np.zeros(self._width * lanes),
            table_start=whole_numbers(np.cumsum([0, *self._lengths])),
            table_target=whole_numbers(_joined(self._targets)),
            table_weight=whole_numbers(_joined(self._weights)),
            table_value=real_numbers(_joined(self._values)),
            table_count=whole_numbers(self._counts),
            **coded_sections(self._engine, self._destinations.made(), lanes),
            **more,
        )

    def _results(self) -> AnyArray:
        """Return the results of all programs; the first number is how many there are at most."""
        width = max((len(p.results) for p in self.programs), default=1)
        rows = [p.results + [0] * (width - len(p.results)) for p in self.programs]
        return whole_numbers([width, *itertools.chain.from_iterable(rows)])


def _joined(arrays: list[AnyArray]) -> AnyArray:
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _unit_equation(unit: Unit, channels: list[str], learn: bool) -> Callable[..., list[Any]]:
    """Return a unit's step as a function of its registers, basal, apical and bias."""

    def equation(*values: Any) -> list[Any]:
        state = dict(zip(unit.state, values[:-3], strict=True))
        basal, apical, bias = values[-3:]
        drive = unit.drive(state, basal, bias)
        following = {**state, **unit.next_state(state, drive, apical if learn else None,
                                                _TRACED_FLOAT)}  # fmt: skip
        emitted = [unit.emit(following, channel) for channel in channels]
        return [*(following[name] for name in unit.state), *emitted]

    return equation
