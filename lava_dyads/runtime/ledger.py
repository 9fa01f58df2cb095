"""A ledger: what every neuron held, answered and said last, presentation by presentation.

From it anybody can check, without this library, whether an asynchronous network had settled and
learned what it should have (``lava-dyads check settled``). It is one .npz file:

``header``
    JSON: the elements, what leads to each of their ports, how they learn.
``start/ELEMENT/REGISTER``, ``end/...``
    What learns and its state, before the first and after the last presentation.
``index/CONNECTION``
    Shape (n_out, n_in): the place among the weights of the one that leads from an entry to a
    neuron, -1 where none does; of an op without weights, the numbers that stand for them.
``kept/ELEMENT/REGISTER``
    Shape (presentations, lanes, n), at silence, before learning.
``input``, ``target``, ``clock``, ``messages``
    What the source was to say; valid lanes, learn, batch; sent and arrived messages at the first
    and the last silence of a presentation.
``hash``
    Shape (presentations + 2, 32). SHA-256 of the header and all that begins with start or index; of
    every presentation; of all that begins with end: each of the hash before and of the bytes of the
    arrays' rows, in the order of their names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Connection, Head, Population, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.reactive import Command
from lava_dyads.errors import UnsupportedError
from lava_dyads.executors.step import Network
from lava_dyads.files import AnyPath, write_arrays
from lava_dyads.processes import DatasetSource, DyadNetwork
from lava_dyads.rules.units.dyad import DyadUnit

if TYPE_CHECKING:
    from lava_dyads.runtime.virtual_time.engine import VirtualTimeEngine

_LIMIT = 1 << 25
"""Numbers after which it ends (256 MiB), so that a long training does not fill the memory."""
_KEPT = {
    Population: ("s_plus", "s_minus", "basal", "apical", "sent_mean", "sent_difference"),
    Connection: ("held_mean", "held_difference"),
    Head: ("held_output", "held_target", "sent_drive"),
}
OPTIMISERS = ("sgd", "momentum", "adam")
LOSSES = ("squared-error", "cross-entropy", "binary-cross-entropy", "huber")


class Ledger:
    """Collects a ledger while an asynchronous network runs.

    Parameters
    ----------
    engine : VirtualTimeEngine
    network : Network
    source : Source
    schedule : PresentationSchedule

    Raises
    ------
    UnsupportedError
        If there is something in the network that the verifier cannot check.
    """

    def __init__(
        self,
        engine: VirtualTimeEngine,
        network: Network,
        source: Source,
        schedule: PresentationSchedule,
    ) -> None:
        self._engine, self._network, self._source = engine, network, source
        self._schedule = schedule
        for name, element in network.elements.items():
            reason = _unknown(element)
            if reason:
                raise UnsupportedError(
                    f"ledger: {name} is {reason}. Try: dp-transpose or dp with a linearised "
                    "nudge, float64, sgd, momentum or adam, no pooling by the largest, no products"
                )
        if schedule.stream:
            raise UnsupportedError("ledger: nothing is settled in a stream. Try: no stream")
        self._maps = {
            f"index/{name}": _index(name, element)
            for name, element in network.elements.items()
            if isinstance(element, Connection)
        }
        self._kept: dict[str, list[AnyArray]] = {}
        self._first: list[int] = []
        self._before = [0, 0]
        self._start = self._parameters()
        self._end: dict[str, AnyArray] | None = None
        self._size = 0

    def note(self, command: Command, presentation: int) -> None:
        """Take down what there is to see at a command, before it is obeyed."""
        if self._size > _LIMIT:
            self._end = self._end or self._parameters()
            return
        if command == Command.BEGIN:
            self._before = self._messages()
        if command == Command.SEND:
            self._first = self._messages()
        if command in (Command.LEARN, Command.TURN):
            self._presentation(presentation)

    def _messages(self) -> list[int]:
        engine = self._engine
        if engine.compiled is not None:
            return [int(engine.compiled.counted()[0].sum()), engine.arrived]
        return [sum(wire.messages for wire in engine.channels), engine.arrived]

    def _presentation(self, presentation: int) -> None:
        clock = self._schedule.settled(presentation)
        row: dict[str, AnyArray] = {}
        for name, element in self._network.elements.items():
            for register in _KEPT[type(element)]:
                row[f"kept/{name}/{register}"] = np.array(element.memory[register], float)
        rows = self._source.memory["order"]
        shown = rows[np.arange(clock.start, clock.start + clock.valid) % len(rows)]
        lanes = self._network.lanes
        for name, data in (("input", self._source.x), ("target", self._source.y)):
            row[name] = np.zeros((lanes, data.shape[1]))
            row[name][: clock.valid] = data[shown]
        mode = 2 if clock.frozen else int(clock.learn)
        row["clock"] = np.array([clock.valid, mode, clock.batch])
        counts = [self._first or self._messages(), self._messages()]
        row["messages"] = np.array(counts) - self._before
        for name, value in row.items():
            self._kept.setdefault(name, []).append(value)
            self._size += value.size

    def _parameters(self) -> dict[str, AnyArray]:
        found = {
            f"{name}/{register}": np.array(value)
            for name, element in self._network.elements.items()
            for register, value in element.memory.items()
            if register.startswith(("weights", "feedback", "bias"))
        }
        for name, element in self._network.elements.items():
            if element.parts:  # neurons of their own count for themselves
                found[f"{name}/bias_updates"] = np.array(element.parts[0].memory["bias_updates"])
        return found

    def save(self, path: AnyPath) -> None:
        """Write it, atomically; after an error, what there was until then."""
        arrays = {f"start/{n}": v for n, v in self._start.items()}
        arrays |= {f"end/{n}": v for n, v in (self._end or self._parameters()).items()}
        arrays |= self._maps
        arrays |= {name: np.stack(values) for name, values in self._kept.items()}
        network = self._network
        about = {
            "coding": self._engine.transport.coding,
            "elements": {name: _described(e) for name, e in network.elements.items()},
            "sources": [[*there, here] for there, here in network.sources.items()],
        }
        header = json.dumps(about)
        write_arrays(path, header, {**arrays, "hash": _chained(header, arrays)})


def ledger_of(processes: Iterable[Any], engine: VirtualTimeEngine | None) -> Ledger:
    """Return a new ledger of the network among some Processes; ``engine`` None: it runs in steps.

    Raises
    ------
    UnsupportedError
        Unless one DyadNetwork and one DatasetSource run asynchronously, in a form that the
        verifier knows.
    """
    found = list(processes)
    networks = [p for p in found if isinstance(p, DyadNetwork)]
    sources = [p for p in found if isinstance(p, DatasetSource)]
    if engine is None or len(networks) != 1 or len(sources) != 1:
        steps = " in steps" if engine is None else ""
        raise UnsupportedError(
            "ledger: needs one DyadNetwork, one DatasetSource and DyadRunConfig(clock='async') "
            f"(got {len(networks)} and {len(sources)}{steps}). "
            "Try: train --clock async --ledger FILE"
        )
    network, source = networks[0], sources[0].element
    assert isinstance(network.network, Network)
    assert isinstance(source, Source)
    return Ledger(engine, network.network, source, network.schedule)


def _unknown(element: Any) -> str | None:
    """Return what is unknown about an element; None: nothing."""
    numbers = element.arithmetic
    if numbers.exact or numbers.dtype != np.float64:
        return "not computed in float64"
    if type(element) is Population:
        if type(element.unit) is not DyadUnit:
            return f"a {element.unit.process_name} of another kind"
        if element.noise or element.anneal:
            return "noisy, or has a threshold that falls"
    elif type(element) is Head:
        if element.frozen or element.anneal:
            return "a head that looks at the output once, or has a threshold that falls"
        if element.loss.name not in LOSSES:
            return f"a head of the loss {element.loss.label}"
    elif type(element) is not Connection:
        return f"a {type(element).__name__}"
    names = [rule["optimiser"] for rule in _described(element).get("learners", ())]
    others = [o["name"] for o in names if o and o["name"] not in OPTIMISERS]
    return f"a learner by {others[0]}" if others else None


def _described(element: Any) -> dict[str, Any]:
    """Return what the verifier has to know about an element."""
    if isinstance(element, Head):
        about = {"loss": element.loss.label, "beta": element.beta, "threshold": element.threshold}
        return {"kind": "head", **about}
    if isinstance(element, Population):
        unit: Any = element.unit
        about = {"activation": unit.activation.name, "alpha": unit.alpha, "adjoint": unit.adjoint}
        about |= {"thresholds": {c: element._thresholds[c] for c in ("mean", "difference")}}
        learners: list[Any] = [element.plasticity]
        kind = "population"
    else:
        about, kind = {"op": bool(element.op.shape)}, "connection"
        learners = element.learners
    return {
        "kind": kind,
        **about,
        "beta": element.beta,
        "learners": [
            {"register": p.name, "decays": p._decay, "optimiser": _options(p.optimiser)}
            for p in learners
            if element.memory.get(p.name) is not None
        ],
    }


def _options(rule: Any) -> dict[str, Any] | None:
    return None if rule is None else {"name": rule.name, **asdict(rule)}


def _index(name: str, element: Connection) -> AnyArray:
    """Return which weight leads from where to where, found out by numbers in their place."""
    op, unit = element.op, np.eye(element.op.n_in)
    if not op.shape:
        return np.ascontiguousarray(op.forward(element.weights, unit).T)
    numbered = np.arange(1.0, element.weights.size + 1).reshape(element.weights.shape)
    if op.mask is not None:
        numbered = np.where(op.mask, numbered, 0.0)
    found = op.forward(numbered, unit).T
    index = np.rint(found).astype(np.int64)
    if not np.array_equal(index, found) or index.max(initial=0) > numbered.size:
        raise UnsupportedError(f"ledger: {name} adds weights up. Try: dense, conv")
    return np.ascontiguousarray(index - 1)


def _chained(header: str, arrays: Mapping[str, AnyArray]) -> AnyArray:
    """Return the chain of hashes."""
    names = sorted(set(arrays) - {"hash"})
    rows = [n for n in names if n.partition("/")[0] not in ("start", "end", "index")]
    count = len(arrays[rows[0]]) if rows else 0
    parts = [[header.encode(), *(arrays[n].tobytes() for n in names
                                 if n.startswith(("start/", "index/")))]]  # fmt: skip
    parts += [[arrays[n][p].tobytes() for n in rows] for p in range(count)]
    parts += [[arrays[n].tobytes() for n in names if n.startswith("end/")]]
    chain = [b""]
    for part in parts:
        chain.append(hashlib.sha256(b"".join((chain[-1], *part))).digest())
    return np.frombuffer(b"".join(chain[1:]), np.uint8).reshape(-1, 32)
