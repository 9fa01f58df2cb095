"""Square connections of a kind: lower triangular, symmetric, skew-symmetric, and kept such.

What is symmetric or skew-symmetric has one number for two synapses, (i, j) and (j, i); they learn
from the mean of what each of them sees. Optimisers that treat every entry alike keep the kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import invalid, nearest
from lava_dyads.rules.namespaces import Namespace, put
from lava_dyads.rules.ops.dense import Dense
from lava_dyads.rules.ops.sparse import Sparse


@dataclass(frozen=True)
class Structure:
    """A linear space of square matrices.

    Attributes
    ----------
    name, summary : str
    project : callable
        Returns the nearest matrix of the space, in the Frobenius norm; linear.
    """

    name: str
    summary: str
    project: Callable[[Array], Array]

    def check(self, weights: Array, what: str = "weights") -> Array:
        """Return the weights, if they are a square matrix of this kind.

        Raises
        ------
        ValidationError
            If they are not square, not finite, or farther from the kind than rounding.
        """
        weights = np.asarray(weights, float)
        if weights.ndim != 2 or len(set(weights.shape)) != 1:
            invalid(what, "must be a square matrix (n, n)", weights.shape)
        if not np.all(np.isfinite(weights)):
            invalid(what, "must be finite", "inf or nan")
        apart = float(np.max(np.abs(weights - self.project(weights)), initial=0.0))
        if apart > 1e-12 * (1.0 + float(np.max(np.abs(weights), initial=0.0))):
            got = f"an entry is off by {apart:.3g}"
            invalid(what, f"must be {self.name}", got, f"STRUCTURES['{self.name}'].project(W)")
        return weights

    def random(self, n: int, norm: float, seed: int = 0) -> Array:
        """Return a matrix of this kind (n, n) with spectral norm ``norm``, from normal numbers.

        Examples
        --------
        >>> w = STRUCTURES["skew-symmetric"].random(4, norm=2.0)
        >>> float(np.abs(w + w.T).max()), round(float(np.linalg.norm(w, 2)), 9)
        (0.0, 2.0)
        """
        drawn = self.project(np.random.default_rng(seed).normal(size=(n, n)))
        size = float(np.linalg.norm(drawn, 2))
        return drawn * (norm / size) if size else drawn

    def op(self, n: int) -> Dense:
        """Return the connection whose weights learn within this kind."""
        if self.name == "any":
            return Dense(n, n)
        if self.name == "lower-triangular":
            return Sparse(n, n, np.tri(n, k=-1, dtype=bool))
        return Structured(n, n, self)


def _any(w: Array) -> Array:
    return w


def _lower(w: Array) -> Array:
    return np.tril(w, -1)


def _symmetric(w: Array) -> Array:
    return (w + w.T) / 2


def _skew(w: Array) -> Array:
    return (w - w.T) / 2


STRUCTURES: dict[str, Structure] = {
    structure.name: structure
    for structure in (
        Structure("any", "every square matrix", _any),
        Structure("lower-triangular", "strictly: feedforward", _lower),
        Structure("symmetric", "equilibrium propagation", _symmetric),
        Structure("skew-symmetric", "1-Lipschitz layers", _skew),
    )
}
"""Every kind by name."""


def structure(name: str) -> Structure:
    """Return the kind of that name.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names.
    """
    if name not in STRUCTURES:
        invalid("structure", "unknown name", name, nearest(name, STRUCTURES))
    return STRUCTURES[name]


@dataclass(frozen=True)
class Structured(Dense):
    """forward W x, transpose W^T d, outer P(d x^T), P the projection onto a kind of matrix.

    Parameters
    ----------
    n_out, n_in : int
        The same.
    kind : Structure
    """

    kind: Structure

    def outer(self, down: Array, up: Array, out: Array | None = None, xp: Namespace = np) -> Array:
        """Return the projection of the sum over lanes of d x^T, (n, n)."""
        made = super().outer(down, up, out, xp)
        return put(made, ..., self.kind.project(made))  # type: ignore[no-any-return]
