"""Networks on any directed acyclic graph: written down node by node, checked, drawn.

A node takes what its sources send, through what its ``kind`` says. With an ``activation`` a
population of neurons stands on it; without one the next node takes the result as it is. A node
that nothing takes from is an output: linear neurons, nudged by a loss.

As TOML::

    [nodes.image]
    kind = "input"
    shape = [1, 8, 8]

    [nodes.features]
    kind = "conv"
    from = "image"
    channels = 8
    kernel = 3

    [nodes.pooled]
    kind = "max-pool"
    from = "features"
    activation = "relu"

    [nodes.class]
    kind = "dense"
    from = "pooled"
    size = 10
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, TypeAlias

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import Natural, check_fields, checked, taken
from lava_dyads.errors import ValidationError, invalid, nearest
from lava_dyads.files import AnyPath, as_path, read_whole
from lava_dyads.kinds import Limit
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.activations import ACTIVATIONS, activation
from lava_dyads.rules.losses import LOSSES, loss
from lava_dyads.rules.ops import Dense, Sparse
from lava_dyads.rules.ops.kinds import KINDS, Kind, Resolved, Shape, register, same

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Pair = tuple[Natural, Natural]
Density: TypeAlias = Annotated[
    float, Limit("must lie in (0, 1]", "1 (dense) or 0.1", lambda share: 0 < share <= 1)
]


@dataclass(frozen=True)
class Node:
    """One node as it is written down; what its kind does not need stays as it is.

    Parameters
    ----------
    name : str
        Letters, digits and underscores, a letter first.
    kind : str
        One of ``rules.ops.kinds.KINDS``.
    sources : str or tuple of str
        Nodes below, ``from`` in TOML.
    activation : str
        Of the neurons that stand on it; empty: there are none, but on outputs, which are linear.
    loss : str
        Nudges it, whether or not others take from it; empty: the network's, if nobody does.
    shape : tuple of int
        Of an input: (n,), or (channels, height, width) of an image.
    size : int
        Neurons of a dense node.
    density : float
        Share of the neurons below, in (0, 1], that a neuron of a dense node has a synapse from.
    channels : int
        Of a convolution.
    kernel, stride, padding : int or pair of int
        Of a convolution and (but for the padding) a pool; stride 0: 1, of a pool the kernel.
    """

    name: str
    kind: str
    sources: str | tuple[str, ...] = ()
    activation: str = ""
    loss: str = ""
    shape: Shape = ()
    size: int = 0
    density: Density = 1.0
    channels: Natural = 0
    kernel: Natural | Pair = 0
    stride: Natural | Pair = 0
    padding: Natural | Pair = 0

    def __post_init__(self) -> None:
        check_fields(self, f"node {self.name}: " if isinstance(self.name, str) else "")
        if isinstance(self.sources, str):
            object.__setattr__(self, "sources", (self.sources,))

    def as_dict(self) -> dict[str, Any]:
        """Return the node as it was written down, for TOML and JSON."""
        found: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "name" and (f.default is MISSING or value != f.default):
                found[_WRITTEN.get(f.name, f.name)] = value
        if "from" in found:
            found["from"] = self.sources if len(self.sources) > 1 else self.sources[0]
        return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}


_WRITTEN = {"sources": "from"}


def _input(node: Node, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    if len(node.shape) not in (1, 3) or not all(_whole(n) for n in node.shape):
        limit = "must be (n,) or (channels, height, width), each at least 1"
        invalid(f"node {node.name}: shape", limit, node.shape)
    return node.shape, None


def _dense(node: Node, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    if not _whole(node.size):
        invalid(f"node {node.name}: size", "must be a whole number of at least 1", node.size, "10")
    below = math.prod(shapes[0])
    mask = synapses(node.size, below, node.density, seed)
    op = Dense(node.size, below) if mask is None else Sparse(node.size, below, mask)
    return (node.size,), op


def _sum(node: Node, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    return same(node, shapes), None


def _concat(node: Node, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    if all(len(shape) == 3 and shape[1:] == shapes[0][1:] for shape in shapes):
        return (sum(shape[0] for shape in shapes), *shapes[0][1:]), None
    return (sum(math.prod(shape) for shape in shapes),), None


def _whole(n: Any) -> bool:
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and bool(n >= 1)


register(
    Kind("input", "a part of the data", ("shape",), (), (0, 0), _input),
    Kind("dense", "weights from every neuron below", ("size",), ("density",), (1, 1), _dense),
    Kind("sum", "the sum of its sources, e.g. around a skip", (), (), (1, math.inf), _sum),
    Kind("concat", "its sources side by side", (), (), (1, math.inf), _concat),
)


def synapses(above: int, below: int, density: float, seed: Sequence[int]) -> AnyArray | None:
    """Return the mask of a sparse connection, as many synapses for each neuron; None: all."""
    fan_in = max(1, round(density * below))
    if fan_in == below:
        return None
    if above * below > MOST_PLACES:
        limit = f"a sparse connection keeps {MOST_PLACES:,} places for synapses at most"
        invalid("density", limit, f"{above} x {below}", "1, or fewer neurons")
    generator = np.random.default_rng(list(seed))
    there = np.empty((above, below), bool)
    rows = max(1, _PIECE // below)
    for start in range(0, above, rows):  # all at once would take 24 times the memory
        order = generator.random((min(rows, above - start), below))
        there[start : start + rows] = order.argsort(axis=1).argsort(axis=1) < fan_in
    return there


MOST_PLACES, _PIECE = 1 << 30, 1 << 20


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph of nodes, checked at construction.

    Parameters
    ----------
    nodes : sequence of Node
        In any order. Inputs take their parts of the data, outputs their parts of the targets, in
        the order in which they stand here.

    Raises
    ------
    ValidationError
        Naming the node: its name or kind is unknown or taken, an option is missing, unknown or
        out of range, shapes do not fit, or there is a cycle.

    Examples
    --------
    >>> graph = Graph([
    ...     Node("x", "input", shape=(4,)),
    ...     Node("h", "dense", "x", size=4, activation="relu"),
    ...     Node("skip", "sum", ("x", "h"), activation="relu"),
    ...     Node("y", "dense", "skip", size=2),
    ... ])
    >>> [(vertex.name, vertex.shape) for vertex in graph.vertices("squared-error")]
    [('x', (4,)), ('h', (4,)), ('skip', (4,)), ('y', (2,))]
    """

    nodes: tuple[Node, ...]

    def __init__(self, nodes: Iterable[Node]) -> None:
        object.__setattr__(self, "nodes", taken(nodes, Iterable[Node], "Graph.nodes"))
        by_name: dict[str, Node] = {}
        for node in self.nodes:
            if not (node.name.isidentifier() and node.name[0].isalpha() and node.name.isascii()):
                limit = "needs a name of letters, digits and underscores, a letter first"
                invalid("node", limit, node.name, "hidden_1")
            if node.name in by_name:
                invalid("graph", "two nodes have one name", node.name)
            by_name[node.name] = node
        for node in self.nodes:
            _check(node, by_name)
        used = {source for node in self.nodes for source in node.sources}
        for node in self.nodes:
            if node.kind == "input" and node.name not in used:
                invalid(
                    f"node {node.name}",
                    "nothing takes from this input",
                    node.kind,
                    "to leave it out",
                )
        self.vertices("squared-error")  # raises where shapes do not fit

    @classmethod
    @checked
    def from_dict(cls, values: Mapping[str, Any], owner: str = "graph") -> Graph:
        """Return the graph of a mapping as TOML has it: ``{"nodes": {name: {...}}}``.

        Raises
        ------
        ValidationError
            Naming the node and what is wrong with it.
        """
        values = taken(values, Mapping[str, Any], owner)
        unknown = [key for key in values if key != "nodes"]
        nodes = values.get("nodes")
        if unknown or not isinstance(nodes, Mapping) or not nodes:
            what = unknown[0] if unknown else nodes
            invalid(owner, "needs tables [nodes.NAME] and nothing else", what, "docs/graphs.md")
        known = {_WRITTEN.get(f.name, f.name): f.name for f in fields(Node) if f.name != "name"}
        made = []
        for name, options in nodes.items():
            if not isinstance(options, Mapping):
                invalid(f"node {name}", "needs a table of options", options, 'kind = "dense"')
            options = taken(options, Mapping[str, Any], f"node {name}")
            for key in options:
                if key not in known:
                    invalid(f"node {name}", "unknown option", key, nearest(key, known))
            if "kind" not in options:
                invalid(f"node {name}", "needs a kind", sorted(options), ", ".join(KINDS))
            made.append(Node(name, **{known[key]: value for key, value in options.items()}))
        return cls(made)

    @classmethod
    def load(cls, path: AnyPath) -> Graph:
        """Read a TOML file.

        Raises
        ------
        ValidationError
            If it cannot be read, is no TOML, or describes no graph.
        """
        path = as_path("graph", path)
        try:
            values = toml_tables(read_whole(path).decode())
        except (OSError, ValueError, RecursionError) as error:
            hint = "Try: docs/graphs.md"
            raise ValidationError(f"graph {path}: cannot be read ({error}). {hint}") from error
        return cls.from_dict(values, f"graph {path}")

    def as_dict(self) -> dict[str, Any]:
        """Return the mapping of :meth:`from_dict`."""
        return {"nodes": {node.name: node.as_dict() for node in self.nodes}}

    @property
    def ordered(self) -> list[Node]:
        """Nodes, sources before what they feed, else in the order they stand in.

        Raises
        ------
        ValidationError
            If there is a cycle, naming its nodes.
        """
        by_name = {node.name: node for node in self.nodes}
        done: dict[str, Node] = {}
        for start in self.nodes:
            path = [start.name]
            while path:
                node = by_name[path[-1]]
                waiting = [s for s in node.sources if s not in done]
                if not waiting:
                    done.setdefault(path.pop(), node)
                elif waiting[0] in path:
                    cycle = [*path[path.index(waiting[0]):], waiting[0]]  # fmt: skip
                    limit = "this graph has to be acyclic"
                    hint = "executors.recurrent for networks with loops"
                    invalid("graph", limit, " <- ".join(cycle), hint)
                else:
                    path.append(waiting[0])
        return list(done.values())

    def vertices(self, default_loss: str, seed: int = 0) -> list[Vertex]:
        """Return the nodes with shapes, ops, activations and losses, sources first.

        Parameters
        ----------
        default_loss : str
            Of outputs that name none.
        seed : int
            Of the synapses of sparse connections.
        """
        used = {source for node in self.nodes for source in node.sources}
        made: dict[str, Vertex] = {}
        for k, node in enumerate(self.ordered):
            shapes = [made[source].shape for source in node.sources]
            try:
                shape, op = KINDS[node.kind].resolve(node, shapes, (seed, 0x5EED, k))
            except ValidationError as error:
                if str(error).startswith("node "):
                    raise
                raise ValidationError(f"node {node.name}: {error}") from error
            chosen = node.loss or ("" if node.name in used else default_loss)
            name = node.activation or ("linear" if chosen else "")
            made[node.name] = Vertex(
                node.name,
                shape,
                tuple(node.sources),
                op,
                activation(name) if name else None,
                loss(chosen) if chosen else None,
                biases=shape[0] if name else 0,
                beside=node.kind == "concat",
            )
        return list(made.values())


