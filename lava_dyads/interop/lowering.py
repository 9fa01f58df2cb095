"""From layers in inference to a network of dyads: which neurons stand where, with what weights.

Every result is carried as ``factor z + shift`` of what a node sends, z. Biases, scalings and
normalisations so move along until neurons take them up as a bias, or weights as a factor; nothing
is computed twice, and no node is made for what is folded. With weights W of the next layer::

    W (factor z + shift) + b  =  (W factor) z + (W shift + b)
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import UnsupportedError
from lava_dyads.interop.layers import (
    Activate,
    Affine,
    Concat,
    Convolution,
    Flatten,
    Layers,
    Pool,
    Product,
    Scale,
    Shape,
    Step,
    refused,
    spread,
)
from lava_dyads.networks import Graph, NetworkSpec, Node

_MOST_SCALED = 4096
"""Neurons that a dense node which only scales them may have: its weights are a square."""


@dataclass
class _Draft:
    """A node that is being made."""

    name: str
    kind: str
    shape: Shape
    sources: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    weights: Array | None = None
    bias: Array | None = None
    activation: str = ""


@dataclass(frozen=True)
class _Value:
    """factor z + shift of a node's z; exclusive: nothing else takes from that node."""

    node: _Draft
    shape: Shape
    factor: Array
    shift: Array
    exclusive: bool

    @property
    def is_scaled(self) -> bool:
        return bool(np.any(self.factor != 1))

    @property
    def is_plain(self) -> bool:
        return not self.is_scaled and not self.shift.any()

    def channels(self, values: Array) -> Array | None:
        """Return one entry per bias of the node, where they agree within each channel."""
        by_channel = values.reshape(self.node.shape[0], -1)
        same = bool(np.all(by_channel == by_channel[:, :1]))
        return by_channel[:, 0].copy() if same else None


@dataclass
class Lowered:
    """A network as it is read by ``NetworkSpec``.

    Attributes
    ----------
    spec : NetworkSpec
    weights, biases : lists of arrays
    readout : str
        ``softmax`` or ``sigmoid``, if the layers end in it: the loss has it.
    """

    spec: NetworkSpec
    weights: list[Array]
    biases: list[Array]
    readout: str


def lowered(layers: Layers, loss: str = "", **options: Any) -> Lowered:
    """Return the network of dyads that computes the same.

    Parameters
    ----------
    layers : Layers
    loss : str
        Empty: that of the read-out; cross-entropy of two outputs or more, else squared error.
    **options
        More fields of the ``NetworkSpec``: its rule, its nudge, ...

    Raises
    ------
    UnsupportedError
        Naming the layer that has no place in such a network.
    """
    return _Lowering(layers).made(loss, options)


