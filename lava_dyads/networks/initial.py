"""The weights, biases and feedback weights that a network begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.memory import check_memory
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.binary import FLOAT

if TYPE_CHECKING:
    from lava_dyads.networks.specification import NetworkSpec


def initial_parameters(spec: NetworkSpec) -> tuple[list[Array], list[Array]]:
    """Return the initial weights and biases; the same for every rule, backprop included."""
    # Twice: as they are drawn, and in the registers of a network.
    check_memory("layers", 16.0 * spec.parameter_count, "smaller layers")
    generator = np.random.default_rng(spec.seed)
    weights: list[Array] = []
    biases: list[Array] = []
    for vertex in spec.vertices:
        if vertex.weighted:
            draw = _random_weights if spec.weight_format == FLOAT else _latent_weights
            weights.append(draw(spec, vertex, generator))
        if vertex.activation:
            biases.append(generator.normal(size=vertex.biases) * spec.bias_deviation)
    return weights, biases


def initial_feedback(spec: NetworkSpec) -> list[Array | None]:
    """Return B^T of every layer, drawn like the weights but apart from them; None: tied."""
    generator = np.random.default_rng([spec.seed, 0xFEED])
    weighted = [v for v in spec.vertices if v.weighted]
    return [
        _random_weights(spec, v, generator) if apart else None
        for v, apart in zip(weighted, spec.separate_feedback, strict=True)
    ]


def _random_weights(spec: NetworkSpec, vertex: Vertex, generator: np.random.Generator) -> Array:
    op = vertex.weighted
    assert op
    gain = spec.gain
    if gain is None:
        gain = ACTIVATIONS[_scale_of(spec.vertices, vertex)].gain
        gain *= spec.branch_scales.get(vertex.name, 1.0)
    drawn = np.asarray(generator.normal(size=op.shape) * gain)
    if op.mask is None:
        return np.asarray(drawn / np.sqrt(op.fan_in))
    return np.asarray(drawn * op.mask / np.sqrt(np.count_nonzero(op.mask[0])))


def _latent_weights(_: NetworkSpec, vertex: Vertex, generator: np.random.Generator) -> Array:
    op = vertex.weighted
    assert op
    theta = np.asarray(generator.uniform(-1, 1, size=op.shape))
    return theta if op.mask is None else np.asarray(theta * op.mask)


def _scale_of(vertices: list[Vertex], vertex: Vertex) -> str:
    """Return the activation that weights are scaled for: that of the neurons they drive.

    A read-out is scaled like the neurons below, which is what its input looks like.
    """
    by_name = {v.name: v for v in vertices}
    while not vertex.activation:
        vertex = next(v for v in vertices if vertex.name in v.sources)
    while vertex.loss and vertex.sources:
        vertex = by_name[vertex.sources[0]]
        while not vertex.activation and vertex.sources:
            vertex = by_name[vertex.sources[0]]
    return vertex.activation.name if vertex.activation else "linear"
