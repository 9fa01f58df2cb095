"""Cascades: a head at every depth of a graph, which learns by itself; nothing comes down.

Blocks keep their weights, random ones or learnt ones. The head on block b hears its activity h_b,
and is the solution of ridge regression, with a bias of its own that is not punished::

    W_b, c_b = argmin sum |W h_b + c - onehot(y)|^2 + ridge |W|^2
    votes = sum over the heads of softmax(temperature (W_b h_b + c_b)), the largest wins

The network is an ordinary one: it runs as Processes, where messages go up only, and whichever heads
have spoken are an answer already (:meth:`Cascade.votes` of the first heads).

Source: Zhao et al., *The Cascaded Forward Algorithm for Neural Network Training*, arXiv 2303.09728.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.checks import Positive, checked
from lava_dyads.data.dataset import Dataset
from lava_dyads.errors import invalid
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.plan.vertex import Vertex

MOST_FEATURES = 8192
"""Neurons below a head: the normal equations are a matrix of as many rows and columns."""

LANES = 64
"""Samples that are shown side by side."""


@dataclass(frozen=True)
class Cascade:
    """A network with heads at every depth that have learnt.

    Attributes
    ----------
    spec : NetworkSpec
    weights, biases : list of arrays
        Of the whole network.
    temperature : float
        What outputs are multiplied by in a vote.
    """

    spec: NetworkSpec
    weights: list[Array]
    biases: list[Array]
    temperature: float

    def network(self, lanes: int = LANES) -> Network:
        """Return the network of dyads, in steps."""
        parameters = self.weights, self.biases
        made = self.spec.build(lanes=lanes, parameters=parameters, executor="step")
        assert isinstance(made, Network)
        return made

    def votes(self, x: Array) -> Array:
        """Return what each head votes for, (heads, samples, classes), from the lowest up."""
        network = self.network(min(LANES, len(x)))
        names = [head.name for head in heads_of(self.spec)]
        means = shown(network, x, names)
        return np.array([_softmax(self.temperature * means[name]) for name in names])

    def predict(self, x: Array, heads: int = 0) -> IntArray:
        """Return classes by the votes of the first so many heads; 0: of all."""
        votes = self.votes(x)
        found: IntArray = votes[: heads or len(votes)].sum(axis=0).argmax(axis=1)
        return found


def heads_of(spec: NetworkSpec) -> list[Vertex]:
    """Return the heads of a graph, from the lowest up.

    Raises
    ------
    ValidationError
        If there is none, or one stands on more than a dense connection.
    """
    heads = [v for v in spec.vertices if v.loss]
    for head in heads:
        if len(head.sources) != 1:
            invalid(f"node {head.name}", "a head has one source", ", ".join(head.sources))
        fed = next(v for v in spec.vertices if v.name == head.sources[0])
        if fed.n > MOST_FEATURES:
            limit = f"a head in closed form has {MOST_FEATURES} neurons below it at most"
            invalid(f"node {head.name}", limit, fed.n, "a pool, or fewer channels")
    return heads


def shown(network: Network, x: Array, names: list[str]) -> dict[str, Array]:
    """Return the means of some populations for rows, without a target: nothing comes down."""
    lanes = network.lanes
    found: dict[str, list[Array]] = {name: [] for name in names}
    for start in range(0, len(x), lanes):
        rows = x[start : start + lanes]
        padded = np.zeros((lanes, x.shape[1]))
        padded[: len(rows)] = rows
        network.settle(padded, None)
        means = network.means()
        for name in names:
            found[name].append(means[name][: len(rows)])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def ridge_head(features: Array, targets: Array, ridge: float) -> tuple[Array, Array]:
    """Return weights (outputs, features) and bias of ridge regression; the bias is free."""
    middle, level = features.mean(axis=0), targets.mean(axis=0)
    h, y = features - middle, targets - level
    gram = h.T @ h + ridge * np.eye(h.shape[1])
    weights = np.linalg.solve(gram, h.T @ y).T
    return weights, level - weights @ middle


@checked
def fit_cascade(
    spec: NetworkSpec,
    data: Dataset,
    rows: IntArray,
    *,
    ridge: Positive = 1.0,
    temperature: Positive = 10.0,
    parameters: tuple[list[Array], list[Array]] | None = None,
) -> Cascade:
    """Learn the heads of a graph on rows of a data set, one after the other, in closed form.

    Parameters
    ----------
    spec : NetworkSpec
        Of a graph whose heads are nodes with a loss, at any depth.
    data : Dataset
        Of classes.
    rows : int array
        Those to learn from.
    ridge : float
        Penalty, in units of the sum of squares of activities.
    temperature : float
    parameters : (list of arrays, list of arrays) or None
        Weights and biases of the blocks; None: initial ones.

    Raises
    ------
    ValidationError
        If a head has not one output for every class, or too many neurons below.
    """
    heads = heads_of(spec)
    for head in heads:
        if head.n != data.classes:
            invalid(f"node {head.name}", f"must have the {data.classes} classes", head.n)
    weights, biases = parameters or spec.initial_parameters()
    weights, biases = [w.copy() for w in weights], [b.copy() for b in biases]
    network = Cascade(spec, weights, biases, temperature).network()
    sources = [head.sources[0] for head in heads]
    features = shown(network, data.x[rows], sources)
    targets = data.one_hot[rows]
    connections, populations = list(network.connections), list(network.populations)
    for head, source in zip(heads, sources, strict=True):
        place = next(i for i, c in enumerate(connections) if c in (head.name, f"{head.name}_op"))
        made, bias = ridge_head(features[source], targets, ridge)
        weights[place], biases[populations.index(head.name)] = made, bias
    return Cascade(spec, weights, biases, temperature)


def accuracies(cascade: Cascade, x: Array, labels: IntArray) -> list[float]:
    """Return the share of right answers by the first head, by the first two, and so on."""
    sums = cascade.votes(x).cumsum(axis=0)
    return [float((votes.argmax(axis=1) == labels).mean()) for votes in sums]


def _softmax(a: Array) -> Array:
    e = np.exp(a - a.max(axis=1, keepdims=True))
    made: Array = e / e.sum(axis=1, keepdims=True)
    return made