class _Lowering:
    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.drafts: dict[str, _Draft] = {}
        self.values: dict[str, _Value] = {}
        self.steps, self.readout, self.end = _needed(layers)
        self.uses = Counter(source for step in self.steps for source in step.sources)
        self.uses[self.end] += 1

    def made(self, loss: str, options: dict[str, Any]) -> Lowered:
        for name, shape in self.layers.inputs.items():
            node = self._draft(name, "input", shape, (), shape=shape)
            self.values[name] = self._raw(node, name)
        for step in self.steps:
            self.values[step.name] = self._step(step)
        output = self._activated(self.values[self.end], "linear", "output")
        loss = loss or _loss(self.readout, math.prod(output.shape))
        spec = self._spec(loss, options)
        named = self.drafts
        weighted = [named[v.name] for v in spec.vertices] if spec.graph else self._chain()
        weights, biases = [], []
        for draft, vertex in zip(weighted, spec.vertices, strict=True):
            if draft.weights is not None:
                weights.append(np.ascontiguousarray(draft.weights, float))
            if vertex.activation:
                biases.append(np.zeros(vertex.biases) if draft.bias is None else draft.bias)
        return Lowered(spec, weights, biases, self.readout)

    def _chain(self) -> list[_Draft]:
        return list(self.drafts.values())

    def _is_chain(self) -> bool:
        nodes = self._chain()
        return nodes[0].kind == "input" and all(
            above.kind == "dense" and above.sources == (below.name,)
            for below, above in pairwise(nodes)
        )

    def _spec(self, loss: str, options: dict[str, Any]) -> NetworkSpec:
        nodes = self._chain()
        if self._is_chain() and len(nodes) > 1:
            sizes = tuple(math.prod(node.shape) for node in nodes)
            hidden = tuple(node.activation or "linear" for node in nodes[1:-1])
            return NetworkSpec(sizes, hidden, loss=loss, **options)
        graph = Graph(
            Node(d.name, d.kind, d.sources, activation=d.activation, **d.options) for d in nodes
        )
        return NetworkSpec(graph=graph, loss=loss, **options)

    def _draft(
        self,
        name: str,
        kind: str,
        made: Shape,
        sources: tuple[str, ...],
        weights: Array | None = None,
        **options: Any,
    ) -> _Draft:
        name = _identifier(name)
        if name in self.drafts:
            name = next(n for k in count(2) if (n := f"{name}_{k}") not in self.drafts)
        node = _Draft(name, kind, made, sources, options, weights)
        self.drafts[name] = node
        return node

    def _raw(
        self, node: _Draft, name: str, factor: Array | None = None, shift: Array | None = None
    ) -> _Value:
        """Return the value that a new node begins, for a step of this name."""
        n = math.prod(node.shape)
        exclusive = self.uses[name] <= 1 and node.kind != "input"
        ones = np.ones(n) if factor is None else factor
        zeros = np.zeros(n) if shift is None else shift
        return _Value(node, node.shape, ones, zeros, exclusive)

    def _step(self, step: Step) -> _Value:
        layer, sources = step.layer, [self.values[s] for s in step.sources]
        first = sources[0]
        passed = first.exclusive and self.uses[step.name] == 1
        if isinstance(layer, Scale):
            factor = spread(layer.factor, first.shape, step.name)
            shift = spread(layer.shift, first.shape, step.name)
            scaled: dict[str, Any] = {}
            scaled["factor"] = first.factor * factor
            scaled["shift"] = first.shift * factor + shift
            return replace(first, **scaled, exclusive=passed)
        if isinstance(layer, Flatten):
            shape = (math.prod(first.shape),)
            return replace(first, shape=shape, exclusive=passed)
        if isinstance(layer, Activate):
            return self._activation(step, layer, first)
        if isinstance(layer, Affine):
            return self._dense(step.name, layer, first)
        if isinstance(layer, Convolution):
            return self._convolution(step.name, layer, first)
        if isinstance(layer, Pool):
            return self._pool(step.name, layer, first)
        if isinstance(layer, Concat):
            return self._concat(step.name, sources)
        if isinstance(layer, Product):
            return self._product(step.name, sources)
        return self._sum(step.name, sources)

    def _dense(self, name: str, layer: Affine, below: _Value) -> _Value:
        weights, bias = layer.weights * below.factor, layer.bias + layer.weights @ below.shift
        size = len(weights)
        node = self._draft(name, "dense", (size,), (below.node.name,), weights, size=size)
        return self._raw(node, name, shift=bias)

    def _convolution(self, name: str, layer: Convolution, below: _Value) -> _Value:
        padded = any(layer.padding)
        if below.channels(below.factor) is None or below.channels(below.shift) is None or (
            padded and below.shift.any()
        ):  # fmt: skip
            below = self._activated(below, "linear", f"{name}_in")
        factor, shift = below.channels(below.factor), below.channels(below.shift)
        assert factor is not None
        assert shift is not None
        weights = layer.weights * factor[:, None, None]
        bias = layer.bias + np.einsum("ocab,c->o", layer.weights, shift)
        channels, _, *kernel = weights.shape
        shape = self.layers.shapes.get(name) or (channels, *below.shape[1:])
        options: dict[str, Any] = {"channels": channels, "kernel": tuple(kernel)}
        if layer.stride != (1, 1):
            options["stride"] = layer.stride
        if padded:
            options["padding"] = layer.padding
        node = self._draft(name, "conv", shape, (below.node.name,), weights, **options)
        return self._raw(node, name, shift=spread(bias, shape, name))

    def _pool(self, name: str, layer: Pool, below: _Value) -> _Value:
        factor, shift = below.channels(below.factor), below.channels(below.shift)
        turns = layer.kind == "max-pool" and bool(np.any(below.factor <= 0))
        if factor is None or shift is None or turns:
            below = self._activated(below, "linear", f"{name}_in")
            factor, shift = np.ones(below.shape[0]), np.zeros(below.shape[0])
        shape = self.layers.shapes[name]
        options: dict[str, Any] = {"kernel": layer.kernel, "stride": layer.stride}
        node = self._draft(name, layer.kind, shape, (below.node.name,), **options)
        return self._raw(node, name, spread(factor, shape, name), spread(shift, shape, name))

    def _concat(self, name: str, sources: list[_Value]) -> _Value:
        if len(sources) == 1:
            return replace(sources[0], exclusive=False)
        sources = self._distinct(name, sources)
        shape = self.layers.shapes[name]
        node = self._draft(name, "concat", shape, tuple(v.node.name for v in sources))
        factor, shift = (
            np.concatenate([getattr(v, part) for v in sources]) for part in ("factor", "shift")
        )
        heights = {v.node.shape[1:] for v in sources}
        if len(shape) == 1 and len(heights) == 1 and heights != {()}:  # images, told to be flat
            node.shape = (sum(v.node.shape[0] for v in sources), *sources[0].node.shape[1:])
        return replace(self._raw(node, name, factor, shift), shape=shape)

    def _product(self, name: str, sources: list[_Value]) -> _Value:
        sources = self._distinct(name, sources)
        settled = [self._activated(v, "linear", f"{name}_in") if v.shift.any() else v
                   for v in sources]  # fmt: skip
        settled = self._of_one_shape(name, settled)
        node = self._draft(
            name, "product", settled[0].node.shape, tuple(v.node.name for v in settled)
        )
        made = self._raw(node, name, settled[0].factor * settled[1].factor)
        return replace(made, shape=self.layers.shapes[name])

    def _sum(self, name: str, sources: list[_Value]) -> _Value:
        if len(sources) == 1:
            return replace(sources[0], exclusive=False)
        gathered: dict[str, _Value] = {}
        for v in sources:  # x + x is 2 x
            there = gathered.get(v.node.name)
            if there is not None:
                both: dict[str, Any] = {
                    "factor": there.factor + v.factor,
                    "shift": there.shift + v.shift,
                }
                v = replace(there, **both, exclusive=False)
            gathered[v.node.name] = v
        values = list(gathered.values())
        if len(values) == 1:
            return values[0]
        if any(not np.array_equal(v.factor, values[0].factor) for v in values):
            values = [self._unit(v, f"{name}_in") for v in values]
        values = self._of_one_shape(name, values)
        node = self._draft(name, "sum", values[0].node.shape, tuple(v.node.name for v in values))
        shift = sum((v.shift for v in values[1:]), values[0].shift)
        return replace(
            self._raw(node, name, values[0].factor, shift), shape=self.layers.shapes[name]
        )

    def _distinct(self, name: str, sources: list[_Value]) -> list[_Value]:
        """Return values of nodes that differ: a node has one arrow from another."""
        seen: set[str] = set()
        made = []
        for v in sources:
            if v.node.name in seen:
                again = self._draft(f"{name}_again", "sum", v.node.shape, (v.node.name,))
                v = replace(v, node=again)
            seen.add(v.node.name)
            made.append(v)
        return made

    def _of_one_shape(self, name: str, values: list[_Value]) -> list[_Value]:
        """Return values whose nodes have one shape: images that were laid flat become vectors."""
        if len({v.node.shape for v in values}) == 1:
            return values
        return [self._scaled(v, f"{name}_flat") if len(v.node.shape) > 1 else v for v in values]

    def _activation(self, step: Step, layer: Activate, below: _Value) -> _Value:
        if layer.kind == "softmax":
            limit = "a softmax has a place at the end alone"
            raise refused(step.name, limit, step.name, "relu, tanh, sigmoid or a clip")
        if layer.kind == "sigmoid":  # (1 + tanh(a / 2)) / 2
            halved = replace(below, factor=below.factor / 2, shift=below.shift / 2)
            made = self._activated(halved, "tanh", step.name)
            made = replace(made, factor=made.factor / 2, shift=made.shift / 2 + 0.5)
        else:
            made = self._activated(below, layer.kind, step.name)
        return replace(made, exclusive=self.uses[step.name] == 1)

    def _activated(self, v: _Value, kind: str, name: str) -> _Value:
        """Return a value after neurons: on its node if nothing else takes from that."""
        if v.node.activation or not v.exclusive:
            if v.is_scaled and not (kind == "relu" and np.all(v.factor > 0)):
                v = self._scaled(v, name)
            else:
                node = self._draft(name, "sum", v.node.shape, (v.node.name,))
                v = replace(v, node=node, exclusive=True)
        if v.is_scaled and v.node.weights is not None and v.channels(v.factor) is not None:
            v = self._into_weights(v)
        left = np.ones_like(v.factor)
        if v.is_scaled and kind == "relu" and np.all(v.factor > 0):
            left, v = v.factor, replace(v, factor=left, shift=v.shift / v.factor)
        if v.is_scaled or v.channels(v.shift) is None:
            v = self._scaled(v, name)
        v.node.activation, v.node.bias = kind, v.channels(v.shift)
        return replace(v, factor=left, shift=np.zeros_like(left), exclusive=False)

    def _unit(self, v: _Value, name: str) -> _Value:
        """Return a value whose factor is 1."""
        if not v.is_scaled:
            return v
        free = v.exclusive and not v.node.activation and v.node.weights is not None
        if free and v.channels(v.factor) is not None:
            return self._into_weights(v)
        return self._scaled(v, name)

    def _into_weights(self, v: _Value) -> _Value:
        factor = v.channels(v.factor)
        assert factor is not None
        assert v.node.weights is not None
        v.node.weights = v.node.weights * factor.reshape(-1, *[1] * (v.node.weights.ndim - 1))
        return replace(v, factor=np.ones_like(v.factor))

    def _scaled(self, v: _Value, name: str) -> _Value:
        """Return a value on a node of its own that does the scaling."""
        factor, shift = v.channels(v.factor), v.channels(v.shift)
        flat = len(v.shape) == 1
        if not flat and (factor is None or shift is None):
            limit = "scales or moves the pixels of a channel unlike each other"
            raise refused(name, limit, list(v.shape), "one number per channel")
        if flat:
            n = len(v.factor)
            if n > _MOST_SCALED:
                limit = f"needs a node that scales {_MOST_SCALED:,} neurons at most"
                raise refused(name, limit, n, "the scaling beside a dense or conv layer")
            node = self._draft(name, "dense", (n,), (v.node.name,), np.diag(v.factor), size=n)
        else:
            assert factor is not None
            n = len(factor)
            node = self._draft(name, "conv", v.shape, (v.node.name,), channels=n, kernel=1)
            node.weights = np.diag(factor)[:, :, None, None]
        return _Value(node, node.shape, np.ones_like(v.factor), v.shift, True)


