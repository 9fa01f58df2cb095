"""Recurrent dyads: a population with a connection to itself, for any square W.

=========  =================================================================================
symbol     meaning
=========  =================================================================================
W          weights of the population to itself, (n, n)
s+, s-     its compartments; mean and difference D as of every dyad
x          drive from outside: data, or U times data
r          rate: share of the way that a compartment moves in a step, in (0, 1]
lambda     eigenvalues of W
=========  =================================================================================

At rest, with gains (1 - alpha, alpha) as in the adjoint form (DY)::

    s+- = f(W mean + b + x +- (1 - alpha, alpha) (W^T D - beta l'(mean)))
    D = -beta dl/da, to the order of beta |1 - 2 alpha| (exactly on linear pieces)
    gradient of W: -(1 / beta) mean_batch(D mean^T), of b: D alone, of U: D data^T

which is what implicit differentiation of s = f(W s + b + x) gives. W strictly lower triangular is a
feedforward network with skips; symmetric, at alpha 1/2, it is centred equilibrium propagation;
skew-symmetric, the layer x -> s is 1-Lipschitz, since I - W is monotone with constant 1.

The steps s <- (1 - r) s + r f(W s + ..) need |1 - r (1 - lambda)| < 1 for every lambda, so
r < 2 (1 - Re lambda) / |1 - lambda|^2: 2 / (1 + ||W||^2) where W is skew-symmetric. For linear f
that is all; where W is skew-symmetric or symmetric, and f a projection, damped inside of f, it
suffices, too (forward-backward splitting: the monotone part is I - W).

Source: DY = Hoier, Kalinin, Ernoult, Zach, *Dyadic Learning in Recurrent and Feedforward Models*,
2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import (
    Count,
    NotNegative,
    Positive,
    Share,
    Size,
    check_fields,
    checked,
    real_array,
)
from lava_dyads.elements import Connection, Element, Head, Population
from lava_dyads.errors import invalid
from lava_dyads.executors.step import Network
from lava_dyads.plan.plan import OUTSIDE, Link
from lava_dyads.rules.activations import ACTIVATIONS, Activation, activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import loss as loss_of
from lava_dyads.rules.ops import Embed
from lava_dyads.rules.ops.structured import structure
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.units.damped import DampedDyad
from lava_dyads.rules.units.dyad import DyadUnit

TOLERANCE = 1e-10
"""What is left of an error after the steps of a presentation, by default."""

SINGULAR = 1e-13
"""An eigenvalue as near to 1 as this is 1, but for rounding: I - W is singular."""

MOST_STEPS = 1_000_000
"""Of a presentation, unless somebody asks for more."""


def longest_path(weights: Array) -> int | None:
    """Return the number of connections in the longest path through W, None where it has a cycle.

    Examples
    --------
    >>> longest_path(np.tri(4, k=-1)), longest_path(np.eye(2))
    (3, None)
    """
    there = weights != 0
    level = np.ones(len(weights), bool)  # neurons that a path of so many connections leads to
    for length in range(len(weights)):
        level = (there @ level.astype(int)) > 0
        if not level.any():
            return length
    return None


def eigenvalues(weights: Array) -> Array:
    """Return the eigenvalues of W; exact zeros where it has no cycle, whose zeros are fragile."""
    if longest_path(weights) is not None:
        return np.zeros(len(weights))
    return np.asarray(np.linalg.eigvals(weights))


def step_limit(weights: Array) -> float:
    """Return the rate from which on steps cannot converge; 0 where none can.

    min over the eigenvalues of 2 (1 - Re lambda) / |1 - lambda|^2, for slopes f' up to 1.

    Examples
    --------
    >>> round(step_limit(np.array([[0.0, 3.0], [-3.0, 0.0]])), 9)  # 2 / (1 + 3^2)
    0.2
    """
    gap = 1.0 - eigenvalues(weights)
    if np.any(gap.real <= SINGULAR):
        return 0.0
    return float(np.min(2.0 * gap.real / np.abs(gap) ** 2))


def best_rate(weights: Array) -> float:
    """Return the rate at which the slowest error falls fastest, for any slopes f' in [0, 1].

    It minimises max |1 - r (1 - lambda)| over the eigenvalues and 0, those of closed neurons;
    eigenvalues that no rate can master are left out. Skew-symmetric: 1 / (1 + ||W||^2).

    Examples
    --------
    >>> round(best_rate(np.array([[0.0, 3.0], [-3.0, 0.0]])), 6), best_rate(np.tri(3, k=-1))
    (0.1, 1.0)
    """
    low, high = 0.0, 1.0
    if contraction(weights, high) == 0.0:
        return high
    for _ in range(100):  # the maximum is convex in r
        third = (high - low) / 3
        if contraction(weights, low + third) > contraction(weights, high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def contraction(weights: Array, rate: float) -> float:
    """Return max |1 - r (1 - lambda)| over the eigenvalues that a rate can master, and 0."""
    values = eigenvalues(weights)
    gap = np.append(1.0 - values[values.real < 1.0 - SINGULAR], 1.0)
    return float(np.max(np.abs(1.0 - rate * gap)))


def steps_to_rest(weights: Array, rate: float, tolerance: float = TOLERANCE) -> int:
    """Return steps after which a mean, and then a difference, are within a relative tolerance.

    Where I - W is singular, or an eigenvalue is beyond 1, this is what the others need: a network
    settles all the same where its f closes, or saturates, the neurons of such a loop.

    Raises
    ------
    ValidationError
        If they do not settle at this rate, or take more than ``MOST_STEPS``.

    Examples
    --------
    >>> steps_to_rest(np.tri(4, k=-1), 1.0), steps_to_rest(np.eye(2), 1.0)
    (8, 6)
    """
    path = longest_path(weights)
    if path is not None and rate == 1.0:
        return 2 * (path + 1)
    kept = contraction(weights, rate)
    if kept == 0.0:  # what does not go round and round is over after as many steps as neurons
        return 2 * (len(weights) + 1)
    steps = 2 * math.log(tolerance) / math.log(kept) if kept < 1.0 else math.inf
    if steps > MOST_STEPS:
        limit = f"must come to rest within {MOST_STEPS:,} steps at rate {rate:.4g}"
        invalid("recurrent.weights", limit, f"{steps:.3g}", "smaller weights, or steps by yourself")
    return 2 * math.ceil(steps / 2)


@dataclass(frozen=True)
class RecurrentDyads:
    """The numbers of the dyads of a recurrent population, and how they relax.

    Parameters
    ----------
    alpha : float
        Share of s+ in the mean, in [0, 1].
    beta : float
        Nudge strength per sample, > 0.
    rate : float or None
        r; None: :func:`best_rate` of the weights. Weights that learn may outgrow it: then the
        residual of a presentation is not small any more; take half of it, and more steps.
    steps : int or None
        Of a presentation; None: as many as :func:`steps_to_rest` says, and those on the way in,
        out and back. Between alpha 0 and 1 each of the differences moves the means again.
    one_by_one : bool
        Whether neurons never update together (clock ``async``, granularity ``neuron``): then the
        rate is bounded by how late messages are, which W does not know, and is taken as it is.
    """

    alpha: Share = 0.5
    beta: Positive = 0.01
    rate: float | None = None
    steps: Count | None = None
    one_by_one: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class ReadOut:
    """Linear output dyads above a recurrent population.

    Parameters
    ----------
    weights : array, shape (n_out, n)
    bias : array (n_out,) or float
    """

    weights: Array
    bias: Array | float = 0.0


@checked
def recurrent(
    weights: Array,
    bias: Array | float = 0.0,
    *,
    kind: str = "any",
    inputs: Array | None = None,
    read_out: ReadOut | None = None,
    f: str | Activation = "relu",
    loss: str = "squared-error",
    dyads: RecurrentDyads = RecurrentDyads(),
    lanes: Size = 1,
    threshold: NotNegative = 0.0,
    optimiser: Optimiser | None = None,
    arithmetic: Arithmetic | None = None,
) -> Network:
    """Build a population of dyads with a connection to itself.

    Its connections, in the order of the network's weights: ``inputs`` where it has any,
    ``recurrent``, and ``read_out`` where there is one. Populations: ``population``, and
    ``read_out_population``.

    Parameters
    ----------
    weights : array, shape (n, n)
        W.
    bias : array (n,) or float
    kind : str
        ``any``, ``lower-triangular``, ``symmetric`` or ``skew-symmetric``: what W is and stays.
    inputs : array, shape (n, n_in), or None
        U; None: the data drive the neurons as they are, n_in = n.
    read_out : ReadOut or None
        Linear output dyads; None: the loss is that of the population itself.
    f : str or Activation
        By name, or as :func:`~lava_dyads.rules.activations.soft_threshold` makes one.
    loss : str
    dyads : RecurrentDyads
        Their alpha and beta, and how they relax.
    lanes, threshold, optimiser, arithmetic
        As for every network, see :func:`~lava_dyads.executors.build.build`.

    Returns
    -------
    Network
        It reads its output in the last step of a presentation.

    Raises
    ------
    ValidationError
        If W is not square or not of its kind, other shapes do not fit, or the rate cannot converge.

    Examples
    --------
    >>> from lava_dyads.rules.ops.structured import STRUCTURES
    >>> w = STRUCTURES["skew-symmetric"].random(3, norm=2.0)
    >>> network = recurrent(w, kind="skew-symmetric")
    >>> network.settle(np.ones((1, 3)), np.zeros((1, 3)), tolerance=1e-9).converged
    True

    References
    ----------
    DY.
    """
    shape = structure(kind)
    w = shape.check(real_array(weights, "recurrent.weights", 2), "recurrent.weights")
    n, neuron = len(w), activation(f) if isinstance(f, str) else f
    rate = _rate(w, dyads, neuron.name)
    shared: dict[str, Any] = {"lanes": lanes, "beta": dyads.beta, "arithmetic": arithmetic}
    taught = shared | {"optimiser": optimiser}
    if inputs is None:
        below = Connection(None, op=Embed(n, n, 0), **shared)
    else:
        below = Connection(_matrix("inputs", inputs, n, None), **taught)
    coded: dict[str, Any] = {**taught, "thresholds": Thresholds(threshold)}
    unit = DampedDyad(neuron, dyads.alpha, True, rate)
    steps = dyads.steps
    if steps is None:
        passes = 1 if dyads.alpha in (0.0, 1.0) else 2
        on_the_way = 3 + 2 * (read_out is not None)
        steps = passes * steps_to_rest(w, rate) + on_the_way
    elements: dict[str, Element] = {
        "inputs": below,
        "recurrent": Connection(w, op=shape.op(n), **taught),
        "population": Population(unit, _vector("bias", bias, n), **coded),
    }
    if read_out is not None:
        v = _matrix("read_out", read_out.weights, None, n)
        linear = DyadUnit(ACTIVATIONS["linear"], dyads.alpha, True)
        elements["read_out"] = Connection(v, **taught)
        elements["read_out_population"] = Population(
            linear, _vector("read_out.bias", read_out.bias, len(v)), **coded
        )
        n = len(v)
    elements["head"] = Head(loss_of(loss), n, threshold=threshold, **shared)
    return looped(elements, steps=steps)


def looped(elements: Mapping[str, Element], *, steps: int) -> Network:
    """Link a population to itself, its inputs and its read-out, where there is one.

    Parameters
    ----------
    elements : mapping of str to Element
        ``inputs``, ``recurrent``, ``population``, perhaps ``read_out`` and
        ``read_out_population``, and the ``head`` on the last of them.
    steps : int
        Of a presentation.
    """
    here = "population"
    links = [
        Link(OUTSIDE, "input_in", "inputs", "mean_in"),
        Link("inputs", "basal_out", here, "basal_in"),
        Link(here, "difference_out", "inputs", "difference_in"),
        Link(here, "mean_out", "recurrent", "mean_in"),
        Link("recurrent", "basal_out", here, "basal_in"),
        Link(here, "difference_out", "recurrent", "difference_in"),
        Link("recurrent", "apical_out", here, "apical_in"),
    ]
    if "read_out" in elements:
        above = "read_out_population"
        links += [
            Link(here, "mean_out", "read_out", "mean_in"),
            Link("read_out", "basal_out", above, "basal_in"),
            Link(above, "difference_out", "read_out", "difference_in"),
            Link("read_out", "apical_out", here, "apical_in"),
        ]
        here = above
    links += [
        Link(here, "mean_out", "head", "mean_in"),
        Link(OUTSIDE, "target_in", "head", "target_in"),
        Link("head", "drive_out", here, "apical_in"),
        Link(here, "mean_out", OUTSIDE, "output_out"),
    ]
    lanes = elements["population"].lanes
    return Network(elements, links, lanes=lanes, steps=steps, read_step=steps)


def _rate(weights: Array, dyads: RecurrentDyads, f: str) -> float:
    """Return the rate, checked against what W allows.

    Where f may close, or saturate, the neurons of a loop that no rate masters, the others decide.
    """
    limit, rate = step_limit(weights), dyads.rate
    if not limit and f == "linear":
        largest = float(eigenvalues(weights).real.max())
        what = "no rate converges where an eigenvalue has a real part of 1 or more"
        invalid("recurrent.weights", what, f"{largest:.4g}", "smaller weights, or another f")
    if rate is None:
        return best_rate(weights)
    if not 0 < rate <= 1:
        invalid("recurrent.rate", "must lie in (0, 1]", rate, f"{best_rate(weights):.4g}")
    if limit and rate >= limit and not dyads.one_by_one:
        what = f"cannot converge for this W unless it is below {limit:.4g}"
        invalid("recurrent.rate", what, rate, f"{best_rate(weights):.4g}, or None")
    return rate


def _matrix(what: str, value: Array, n_out: int | None, n_in: int | None) -> Array:
    matrix = real_array(value, f"recurrent.{what}")
    wanted = (n_out or "n_out", n_in or "n_in")
    fits = matrix.ndim == 2 and n_out in (None, matrix.shape[0]) and n_in in (None, matrix.shape[1])
    if not fits:
        shape = f"({wanted[0]}, {wanted[1]})"
        invalid(f"recurrent.{what}", f"must have shape {shape}", matrix.shape)
    return matrix


def _vector(what: str, value: Array | float, n: int) -> Array:
    vector = real_array(value, f"recurrent.{what}")
    if vector.shape not in ((), (n,)):
        invalid(f"recurrent.{what}", f"must be a number or have shape ({n},)", vector.shape)
    return np.array(np.broadcast_to(vector, (n,)))
