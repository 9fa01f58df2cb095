"""Constant connections that move messages: for sums and for concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.checks import check_fields
from lava_dyads.errors import invalid
from lava_dyads.rules.meter import events
from lava_dyads.rules.namespaces import Namespace, put
from lava_dyads.rules.ops.base import Weightless


@dataclass(frozen=True)
class Embed(Weightless):
    """Put n_in neurons among n_out, from ``offset`` on; the others get nothing.

    With P_ij = 1 where i = offset + j::

        forward  P x        transpose  P^T d

    Parts of a concatenation are placed side by side, and ports add up what arrives.

    Parameters
    ----------
    n_in, n_out : int
        Neurons below and above.
    offset : int
        Where they begin.

    Raises
    ------
    ValidationError
        If they do not fit.

    Examples
    --------
    >>> Embed(2, 4, 1).forward(np.zeros(()), np.array([[1.0, 2.0]]))
    array([[0., 1., 2., 0.]])
    """

    process_name: ClassVar[str] = "DyadEmbed"

    n_in: int
    n_out: int
    offset: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.n_in, self.n_out) < 1:
            invalid("Embed", "needs at least 1 neuron below and above", (self.n_in, self.n_out))
        if not 0 <= self.offset <= self.n_out - self.n_in:
            limit = f"{self.n_in} neurons must fit among {self.n_out}"
            invalid("Embed.offset", limit, self.offset)

    def forward(
        self, weights: Array, up: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return P x per lane: (lanes, n_in) -> (lanes, n_out)."""
        made = xp.zeros((len(up), self.n_out), dtype=up.dtype) if out is None else out
        if out is not None:
            out[:, : self.offset] = 0
            out[:, self.offset + self.n_in :] = 0
        return put(made, (slice(None), self._part), up)  # type: ignore[no-any-return]

    def transpose(
        self, weights: Array, down: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return P^T d per lane: (lanes, n_out) -> (lanes, n_in)."""
        picked = down[:, self._part]
        made = xp.empty((len(down), self.n_in), dtype=down.dtype) if out is None else out
        return put(made, ..., picked)  # type: ignore[no-any-return]

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Every event is added once."""
        return events(up, xp)

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Every event of the part is added once."""
        return events(down[:, self._part], xp)

    @property
    def _part(self) -> slice:
        return slice(self.offset, self.offset + self.n_in)


@dataclass(frozen=True)
class Slice(Weightless):
    """Take n_out neurons out of n_in, from ``offset`` on: the transpose of :class:`Embed`.

    Parameters
    ----------
    n_in, n_out : int
        Neurons below and above.
    offset : int
        Where they begin.

    Raises
    ------
    ValidationError
        If there are not as many.

    Examples
    --------
    >>> Slice(4, 2, 1).forward(np.zeros(()), np.arange(4.0)[None])
    array([[1., 2.]])
    """

    process_name: ClassVar[str] = "DyadEmbed"

    n_in: int
    n_out: int
    offset: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        _ = self.place

    @property
    def place(self) -> Embed:
        """What puts them back."""
        return Embed(self.n_out, self.n_in, self.offset)

    def forward(
        self, weights: Array, up: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the neurons picked per lane: (lanes, n_in) -> (lanes, n_out)."""
        return self.place.transpose(weights, up, out, xp)

    def transpose(
        self, weights: Array, down: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return them among the others, which get nothing: (lanes, n_out) -> (lanes, n_in)."""
        return self.place.forward(weights, down, out, xp)

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Every event that is picked is added once."""
        return self.place.backward_operations(up, xp)

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Every event is added once."""
        return self.place.forward_operations(down, xp)