def _needed(layers: Layers) -> tuple[list[Step], str, str]:
    """Return the steps that the output needs without its read-out, that, and what is left last."""
    made = {step.name: step for step in layers.steps}
    end, readout = layers.output, ""
    if end in made:
        step = made[end]
        if isinstance(step.layer, Activate) and step.layer.kind in ("softmax", "sigmoid"):
            end, readout = step.sources[0], step.layer.kind
            layers.folded.append(f"{step.name}: the read-out, which the loss has")
    needed, todo = set(), [end]
    while todo:
        name = todo.pop()
        if name in needed:
            continue
        needed.add(name)
        todo += made[name].sources if name in made else ()
    unused = [name for name in layers.inputs if name not in needed]
    if unused:
        raise refused(unused[0], "nothing takes from this input", unused[0], "to leave it out")
    return [step for step in layers.steps if step.name in needed], readout, end


def _loss(readout: str, outputs: int) -> str:
    if readout:
        return {"softmax": "cross-entropy", "sigmoid": "binary-cross-entropy"}[readout]
    return "cross-entropy" if outputs > 1 else "squared-error"


def _identifier(name: str) -> str:
    made = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")[:60]
    return made if made[:1].isalpha() else f"node_{made}".rstrip("_")


__all__ = ["Lowered", "UnsupportedError", "lowered"]
