"""PyTorch modules as networks of dyads, by way of ``torch.fx``; files of their weights.

A module is traced, so it has to be one whose way does not depend on its data; then its layers are
read one by one. A file of weights (.pt, .pth) is opened with ``weights_only=True`` alone: objects
that were pickled into it are refused, and nothing of them is executed.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import DyadsError, UnsupportedError
from lava_dyads.files import AnyPath, as_path, opened
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

_HINT = "a module of Linear, Conv2d, pools, ReLU, Tanh, add, mul, cat: docs/interop.md"


def layers_of_module(module: Any, example: Any) -> Layers:
    """Return the layers of a module.

    Parameters
    ----------
    module : torch.nn.Module
        Neither moved nor changed: what is read is a copy of it in evaluation mode.
    example : torch.Tensor or array, shape (samples, ...)
        What it takes: for the shapes of its layers.

    Raises
    ------
    UnsupportedError
        Naming the layer that has no place in a network of dyads.
    """
    torch = _torch()
    fx = _torch("torch.fx")
    if not isinstance(module, torch.nn.Module):
        raise refused("module", "must be a torch.nn.Module", type(module).__name__)
    still = copy.deepcopy(module).eval().to("cpu")
    given = torch.as_tensor(example).detach().to("cpu")
    try:
        traced = fx.symbolic_trace(still)
        shapes = _torch("torch.fx.passes.shape_prop").ShapeProp
        with torch.no_grad():
            shapes(traced).propagate(given)
    except Exception as error:  # of whatever kind a module of a user raises
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "a module whose way does not depend on its data, or an ONNX file of it"
        raise UnsupportedError(f"module: cannot be traced ({why}). Try: {hint}") from error
    return _Traced(torch, traced).read()


def _torch(name: str = "torch") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        line = "PyTorch's networks need the package torch, which is not installed"
        raise UnsupportedError(f"{line}. Try: pip install torch, or an ONNX file") from None


def weights_of_file(path: AnyPath) -> dict[str, Array]:
    """Return the arrays of a .pt file, by name.

    Raises
    ------
    UnsupportedError
        If it holds anything but tensors, or cannot be read.
    """
    torch = _torch()
    path = as_path("PyTorch file", path)
    try:
        with opened(path) as file:
            held = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        limit = f"PyTorch file {path}: holds more than weights, or is no such file ({why})"
        hint = "torch.save(module.state_dict(), FILE); or ONNX"
        raise UnsupportedError(f"{limit}. Try: {hint}") from error
    if not isinstance(held, dict) or not all(torch.is_tensor(t) for t in held.values()):
        limit = "must hold a state_dict, names and tensors"
        raise refused(f"PyTorch file {path}", limit, type(held).__name__, "module.state_dict()")
    return {str(name): _array(tensor) for name, tensor in held.items()}


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().double().numpy(), float)


class _Traced:
    """A traced module, read node by node."""

    def __init__(self, torch: Any, traced: Any) -> None:
        self.torch, self.traced = torch, traced
        self.modules = dict(traced.named_modules())
        self.layers = Layers()
        self.results: dict[Any, str] = {}

    def read(self) -> Layers:
        """Return its layers."""
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                shape = tuple(node.meta["tensor_meta"].shape)
                self.results[node] = self.layers.enter(node.name, shape[1:])
            elif node.op == "output":
                end = node.args[0]
                if end not in self.results:
                    raise refused("module", "needs one output, a tensor", str(end))
                self.layers.output = self.results[end]
            elif node.op != "get_attr" and "tensor_meta" in node.meta:  # else a size
                self._take(node)
        return self.layers

    def _take(self, node: Any) -> None:
        if node.op == "call_module":
            module = self.modules[node.target]
            kind, where = type(module).__name__, f"{type(module).__name__} {node.target}"
        else:
            module, kind = None, getattr(node.target, "__name__", str(node.target)).rstrip("_")
            where = f"{kind} {node.name}"
        take = TAKERS.get(kind)
        if take is None:
            raise refused(where, "has no place in a network of dyads", kind, _HINT)
        try:
            self.results[node] = take(_Part(self, node, module, where))
        except DyadsError as error:
            text = str(error)
            if text.startswith(where):
                raise
            raise UnsupportedError(f"{where}: {text}") from error


class _Part:
    """One node: its sources, its options and its weights."""

    def __init__(self, whole: _Traced, node: Any, module: Any, where: str) -> None:
        self.whole, self.node, self.module, self.where = whole, node, module, where
        self.layers = whole.layers
        self.name = str(node.target) if module is not None else str(node.name)

    def given(self, k: int, name: str = "", default: Any = None) -> Any:
        """Return an argument of a function."""
        if k < len(self.node.args):
            return self.node.args[k]
        return self.node.kwargs.get(name, default)

    def option(self, k: int, name: str, default: Any = None) -> Any:
        """Return an option: of the module, or an argument of the function."""
        if self.module is not None:
            return getattr(self.module, name, default)
        return self.given(k, name, default)

    def source(self, k: int = 0) -> str:
        """Return the result of a layer that is an argument."""
        return self.result(self.given(k, "input"))

    def result(self, node: Any) -> str:
        """Return the result of a layer."""
        try:
            return self.whole.results[node]
        except (KeyError, TypeError):
            limit = "takes what follows from the input"
            raise refused(self.where, limit, str(node)) from None

    def constant(self, k: int) -> Array | None:
        """Return an argument that is a number or a tensor of the module."""
        found = self.given(k)
        if isinstance(found, int | float):
            return np.asarray(float(found))
        if getattr(found, "op", "") == "get_attr":
            held = self.whole.traced
            for part in found.target.split("."):
                held = getattr(held, part)
            return _array(held)
        return None

    def shape(self) -> Shape:
        """Return the shape of its first source."""
        return self.layers.shapes[self.source()]

    def taken(self, words: str) -> None:
        """Report that it has become a part of the network."""
        self.layers.taken.append(f"{self.where}: {words}")

    def folded(self, words: str) -> None:
        """Report that it has gone into others."""
        self.layers.folded.append(f"{self.where}: {words}")


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    return (int(value[0]), int(value[1]))


def _linear(part: _Part) -> str:
    m = part.module
    weights = _array(m.weight)
    bias = np.zeros(len(weights)) if m.bias is None else _array(m.bias)
    if len(part.shape()) != 1:
        raise refused(part.where, "takes vectors: flatten images first", list(part.shape()))
    part.taken(f"dense, {weights.shape[1]} to {weights.shape[0]}")
    return part.layers.add(part.name, Affine(weights, bias), part.source())


def _conv(part: _Part) -> str:
    m = part.module
    plain = m.groups == 1 and _pair(m.dilation) == (1, 1) and m.padding_mode == "zeros"
    if not plain:
        got = (m.groups, m.dilation, m.padding_mode)
        raise refused(part.where, "needs one group, no dilation and zeros around", got)
    weights = _array(m.weight)
    bias = np.zeros(len(weights)) if m.bias is None else _array(m.bias)
    padding = m.padding
    if padding == "same":
        if any(k % 2 == 0 for k in m.kernel_size):
            raise refused(part.where, "pads both sides alike", m.kernel_size, "an odd kernel")
        padding = tuple(k // 2 for k in m.kernel_size)
    padding = (0, 0) if padding == "valid" else _pair(padding)
    part.taken(f"conv, {weights.shape[1]} to {weights.shape[0]} channels, kernel {m.kernel_size}")
    layer = Convolution(weights, bias, _pair(m.stride), padding)
    return part.layers.add(part.name, layer, part.source())


def _pool(kind: str) -> Callable[[_Part], str]:
    def take(part: _Part) -> str:
        kernel = _pair(part.option(1, "kernel_size"))
        stride = _pair(part.option(2, "stride") or kernel)
        if _pair(part.option(3, "padding", 0)) != (0, 0):
            raise refused(part.where, "pools have no padding here", part.option(3, "padding"))
        if kind == "max-pool" and _pair(part.option(4, "dilation", 1)) != (1, 1):
            raise refused(part.where, "has no dilation here", part.option(4, "dilation"))
        if part.option(9, "ceil_mode", False):
            raise refused(part.where, "leaves out windows that do not fit", "ceil_mode=True")
        if part.option(9, "divisor_override") or part.option(9, "return_indices", False):
            raise refused(part.where, "has a divisor of its own, or indices", part.where)
        part.taken(f"{kind}, kernel {kernel}")
        layer = Pool(kind, kernel, stride)  # type: ignore[arg-type]
        return part.layers.add(part.name, layer, part.source())

    return take


def _adaptive(part: _Part) -> str:
    wanted, shape = part.option(1, "output_size"), part.shape()
    if wanted not in (1, (1, 1), [1, 1]) or len(shape) != 3:
        raise refused(part.where, "takes the mean of the whole image", wanted, "output size 1")
    part.taken(f"average-pool, kernel {shape[1:]}")
    layer = Pool("average-pool", (shape[1], shape[2]), (1, 1))
    return part.layers.add(part.name, layer, part.source())


def _activation(kind: str) -> Callable[[_Part], str]:
    def take(part: _Part) -> str:
        part.taken(kind)
        return part.layers.add(part.name, Activate(kind), part.source())

    return take


def _softmax(part: _Part) -> str:
    if part.option(1, "dim") not in (1, -1) or len(part.shape()) != 1:
        raise refused(part.where, "stands over the outputs", part.option(1, "dim"), "dim 1")
    return part.layers.add(part.name, Activate("softmax"), part.source())


def _hard_sigmoid(part: _Part) -> str:
    moved = part.layers.add(f"{part.name}_in", scale(1 / 6, 0.5), part.source())
    part.taken("hard-sigmoid")
    return part.layers.add(part.name, Activate("hard-sigmoid"), moved)


def _clipped(low_name: str, high_name: str, low: float, high: float) -> Callable[[_Part], str]:
    def take(part: _Part) -> str:
        ends = part.option(1, low_name, low), part.option(2, high_name, high)
        below = -math.inf if ends[0] is None else float(ends[0])
        above = math.inf if ends[1] is None else float(ends[1])
        part.taken(f"clip to {below:g} .. {above:g}")
        return clip(part.layers, part.name, part.source(), below, above)

    return take


def _normalised(part: _Part) -> str:
    m = part.module
    if m.running_mean is None:
        raise refused(part.where, "normalises by the batch alone", "no running mean")
    mean, variance = _array(m.running_mean), _array(m.running_var)
    gamma = np.ones_like(mean) if m.weight is None else _array(m.weight)
    beta = np.zeros_like(mean) if m.bias is None else _array(m.bias)
    part.folded("into weights and biases")
    layer = batch_normalisation(gamma, beta, mean, variance, m.eps)
    return part.layers.add(part.name, layer, part.source())


def _nothing(part: _Part) -> str:
    part.folded("nothing to do in inference")
    return part.source()


def _flatten(part: _Part) -> str:
    if part.option(1, "start_dim", 0) != 1 or part.option(2, "end_dim", -1) != -1:
        raise refused(part.where, "keeps the batch", part.option(1, "start_dim"), "start_dim 1")
    return _flat(part)


def _flat(part: _Part) -> str:
    part.folded("laid flat")
    if len(part.shape()) == 1:
        return part.source()
    return part.layers.add(part.name, Flatten(), part.source())


def _reshape(part: _Part) -> str:
    made = tuple(part.node.meta["tensor_meta"].shape)[1:]
    if made == part.shape():
        return _nothing(part)
    if made != (math.prod(part.shape()),):
        raise refused(part.where, "shapes are kept, or laid flat", list(made))
    return _flat(part)


def _binary(kind: str) -> Callable[[_Part], str]:
    def take(part: _Part) -> str:
        if part.node.kwargs.get("alpha", 1) != 1:
            raise refused(part.where, "has no alpha here", part.node.kwargs["alpha"])
        for k in (0, 1):
            value = part.constant(k)
            if value is not None:
                return _with_constant(part, kind, k, value)
        first, second = part.source(), part.result(part.given(1, "other"))
        if kind == "div":
            raise refused(part.where, "divides by constants alone", part.where)
        part.taken({"mul": "product"}.get(kind, "sum"))
        if kind == "sub":
            second = part.layers.add(f"{part.name}_minus", scale(-1.0), second)
        layer = Product() if kind == "mul" else Sum()
        return part.layers.add(part.name, layer, first, second)

    return take


def _with_constant(part: _Part, kind: str, k: int, value: Array) -> str:
    source = part.result(part.given(1 - k))
    shape = part.layers.shapes[source]
    if value.size > 1:
        try:
            value = np.broadcast_to(value, (1, *shape)).reshape(-1)
        except ValueError:
            raise refused(part.where, f"needs a constant that fits {list(shape)}",
                          list(value.shape)) from None  # fmt: skip
    if kind == "div" and (k == 0 or not np.all(value)):
        raise refused(part.where, "divides by constants other than 0 alone", part.where)
    layer = {
        "add": lambda: scale(1.0, value),
        "mul": lambda: scale(value),
        "div": lambda: scale(1 / value),
        "sub": lambda: scale(1.0, -value) if k == 1 else scale(-1.0, value),
    }[kind]()
    part.folded("a constant, into weights and biases")
    return part.layers.add(part.name, layer, source)


def _concat(part: _Part) -> str:
    dim = part.given(1, "dim", 0)
    nodes = part.given(0, "tensors")
    sources = [part.result(node) for node in nodes]
    if dim % (len(part.layers.shapes[sources[0]]) + 1) != 1:
        raise refused(part.where, "puts channels or neurons side by side", dim, "dim 1")
    part.taken(f"concat of {len(sources)}")
    return part.layers.add(part.name, Concat(), *sources)


_CLIP = _clipped("min", "max", -math.inf, math.inf)
_HARDTANH = _clipped("min_val", "max_val", -1.0, 1.0)
_RELU, _TANH, _SIGMOID = (_activation(kind) for kind in ("relu", "tanh", "sigmoid"))

TAKERS: dict[str, Callable[[_Part], str]] = {
    "Linear": _linear,
    "Conv2d": _conv,
    **dict.fromkeys(("MaxPool2d", "max_pool2d", "boolean_dispatch"), _pool("max-pool")),
    **dict.fromkeys(("AvgPool2d", "avg_pool2d"), _pool("average-pool")),
    **dict.fromkeys(("AdaptiveAvgPool2d", "adaptive_avg_pool2d"), _adaptive),
    **dict.fromkeys(("ReLU", "relu"), _RELU),
    **dict.fromkeys(("Tanh", "tanh"), _TANH),
    **dict.fromkeys(("Sigmoid", "sigmoid"), _SIGMOID),
    **dict.fromkeys(("Hardsigmoid", "hardsigmoid"), _hard_sigmoid),
    **dict.fromkeys(("Hardtanh", "hardtanh"), _HARDTANH),
    **dict.fromkeys(("ReLU6", "relu6"), _clipped("", "", 0.0, 6.0)),
    **dict.fromkeys(("clamp", "clip"), _CLIP),
    **dict.fromkeys(("Softmax", "softmax", "LogSoftmax", "log_softmax"), _softmax),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d"), _normalised),
    **dict.fromkeys(
        ("Dropout", "Dropout2d", "dropout", "Identity", "contiguous", "float", "double"), _nothing
    ),
    **dict.fromkeys(("Flatten", "flatten"), _flatten),
    **dict.fromkeys(("view", "reshape"), _reshape),
    **dict.fromkeys(("add", "iadd"), _binary("add")),
    **dict.fromkeys(("sub", "isub"), _binary("sub")),
    **dict.fromkeys(("mul", "imul"), _binary("mul")),
    **dict.fromkeys(("truediv", "div"), _binary("div")),
    **dict.fromkeys(("cat", "concat"), _concat),
}
"""What reads a layer, by the name of its class or function."""
