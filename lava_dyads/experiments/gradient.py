"""Compare the gradients that settled networks hold with backprop."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.checks import Count, Natural, NotNegative, checked
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import invalid, nearest
from lava_dyads.executors.backprop import Pass
from lava_dyads.executors.events import settle_asynchronously
from lava_dyads.executors.schedules import ORDERS
from lava_dyads.executors.schedules import order as order_of
from lava_dyads.executors.settle import Settled
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.feedback import drift, feedback
from lava_dyads.rules.optimisers import Adam, Optimiser
from lava_dyads.rules.theory import loop_gain
from lava_dyads.rules.units.dyad import DualPropagation

EXACT = 1e-9
"""Relative error up to which a gradient counts as exact (float64)."""

ASYNC = "async"
"""The order of asynchronous messages with exponential latencies."""

_PIECEWISE_LINEAR = frozenset({"relu", "hard-sigmoid", "linear"})


@dataclass(frozen=True)
class NetworkResult:
    """One random network.

    Attributes
    ----------
    seed : int
    converged : bool
    residual : float
        See :class:`~lava_dyads.executors.settle.Settled`.
    steps : int
    cosine, relative_error : float or None
        Of the whole batch gradient, weights and biases, to backprop. None: not converged.
    layers : list of dict
        cosine and relative_error per weight matrix, from the input up; where its feedback is
        separate, feedback_angle, in degrees.
    straddling : float
        Share of dyads on two sides of a kink, over all samples.
    clean_samples : int
        Samples of which no dyad straddles.
    clean_relative_error : float or None
        Largest relative error of the per-sample gradient over the clean samples.
    loop_gain : float or None
        rho of plain DP, where the theory applies (linear, proximal squared error).
    """

    seed: int
    converged: bool
    residual: float
    steps: int
    cosine: float | None
    relative_error: float | None
    layers: list[dict[str, float]]
    straddling: float
    clean_samples: int
    clean_relative_error: float | None
    loop_gain: float | None


@dataclass(frozen=True)
class GradientCheck:
    """The outcome over all networks; medians, and the worst beside them.

    Attributes
    ----------
    holds : bool
        Every network converged, the median cosine reaches ``min_cosine``, and where theory says
        that clean samples are exact, they are within 1e-9 (through separate feedback weights:
        of what backprop would be with those in the place of W^T).
    converged : bool
        Whether all networks did. If not, there are no figures: cosine and errors are None.
    """

    holds: bool
    converged: bool
    not_converged: int
    residual: float
    cosine: float | None
    cosine_min: float | None
    relative_error: float | None
    relative_error_max: float | None
    layers: list[dict[str, float]]
    straddling: float
    clean_samples: int
    clean_relative_error: float | None
    loop_gain: float | None
    networks: list[NetworkResult]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


@checked
def check_gradient(
    spec: NetworkSpec,
    *,
    networks: Count = 20,
    samples: Count = 8,
    tolerance: NotNegative = 1e-12,
    max_steps: Count = 20_000,
    min_cosine: float | None = None,
    order: str = "sweep",
    updates: Natural = 0,
    decay: NotNegative | None = None,
) -> GradientCheck:
    """Settle random networks and compare their gradients with backprop.

    Network number i has the specification's own random weights with seed ``spec.seed + i``, and
    standard normal inputs; targets are random classes (cross-entropy) or normal numbers.

    Parameters
    ----------
    spec : NetworkSpec
        Any rule but backprop.
    networks : int
        Number of random networks.
    samples : int
        Samples per network.
    tolerance : float
        Largest residual that counts as converged.
    max_steps : int
        Cap of the relaxation.
    min_cosine : float
        Median cosine that the check asks for; None: what the rule promises, mostly 0.99, where
        feedback is tied or has learnt, else -1: random feedback gives another direction.
    order : str
        One of ``executors.schedules.ORDERS`` (``sweep``: bottom-up, then top-down, one population
        at a time, which the loop gain is about; at alpha > 1/2 ``parallel`` may still settle
        slightly beyond rho = 1), or ``async`` (every event a message of its own, with an
        exponential latency).
    updates : int
        Steps of Adam before the comparison, so that feedback can learn, on a batch of other
        samples: on the same ones there would be no gradient left to compare.
    decay : float or None
        Share lost per step by weights that learn as a pair; None: that of the kind of feedback.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ValidationError
        If an argument is out of range.

    Examples
    --------
    >>> check_gradient(NetworkSpec((6, 5, 3), activations="linear"), networks=2).converged
    True
    """
    if spec.rule.baseline:
        invalid(
            "rule", "backprop is what the others are compared with", spec.rule.name, "dp-transpose"
        )
    if order not in (*ORDERS, ASYNC):
        invalid("order", "unknown name", order, nearest(order, (*ORDERS, ASYNC)))
    if spec.rule.spiking:
        invalid(
            "rule", "counts of spikes do not settle", spec.rule.name, "lava-dyads check spiking"
        )
    if spec.rule.lifted:
        limit = "its gradient is that of another network: at the minimum of an energy"
        invalid("rule", limit, spec.rule.name, "dp-transpose")
    kind = feedback(spec.feedback)
    teacher = Adam(decay=kind.decay_of(decay))
    results = [
        _one_network(spec, spec.seed + i, samples, tolerance, max_steps, order, updates, teacher)
        for i in range(networks)
    ]
    if min_cosine is None:
        promised = not kind.separate or (kind.learns and updates > 0)
        min_cosine = spec.rule.min_cosine if promised else -1.0
    return _summary(spec, results, min_cosine)


def _one_network(
    base: NetworkSpec,
    seed: int,
    samples: int,
    tolerance: float,
    max_steps: int,
    order: str,
    updates: int,
    teacher: Optimiser,
) -> NetworkResult:
    spec = NetworkSpec.from_dict(base.as_dict() | {"seed": seed})
    network = spec.build(lanes=samples, optimiser=teacher)
    assert isinstance(network, Network)
    x, y = _random_samples(spec, samples, seed, 1)
    with np.errstate(all="ignore"):  # a diverging rule overflows; the residual tells
        if updates:
            _train(network, *_random_samples(spec, samples, seed, 2), updates)
        if order in ORDERS and ORDERS[order].lazy:  # there has to be a sample before
            network.settle(*_random_samples(spec, samples, seed, 3), max_steps=max_steps)
        settled = _settle(network, x, y, order, seed, tolerance, max_steps)
    weights, biases = network.parameters()
    problem = x, y, weights, biases
    oracle = spec.backpropagate(*problem)
    straddles = _straddling(network)
    clean = np.asarray(~straddles.any(axis=1))
    gain = None
    linear = spec.loss == "squared-error" and set(spec.activations) <= {"linear"}
    back = network.feedback()
    tied = all(b is None for b in back)
    if isinstance(spec.rule, DualPropagation) and linear and spec.nudge == "proximal" and tied:
        gain = loop_gain(weights, spec.rule.alpha, spec.rule.beta)
    cosine = error = clean_error = None
    layers: list[dict[str, float]] = []
    if settled.converged:
        estimate, truth = network.gradients(), oracle.gradients()
        cosine, error = compare(flat(*estimate), flat(*truth))
        for ours, exact in zip(estimate[0], truth[0], strict=True):
            c, e = compare(ours.ravel(), exact.ravel())
            layers.append({"cosine": c, "relative_error": e})
        for layer, w, b in zip(layers, weights, back, strict=True):
            if b is not None:
                layer["feedback_angle"] = drift(w, b).angle
        through = oracle if tied else spec.backpropagate(*problem, back)
        clean_error = _clean_error(network, through, clean)
    return NetworkResult(
        seed=seed,
        converged=settled.converged,
        residual=settled.residual,
        steps=settled.steps,
        cosine=cosine,
        relative_error=error,
        layers=layers,
        straddling=float(straddles.mean()),
        clean_samples=int(clean.sum()),
        clean_relative_error=clean_error,
        loop_gain=gain,
    )


def _random_samples(spec: NetworkSpec, samples: int, seed: int, stream: int) -> tuple[Array, Array]:
    generator = np.random.default_rng([seed, stream])
    x = generator.normal(size=(samples, spec.layers[0]))
    y = generator.normal(size=(samples, spec.layers[-1]))
    if spec.loss == "cross-entropy":
        y = np.eye(spec.layers[-1])[y.argmax(axis=1)]
    elif spec.loss == "binary-cross-entropy":
        y = (y > 0).astype(float)
    return x, y


def _train(network: Network, x: Array, y: Array, updates: int) -> None:
    clock = Clock(1, True, True, True, len(x), batch=len(x))
    for _ in range(updates):
        network.after(clock, {"input_in": x, "target_in": y})


def _settle(
    network: Network, x: Array, y: Array, order: str, seed: int, tolerance: float, max_steps: int
) -> Settled:
    if order == ASYNC:
        limit = max_steps * len(network.elements)
        return settle_asynchronously(
            network, x, y, seed=seed, tolerance=tolerance, max_deliveries=limit
        )
    chosen = order_of(order)
    return network.settle(
        x,
        y,
        schedule=chosen.schedule(seed),
        tolerance=tolerance,
        max_steps=max_steps,
        lazy=chosen.lazy,
    )


def _straddling(network: Network) -> Array:
    """Return a mask of the dyads that straddle, (samples, all units)."""
    parts = []
    for population in network.populations.values():
        state = {name: population.memory[name] for name in population.unit.state}
        found = population.unit.straddling(state)
        shape = (population.lanes, population.n)
        parts.append(np.zeros(shape, bool) if found is None else found)
    return np.concatenate(parts, axis=1)


def _clean_error(network: Network, oracle: Pass, clean: AnyArray) -> float | None:
    lanes = np.flatnonzero(clean)
    if not len(lanes):
        return None
    return max(compare(flat(*network.gradients(i)), flat(*oracle.gradients(i)))[1] for i in lanes)


def flat(weights: list[Array], biases: list[Array]) -> Array:
    """Return all parameters as one vector, weights first."""
    return np.concatenate([part.ravel() for part in (*weights, *biases)])


def compare(ours: Array, exact: Array) -> tuple[float, float]:
    """Return the cosine and the relative error |ours - exact| / |exact| of two vectors.

    Two zero vectors agree (1, 0); against a zero vector nothing else does (0, inf).
    """
    norm, other = np.linalg.norm(exact), np.linalg.norm(ours)
    if norm == 0 or other == 0:
        same = norm == other
        return (1.0, 0.0) if same else (0.0, 1.0 if other == 0 else float("inf"))
    cosine = float(ours @ exact / norm / other)
    return cosine, float(np.linalg.norm(ours - exact) / norm)


def _summary(spec: NetworkSpec, results: list[NetworkResult], min_cosine: float) -> GradientCheck:
    converged = all(r.converged for r in results)
    cosines = [r.cosine for r in results if r.cosine is not None]
    errors = [r.relative_error for r in results if r.relative_error is not None]
    cleans = [r.clean_relative_error for r in results if r.clean_relative_error is not None]
    gains = [r.loop_gain for r in results if r.loop_gain is not None]
    clean = max(cleans) if converged and cleans else None
    exact = spec.rule.exact and set(spec.activations) <= _PIECEWISE_LINEAR
    layers = []
    if converged:
        layers = [
            {
                key: float(np.median([r.layers[k][key] for r in results]))
                for key in results[0].layers[k]
            }
            for k in range(spec.depth)
        ]
    median = float(np.median(cosines)) if converged else None
    holds = converged and median is not None and median >= min_cosine
    if exact and clean is not None:
        holds = holds and clean <= EXACT
    return GradientCheck(
        holds=holds,
        converged=converged,
        not_converged=sum(not r.converged for r in results),
        residual=max(r.residual for r in results),
        cosine=median,
        cosine_min=min(cosines) if converged else None,
        relative_error=float(np.median(errors)) if converged else None,
        relative_error_max=max(errors) if converged else None,
        layers=layers,
        straddling=float(np.mean([r.straddling for r in results])),
        clean_samples=sum(r.clean_samples for r in results),
        clean_relative_error=clean,
        loop_gain=max(gains) if gains else None,
        networks=results,
    )
