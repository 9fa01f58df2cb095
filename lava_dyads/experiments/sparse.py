"""Sparse codes of a data set in several ways: how far from the optimum, for how many events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.choices import Clock, Granularity, Precision
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.reactive import HOLD_TIME
from lava_dyads.errors import invalid
from lava_dyads.executors.latency import Latency
from lava_dyads.executors.sparse_code import SparseCoding, lateral, sparse_code
from lava_dyads.executors.step import Network
from lava_dyads.executors.transport import Transport
from lava_dyads.networks.support import Execution
from lava_dyads.rules.arithmetic import Arithmetic, Loihi2
from lava_dyads.rules.arithmetic.loihi2 import fitting_exponent
from lava_dyads.rules.losses import loss
from lava_dyads.training.backends import LavaBackend
from lava_dyads.training.reference import Backend, ReferenceBackend

FRACTION = 12
"""Fractional bits of a state in integers."""

FLAT = 1e-3
"""Rows whose norm, without their mean, is a smaller share of the largest are left out."""


@dataclass(frozen=True)
class SparseRow:
    """One way of coding.

    Attributes
    ----------
    granularity, clock, precision : str
    rate : float
        Share of their way that neurons move in an update.
    gap, worst_gap : float
        By how much the objective exceeds its optimum, as a share of it: mean and largest.
    active : float
        Share of a code that is not 0.
    events : float
        Per neuron and sample.
    operations : float
        Synaptic operations per sample.
    seconds : float
        Per sample.
    """

    granularity: Granularity
    clock: Clock
    precision: Precision
    rate: float
    gap: float
    worst_gap: float
    active: float
    events: float
    operations: float
    seconds: float


def centred_rows(x: Array, patch: int = 0, samples: int = 0, seed: int = 0) -> Array:
    """Return rows, or random patches of square images, without their mean; flat ones left out.

    Parameters
    ----------
    x : array, shape (rows, n)
    patch : int
        Pixels of a side; 0: whole rows.
    samples : int
        Patches to draw; 0: one of each row.
    seed : int

    Raises
    ------
    ValidationError
        If rows are no square images, or smaller than a patch.
    """
    if patch:
        side = math.isqrt(x.shape[1])
        if side**2 != x.shape[1]:
            invalid("patch", "needs square images of one channel", f"{x.shape[1]} inputs", "0")
        if patch > side:
            invalid("patch", f"cannot exceed the {side} pixels of a side", patch, str(side // 2))
        generator = np.random.default_rng(seed)
        count = samples or len(x)
        rows = generator.integers(len(x), size=count)
        top, left = generator.integers(side - patch + 1, size=(2, count))
        images = x.reshape(len(x), side, side)
        x = np.array([images[r, i : i + patch, j : j + patch].ravel()
                      for r, i, j in zip(rows, top, left, strict=True)])  # fmt: skip
    x = x - x.mean(axis=1, keepdims=True)
    size = np.linalg.norm(x, axis=1)
    kept: Array = x[size > FLAT * size.max(initial=0.0)]
    return kept


def optimal_codes(dictionary: Array, y: Array, coding: SparseCoding) -> Array:
    """Return the codes that scikit-learn's Lasso finds by coordinate descent, (rows, atoms)."""
    from sklearn.linear_model import Lasso  # noqa: PLC0415 (a second, which help does without)

    lasso = Lasso(coding.penalty / len(dictionary), fit_intercept=False, tol=1e-12,
                  positive=coding.sign == "positive", max_iter=100_000)  # fmt: skip
    return np.array([lasso.fit(dictionary, row).coef_ for row in y])


def coded(
    network: Network, y: Array, execution: Execution, transport: Transport | None = None
) -> Array:
    """Return what a network answers to rows, carried out as Processes or by the numpy engine."""
    width, lanes, numbers = network.outputs["output_out"], network.lanes, network.arithmetic
    sink = Sink(loss("squared-error"), width, lanes=lanes, capacity=len(y), keep=True,
                arithmetic=numbers)  # fmt: skip
    source = Source(y, np.zeros((len(y), width)), lanes=lanes, arithmetic=numbers)
    elements = source, network, sink, PresentationSchedule(1, lanes, lanes)
    backend: Backend
    if execution.runtime == "reference":
        backend = ReferenceBackend(*elements)
    elif execution.clock == "async":
        backend = LavaBackend(*elements, execution, transport=transport)
    else:
        backend = LavaBackend(*elements, execution)
    try:
        backend.run(np.arange(len(y)), 0, lambda: None)
    finally:
        backend.stop()
    return sink.memory["outputs"]


def measure_ways(
    dictionary: Array,
    y: Array,
    coding: SparseCoding,
    ways: Sequence[Execution],
    *,
    threshold: float = 0.0,
    latency: float = 1.0,
    report: Callable[[str], None] = lambda line: None,
) -> list[SparseRow]:
    """Code rows in several ways, and compare each with the optimum.

    Parameters
    ----------
    dictionary : array, shape (n, atoms)
    y : array, shape (rows, n)
    coding : SparseCoding
        Its ``together`` and ``delay`` are those of each way.
    ways : sequence of Execution
    threshold : float
        Of send on change.
    latency : float
        Mean time of an asynchronous message; neurons rest for 12 between two updates.
    report : callable
        Told what is being done.
    """
    report("the optimum")
    best = coding.objective(dictionary, y, optimal_codes(dictionary, y, coding))
    found = []
    for way in ways:
        report(way.label)
        late = 2 * latency / HOLD_TIME if way.clock == "async" else 0.0
        alone = way.clock == "async" and way.granularity == "neuron"
        own = replace(coding, together=not alone, delay=late)
        exponent = fitting_exponent(np.hstack([lateral(dictionary), dictionary.T]))
        numbers: Arithmetic | None = None
        if way.precision == "loihi2":
            numbers = Loihi2(FRACTION, (exponent,))
        network = sparse_code(dictionary, own, threshold=threshold, arithmetic=numbers)
        transport = Transport(Latency("exponential", latency))
        begun = time.perf_counter()
        x = coded(network, y, way, transport)
        seconds = (time.perf_counter() - begun) / len(y)
        gap = coding.objective(dictionary, y, x) / best - 1
        population = network.populations["population"]
        parts = population.parts or [population]
        events = sum(part.counts["events_mean"] for part in parts)
        operations = sum(c.counts["forward"] for c in network.connections.values())
        assert way.granularity != "auto"
        found.append(SparseRow(
            way.granularity, way.clock, way.precision, population.unit.share,
            float(gap.mean()), float(gap.max()), float((x != 0).mean()),
            events / x.size, operations / len(y), seconds,
        ))  # fmt: skip
    return found
