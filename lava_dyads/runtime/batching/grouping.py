"""Which neurons can step together, and how what they tell each other is gathered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Source
from lava_dyads.elements.layout import owner
from lava_dyads.elements.stacked_populations import StackedPopulations, kind
from lava_dyads.models.element_model import ElementModel
from lava_dyads.runtime.batching.steps import Batch, BatchScheduler, Output
from lava_dyads.runtime.channels import Channel, FanOut, ReceiveBuffer
from lava_dyads.runtime.lava_internals.discovery import ports_of
from lava_dyads.runtime.scheduler import Scheduler

SMALLEST = 2
"""Members from which on a batch is quicker."""


class _Sender(NamedTuple):
    """Who is at the beginning of a channel.

    Attributes
    ----------
    number : int
        Of the node.
    port : str
    shape : tuple
        Of the port.
    direct : bool
        Whether it sends by an :class:`FanOut`, which can be given other channels.
    """

    number: int
    port: str
    shape: tuple[int, ...]
    direct: bool


def batched(nodes: list[Any], scheduler: Scheduler) -> tuple[BatchScheduler | None, list[Any]]:
    """Put nodes that can step together into batches.

    Parameters
    ----------
    nodes : list of Node
        Connected and ready to run in steps.
    scheduler : Scheduler

    Returns
    -------
    batches : BatchScheduler or None
        The batches, if there are any.
    rest : list of Node
        All other nodes.
    """
    if scheduler.measuring:  # every model is timed, and every channel counted
        return None, nodes
    senders: dict[Channel, _Sender] = {}
    for i, node in enumerate(nodes):
        for port in ports_of(node.process, OutPort):
            channels = node.channels(port.name)
            if channels:
                direct = _by_fan_out(getattr(node.model, port.name))
                sender = _Sender(i, port.name, port.shape, direct)
                senders.update(dict.fromkeys(channels, sender))
    plain = [_kind(node, senders) for node in nodes]
    if sum(k is not None for k in plain) < SMALLEST:
        return None, nodes
    groups: dict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for i, depth in enumerate(_depths(nodes, senders)):
        if plain[i] is not None and depth >= 0:
            groups[depth, plain[i]].append(i)
    few = [group for group in groups.values() if len(group) < SMALLEST]
    # A few odd ones are batches of their own where there is nobody else then.
    everybody = sum(map(len, groups.values())) == len(nodes) >= 2 * sum(map(len, few))
    batches, places = [], {}
    for _, group in sorted(groups.items(), key=lambda item: item[0][0]):
        if len(group) < SMALLEST and not everybody:
            continue
        # Lava numbers the neurons of a layer by the spelling of their names.
        group.sort(key=lambda i: address(nodes[i].model.element))
        members = [nodes[i] for i in group]
        wired = {p for p in members[0].model.element.outputs if members[0].channels(p)}
        try:
            stacked = StackedPopulations([node.model.element for node in members])
        except ValueError:
            continue
        stacked.listened &= wired
        for member in stacked.members:
            member.listened &= wired
        batch = Batch(members, stacked)
        places.update({i: (batch, k) for k, i in enumerate(group)})
        batches.append(batch)
    if not batches:
        return None, nodes
    wiring = _Wiring(scheduler, nodes, senders, batches, places)
    wiring.connect()
    rest = [node for i, node in enumerate(nodes) if i not in places]
    return BatchScheduler(scheduler, batches, wiring.used, _sources(rest, wiring)), rest


def _sources(rest: list[Any], wiring: _Wiring) -> list[Any] | None:
    """Return the nodes beside batches if all of them are sources; let these speak ahead."""
    if not all(_is_source(node, wiring) for node in rest):
        return None
    for batch in wiring.batches:
        batch.fed_ahead = True
    return rest


def _is_source(node: Any, wiring: _Wiring) -> bool:
    """Tell whether a node is a source to which batches alone listen."""
    model = node.model
    plain = _of_ours(model) and type(model.element) is Source and node.task.swap is None
    if not plain or vars(model.element).keys() & {"before", "after"}:
        return False
    heard = [channel for port in node.wired() for channel in node.channels(port)]
    return all(wiring.receivers[id(c.buffer)][0] in wiring.members for c in heard)


class _Wiring:
    """Gives batches their ways to receive and to send.

    Parameters
    ----------
    scheduler, nodes, batches
        See :func:`batched`.
    senders : dict of Channel to _Sender
    places : dict of int to (Batch, int)
        By number of a node: its batch, and which member it is.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        nodes: list[Any],
        senders: dict[Channel, _Sender],
        batches: list[Batch],
        places: dict[int, tuple[Batch, int]],
    ) -> None:
        self.scheduler, self.nodes, self.senders = scheduler, nodes, senders
        self.batches, self.members = batches, places
        self.receivers = {
            id(channel.buffer): (i, port)
            for i, node in enumerate(nodes)
            for port in ports_of(node.process, InPort)
            for channel in node.channels(port.name)[:1]
        }
        self.used = 1
        self.spots: dict[Hashable, slice] = {}
        """Places of what is said, by port: (batch, name), or (number of a node, name).

        In place 0 nobody says anything.
        """

    def connect(self) -> None:
        """Connect all batches with each other and with everybody else."""
        for batch in self.batches:
            for name in self._wired(batch, batch.stacked.outputs):
                self.spots[batch, name] = self._place(len(batch.nodes))
        feeds: dict[tuple[int, str], list[Batch]] = defaultdict(list)
        for batch in self.batches:
            for number, name in self._listen(batch):
                feeds[number, name].append(batch)
        for (number, name), listeners in feeds.items():
            self._feed(self.nodes[number], name, self.spots[number, name], listeners)
        for batch in self.batches:
            for name in self._wired(batch, batch.stacked.outputs):
                batch.outputs.append(self._output(batch, name))

    def _wired(self, batch: Batch, ports: Any) -> list[str]:
        return [name for name in ports if batch.nodes[0].channels(name)]

    def _place(self, size: int) -> slice:
        self.used += size
        return slice(self.used - size, self.used)

    def _listen(self, batch: Batch) -> list[tuple[int, str]]:
        """Note what a batch hears from where; return the ports of others it listens to."""
        outside: dict[tuple[int, str], None] = {}
        for name in self._wired(batch, batch.stacked.inputs):
            lists: list[list[int]] = []
            for node in batch.nodes:
                heard: list[int] = []
                for channel in node.channels(name):
                    number, port, shape, _ = self.senders[channel]
                    member = self.members.get(number)
                    if member is not None:
                        heard.append(self.spots[member[0], port].start + member[1])
                        continue
                    outside[number, port] = None
                    if (number, port) not in self.spots:
                        self.spots[number, port] = self._place(shape[-1])
                    heard.append(self.spots[number, port].start + (channel.entry or 0))
                lists.append(heard)
            batch.heard.append((name, _padded(lists)))
        return list(outside)

    def _feed(self, node: Any, name: str, place: slice, listeners: list[Batch]) -> None:
        """Let a port outside send whole messages to batches."""
        port = getattr(node.model, name)
        kept: list[Channel] = []
        cut: list[Channel] = []
        for channel in node.channels(name):
            inside = self.receivers[id(channel.buffer)][0] in self.members
            (cut if inside else kept).append(channel)
        fresh = []
        for batch in listeners:
            first = next(c for c in cut if self._batch_of(c) is batch)
            ends = first.source, first.target
            channel = Channel(self.scheduler, *ends, first.shape, first.dtype, first.size)
            channel.buffer.shape(first.shape, first.dtype)
            batch.feeds.append((channel, place))
            fresh.append(channel)
        port.send = FanOut([*kept, *fresh]).send
        gone = set(cut)
        node.task.outgoing = [*(c for c in node.task.outgoing if c not in gone), *fresh]

    def _batch_of(self, channel: Channel) -> Batch | None:
        number, _ = self.receivers[id(channel.buffer)]
        return self.members.get(number, (None, 0))[0]

    def _output(self, batch: Batch, name: str) -> Output:
        by_buffer: dict[int, list[tuple[int, Channel]]] = defaultdict(list)
        for k, node in enumerate(batch.nodes):
            for channel in node.channels(name):
                if self._batch_of(channel) is None:
                    by_buffer[id(channel.buffer)].append((k, channel))
        whole: list[Channel] = []
        left: dict[int, list[Channel]] = defaultdict(list)
        for ends in by_buffer.values():
            channel = self._gathering(batch, ends)
            if channel is not None:
                whole.append(channel)
                continue
            for k, single in ends:
                left[k].append(single)
        index = list(batch.stacked.outputs).index(name)
        sends = [(k, FanOut(channels).send) for k, channels in sorted(left.items())]
        shape = getattr(batch.nodes[0].process, name).shape
        return Output(name, index, self.spots[batch, name], shape, whole, sends)

    def _gathering(self, batch: Batch, ends: list[tuple[int, Channel]]) -> Channel | None:
        """Return one channel in place of those from all members, if the receiver knows no other."""
        number, port = self.receivers[id(ends[0][1].buffer)]
        model, old = self.nodes[number].model, ends[0][1].buffer
        receiving = getattr(model, port.name)
        everybody = (
            [k for k, _ in ends] == list(range(len(batch.nodes))) == list(range(len(old.channels)))
        )
        if (
            not everybody
            or not _of_ours(model)
            or not _does(receiving.recv, ReceiveBuffer.gathered)
        ):
            return None
        first, buffer = ends[0][1], ReceiveBuffer()
        source = f"{first.source} and {len(ends) - 1} more"
        shape = (*first.shape[:-1], len(ends))
        channel = Channel(
            self.scheduler, source, first.target, shape, first.dtype, first.size, buffer
        )
        buffer.shape(old.zero_message.shape, old.zero_message.dtype)
        buffer.entries = [old.entries[end.index] for _, end in ends]
        receiving.recv = buffer.gathered
        return channel


