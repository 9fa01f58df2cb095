"""Export a network: the format by the end of the file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import checked
from lava_dyads.choices import DType
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath, as_path, write_atomically
from lava_dyads.interop.onnx_export import onnx_model
from lava_dyads.optional import imported
from lava_dyads.training import Checkpoint

EXPORTS = (".onnx", ".safetensors")
"""Ends of the names of files that are written."""


@checked
def export_network(checkpoint: Checkpoint, path: AnyPath, *, dtype: DType = "float32") -> Path:
    """Write what a network computes in real numbers; return the path.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : str or path
        Ending in .onnx (all of it) or .safetensors (its weights and biases, under the names of
        their nodes; ``import_network(path, graph=...)`` reads them).
    dtype : str
        Of its numbers.

    Raises
    ------
    ValidationError
        If the name has another end.
    UnsupportedError
        Naming the part that has no place in the format.
    """
    path = as_path("export", path)
    end = path.suffix.lower()
    if end not in EXPORTS:
        hint = ", ".join(EXPORTS) + "; or lava-dyads deploy --export for .net and .nir"
        invalid("export", "knows files by their ends", str(path), hint)
    if end == ".onnx":
        content = onnx_model(checkpoint, dtype).SerializeToString()
    else:
        named = {name: np.ascontiguousarray(array, dtype)
                 for name, array in named_arrays(checkpoint.shown()).items()}  # fmt: skip
        content = imported("safetensors.numpy", "safetensors files", "interop").save(named)
    write_atomically(path, content)
    return path


def named_arrays(checkpoint: Checkpoint) -> dict[str, Array]:
    """Return weights and biases under the names of their nodes: NAME.weight, NAME.bias."""
    weights, biases = iter(checkpoint.weights), iter(checkpoint.biases)
    made = {}
    for v in checkpoint.spec.vertices:
        if v.weighted:
            made[f"{v.name}.weight"] = next(weights)
        if v.activation:
            made[f"{v.name}.bias"] = next(biases)
    return made
