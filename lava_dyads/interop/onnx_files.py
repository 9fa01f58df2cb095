"""ONNX models as networks of dyads.

=====================================  ==========================================================
taken                                  Gemm, MatMul, Conv (one group), MaxPool, AveragePool,
                                       GlobalAveragePool, Relu, HardSigmoid, Clip, Sigmoid, Tanh,
                                       Add, Mul and Sub of two results, Sum,
                                       Concat
folded into what is beside it          Add, Sub, Mul, Div with constants, Neg,
                                       BatchNormalization, Flatten, Reshape, Squeeze, Dropout,
                                       Identity, Cast, a Softmax or LogSoftmax at the end
worked out (of constants alone)        Shape, Gather, Concat, Slice, Unsqueeze, Constant, ...
=====================================  ==========================================================

Nothing in a file is executed: constants are worked out by ONNX's own reference of these operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import DyadsError, UnsupportedError
from lava_dyads.files import AnyPath, as_path, read_whole
from lava_dyads.interop.layers import MOST_ENTRIES, Layers, Shape, refused
from lava_dyads.interop.onnx_nodes import TAKERS, Call
from lava_dyads.optional import imported

OPSETS = (7, 26)
"""Versions of ONNX's operators that are known here, the first and the last."""

_HINT = "a network of Gemm, MatMul, Conv, pools, Relu, Tanh, Add, Mul, Concat: docs/interop.md"


def read_onnx(path: AnyPath) -> Layers:
    """Return the layers of an ONNX file.

    Raises
    ------
    ValidationError
        If it is none, or the package onnx is not installed.
    UnsupportedError
        Naming the node that has no place in a network of dyads.
    """
    onnx = imported("onnx", "ONNX files", "interop")
    path = as_path("ONNX file", path)
    try:
        model = onnx.load_model_from_string(read_whole(path))
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except (OSError, DyadsError):
        raise
    except Exception as error:  # of whatever kind protobuf's readers raise
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UnsupportedError(f"ONNX file {path}: cannot be read ({why}). Try: {_HINT}") from error
    return layers_of(model)


def layers_of(model: Any) -> Layers:
    """Return the layers of an ``onnx.ModelProto``.

    Raises
    ------
    UnsupportedError
        Naming the node that has no place in a network of dyads.
    """
    try:
        return _Reader(model).read()
    except DyadsError:
        raise
    except Exception as error:  # whatever a model whose parts contradict each other leads to
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        limit = f"ONNX model: its parts do not fit each other ({why})"
        raise UnsupportedError(f"{limit}. Try: {_HINT}") from error


class _Reader:
    def __init__(self, model: Any) -> None:
        self.onnx = imported("onnx", "ONNX files", "interop")
        self.graph = model.graph
        self.layers = Layers()
        self.names: dict[str, str] = {}
        """Result of a layer, by the name of ONNX's value."""
        self.constants: dict[str, AnyArray] = {}
        self.opset = self._opset(model)

    def _opset(self, model: Any) -> int:
        versions = {entry.domain: entry.version for entry in model.opset_import}
        version = versions.get("", versions.get("ai.onnx", 0))
        low, high = OPSETS
        if not low <= version <= high:
            hint = "onnx.version_converter.convert_version(model, 17)"
            raise refused("ONNX opset", f"must lie in {low} .. {high}", version, hint)
        return int(version)

    def read(self) -> Layers:
        for entry in self.graph.initializer:
            self.constants[entry.name] = self.onnx.numpy_helper.to_array(entry)
        for entry in self.graph.input:
            if entry.name not in self.constants:
                self.names[entry.name] = self.layers.enter(entry.name, self._input_shape(entry))
        for number, node in enumerate(self.graph.node):
            self._take(node, f"{node.op_type} {node.name or number}")
        if len(self.graph.output) != 1:
            names = [entry.name for entry in self.graph.output]
            raise refused("ONNX graph", "needs one output", names)
        output = self.graph.output[0].name
        if output not in self.names:
            raise refused("ONNX graph", "its output follows from no input", output)
        self.layers.output = self.names[output]
        return self.layers

    def _input_shape(self, entry: Any) -> Shape:
        dims = entry.type.tensor_type.shape.dim
        sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in dims]
        if len(sizes) < 2 or any(n < 1 for n in sizes[1:]):
            found = [d.dim_value or d.dim_param or "?" for d in dims]
            limit = "needs a known size of every axis but the first, the batch"
            raise refused(f"ONNX input {entry.name}", limit, found, "to export with fixed shapes")
        return tuple(sizes[1:])

    def _take(self, node: Any, where: str) -> None:
        if node.domain not in ("", "ai.onnx"):
            raise refused(where, "is no operator of ONNX itself", node.domain, _HINT)
        inputs = [name for name in node.input if name]
        if all(name in self.constants for name in inputs):
            self._fold(node, where)
            return
        known = [self.names.get(name) for name in node.input]
        if node.op_type == "Shape":
            shape = self.layers.shapes[known[0] or ""]
            self.constants[node.output[0]] = np.array([1, *shape], np.int64)
            return
        take = TAKERS.get(node.op_type)
        if take is None:
            raise refused(where, "has no place in a network of dyads", node.op_type, _HINT)
        attributes = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        try:
            made = take(Call(self.layers, node, where, attributes, self.names, self.constants))
        except DyadsError as error:
            text = str(error)
            if text.startswith(where):
                raise
            raise UnsupportedError(f"{where}: {text}") from error
        self.names[node.output[0]] = made

    def _fold(self, node: Any, where: str) -> None:
        """Work out a node whose inputs are all constants."""
        if node.op_type not in _FOLDABLE:
            raise refused(where, "is worked out for no constants", node.op_type, _HINT)
        onnx = self.onnx
        helper = onnx.helper
        given = [name for name in node.input if name]
        size = sum(self.constants[name].size for name in given)
        if size > MOST_ENTRIES:
            raise refused(where, f"takes at most {MOST_ENTRIES:,} numbers", size)
        types = onnx.TensorProto
        inputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(self.constants[name].dtype), None
            )
            for name in dict.fromkeys(given)
        ]
        outputs = [helper.make_tensor_value_info(node.output[0], types.UNDEFINED, None)]
        graph = helper.make_graph([node], "constant", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        evaluator = imported("onnx.reference", "ONNX files", "interop").ReferenceEvaluator(model)
        try:
            (made,) = evaluator.run(None, {name: self.constants[name] for name in given})
        except Exception as error:
            raise refused(where, "constants that do not fit", str(error)[:200]) from error
        self.constants[node.output[0]] = np.asarray(made)


_FOLDABLE = (
    "Add", "Cast", "Concat", "Constant", "Div", "Gather", "Identity", "Mul", "Neg", "Reshape",
    "Shape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze",
)  # fmt: skip
