"""Import a network: from a file by the end of its name, or from what a framework has in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lava_dyads.checks import checked
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath, as_path
from lava_dyads.interop.imported import Imported, finished
from lava_dyads.interop.layers import Layers
from lava_dyads.interop.onnx_files import layers_of, read_onnx

FORMATS: dict[str, tuple[str, Callable[[AnyPath], Layers]]] = {
    ".onnx": ("ONNX", read_onnx),
}
"""Formats by the end of a file's name, and what reads them."""


@checked
def import_network(path: AnyPath, *, loss: str = "", **options: Any) -> Imported:
    """Return the network of a file.

    Parameters
    ----------
    path : str or path
        Its end tells the format, see ``FORMATS``.
    loss : str
        With which it is to go on learning; empty: what its read-out says (softmax: cross-entropy;
        sigmoid: binary cross-entropy), else cross-entropy of several outputs, squared error of one.
    **options
        More fields of its ``NetworkSpec``: ``rule``, ``alpha``, ``beta``, ...

    Raises
    ------
    ValidationError
        If it cannot be read.
    UnsupportedError
        Naming the layer that has no place in a network of dyads.
    """
    path = as_path("import", path)
    if path.suffix.lower() not in FORMATS:
        invalid("import", "knows files by their ends", str(path), ", ".join(FORMATS))
    kind, read = FORMATS[path.suffix.lower()]
    return finished(read(path), kind, loss, options)


@checked
def from_onnx(model: Any, *, loss: str = "", **options: Any) -> Imported:
    """Return the network of an ``onnx.ModelProto``, see :func:`import_network`."""
    return finished(layers_of(model), "ONNX", loss, options)