def _kind(node: Any, senders: dict[Channel, _Sender]) -> Hashable:
    """Return the key that the nodes of a batch share; None if it steps alone."""
    model = node.model
    if not _of_ours(model) or node.task.swap is not None:
        return None
    element = model.element
    same = kind(element)
    if same is None or any(node.channels(p.name) for p in ports_of(node.process, RefPort)):
        return None
    # Sums are padded to the longest one in a batch, so all are of about the same length.
    wired = [(name, node.channels(name)) for name in node.wired()]
    for name, channels in wired:
        py_port = getattr(model, name)
        if name in element.outputs:
            fits = _by_fan_out(py_port)
        else:
            # Any of the ways to receive that only add up what was sent.
            fits = name in element.inputs and getattr(py_port.recv, "__func__", None) in _SUMS
            fits = fits and _summable(channels, senders)
        if not fits:
            return None
    lengths = tuple((p, p in element.outputs or len(found).bit_length()) for p, found in wired)
    return same, id(model.schedule), model.time_step, lengths, home(element)


def home(element: Any) -> int | None:
    """Return the key of the layer that a neuron was cut out of; None if there is none."""
    return None if element.alone("basal") else id(owner(element.memory["basal"]))


def address(element: Any) -> int:
    """Return the address of a neuron's registers, which orders those of a layer."""
    return int(element.memory["basal"].__array_interface__["data"][0])


