"""The product of two messages, entry by entry: what a gate is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.checks import check_fields
from lava_dyads.errors import invalid
from lava_dyads.rules.meter import events
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.ops.base import NonlinearOp
from lava_dyads.rules.ops.kinds import Kind, Resolved, Shape, register, same


@dataclass(frozen=True)
class Product(NonlinearOp):
    """A nonlinear op of two arguments, x and z, entry by entry.

    With the error d from above::

        forward  x z        transpose  (d z, d x)

    Parameters
    ----------
    n : int
        Neurons of each argument, and above.

    Raises
    ------
    ValidationError
        If n is not positive.

    Examples
    --------
    >>> Product(2).forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([[3., 8.]])
    """

    process_name: ClassVar[str] = "DyadProduct"

    n: int

    def __post_init__(self) -> None:
        check_fields(self)
        if self.n < 1:
            invalid("Product.n", "must be at least 1", self.n)

    @property
    def n_in(self) -> tuple[int, ...]:
        """(n, n)."""
        return self.n, self.n

    @property
    def n_out(self) -> int:
        """Neurons above."""
        return self.n

    def forward(self, *ups: Array, xp: Namespace = np) -> Array:
        """Return x z, (lanes, n)."""
        one, other = ups
        return one * other

    def transpose(self, down: Array, *ups: Array, xp: Namespace = np) -> tuple[Array, ...]:
        """Return d z and d x, (lanes, n) each."""
        one, other = ups
        return down * other, down * one

    def forward_operations(self, *ups: AnyArray, xp: Namespace = np) -> int:
        """One multiplication wherever an argument has changed."""
        one, other = ups
        return events((one != 0) | (other != 0), xp)

    def backward_operations(self, down: AnyArray, *ups: AnyArray, xp: Namespace = np) -> int:
        """One multiplication for each side wherever the error or the other side has changed."""
        moved = down != 0
        return sum(events(moved | (up != 0), xp) for up in ups)


def _resolve(node: Any, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    shape = same(node, shapes)
    return shape, Product(math.prod(shape))


_TEXT = "the product of two sources, e.g. a gate"
register(Kind("product", _TEXT, (), (), (2, 2), _resolve, Product(1)))
