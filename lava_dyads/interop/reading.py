"""Import a network: from a file by the end of its name, or from what a framework has in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lava_dyads.checks import checked
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath, as_path
from lava_dyads.interop.arrays import arrays_of_file, layers_of_arrays, layers_of_perceptron
from lava_dyads.interop.imported import Imported, finished
from lava_dyads.interop.layers import Layers
from lava_dyads.interop.netx_files import read_netx
from lava_dyads.interop.nir_files import layers_of_graph, read_nir
from lava_dyads.interop.onnx_files import layers_of, read_onnx
from lava_dyads.interop.torch_modules import layers_of_module, weights_of_file
from lava_dyads.networks import Graph

WHOLE: dict[str, tuple[str, Callable[[AnyPath], Layers]]] = {
    ".onnx": ("ONNX", read_onnx),
    ".nir": ("NIR", read_nir),
    **dict.fromkeys((".net", ".h5", ".hdf5"), ("netx", read_netx)),
}
"""Files that say all of a network, and what reads them, by the end of their names."""

WEIGHTS = {
    ".pt": ("PyTorch", weights_of_file),
    ".pth": ("PyTorch", weights_of_file),
    ".safetensors": ("safetensors", arrays_of_file),
    ".npz": ("arrays", arrays_of_file),
}
"""Files of weights alone: the network is said beside them."""

FORMATS = (*WHOLE, *WEIGHTS)
"""Ends of the names of files that are read."""


@checked
def import_network(
    path: AnyPath,
    *,
    graph: Graph | None = None,
    layers: Sequence[int] = (),
    activation: str = "relu",
    rates: bool = False,
    loss: str = "",
    **options: Any,
) -> Imported:
    """Return the network of a file.

    Parameters
    ----------
    path : str or path
        Its end tells the format, see ``FORMATS``.
    graph : Graph or None
        Of a file of weights: what stands where.
    layers : sequence of int
        Of a file of weights: sizes of a chain, instead.
    activation : str
        Of the hidden layers of that chain.
    rates : bool
        Of NIR: read IF neurons as the relus that their rates are at constant currents.
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
    end = path.suffix.lower()
    if rates and end != ".nir":
        invalid("--rates", "is for the neurons of NIR", str(path), "to leave it out")
    if end in WHOLE:
        if graph is not None or layers:
            invalid("import", f"a file {end} says all of its network", str(path), "the file alone")
        kind, read = WHOLE[end]
        return finished(read_nir(path, rates) if rates else read(path), kind, loss, options)
    if end not in WEIGHTS:
        invalid("import", "knows files by their ends", str(path), ", ".join(FORMATS))
    if graph is None and not layers:
        hint = "--graph NET.toml, or --layers 64,32,10 with input and output"
        invalid("import", f"a file {end} has weights alone, and needs a graph beside it",
                str(path), hint)  # fmt: skip
    kind, arrays = WEIGHTS[end]
    return finished(layers_of_arrays(arrays(path), graph, layers, activation), kind, loss, options)


@checked
def from_onnx(model: Any, *, loss: str = "", **options: Any) -> Imported:
    """Return the network of an ``onnx.ModelProto``, see :func:`import_network`."""
    return finished(layers_of(model), "ONNX", loss, options)


@checked
def from_nir(graph: Any, *, rates: bool = False, loss: str = "", **options: Any) -> Imported:
    """Return the network of a ``nir.NIRGraph``, see :func:`import_network`."""
    return finished(layers_of_graph(graph, rates), "NIR", loss, options)


@checked
def from_torch(module: Any, example: Any, *, loss: str = "", **options: Any) -> Imported:
    """Return the network of a ``torch.nn.Module``, see :func:`import_network`.

    Parameters
    ----------
    module : torch.nn.Module
        It is copied and traced in evaluation mode.
    example : torch.Tensor or array, shape (samples, ...)
        What it takes, for the shapes of its layers.
    loss, **options
        See :func:`import_network`.
    """
    return finished(layers_of_module(module, example), "PyTorch", loss, options)


@checked
def from_arrays(
    arrays: Mapping[str, Any],
    *,
    graph: Graph | None = None,
    layers: Sequence[int] = (),
    activation: str = "relu",
    loss: str = "",
    **options: Any,
) -> Imported:
    """Return the network of weights by name, a ``state_dict`` say, see :func:`import_network`.

    Examples
    --------
    >>> made = from_arrays({"w": [[1.0, -1.0]], "b": [0.5]}, layers=(2, 1))
    >>> made.outputs([[3.0, 1.0]])
    array([[2.5]])
    """
    return finished(layers_of_arrays(arrays, graph, layers, activation), "arrays", loss, options)


@checked
def from_sklearn(model: Any, **options: Any) -> Imported:
    """Return the network of scikit-learn's trained MLPClassifier or MLPRegressor."""
    layers, classes = layers_of_perceptron(model)
    loss = "" if classes else "squared-error"
    return finished(layers, "scikit-learn", loss, options, classes)
