"""What depth asks of a network: how small its first branches are, and how gently it is nudged.

The *depth* is the most populations that lie on one way through the graph, R the most sums on one
way that add a branch to what goes around it (a skip).

- Every block h + f(W h) lets activities and errors grow; where f has a mean of its own, as relu
  has, all of them grow in the same direction, by a constant share of h. With branches scaled by
  2 / R the growth over all blocks is bounded, (1 + 2 / R)^R < e^2, whatever R. What is scaled are
  the last weights of a branch, so its other neurons see inputs as large as everywhere.
- A nudge moves a compartment across its kink with a probability proportional to beta, and each
  neuron that does spoils what is below it: what counts is that share times the depth. So beta
  falls with the cube of the depth beyond eight populations, as far as single precision still
  carries a difference (docs/choosing.md has figures).
"""

from __future__ import annotations

from collections.abc import Sequence

from lava_dyads.plan.vertex import Vertex

GROWTH = 2.0
"""Logarithm of the growth that all blocks together are allowed."""

SHALLOW = 8
"""Populations on one way up to which a network keeps the nudge of its rule."""

LEAST_BETA = 1e-5
"""Below it, differences of compartments of size 1 drown in single precision."""


def longest_way(vertices: Sequence[Vertex]) -> int:
    """Return the most populations on one way through a graph.

    Parameters
    ----------
    vertices : sequence of Vertex
        Sources before what they feed.
    """
    found: dict[str, int] = {}
    for v in vertices:
        below = max((found[source] for source in v.sources), default=0)
        found[v.name] = below + (v.activation is not None)
    return max(found.values(), default=0)


def default_beta(beta: float, depth: int) -> float:
    """Return the nudge of a network with so many populations on its longest way.

    beta min(1, (8 / depth)^3), but at least 1e-5.

    Parameters
    ----------
    beta : float
        That of a shallow network.
    depth : int

    Examples
    --------
    >>> default_beta(0.1, 3), default_beta(0.1, 16), default_beta(0.1, 1000)
    (0.1, 0.0125, 1e-05)
    """
    return beta if depth <= SHALLOW else max(min(beta, LEAST_BETA), beta * (SHALLOW / depth) ** 3)


def branch_scales(vertices: Sequence[Vertex]) -> dict[str, float]:
    """Return by how much the last weights of every branch are scaled, by the vertex that has them.

    min(1, 2 / R), see above. Of the sources of a sum, those with more weights below them than
    another source has are its branches.
    """
    by_name = {v.name: v for v in vertices}
    weights: dict[str, int] = {}  # most weights on one way up to here
    sums: dict[str, int] = {}  # most sums with a branch
    last: set[str] = set()
    for v in vertices:
        depths = [weights[source] for source in v.sources]
        adds = v.op is None and not v.beside and len(set(depths)) > 1
        weights[v.name] = max(depths, default=0) + (v.weighted is not None)
        sums[v.name] = max((sums[source] for source in v.sources), default=0) + adds
        if adds:
            shortest = min(depths)
            branches = [s for s, depth in zip(v.sources, depths, strict=True) if depth > shortest]
            last |= _last_weights(branches, by_name)
    most = max(sums.values(), default=0)
    return dict.fromkeys(last, min(1.0, GROWTH / most)) if most else {}


def _last_weights(branches: list[str], by_name: dict[str, Vertex]) -> set[str]:
    """Return the first vertices with weights on the ways down from some."""
    found: set[str] = set()
    seen: set[str] = set()
    while branches:
        vertex = by_name[branches.pop()]
        if vertex.name in seen:
            continue
        seen.add(vertex.name)
        if vertex.weighted:
            found.add(vertex.name)
        else:
            branches += vertex.sources
    return found
