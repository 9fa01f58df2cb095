"""Networks given by their arrays: of .npz, .safetensors and .pt files, of perceptrons, of your own.

Arrays alone do not say how they belong together; a graph (docs/graphs.md) or the sizes of a chain
do. A node ``first`` takes ``first.weight`` and ``first.bias``, as PyTorch names them; of a chain
they are taken in the order in which they stand, as far as their shapes fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import real_array
from lava_dyads.errors import CheckpointError, invalid, message
from lava_dyads.files import AnyPath, as_path, opened_arrays, read_whole
from lava_dyads.interop.layers import (
    Activate,
    Affine,
    Concat,
    Convolution,
    Flatten,
    Layers,
    Pool,
    Product,
    Sum,
    refused,
    scale,
)
from lava_dyads.networks import Graph, Node
from lava_dyads.optional import imported

_END = re.compile(r"(.*?)[._/]?(weight|bias)s?(_?\d*)$")


def layers_of_arrays(
    arrays: Mapping[str, Any],
    graph: Graph | None = None,
    layers: Sequence[int] = (),
    activation: str = "relu",
) -> Layers:
    """Return the layers of a graph with these weights and biases.

    Parameters
    ----------
    arrays : mapping of str to array
        Weights (n_out, n_in), of a convolution (channels, C, rows, columns), and biases.
    graph : Graph or None
        What stands where; None: a chain.
    layers : sequence of int
        Sizes of that chain, input and output included.
    activation : str
        Of its hidden layers.

    Raises
    ------
    ValidationError
        If an array is missing, left over, or has another shape.
    """
    held: dict[str, Array] = {name: real_array(array, name) for name, array in arrays.items()
            if not name.endswith("num_batches_tracked")}  # fmt: skip
    if (graph is None) == (not layers):
        hint = "layers=(64, 32, 10), or graph=Graph.load('net.toml')"
        invalid("arrays", "need the sizes of a chain, or a graph", len(held), hint)
    if graph is None:
        graph, held = _chain(held, layers, activation)
    return _Filled(graph, held).read()


def _chain(
    held: dict[str, Array], sizes: Sequence[int], activation: str
) -> tuple[Graph, dict[str, Array]]:
    """Return a chain as a graph, and its arrays under the names of its nodes."""
    left = dict(held)
    nodes, named = [Node("x", "input", shape=(int(sizes[0]),))], {}
    for k, (below, n) in enumerate(pairwise(map(int, sizes)), 1):
        node, last = f"layer_{k}", k == len(sizes) - 1
        fits = [name for name, array in left.items() if array.shape == (n, below)]
        if not fits:
            got = {name: array.shape for name, array in left.items()}
            invalid(f"layer {k}", f"needs weights of shape {(n, below)}", got)
        named[f"{node}.weight"] = left.pop(fits[0])
        stem = _stem(fits[0])
        own = [name for name, array in left.items() if array.shape == (n,)]
        own = [name for name in own if _stem(name) == stem] or own
        if own:
            named[f"{node}.bias"] = left.pop(own[0])
        nodes.append(Node(node, "dense", nodes[-1].name, "" if last else activation, size=n))
    if left:
        invalid("arrays", f"belong to no layer of {tuple(sizes)}", sorted(left))
    return Graph(nodes), named


def _stem(name: str) -> str:
    found = _END.match(name)
    return found[1] + found[3] if found else ""


class _Filled:
    """A graph whose weights are given."""

    def __init__(self, graph: Graph, held: Mapping[str, Array]) -> None:
        self.graph, self.layers = graph, Layers()
        self.held: dict[tuple[str, str], Array] = {}
        self.left = {}
        for name, array in held.items():
            found = _END.match(name)
            key = (found[1], found[2]) if found else (name, "")
            self.held[re.sub(r"\W", "_", key[0]), key[1]] = array
            self.left[re.sub(r"\W", "_", key[0]), key[1]] = name

    def read(self) -> Layers:
        results: dict[str, str] = {}
        shapes = {v.name: v for v in self.graph.vertices("squared-error")}
        for node in self.graph.ordered:
            if node.kind == "input":
                results[node.name] = self.layers.enter(node.name, node.shape)
                continue
            sources = [results[s] for s in node.sources]
            made = self._node(node, shapes[node.name], sources)
            if node.kind not in ("dense", "conv") and (node.name, "bias") in self.held:
                bias = self._array(node.name, "bias", (shapes[node.name].shape[0],))
                made = self.layers.add(f"{node.name}_bias", scale(1.0, bias), made)
            if node.activation and node.activation != "linear":
                made = self.layers.add(f"{node.name}_neurons", Activate(node.activation), made)
            results[node.name] = made
            self.layers.taken.append(f"{node.name}: {node.kind} {node.activation}".strip())
        if self.left:
            hint = "the names of nodes, " + ", ".join(n.name for n in self.graph.nodes)
            invalid("arrays", "belong to no node", sorted(self.left.values()), hint)
        used = {s for node in self.graph.nodes for s in node.sources}
        ends = [node.name for node in self.graph.nodes if node.name not in used]
        if len(ends) != 1:
            invalid("graph", "needs one output", ends)
        self.layers.output = results[ends[0]]
        return self.layers

    def _node(self, node: Node, vertex: Any, sources: list[str]) -> str:
        add, name = self.layers.add, node.name
        if node.kind == "dense":
            weights = self._array(name, "weight", vertex.op.shape)
            return add(name, Affine(weights, self._array(name, "bias", (len(weights),))), *sources)
        if node.kind == "conv":
            weights = self._array(name, "weight", vertex.op.shape)
            bias = self._array(name, "bias", (len(weights),))
            windows = vertex.op.windows
            layer = Convolution(weights, bias, windows.stride, windows.padding)
            return add(name, layer, *sources)
        if node.kind in ("max-pool", "average-pool"):
            windows = vertex.op.windows
            pool = Pool(node.kind, windows.kernel, windows.stride)  # type: ignore[arg-type]
            return add(name, pool, *sources)
        if node.kind == "concat" and len(vertex.shape) == 1:
            flat = [s for s in sources if len(self.layers.shapes[s]) > 1]
            laid = {s: add(f"{name}_{s}_flat", Flatten(), s) for s in flat}
            sources = [laid.get(s, s) for s in sources]
        others: dict[str, Any] = {"sum": Sum(), "product": Product(), "concat": Concat()}
        if node.kind not in others:
            raise refused(f"node {name}", "has no place in an import", node.kind)
        return add(name, others[node.kind], *sources)

    def _array(self, name: str, part: str, shape: tuple[int, ...]) -> Array:
        found = self.held.get((name, part))
        if found is None:
            if part == "bias":
                return np.zeros(shape)
            names = sorted(self.left.values())
            invalid(f"node {name}", f"needs an array {name}.{part}", names)
        self.left.pop((name, part), None)
        if found.shape != shape:
            invalid(f"{name}.{part}", f"needs shape {shape}", found.shape)
        return found


def arrays_of_file(path: AnyPath) -> dict[str, Array]:
    """Return the arrays of a .npz or .safetensors file, by name.

    Raises
    ------
    ValidationError
        If it is none.
    """
    path = as_path("arrays", path)
    try:
        if path.suffix == ".safetensors":
            reader = imported("safetensors.numpy", "safetensors files", "interop")
            found = dict(reader.load(read_whole(path)))  # in the order of the alphabet
            return {name: found[name] for name in sorted(found, key=_counted)}
        with opened_arrays(path) as file:
            return {name: file[name] for name in file.names}
    except (FileNotFoundError, CheckpointError):
        raise
    except Exception as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        limit = f"cannot be read as {path.suffix} ({why})"
        raise CheckpointError(message("arrays", limit, str(path), "a whole file")) from error


def _counted(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts layer_2 before layer_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def layers_of_perceptron(model: Any) -> tuple[Layers, tuple[str, ...]]:
    """Return the layers of scikit-learn's ``MLPClassifier`` or ``MLPRegressor``, and its classes.

    A classifier of two classes has one output, s; here it has two, 0 and s, whose softmax is the
    same.

    Raises
    ------
    UnsupportedError
        If it is no trained perceptron.
    """
    made = Layers()
    weights = getattr(model, "coefs_", None)
    if not weights:
        raise refused("model", "must be a trained MLPClassifier or MLPRegressor",
                      type(model).__name__, "model.fit(x, y)")  # fmt: skip
    biases = [np.asarray(b, float) for b in model.intercepts_]
    matrices = [np.asarray(w, float).T for w in weights]
    end, classes = model.out_activation_, tuple(map(str, getattr(model, "classes_", ())))
    if end == "logistic" and len(classes) == 2 and len(biases[-1]) == 1:
        matrices[-1] = np.vstack([np.zeros_like(matrices[-1]), matrices[-1]])
        biases[-1] = np.concatenate([[0.0], biases[-1]])
        end = "softmax"
    kinds = {"relu": "relu", "tanh": "tanh", "logistic": "sigmoid", "identity": ""}
    at = made.enter("x", (matrices[0].shape[1],))
    for k, (w, b) in enumerate(zip(matrices, biases, strict=True), 1):
        at = made.add(f"layer_{k}", Affine(w, b), at)
        kind = kinds[model.activation] if k < len(matrices) else ""
        if kind:
            at = made.add(f"layer_{k}_neurons", Activate(kind), at)
        made.taken.append(f"layer {k}: dense, {w.shape[1]} to {w.shape[0]} {kind}".rstrip())
    if end != "identity":
        at = made.add("read_out", Activate({"logistic": "sigmoid"}.get(end, end)), at)
    made.output = at
    return made, classes
