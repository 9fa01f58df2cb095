"""What becomes of each operator of ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.errors import UnsupportedError, message
from lava_dyads.interop.layers import (
    Activate,
    Affine,
    Concat,
    Convolution,
    Flatten,
    Layers,
    Pool,
    Product,
    Shape,
    Sum,
    batch_normalisation,
    clip,
    refused,
    scale,
)


class Call:
    """One node, with its inputs as results of layers or as constants."""

    def __init__(
        self,
        layers: Layers,
        node: Any,
        where: str,
        attributes: dict[str, Any],
        results: Mapping[str, str],
        constants: Mapping[str, AnyArray],
    ) -> None:
        self.layers, self.node, self.where = layers, node, where
        self.attributes = attributes
        self._names, self._constants = results, constants

    @property
    def name(self) -> str:
        """Name of the layer: that of the node, or of its result."""
        return str(self.node.name or self.node.output[0])

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def source(self, k: int = 0) -> str:
        """Return the result of a layer that stands at an input."""
        name = self.node.input[k]
        if name not in self._names:
            raise refused(self.where, f"input {k + 1} has to follow from the network's", name)
        return self._names[name]

    def shape(self, k: int = 0) -> Shape:
        """Return the shape of the result at an input."""
        return self.layers.shapes[self.source(k)]

    def is_constant(self, k: int) -> bool:
        """Tell whether an input is a constant."""
        return self.node.input[k] in self._constants

    def has(self, k: int) -> bool:
        """Tell whether there is such an input."""
        return len(self.node.input) > k and bool(self.node.input[k])

    def constant(self, k: int, default: Any = None) -> Array:
        """Return a constant input."""
        if not self.has(k):
            return np.asarray(default)
        name = self.node.input[k]
        if name not in self._constants:
            raise refused(self.where, f"input {k + 1} has to be a constant", name)
        made = self._constants[name]
        if made.dtype.kind == "f" and not np.all(np.isfinite(made)):
            raise refused(self.where, "needs finite numbers", name)
        return np.asarray(made, float) if made.dtype.kind == "f" else made

    def taken(self, words: str = "") -> None:
        """Report that the node has become a part of the network."""
        self.layers.taken.append(f"{self.where}{': ' if words else ''}{words}")

    def folded(self, words: str) -> None:
        """Report that the node has gone into others."""
        self.layers.folded.append(f"{self.where}: {words}")

    def refuse(self, limit: str, got: object, try_: str = "") -> UnsupportedError:
        """Return the error that names this node."""
        return UnsupportedError(message(self.where, limit, got, try_))


def _gemm(call: Call) -> str:
    weights = call.constant(1) * call.attribute("alpha", 1.0)
    if call.attribute("transA", 0):
        raise call.refuse("transA has no place here", 1)
    weights = weights if call.attribute("transB", 0) else weights.T
    bias = call.constant(2, 0.0) * call.attribute("beta", 1.0)
    return _affine(call, weights, bias)


def _matmul(call: Call) -> str:
    if call.is_constant(0):
        raise call.refuse("takes the weights as its second input", "weights first")
    return _affine(call, call.constant(1).T, np.zeros(()))


def _affine(call: Call, weights: Array, bias: Array) -> str:
    if weights.ndim != 2 or len(call.shape()) != 1:
        limit = "takes vectors and a matrix: flatten images first"
        raise call.refuse(limit, (list(call.shape()), list(weights.shape)))
    bias = np.broadcast_to(bias.reshape(-1) if bias.ndim else bias, (len(weights),))
    call.taken(f"dense, {weights.shape[1]} to {weights.shape[0]}")
    return call.layers.add(call.name, Affine(weights, np.array(bias, float)), call.source())


def _conv(call: Call) -> str:
    weights = call.constant(1)
    if call.attribute("group", 1) != 1:
        hint = "a convolution of one group"
        raise call.refuse("every channel sees all of those below", call.attribute("group", 1), hint)
    if weights.ndim != 4:
        raise call.refuse("convolves images, of two axes", f"{weights.ndim - 2} axes")
    bias = call.constant(2, np.zeros(len(weights)))
    kernel = (weights.shape[2], weights.shape[3])
    stride, padding = _windows(call, kernel)
    call.taken(f"conv, {weights.shape[1]} to {weights.shape[0]} channels, kernel {kernel}")
    layer = Convolution(weights, bias, stride, padding)
    return call.layers.add(call.name, layer, call.source())


def _windows(call: Call, kernel: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return stride and padding of a convolution or a pool."""
    if any(d != 1 for d in call.attribute("dilations", (1, 1))):
        raise call.refuse("has no dilation here", list(call.attribute("dilations", ())))
    stride = tuple(int(n) for n in call.attribute("strides", (1, 1)))
    pads = [int(n) for n in call.attribute("pads", (0, 0, 0, 0))]
    auto = call.attribute("auto_pad", b"NOTSET").decode()
    shape = call.shape()
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        sizes = [
            max((math.ceil(n / s) - 1) * s + k - n, 0)
            for n, s, k in zip(shape[1:], stride, kernel, strict=True)
        ]
        halves = [(n // 2, n - n // 2) for n in sizes]
        pads = [a for a, _ in halves] + [b for _, b in halves]
    if pads[:2] != pads[2:]:
        hint = "a padding that is the same on both sides"
        raise call.refuse("pads both sides alike", pads, hint)
    return (stride[0], stride[1]), (pads[0], pads[1])


def _pool(call: Call) -> str:
    kernel = tuple(int(n) for n in call.attribute("kernel_shape", ()))
    if len(kernel) != 2 or len(call.shape()) != 3:
        raise call.refuse("pools images, of two axes", list(call.shape()))
    stride, padding = _windows(call, kernel)
    if any(padding):
        raise call.refuse("pools have no padding here", padding, "a pool without padding")
    if call.attribute("ceil_mode", 0):
        fits = all(
            (n - k) % s == 0 for n, k, s in zip(call.shape()[1:], kernel, stride, strict=True)
        )
        if not fits:
            raise call.refuse("leaves out windows that do not fit", "ceil_mode 1", "ceil_mode 0")
    if len(call.node.output) > 1 and call.node.output[1]:
        raise call.refuse("has no second result here", call.node.output[1])
    kind = "max-pool" if call.node.op_type == "MaxPool" else "average-pool"
    call.taken(f"{kind}, kernel {kernel}")
    layer = Pool(kind, (kernel[0], kernel[1]), stride)  # type: ignore[arg-type]
    return call.layers.add(call.name, layer, call.source())


def _global_pool(call: Call) -> str:
    shape = call.shape()
    if len(shape) != 3:
        raise call.refuse("pools images, of two axes", list(shape))
    kernel = (shape[1], shape[2])
    call.taken(f"average-pool, kernel {kernel}")
    return call.layers.add(call.name, Pool("average-pool", kernel, kernel), call.source())


def _mean(call: Call) -> str:
    axes = call.constant(1) if call.has(1) else np.asarray(call.attribute("axes", ()))
    shape = call.shape()
    if len(shape) != 3 or sorted(int(a) % 4 for a in axes.reshape(-1)) != [2, 3]:
        raise call.refuse("takes means over height and width", axes.tolist())
    made = _global_pool(call)
    if call.attribute("keepdims", 1):
        return made
    return call.layers.add(f"{call.name}_flat", Flatten(), made)


def _activation(kind: str) -> Callable[[Call], str]:
    def take(call: Call) -> str:
        call.taken(kind)
        return call.layers.add(call.name, Activate(kind), call.source())

    return take


def _hard_sigmoid(call: Call) -> str:
    alpha, beta = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    moved = call.layers.add(f"{call.name}_in", scale(alpha, beta), call.source())
    call.taken("hard-sigmoid")
    return call.layers.add(call.name, Activate("hard-sigmoid"), moved)


def _clip(call: Call) -> str:
    low = float(call.constant(1, call.attribute("min", -math.inf)).reshape(()))
    high = float(call.constant(2, call.attribute("max", math.inf)).reshape(()))
    call.taken(f"clip to {low:g} .. {high:g}")
    return clip(call.layers, call.name, call.source(), low, high)


def _binary(call: Call) -> str:
    kind = call.node.op_type
    for k in (0, 1):
        if call.is_constant(k):
            return _with_constant(call, kind, k)
    first, second = call.source(0), call.source(1)
    if kind == "Div":
        raise call.refuse("divides by constants alone", call.node.input[1])
    call.taken()
    if kind == "Sub":
        second = call.layers.add(f"{call.name}_minus", scale(-1.0), second)
    return call.layers.add(call.name, Product() if kind == "Mul" else Sum(), first, second)


def _sum(call: Call) -> str:
    call.taken(f"of {len(call.node.input)}")
    sources = [call.source(k) for k in range(len(call.node.input))]
    return call.layers.add(call.name, Sum(), *sources)


def _with_constant(call: Call, kind: str, k: int) -> str:
    constant, shape = call.constant(k), call.shape(1 - k)
    fitted = _fitted(call, constant, shape)
    if kind == "Add":
        layer = scale(1.0, fitted)
    elif kind == "Mul":
        layer = scale(fitted)
    elif kind == "Sub":
        layer = scale(1.0, -fitted) if k == 1 else scale(-1.0, fitted)
    elif k == 1 and np.all(fitted != 0):
        layer = scale(1 / fitted)
    else:
        raise call.refuse("divides by constants other than 0 alone", "a constant divided")
    call.folded("a constant, into weights and biases")
    return call.layers.add(call.name, layer, call.source(1 - k))


def _fitted(call: Call, constant: Array, shape: Shape) -> Array:
    """Return a constant as numpy would spread it over a batch of this shape: one each."""
    made = np.asarray(constant, float)
    if made.size == 1:
        return made.reshape(())
    try:
        return np.broadcast_to(made, (1, *shape)).reshape(-1)
    except ValueError:
        limit = f"needs a constant that fits {list(shape)}"
        raise call.refuse(limit, list(made.shape)) from None


def _negative(call: Call) -> str:
    call.folded("the sign, into weights")
    return call.layers.add(call.name, scale(-1.0), call.source())


def _normalised(call: Call) -> str:
    if call.attribute("training_mode", 0):
        raise call.refuse("normalises by the batch in training alone", "training_mode 1")
    gamma, beta, mean, variance = (call.constant(k) for k in range(1, 5))
    epsilon = call.attribute("epsilon", 1e-5)
    layer = batch_normalisation(gamma, beta, mean, variance, epsilon)
    call.folded("into weights and biases")
    return call.layers.add(call.name, layer, call.source())


def _nothing(call: Call) -> str:
    if call.node.op_type == "Dropout" and call.has(2) and bool(call.constant(2)):
        raise call.refuse("drops nothing in inference", "training_mode 1")
    call.folded("nothing to do in inference")
    return call.source()


def _flatten(call: Call) -> str:
    if call.attribute("axis", 1) != 1:
        raise call.refuse("keeps the batch, axis 1", call.attribute("axis", 1))
    return _flat(call)


def _flat(call: Call) -> str:
    call.folded("laid flat")
    if len(call.shape()) == 1:
        return call.source()
    return call.layers.add(call.name, Flatten(), call.source())


def _squeeze(call: Call) -> str:
    axes = call.constant(1, ()) if call.has(1) else np.asarray(call.attribute("axes", ()))
    if sorted(int(a) % 4 for a in axes.reshape(-1)) != [2, 3] or call.shape()[1:] != (1, 1):
        raise call.refuse("squeezes height and width of 1", axes.tolist())
    return _flat(call)


def _reshape(call: Call) -> str:
    wanted = [int(n) for n in call.constant(1).reshape(-1)]
    shape, n = call.shape(), math.prod(call.shape())
    rest = wanted[1:]
    if rest.count(-1) == 1:
        known = math.prod(m for m in rest if m != -1)
        rest = [n // known if m == -1 else m for m in rest] if known else rest
    rest = [shape[k] if m == 0 and k < len(shape) else m for k, m in enumerate(rest)]
    if wanted[:1] == [-1] or wanted[:1] == [0] or wanted[:1] == [1]:
        if rest == [n]:
            return _flat(call)
        if tuple(rest) == shape:
            return _nothing(call)
        source = call.source()
        if source in call.layers.inputs and len(rest) == 3 and math.prod(rest) == n:
            untouched = not any(source in step.sources for step in call.layers.steps)
            if untouched:
                call.folded("the shape of the input")
                return call.layers.enter(source, rest)
    hint = "a Reshape to (batch, n), or of the input to an image"
    raise call.refuse("shapes are kept, or laid flat", wanted, hint)


def _concat(call: Call) -> str:
    axis = call.attribute("axis", 1)
    dims = len(call.shape()) + 1
    if axis % dims != 1:
        raise call.refuse("puts channels or neurons side by side, axis 1", axis)
    sources = [call.source(k) for k in range(len(call.node.input))]
    call.taken(f"of {len(sources)}")
    return call.layers.add(call.name, Concat(), *sources)


def _softmax(call: Call) -> str:
    if call.attribute("axis", -1) not in (-1, 1) or len(call.shape()) != 1:
        raise call.refuse("stands over the outputs", call.attribute("axis", -1))
    return call.layers.add(call.name, Activate("softmax"), call.source())


TAKERS: dict[str, Callable[[Call], str]] = {
    "Add": _binary,
    "AveragePool": _pool,
    "BatchNormalization": _normalised,
    "Cast": _nothing,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _binary,
    "Dropout": _nothing,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "HardSigmoid": _hard_sigmoid,
    "Identity": _nothing,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mul": _binary,
    "Neg": _negative,
    "ReduceMean": _mean,
    "Relu": _activation("relu"),
    "Reshape": _reshape,
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _binary,
    "Sum": _sum,
    "Tanh": _activation("tanh"),
}
