"""What every reader of a file makes of it: layers in inference, with the shapes of their results.

Readers say what a file holds in these few layers; :mod:`lava_dyads.interop.lowering` makes a
network of dyads of them. So a new format is one file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import UnsupportedError, message
from lava_dyads.rules.ops.windows import Windows

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
MOST_ENTRIES = 1 << 26
"""Entries that the message of one layer may have."""


@dataclass(frozen=True)
class Affine:
    """W x + b, with W (n_out, n_in), of a message laid flat."""

    weights: Array
    bias: Array


@dataclass(frozen=True)
class Convolution:
    """A correlation with w (channels, C, rows, columns), and a bias per channel."""

    weights: Array
    bias: Array
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)


@dataclass(frozen=True)
class Pool:
    """The largest or the mean of every window."""

    kind: Literal["max-pool", "average-pool"]
    kernel: Pair
    stride: Pair


@dataclass(frozen=True)
class Scale:
    """factor x + shift; each a number, or one per channel, neuron or entry."""

    factor: Array
    shift: Array


@dataclass(frozen=True)
class Activate:
    """relu, hard-sigmoid (clip to 0 .. 1), tanh, sigmoid or softmax."""

    kind: str


@dataclass(frozen=True)
class Sum:
    """The sum of all sources."""


@dataclass(frozen=True)
class Product:
    """The product of two sources, entry by entry."""


@dataclass(frozen=True)
class Concat:
    """Sources side by side: channels of images, entries of vectors."""


@dataclass(frozen=True)
class Flatten:
    """An image as a vector, channel by channel, row by row."""


Layer: TypeAlias = Affine | Convolution | Pool | Scale | Activate | Sum | Product | Concat | Flatten


@dataclass(frozen=True)
class Step:
    """A layer, where it takes from, and what it is called."""

    name: str
    layer: Layer
    sources: tuple[str, ...]


@dataclass
class Layers:
    """The layers of a network in an order in which they can be computed.

    Attributes
    ----------
    inputs : dict of str to tuple of int
        Shape of every input, without the batch: (n,) or (channels, height, width).
    steps : list of Step
    shapes : dict of str to tuple of int
        Of every result.
    output : str
        Name of the result that is the network's.
    taken, folded : list of str
        What was taken, and what went into other layers: a line each.
    """

    inputs: dict[str, Shape] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    output: str = ""
    taken: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    def enter(self, name: str, shape: Sequence[int]) -> str:
        """Add an input."""
        made = tuple(int(n) for n in shape)
        if len(made) not in (1, 3) or min(made) < 1:
            limit = "must be a vector (n) or an image (channels, height, width) after the batch"
            raise refused(name, limit, list(shape))
        if math.prod(made) > MOST_ENTRIES:
            raise refused(name, f"must have at most {MOST_ENTRIES:,} entries", list(shape))
        self.inputs[name] = self.shapes[name] = made
        return name

    def add(self, name: str, layer: Layer, *sources: str) -> str:
        """Add a layer; return the name of its result.

        Raises
        ------
        UnsupportedError
            If its sources do not fit it.
        """
        while name in self.shapes:
            name += "_"
        self.shapes[name] = _shape(name, layer, [self.shapes[s] for s in sources])
        self.steps.append(Step(name, layer, sources))
        return name


def refused(where: str, limit: str, got: object, try_: str = "") -> UnsupportedError:
    """Return the error of a layer that has no place here."""
    return UnsupportedError(message(where, limit, got, try_))


def scale(factor: object = 1.0, shift: object = 0.0) -> Scale:
    """Return a change of scale."""
    return Scale(np.asarray(factor, float), np.asarray(shift, float))


def batch_normalisation(
    gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> Scale:
    """Return what a batch normalisation does in inference."""
    factor = np.asarray(gamma, float) / np.sqrt(np.asarray(variance, float) + epsilon)
    return Scale(factor, np.asarray(beta, float) - factor * np.asarray(mean, float))


def clip(layers: Layers, name: str, source: str, low: float, high: float) -> str:
    """Add a clip to low .. high: relu where there is no upper end, else a hard sigmoid."""
    if math.isinf(high) and high > 0:
        if low == 0:
            return layers.add(name, Activate("relu"), source)
        moved = layers.add(f"{name}_shift", scale(1.0, -low), source)
        return layers.add(
            name, scale(1.0, low), layers.add(f"{name}_relu", Activate("relu"), moved)
        )
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise refused(name, "clips to a range low < high", (low, high))
    width = high - low
    if (low, high) == (0.0, 1.0):
        return layers.add(name, Activate("hard-sigmoid"), source)
    moved = layers.add(f"{name}_in", scale(1 / width, -low / width), source)
    inner = layers.add(f"{name}_clip", Activate("hard-sigmoid"), moved)
    return layers.add(name, scale(width, low), inner)


def _shape(name: str, layer: Layer, shapes: list[Shape]) -> Shape:
    first = shapes[0]
    if isinstance(layer, Affine):
        wanted = layer.weights.shape[1]
        if math.prod(first) != wanted:
            raise refused(name, f"takes {wanted} numbers", math.prod(first))
        return (layer.weights.shape[0],)
    if isinstance(layer, Convolution | Pool):
        if len(first) != 3:
            raise refused(name, "takes an image (channels, height, width)", list(first))
        return _windowed(name, layer, first)
    if isinstance(layer, Sum | Product):
        if any(shape != first for shape in shapes):
            hint = "sources of one shape: nothing is spread here"
            raise refused(name, "needs sources of one shape", [list(s) for s in shapes], hint)
        if isinstance(layer, Product) and len(shapes) != 2:
            raise refused(name, "multiplies two sources", len(shapes))
        return first
    if isinstance(layer, Concat):
        if any(shape[1:] != first[1:] for shape in shapes):
            limit = "needs sources that differ in their first axis alone"
            raise refused(name, limit, [list(s) for s in shapes])
        return (sum(shape[0] for shape in shapes), *first[1:])
    if isinstance(layer, Flatten):
        return (math.prod(first),)
    if isinstance(layer, Scale):
        spread(layer.factor, first, name)
        spread(layer.shift, first, name)
    return first


def _windowed(name: str, layer: Convolution | Pool, image: Shape) -> Shape:
    if isinstance(layer, Pool):
        channels, kernel, padding = image[0], layer.kernel, (0, 0)
    else:
        channels, padding = layer.weights.shape[0], layer.padding
        if layer.weights.ndim != 4 or layer.weights.shape[1] != image[0]:
            limit = f"takes weights (channels above, {image[0]}, rows, columns)"
            raise refused(name, limit, list(layer.weights.shape), "a convolution of one group")
        kernel = (layer.weights.shape[2], layer.weights.shape[3])
    return (channels, *Windows((image[1], image[2]), kernel, layer.stride, padding).out)


def spread(values: Array, shape: Shape, where: str) -> Array:
    """Return an entry for each of a message: from one number, one per channel, or one each."""
    n = math.prod(shape)
    if values.size == 1:
        return np.full(n, float(values.reshape(())))
    if values.size == shape[0]:
        return np.repeat(values.reshape(-1).astype(float), n // shape[0])
    if values.size == n:
        return values.reshape(-1).astype(float)
    limit = f"needs one number, {shape[0]} or {n} of them"
    raise refused(where, limit, list(values.shape))
