"""NIR, the neuromorphic intermediate representation: what of a network it can say, and the rest.

NIR 1.0 has affine maps, and neurons that integrate and fire. It has no relu. Its IF neuron resets
to a *value* when it fires, where a count that stands for a relu needs a reset by *subtraction*
(``lava_dyads.rules.units.spiking`` says why). So a hidden relu has no faithful form in NIR, rated
or spiking, and is refused. What is left are linear networks::

    Input -> Affine (W_k, b_k), k = 1 .. L -> Output

with the stored numbers W_k = w 2^-e_k, b_k = b 2^-F_k. The rounding of messages is not part of it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import checked, real_array
from lava_dyads.data.hdf5 import opened_hdf5
from lava_dyads.errors import UnsupportedError
from lava_dyads.files import AnyPath, write_atomically
from lava_dyads.loihi.inference import SigmaDelta
from lava_dyads.optional import imported


@checked
def check(activations: Sequence[str]) -> None:
    """Raise where NIR has no node for a hidden layer.

    Raises
    ------
    UnsupportedError
        Naming the layer and what to use instead.
    """
    for k, name in enumerate(activations, 1):
        if name != "linear":
            raise UnsupportedError(
                f"layer {k}: NIR has no {name}, and its IF neuron resets to a value, not by "
                "subtraction, so its counts are no relu either. Try: --export FILE.net for "
                "lava-dl, or a network without hidden layers (--layers '')"
            )


@checked
def write(path: AnyPath, network: SigmaDelta) -> None:
    """Write a network whose hidden layers are linear as a NIR graph.

    Raises
    ------
    ValidationError
        If NIR has no node for a layer, or the package nir is not installed.
    """
    check(network.spec.activations)
    nir = imported("nir", "NIR files", "export")
    stored = zip(network.weights, network.biases, network.exponents, network.fractions[1:],
                 strict=True)  # fmt: skip
    nodes: dict[str, Any] = {"input": nir.Input(np.array([network.spec.layers[0]]))}
    for k, (w, b, e, f) in enumerate(stored, 1):
        nodes[f"layer_{k}"] = nir.Affine(weight=w * 2.0**-e, bias=b * 2.0**-f)
    nodes["output"] = nir.Output(np.array([network.spec.layers[-1]]))
    names = list(nodes)
    buffer = io.BytesIO()
    nir.write(buffer, nir.NIRGraph(nodes, list(pairwise(names))))
    write_atomically(path, buffer.getvalue())


def run(path: AnyPath, x: Array) -> Array:
    """Read a chain of affine maps with NIR's own reader, and apply it.

    Parameters
    ----------
    path : str or path
    x : array, shape (samples, n_0)

    Returns
    -------
    array, shape (samples, n_L)

    Raises
    ------
    ValidationError
        If it is no NIR file, or holds something else.
    """
    nir, value = imported("nir", "NIR files", "export"), real_array(x, "nir_graph.run: x")
    hint = "a chain of Affine nodes, as lava-dyads deploy --export FILE.nir writes it"
    with opened_hdf5("NIR file", path, hint):
        graph = nir.read(path)
        following = dict(graph.edges)
        name = following["input"]
        for _ in graph.nodes:
            if name == "output":
                return value
            node = graph.nodes[name]
            if not isinstance(node, nir.Affine):
                kind = type(node).__name__
                limit = f"NIR file {path}: only Affine nodes are run here (got {kind})"
                raise UnsupportedError(f"{limit}. Try: {hint}")
            weight, bias = (real_array(a, f"node {name}") for a in (node.weight, node.bias))
            value, name = value @ weight.T + bias, following[name]
        raise ValueError("its nodes are no chain")