def _padded(lists: list[list[int]]) -> AnyArray:
    """Return lists as the columns of one array, filled up with place 0."""
    longest = max(map(len, lists))
    rows = [heard + [0] * (longest - len(heard)) for heard in lists]
    if len(rows) == 1:
        rows.append([0] * longest)  # a single column numpy would add up in pairs
    return np.ascontiguousarray(np.array(rows, np.intp).T)


_SUMS = (ReceiveBuffer.number, ReceiveBuffer.single, ReceiveBuffer.borrowed, ReceiveBuffer.summed)
_REAL = np.dtype(np.float64)


def _summable(channels: list[Channel], senders: dict[Channel, _Sender]) -> bool:
    for channel in channels:
        sender = senders.get(channel)
        if sender is None or not sender.direct or channel.dtype is not _REAL:
            return False
    return True


def _of_ours(model: Any) -> bool:
    return isinstance(model, ElementModel) and type(model).run_spk is ElementModel.run_spk


def _does(method: Any, function: Any) -> bool:
    return getattr(method, "__func__", None) is function


def _by_fan_out(port: Any) -> bool:
    return isinstance(getattr(port.send, "__self__", None), FanOut)


def _depths(nodes: list[Any], senders: dict[Channel, _Sender]) -> list[int]:
    """Return the number of others that must send before each node, in a step; -1: in a cycle.

    Who sends before it receives, as connections do, waits for nobody. Of other people's models
    nothing is known: they may wait for everything they hear.
    """
    edges: list[tuple[int, int]] = []
    for i, node in enumerate(nodes):
        if _of_ours(node.model) and not node.model.element.answers:
            continue
        for port in ports_of(node.process, InPort):
            edges += [(senders[c].number, i) for c in node.channels(port.name) if c in senders]
    n = len(nodes)
    pairs = np.array(edges, int).reshape(-1, 2)
    pairs = np.column_stack(np.divmod(np.unique(pairs[:, 0] * n + pairs[:, 1]), n))
    graph = csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    knots, knot = connected_components(graph, directed=True, connection="strong")
    depth = [0] * knots
    waits = [0] * knots
    following: list[list[int]] = [[] for _ in range(knots)]
    loops = set()
    for source, target in zip(knot[pairs[:, 0]].tolist(), knot[pairs[:, 1]].tolist(), strict=True):
        if source == target:
            loops.add(source)
        else:
            following[source].append(target)
            waits[target] += 1
    ready = [k for k in range(knots) if not waits[k]]
    while ready:
        here = ready.pop()
        for target in following[here]:
            depth[target] = max(depth[target], depth[here] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return [-1 if k in loops else depth[k] for k in knot.tolist()]