def toml_tables(text: str) -> dict[str, Any]:
    """Return the content of TOML, whose reader takes the square of a key's parts in memory."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > _MOST_DOTS:
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots")
    return tomllib.loads(text)


_MOST_DOTS = 1000


def _check_names(node: Node, here: str) -> None:
    """Raise where an activation or a loss is not registered."""
    if node.activation and node.activation not in ACTIVATIONS:
        hint = nearest(node.activation, ACTIVATIONS)
        invalid(f"{here}: activation", "unknown name", node.activation, hint)
    try:
        loss(node.loss or next(iter(LOSSES)))
    except ValidationError as error:
        raise ValidationError(f"{here}: {error}") from error


def _check(node: Node, by_name: Mapping[str, Node]) -> None:
    """Raise where a node by itself is wrong."""
    here = f"node {node.name}"
    if node.kind not in KINDS:
        invalid(f"{here}: kind", "unknown name", node.kind, nearest(node.kind, KINDS))
    kind = KINDS[node.kind]
    for source in node.sources:
        if source not in by_name:
            invalid(f"{here}: from", "there is no such node", source, nearest(source, by_name))
    least, most = kind.sources
    if not least <= len(node.sources) <= most:
        wanted = f"{least}" if least == most else f"{least} or more"
        invalid(here, f"kind {kind.name} takes {wanted} sources", len(node.sources), f"{wanted}")
    if node.kind == "input" and node.loss:
        invalid(here, "an input has no neurons that could be nudged", node.loss)
    for f in fields(Node):
        if f.name in ("name", "kind", "sources", "activation", "loss"):
            continue
        there = getattr(node, f.name) != f.default
        if f.name in kind.options and not there:
            invalid(here, f"kind {kind.name} needs {f.name}", getattr(node, f.name))
        if there and f.name not in (*kind.options, *kind.may):
            takes = ", ".join((*kind.options, *kind.may)) or "nothing but from"
            invalid(here, f"kind {kind.name} takes {takes}", f.name)
    _check_names(node, here)
    if node.kind == "input" and node.activation:
        invalid(here, "an input has no neurons", node.activation, "kind sum with an activation")
