"""Kinds of nodes of a graph: how an op is asked for. Each file of ``rules/ops`` enters its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lava_dyads.errors import invalid
from lava_dyads.rules.ops.base import NonlinearOp, Op

Shape: TypeAlias = tuple[int, ...]
Resolved: TypeAlias = tuple[Shape, "Op | NonlinearOp | None"]


@dataclass(frozen=True)
class Kind:
    """A kind of node.

    Attributes
    ----------
    name, summary : str
    options : tuple of str
        Fields of a node that it needs.
    may : tuple of str
        Fields that it may have.
    sources : tuple of int
        Least and largest number of sources.
    resolve : callable
        (node, shapes of the sources, seed of synapses) -> shape and op.
    example : Op, NonlinearOp or None
        The smallest op of this kind, from which its Process is made where nobody has written one.
    """

    name: str
    summary: str
    options: tuple[str, ...]
    may: tuple[str, ...]
    sources: tuple[int, float]
    resolve: Callable[[Any, list[Shape], Sequence[int]], Resolved]
    example: Op | NonlinearOp | None = None


KINDS: dict[str, Kind] = {}
"""Every kind of node by name."""


def register(*kinds: Kind) -> None:
    """Enter kinds of nodes under their names."""
    for kind in kinds:
        KINDS[kind.name] = kind


def image(node: Any, shape: Shape) -> tuple[int, int, int]:
    """Return the shape of an image below; raise where there is none."""
    if len(shape) != 3:
        limit = f"kind {node.kind} needs an image (channels, height, width) from {node.sources[0]}"
        invalid(f"node {node.name}", limit, shape, "an input with such a shape")
    return shape[0], shape[1], shape[2]


def same(node: Any, shapes: list[Shape]) -> Shape:
    """Return the one shape of all sources; raise where they have several."""
    if any(shape != shapes[0] for shape in shapes):
        found = ", ".join(f"{s} {shape}" for s, shape in zip(node.sources, shapes, strict=True))
        invalid(f"node {node.name}", f"kind {node.kind} needs sources of one shape", found,
                "kind concat, or a dense node between")  # fmt: skip
    return shapes[0]
