"""A trained network as an ONNX model: what it computes without a nudge.

What a run has learnt about scaling its inputs and targets is part of the model, so that it takes
what ``predict`` takes. Of outputs it has those of ``decision``: before a softmax or sigmoid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.choices import DType
from lava_dyads.interop.layers import refused
from lava_dyads.optional import imported
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.ops import Conv, Dense, Product, Sparse
from lava_dyads.rules.ops.pool import AveragePool, MaxPool
from lava_dyads.training import Checkpoint

OPSET = 17
"""Version of ONNX's operators that is written."""


def onnx_model(checkpoint: Checkpoint, dtype: DType = "float32") -> Any:
    """Return an ``onnx.ModelProto`` of what a network computes.

    Parameters
    ----------
    checkpoint : Checkpoint
    dtype : str
        Of its numbers; not all that runs ONNX takes float64.

    Raises
    ------
    UnsupportedError
        Naming the part that ONNX has no operators for.
    """
    return _Model(checkpoint.shown(), dtype).made()


class _Model:
    def __init__(self, checkpoint: Checkpoint, dtype: DType) -> None:
        self.onnx = imported("onnx", "ONNX files", "interop")
        imported("onnx.helper", "ONNX files", "interop")
        self.checkpoint, self.dtype = checkpoint, np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def made(self) -> Any:
        spec, helper = self.checkpoint.spec, self.onnx.helper
        rule = spec.rule
        if rule.spiking or rule.lifted:
            limit = "what it computes is no forward pass, but a relaxation or a count of spikes"
            raise refused(f"rule {rule.name}", limit, rule.name, "rule dp-transpose")
        vertices = spec.vertices
        inputs = [v for v in vertices if not v.sources]
        outputs = [v for v in vertices if v.loss]
        preparation = self.checkpoint.preparation
        if preparation.fills:
            limit = (
                "missing values are filled, for which ONNX has no operator that all readers know"
            )
            raise refused("preparation", limit, "fills", "data without missing values")
        scaled = preparation.scaling is not None or self.checkpoint.target_scaling is not None
        if scaled and (len(inputs), len(outputs)) != (1, 1):
            raise refused("preparation", "is written for one input and one output", len(inputs))
        results = {v.name: self._entered(v) for v in inputs}
        weights, biases = iter(self.checkpoint.weights), iter(self.checkpoint.biases)
        shapes = {v.name: v.shape for v in vertices}
        for v in vertices:
            if v.sources:
                given = next(weights) if v.weighted else None
                bias = next(biases) if v.activation else None
                images = [len(shapes[s]) > 1 for s in v.sources]
                results[v.name] = self._vertex(v, [results[s] for s in v.sources], images, given,
                                               bias)  # fmt: skip
        ends = [self._left(v, results[v.name]) for v in outputs]
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        graph = helper.make_graph(
            self.nodes,
            "lava_dyads",
            [helper.make_tensor_value_info(f"{v.name}_in", kind, ["batch", *v.shape])
             for v in inputs],
            [helper.make_tensor_value_info(name, kind, ["batch", *v.shape])
             for v, name in zip(outputs, ends, strict=True)],
            self.constants,
        )  # fmt: skip
        model = helper.make_model(
            graph,
            producer_name="lava_dyads",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=8,  # of that opset: readers of its time take it
        )
        self.onnx.checker.check_model(model)
        return model

    def _node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(
            self.onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes)
        )
        return name

    def _constant(self, name: str, value: Any, dtype: Any = None) -> str:
        array = np.ascontiguousarray(value, dtype or self.dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def _entered(self, v: Vertex) -> str:
        scaling = self.checkpoint.preparation.scaling
        name = f"{v.name}_in"
        if scaling is None:
            return name
        shape = (1, *v.shape)
        middle = self._constant(f"{v.name}_offset", scaling.offset.reshape(shape))
        width = self._constant(f"{v.name}_unit", scaling.scale.reshape(shape))
        return self._node("Div", f"{v.name}_scaled",
                          self._node("Sub", f"{v.name}_moved", name, middle), width)  # fmt: skip

    def _left(self, v: Vertex, result: str) -> str:
        scaling = self.checkpoint.target_scaling
        if scaling is None:
            return self._node("Identity", f"{v.name}_out", result)
        width = self._constant(f"{v.name}_unit", scaling.scale)
        middle = self._constant(f"{v.name}_offset", scaling.offset)
        return self._node("Add", f"{v.name}_out",
                          self._node("Mul", f"{v.name}_wide", result, width), middle)  # fmt: skip

    def _vertex(
        self,
        v: Vertex,
        below: list[str],
        images: list[bool],
        weights: Array | None,
        bias: Array | None,
    ) -> str:
        made = self._op(v, below, images, weights)
        if bias is not None and (bias.any() or isinstance(v.op, Dense | Sparse)):
            shaped = bias.reshape(-1, *[1] * (len(v.shape) - 1))
            made = self._node("Add", f"{v.name}_biased", made,
                              self._constant(f"{v.name}.bias", shaped))  # fmt: skip
        name = v.activation.name if v.activation else "linear"
        if name == "linear":
            return made
        if name == "hard-sigmoid":
            ends = [self._constant(f"{v.name}_{end}", value)
                    for end, value in (("low", 0.0), ("high", 1.0))]  # fmt: skip
            return self._node("Clip", f"{v.name}_neurons", made, *ends)
        if name not in ("relu", "tanh"):
            raise refused(f"node {v.name}", "ONNX has no such neurons", name, "relu, tanh")
        return self._node({"relu": "Relu", "tanh": "Tanh"}[name], f"{v.name}_neurons", made)

    def _op(self, v: Vertex, below: list[str], images: list[bool], weights: Array | None) -> str:
        op, name = v.op, v.name
        if len(v.shape) == 1:
            below = [
                self._node("Flatten", f"{name}_flat_{k}", source) if image else source
                for k, (source, image) in enumerate(zip(below, images, strict=True))
            ]
        if isinstance(op, Dense | Sparse):
            assert weights is not None
            shown = weights if op.mask is None else weights * op.mask
            return self._node("MatMul", name, below[0], self._constant(f"{name}.weight", shown.T))
        if isinstance(op, Conv):
            pads = [*op.windows.padding, *op.windows.padding]
            return self._node(
                "Conv", name, below[0], self._constant(f"{name}.weight", weights),
                kernel_shape=list(op.windows.kernel), strides=list(op.windows.stride), pads=pads,
            )  # fmt: skip
        if isinstance(op, MaxPool | AveragePool):
            kind = "MaxPool" if isinstance(op, MaxPool) else "AveragePool"
            return self._node(kind, name, below[0], kernel_shape=list(op.windows.kernel),
                              strides=list(op.windows.stride))  # fmt: skip
        if isinstance(op, Product):
            return self._node("Mul", name, *below)
        if op is not None:
            raise refused(f"node {name}", "ONNX has no operator for it", type(op).__name__)
        if v.beside:
            return self._node("Concat", name, *below, axis=1)
        return self._node("Sum" if len(below) > 1 else "Identity", name, *below)
