"""Random graphs for tests: chains, skips, branches, gates, sums of one node, images."""

from __future__ import annotations

import numpy as np

from lava_dyads.networks import Graph, Node

NEURONS = ("relu", "hard-sigmoid", "tanh", "linear")


def random_graph(
    seed: int, image: bool = False, activations: tuple[str, ...] = NEURONS, dense: bool = False
) -> Graph:
    """Return a graph of some nodes, every one of which leads to the one output.

    Parameters
    ----------
    seed : int
    image : bool
        Whether the input is one; then there are convolutions and pools, too.
    activations : tuple of str
        To draw from.
    dense : bool
        Whether all neurons stand on weights of their own, as some rules need.
    """
    return _Growing(np.random.default_rng(seed), image, activations, dense).graph()


class _Growing:
    def __init__(
        self, generator: np.random.Generator, image: bool, activations: tuple[str, ...], dense: bool
    ) -> None:
        self.generator, self.activations, self.dense = generator, activations, dense
        shape = (int(generator.integers(1, 3)), 5, 5) if image else (4,)
        self.nodes = [Node("x", "input", shape=shape)]
        self.shapes = {"x": shape}
        for _ in range(int(generator.integers(3, 8))):
            self._grow()

    def graph(self) -> Graph:
        """Return the graph, with an output on all that nothing takes from."""
        taken = {source for node in self.nodes for source in node.sources}
        loose = tuple(name for name in self.shapes if name not in taken)
        self.nodes.append(Node("last", "concat", loose))
        self.nodes.append(Node("y", "dense", "last", size=3))
        return Graph(self.nodes)

    def _grow(self) -> None:
        g, name = self.generator, f"n{len(self.nodes)}"
        below = str(g.choice(list(self.shapes)[-4:]))
        alike = [n for n, shape in self.shapes.items() if shape == self.shapes[below]]
        kinds = ["dense", "dense", "sum", "sum", "product", "concat"]
        kinds += ["conv", "max-pool", "average-pool"] * 2 if len(self.shapes[below]) == 3 else []
        kind, options = str(g.choice(kinds)), {}
        sources: tuple[str, ...] = (below,)
        if kind in ("sum", "product"):
            many = 2 if kind == "product" else int(g.integers(1, 4))
            sources = tuple(str(s) for s in g.choice(alike, size=many))
        elif kind == "concat":
            sources = tuple(str(s) for s in g.choice(list(self.shapes), size=int(g.integers(1, 4))))
        elif kind == "dense":
            options = {"size": 4}
        elif kind == "conv":
            options = {"channels": 2, "kernel": 3, "padding": 1}
        else:
            options = {"kernel": 2, "stride": 1}
        neurons = g.random() < 0.7 if not self.dense else kind in ("dense", "conv")
        if neurons:
            options["activation"] = str(g.choice(self.activations))
        node = Node(name, kind, sources, **options)
        try:
            vertex = Graph([*self.nodes, node]).vertices("squared-error")[-1]
        except ValueError:  # an image too small for another window
            return
        if vertex.n <= 60:
            self.nodes.append(node)
            self.shapes[name] = vertex.shape
