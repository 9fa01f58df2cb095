"""A network from another framework, as a checkpoint of this one, and what became of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.interop.layers import Layers
from lava_dyads.interop.lowering import lowered
from lava_dyads.networks import NetworkSpec
from lava_dyads.training import Checkpoint

TASK_OF = {"cross-entropy": "classes", "binary-cross-entropy": "labels"}
"""What a network with that loss does; with others: values."""


@dataclass(frozen=True)
class Imported:
    """A network that was imported.

    Attributes
    ----------
    checkpoint : Checkpoint
        An ordinary one: ``eval``, ``predict``, ``train`` and ``deploy`` take it.
    format : str
        What it was read as.
    taken : tuple of str
        Layers that have become parts of the network, a line each.
    folded : tuple of str
        Layers that are no longer there, and where they have gone.
    """

    checkpoint: Checkpoint
    format: str
    taken: tuple[str, ...]
    folded: tuple[str, ...]

    @property
    def spec(self) -> NetworkSpec:
        """The network."""
        return self.checkpoint.spec

    def outputs(self, x: Any) -> Array:
        """Return what the network computes, before a softmax or sigmoid at its end.

        Parameters
        ----------
        x : array, shape (samples, ...)
        """
        rows = np.asarray(x, float)
        return self.checkpoint.decision(rows.reshape(len(rows), -1))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as what JSON knows."""
        spec = self.spec
        return {
            "format": self.format,
            "taken": list(self.taken),
            "folded": list(self.folded),
            "layers": list(spec.layers),
            "graph": None if spec.graph is None else len(spec.graph.nodes),
            "parameters": spec.parameter_count,
            "loss": spec.loss,
            "task": self.checkpoint.meta["task"],
        }

    def __str__(self) -> str:
        parts = [f"taken   {line}" for line in self.taken]
        parts += [f"folded  {line}" for line in self.folded]
        spec = self.spec
        kind = "a chain" if spec.graph is None else f"a graph of {len(spec.graph.nodes)} nodes"
        words = f"{kind}, {spec.layers[0]} inputs, {spec.layers[-1]} outputs"
        return "\n".join([*parts, f"made    {words}, {spec.parameter_count:,} parameters"])


def finished(
    layers: Layers,
    kind: str,
    loss: str = "",
    options: dict[str, Any] | None = None,
    classes: Sequence[str] = (),
) -> Imported:
    """Return the network of layers that a reader has made.

    Parameters
    ----------
    layers : Layers
    kind : str
        The format.
    loss : str
        Empty: see :func:`~lava_dyads.interop.lowering.lowered`.
    options : dict
        More fields of the ``NetworkSpec``.
    classes : sequence of str
        Names of its classes, where they are known.
    """
    made = lowered(layers, loss, **(options or {}))
    task = TASK_OF.get(made.spec.loss, "values")
    meta: dict[str, Any] = {"task": task, "imported_from": kind}
    if classes and task == "classes":
        meta["class_names"] = list(classes)
    checkpoint = Checkpoint(made.spec, made.weights, made.biases, meta)
    return Imported(checkpoint, kind, _lines(layers.taken), _lines(layers.folded))


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(" ".join(text.split()) for text in texts)
