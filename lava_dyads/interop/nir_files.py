"""NIR graphs as networks of dyads.

Affine, Linear, Scale, Conv2d, AvgPool2d, SumPool2d and Flatten are what they say; edges that meet
add up. Of neurons that spike, an integrator without a leak (IF) has a rate that is a relu: at a
constant current I it charges at the pace r I and fires whenever it has gained
v_threshold - v_reset, so its rate is::

    max(0, r I) / (v_threshold - v_reset)

That is exact for NIR's own neuron, in continuous time. In steps of time what is beyond the
threshold is lost where a reader resets to a value, and kept where it subtracts; so this reading has
to be asked for (``rates``). Neurons with a leak (LIF, CubaLIF, LI) have rates that no neuron here
has, and a Threshold has no slope to learn by: they are refused by their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lava_dyads.data.hdf5 import opened_hdf5
from lava_dyads.errors import DyadsError, UnsupportedError
from lava_dyads.files import AnyPath
from lava_dyads.interop.layers import (
    Activate,
    Affine,
    Convolution,
    Flatten,
    Layers,
    Pool,
    Sum,
    refused,
    scale,
)
from lava_dyads.optional import imported

_HINT = "a graph of Affine, Linear, Scale, Conv2d, AvgPool2d, SumPool2d, Flatten: docs/interop.md"


def read_nir(path: AnyPath, rates: bool = False) -> Layers:
    """Return the layers of a NIR file.

    Parameters
    ----------
    path : str or path
    rates : bool
        Read IF neurons as relus, which is what their rates are.

    Raises
    ------
    ValidationError
        If it is none.
    UnsupportedError
        Naming the node that has no place in a network of dyads.
    """
    nir = imported("nir", "NIR files", "export")
    with opened_hdf5("NIR file", path, _HINT):
        graph = nir.read(path)
    return layers_of_graph(graph, rates)


def layers_of_graph(graph: Any, rates: bool = False) -> Layers:
    """Return the layers of a ``nir.NIRGraph``, see :func:`read_nir`."""
    layers = Layers()
    results: dict[str, str] = {}
    into: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in dict.fromkeys(graph.edges):
        if source not in into or target not in into:
            raise refused("NIR graph", "has an edge of nodes that are not there", (source, target))
        into[target].append(source)
    waiting = list(graph.nodes)
    while waiting:
        ready = [name for name in waiting if all(s in results for s in into[name])]
        if not ready:
            limit = "is recurrent: its nodes wait for each other"
            raise refused("NIR graph", limit, sorted(waiting), "a graph without loops")
        for name in ready:
            waiting.remove(name)
            results[name] = _node(layers, name, graph.nodes[name], into[name], results, rates)
    ends = [name for name, node in graph.nodes.items() if type(node).__name__ == "Output"]
    if len(ends) != 1:
        raise refused("NIR graph", "needs one output", ends)
    layers.output = results[ends[0]]
    return layers


def _node(
    layers: Layers, name: str, node: Any, sources: list[str], results: dict[str, str], rates: bool
) -> str:
    kind = type(node).__name__
    where = f"{kind} {name}"
    if kind == "Input":
        shape = np.asarray(node.input_type["input"]).reshape(-1)
        return layers.enter(name, [int(n) for n in shape])
    if not sources:
        raise refused(where, "takes from no node", name)
    given = [results[s] for s in sources]
    below = given[0] if len(given) == 1 else layers.add(f"{name}_sum", Sum(), *given)
    if kind == "Output":
        return below
    if kind == "IF" and not rates:
        limit = "an integrator that fires is no neuron of a rate network"
        raise refused(where, limit, kind, "--rates, to read it as the relu that its rate is")
    take = _TAKERS.get(kind)
    if take is None:
        raise refused(where, "has no place in a network of dyads", kind, _HINT)
    try:
        return take(layers, name, node, below)
    except DyadsError as error:
        text = str(error)
        if text.startswith(where):
            raise
        raise UnsupportedError(f"{where}: {text}") from error


def _affine(layers: Layers, name: str, node: Any, below: str) -> str:
    weights = np.asarray(node.weight, float)
    if weights.ndim != 2 or len(layers.shapes[below]) != 1:
        limit = "takes vectors and a matrix: flatten images first"
        raise refused(f"{type(node).__name__} {name}", limit, list(layers.shapes[below]))
    bias = np.zeros(len(weights)) + np.asarray(getattr(node, "bias", 0.0), float).reshape(-1)
    layers.taken.append(f"{name}: dense, {weights.shape[1]} to {weights.shape[0]}")
    return layers.add(name, Affine(weights, bias), below)


def _scale(layers: Layers, name: str, node: Any, below: str) -> str:
    layers.folded.append(f"{name}: into weights")
    return layers.add(name, scale(node.scale), below)


def _conv(layers: Layers, name: str, node: Any, below: str) -> str:
    where = f"Conv2d {name}"
    weights = np.asarray(node.weight, float)
    if node.groups != 1 or _pair(node.dilation) != (1, 1) or isinstance(node.padding, str):
        got = (node.groups, node.dilation, node.padding)
        raise refused(where, "needs one group, no dilation and a padding in pixels", got)
    bias = np.zeros(len(weights)) + np.asarray(node.bias, float).reshape(-1)
    layers.taken.append(f"{name}: conv, {weights.shape[1]} to {weights.shape[0]} channels")
    layer = Convolution(weights, bias, _pair(node.stride), _pair(node.padding))
    return layers.add(name, layer, below)


def _pool(layers: Layers, name: str, node: Any, below: str) -> str:
    kernel = _pair(node.kernel_size)
    if _pair(node.padding) != (0, 0):
        limit = "pools have no padding here"
        raise refused(f"{type(node).__name__} {name}", limit, _pair(node.padding))
    layers.taken.append(f"{name}: average-pool, kernel {kernel}")
    pool = Pool("average-pool", kernel, _pair(node.stride))
    if type(node).__name__ == "AvgPool2d":
        return layers.add(name, pool, below)
    made = layers.add(f"{name}_mean", pool, below)
    return layers.add(name, scale(kernel[0] * kernel[1]), made)


def _flatten(layers: Layers, name: str, node: Any, below: str) -> str:
    shape = layers.shapes[below]
    start, end = int(node.start_dim), int(node.end_dim)
    if len(shape) > 1 and (start not in (0, 1) or end not in (-1, len(shape) - 1, len(shape))):
        raise refused(f"Flatten {name}", "lays all of an image flat", (start, end))
    layers.folded.append(f"{name}: laid flat")
    return layers.add(name, Flatten(), below) if len(shape) > 1 else below


def _integrator(layers: Layers, name: str, node: Any, below: str) -> str:
    reset = 0.0 if getattr(node, "v_reset", None) is None else np.asarray(node.v_reset, float)
    gained = np.asarray(node.v_threshold, float) - reset
    if not np.all(gained > 0):
        raise refused(f"IF {name}", "needs thresholds above the reset", float(np.min(gained)))
    layers.taken.append(f"{name}: relu, the rate of its integrators at a constant current")
    moved = layers.add(f"{name}_charge", scale(np.asarray(node.r, float) / gained), below)
    return layers.add(name, Activate("relu"), moved)


def _pair(value: Any) -> tuple[int, int]:
    sizes = [int(n) for n in np.asarray(value).reshape(-1)]
    return (sizes[0], sizes[-1])


_TAKERS: dict[str, Callable[[Layers, str, Any, str], str]] = {
    "Affine": _affine,
    "Linear": _affine,
    "Scale": _scale,
    "Conv2d": _conv,
    "AvgPool2d": _pool,
    "SumPool2d": _pool,
    "Flatten": _flatten,
    "IF": _integrator,
}
