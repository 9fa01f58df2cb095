"""Train and evaluate a network on a data set, whatever executes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from lava_dyads.data.dataset import Dataset
from lava_dyads.errors import NotSettledError, invalid, nearest
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules._types import Array, IntArray
from lava_dyads.rules.activations import activation
from lava_dyads.rules.arithmetic import Arithmetic, Float, Loihi2
from lava_dyads.rules.arithmetic.loihi2 import feedback_exponents, fitting_exponent
from lava_dyads.rules.backprop import (
    BackpropNetwork,
    backpropagate,
    dense_operations,
    zero_skipping_operations,
)
from lava_dyads.rules.clock import FROZEN, Agenda
from lava_dyads.rules.elements import Element, Sink, Source
from lava_dyads.rules.engine import Network
from lava_dyads.rules.feedback import drift, feedback
from lava_dyads.rules.losses import loss
from lava_dyads.rules.optimisers import ChipSGD, Optimiser, optimiser
from lava_dyads.rules.sweep import SweptNetwork
from lava_dyads.rules.transport import Transport
from lava_dyads.training.backends import open_backend

if TYPE_CHECKING:  # importing the runtime costs a second
    from lava_dyads.runtime.in_process import Usage

LEARN = 1
"""Value of the ``learn`` register that learns."""

CHIP_RATE = 2.0**-6
"""Learning rate of precision loihi2 where none is given."""

DTYPES = ("float64", "float32")
"""Floating point numbers of precision float."""

_PIECE = 1000
"""Rows that backprop is asked about at a time."""

SETTLED = 1e-6
"""Largest residual, in units of the activity, at which a relaxation counts as settled."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained, checked at construction.

    Parameters
    ----------
    epochs : int
        Passes over the training part.
    batch_size : int
        Samples per update.
    lanes : int or None
        Samples side by side; None: the batch size. Must divide the batch size.
    optimiser : str
        ``adam``, ``momentum`` or ``sgd``.
    learning_rate : float or None
        None: 0.001 (adam), 0.05 (momentum), 0.1 (sgd).
    falling : bool
        Whether the learning rate falls linearly to 0 over all epochs; on the chip it always does.
    weight_decay : float
        Decoupled, in units of the learning rate.
    decay : float or None
        Share of a weight lost per update where W and its feedback learn as a pair, of both alike;
        None: that of the kind of feedback, see ``rules.feedback``.
    split_seed : int
        Of the stratified split.
    test_share : float
        Share of the test part, in (0, 1).
    seed : int
        Of the order of the samples.
    dtype : str
        ``float64`` or ``float32``: the floating point numbers of precision float. float32 needs
        beta >= 0.01.
    silence : float
        A sample none of whose output errors |l'| exceeds it sends no error event: no work and no
        update from it. Granularity network, rules that settle in one sweep.
    counting : bool
        Whether training passes count events and operations (some 5 % of the time of a sweep);
        :meth:`Trainer.cost` always does.

    Raises
    ------
    ValidationError
        If a value is out of range.
    """

    epochs: int = 30
    batch_size: int = 32
    lanes: int | None = None
    optimiser: str = "adam"
    learning_rate: float | None = None
    falling: bool = False
    weight_decay: float = 0.0
    decay: float | None = None
    split_seed: int = 0
    test_share: float = 0.25
    seed: int = 0
    dtype: str = "float64"
    silence: float = 0.0
    counting: bool = True

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            invalid("dtype", "unknown name", self.dtype, " or ".join(DTYPES))
        if not self.silence >= 0:
            invalid("silence", "must be at least 0", self.silence, "0.01")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                invalid(name, "must be at least 1", getattr(self, name))
        if self.seed < 0 or self.split_seed < 0:
            invalid("seed", "must be at least 0", min(self.seed, self.split_seed))
        if not 0 < self.test_share < 1:
            invalid("test_share", "must lie in (0, 1)", self.test_share, "0.25")
        Agenda(lanes=self.lanes or self.batch_size, batch_size=self.batch_size)
        self.build_optimiser()

    def build_optimiser(self, samples: int = 0) -> Optimiser:
        """Return the optimiser for a number of training samples."""
        decay = self.decay or 0.0
        updates = self.epochs * -(-samples // self.batch_size) if self.falling else 0
        return optimiser(self.optimiser, self.learning_rate, self.weight_decay, decay, updates)


@dataclass(frozen=True)
class Metrics:
    """What one pass over a part of the data measured.

    Attributes
    ----------
    samples : int
    loss, accuracy : float
        Mean loss (nats or squared units), share of correct classes.
    residual : float
        Largest residual of the certifying step (0: every presentation was at rest).
    straddling : float
        Share of dyads that ended on two sides of a kink (learning passes only).
    messages : float
        Per presentation: messages with at least one event.
    events, operations : float
        Per sample: graded events, synaptic operations.
    forward, backward, learning : float
        Per sample: the three parts of the operations.
    spikes : float
        Per sample: spikes of all compartments (0 for graded units).
    seconds : float
    """

    samples: int
    loss: float
    accuracy: float
    residual: float
    straddling: float
    messages: float
    events: float
    operations: float
    forward: float
    backward: float
    learning: float
    spikes: float
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What training one sample costs, the trained network on its training part.

    Attributes
    ----------
    events : float or None
        Graded events sent, input included; None for backprop, which has none.
    spikes : float or None
        Spikes of all compartments; None where units do not spike.
    operations : float
        Synaptic operations: weights touched by an event, up or down, or by learning.
    dense : int
        Products of dense backprop.
    zero_skipping : float
        Products of backprop that leaves out exact zeros, on the same weights and samples.
    """

    events: float | None
    spikes: float | None
    operations: float
    dense: int
    zero_skipping: float


@dataclass
class History:
    """One entry per epoch."""

    epochs: list[dict[str, float]] = field(default_factory=list)

    def column(self, name: str) -> list[float]:
        """Return one metric over the epochs.

        Raises
        ------
        ValidationError
            If there is no such metric.
        """
        known = self.epochs[0] if self.epochs else ()
        if known and name not in known:
            invalid("History.column", "unknown metric", name, nearest(name, known))
        return [epoch[name] for epoch in self.epochs]


class Trainer:
    """A specification, a data set and a way to execute them.

    Use it as a context manager: the Lava runtime holds OS processes until ``close``.

    Parameters
    ----------
    spec : NetworkSpec
    data : Dataset
    config : TrainingConfig
    execution : Execution
    transport : Transport or None
        How messages travel, for ``clock async`` on the in-process runtime.
    trace : Path or None
        File for a trace of the messages, likewise.
    measure : bool
        Time every ProcessModel and count on every channel, in-process; see :meth:`usage`.
    arithmetic : Arithmetic or None
        Number system of the execution's precision; None: float64, or ``Loihi2`` with room for
        the weights it begins with.
    parameters : tuple of two lists, or None
        Weights and biases to begin with; None: the specification's initial ones.
    feedback_weights : list of arrays, or None
        Separate feedback weights to begin with; None: the specification's initial ones.

    Raises
    ------
    ValidationError
        If the data does not fit the network or the support table refuses the combination.

    Examples
    --------
    >>> from lava_dyads.data import load
    >>> spec = NetworkSpec((64, 16, 10))
    >>> config = TrainingConfig(epochs=3, learning_rate=0.01)
    >>> with Trainer(spec, load("digits"), config, Execution(runtime="reference")) as trainer:
    ...     history = trainer.fit()
    >>> history.column("test_accuracy")[-1] > 0.8
    True
    """

    def __init__(
        self,
        spec: NetworkSpec,
        data: Dataset,
        config: TrainingConfig | None = None,
        execution: Execution | None = None,
        transport: Transport | None = None,
        trace: Path | None = None,
        measure: bool = False,
        arithmetic: Arithmetic | None = None,
        parameters: tuple[list[Array], list[Array]] | None = None,
        feedback_weights: list[Array | None] | None = None,
    ) -> None:
        self.spec, self.data = spec, data
        self.execution = execution or Execution()
        config = config or TrainingConfig()
        on_chip = self.execution.precision == "loihi2"
        decay = feedback(spec.feedback).decay_of(config.decay, on_chip)
        self.config = replace(config, decay=decay)
        self.execution.check(spec.rule, sum(spec.layers[1:]))
        if spec.anneal and self.execution.clock == "async":
            limit = "a threshold falls in steps, which clock async does not have"
            invalid("anneal", limit, spec.anneal, "0, or --clock sync")
        check_fit(spec, data)
        parameters = parameters or spec.initial_parameters()
        feedback_weights = feedback_weights or spec.initial_feedback()
        numbers = self._numbers(arithmetic, parameters[0], feedback_weights)
        self.train_rows, self.test_rows = data.split(self.config.split_seed, self.config.test_share)
        lanes = self.config.lanes or self.config.batch_size
        self.agenda = Agenda(1, lanes, self.config.batch_size)
        targets = np.eye(spec.layers[-1])[data.labels]
        self.source = Source(data.x, targets, lanes=lanes, arithmetic=numbers)
        self.network = spec.build(
            lanes=lanes,
            optimiser=self._optimiser(numbers),
            arithmetic=numbers,
            parameters=parameters,
            feedback_weights=feedback_weights,
        )
        self._sweep()
        capacity = max(len(self.train_rows), len(self.test_rows))
        self.sink = Sink(
            loss(spec.loss),
            spec.layers[-1],
            lanes=lanes,
            capacity=capacity,
            baseline=self.network.baseline,
            arithmetic=numbers,
        )
        self._generator = np.random.default_rng(self.config.seed)
        self.history, self._measuring = History(), measure
        self.train_seconds = 0.0
        self._backend = open_backend(
            spec,
            self.execution,
            self.source,
            self.network,
            self.sink,
            self.agenda,
            transport=transport,
            trace=trace,
            measure=measure,
        )

    def _numbers(
        self,
        arithmetic: Arithmetic | None,
        weights: list[Array],
        feedback_weights: list[Array | None],
    ) -> Arithmetic:
        precision = self.execution.precision
        default: Arithmetic = Float(self.config.dtype)
        if precision != "float" and self.config.dtype != DTYPES[0]:
            invalid("dtype", f"precision {precision} has integers", self.config.dtype, "float64")
        if precision == "loihi2":
            # Initial weights have to fit, and from +-1 on there is room to learn.
            default = Loihi2(
                weight_exponents=tuple(fitting_exponent(w, 7) for w in weights),
                feedback_exponents=feedback_exponents(feedback_weights, 7),
                seed=self.config.seed,
            )
        if arithmetic is not None and arithmetic.name != precision:
            invalid("arithmetic", f"the execution has precision {precision}", arithmetic.name)
        return arithmetic or default

    def _optimiser(self, numbers: Arithmetic) -> Optimiser | None:
        """Return the optimiser; on the chip it learns one sample at a time, or not at all."""
        made = self.config.build_optimiser(len(self.train_rows))
        if not numbers.exact:
            return made
        if self.config.batch_size > 1:
            return None
        if made.name != "sgd" or made.weight_decay:
            limit = "precision loihi2 learns by traces alone: a synapse has no room for other state"
            invalid("optimiser", limit, made.name, "sgd, without weight decay")
        rate = self.config.learning_rate or CHIP_RATE
        horizon = self.config.epochs * len(self.train_rows)
        return ChipSGD(rate, decay=made.decay, horizon=horizon)

    def _sweep(self) -> None:
        """Hand over what only networks know that show presentations by one sweep."""
        config, network = self.config, self.network
        if isinstance(network, SweptNetwork) and self.execution.granularity == "network":
            network.silence, network.counting = config.silence, config.counting
        elif config.silence:
            limit = "needs granularity network and a rule that settles in one sweep"
            invalid("silence", limit, self.execution.label, "--rule dp-transpose --alpha 1")

    def __enter__(self) -> Trainer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the run; weights and metrics stay readable."""
        self._backend.stop()

    def fit(
        self,
        on_epoch: Callable[[dict[str, float]], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> History:
        """Train for the configured epochs, with an evaluation after each.

        Parameters
        ----------
        on_epoch : callable or None
            Called with the metrics of each epoch.
        on_progress : callable or None
            Called with the number of samples of the current pass that are done.

        Raises
        ------
        NotSettledError
            If an epoch leaves the range of floating point: the rule diverged.
        """
        for epoch in range(len(self.history.epochs) + 1, self.config.epochs + 1):
            learnt = self.run(self._generator.permutation(self.train_rows), 1, on_progress)
            self.train_seconds += learnt.seconds
            if not (np.isfinite(learnt.residual) and np.isfinite(learnt.loss)):
                raise NotSettledError(self._diverged(epoch, learnt))
            tested = self.run(self.test_rows, 0, on_progress)
            entry = {
                "epoch": epoch,
                **{f"train_{k}": v for k, v in asdict(learnt).items()},
                "test_loss": tested.loss,
                "test_accuracy": tested.accuracy,
                **self.feedback_drift(),
            }
            self.history.epochs.append(entry)
            if on_epoch:
                on_epoch(entry)
        return self.history

    def _diverged(self, epoch: int, learnt: Metrics) -> str:
        if self.spec.timing.repeats == 0:  # the sweep is exact, so it was the weights
            return (
                f"epoch {epoch}: the weights diverged (loss {learnt.loss:g}). "
                "Try: a smaller learning rate"
            )
        return (
            f"epoch {epoch}: the network did not settle (residual {learnt.residual:g}); rule "
            f"{self.spec.rule} at alpha {self.spec.alpha:g} diverges for these weights. "
            "Try: --rule dp-transpose with alpha 0 or 1, or a smaller beta"
        )

    def evaluate(self) -> Metrics:
        """Measure on the test part; nothing learns."""
        return self.run(self.test_rows, 0)

    def cost(self) -> Cost:
        """Measure what training a sample costs, on the present weights; nothing learns."""
        hidden = [activation(name) for name in self.spec.activations]
        total, settings = 0, (*self.parameters(), hidden, loss(self.spec.loss))
        for start in range(0, len(self.train_rows), _PIECE):  # all at once would take gigabytes
            rows = self.train_rows[start : start + _PIECE]
            x, y = self.source.x[rows], self.source.y[rows]
            oracle = backpropagate(x, y, *settings, ops=self.spec.ops)
            total += zero_skipping_operations(oracle)
        dense = dense_operations(self.spec.layers)
        skipping = total / len(self.train_rows)
        if isinstance(self.network, BackpropNetwork):
            return Cost(None, None, float(dense), dense, skipping)
        metrics = self.run(self.train_rows, FROZEN)
        spikes = metrics.spikes if self.network.spiking else None
        return Cost(metrics.events, spikes, metrics.operations, dense, skipping)

    def run(
        self, rows: IntArray, learn: int, on_progress: Callable[[int], None] | None = None
    ) -> Metrics:
        """Show some rows of the data set once, in that order, and measure.

        Parameters
        ----------
        rows : int array
            Row numbers.
        learn : int
            1 train, 0 evaluate, 2 nudge without learning.
        on_progress : callable or None
            Called with the number of samples done.
        """
        totals = self.sink.memory["totals"]
        totals.fill(0)
        for element in self._elements():
            element.memory["counts"].fill(0)
            if "residual" in element.memory:
                element.memory["residual"].fill(0)

        def poll() -> None:
            if on_progress:
                on_progress(int(totals[0]))

        if learn == LEARN:
            check_learns(self.execution, self.config)
        begin = time.perf_counter()
        self._backend.run(np.asarray(rows, np.int64), learn, poll)
        return self._measure(time.perf_counter() - begin)

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return copies of the weights (n_out, n_in) and biases (n,)."""
        return self.network.parameters()

    def feedback_drift(self) -> dict[str, float]:
        """Return ``feedback_drift_k`` and ``feedback_angle_k`` of each layer k with B of its own.

        |B - W^T| / |W| and the angle between B and W^T in degrees; empty where feedback is tied.
        """
        found = {}
        weights, feedback = self.parameters()[0], self.network.feedback()
        for k, (w, b) in enumerate(zip(weights, feedback, strict=True), 1):
            if b is not None:
                apart = drift(w, b)
                found[f"feedback_drift_{k}"] = apart.relative
                found[f"feedback_angle_{k}"] = apart.angle
        return found

    def usage(self) -> Usage:
        """Return what ProcessModels and channels have used so far, with ``measure=True``.

        Raises
        ------
        ValidationError
            If nothing was measured, or not on the in-process runtime.
        """
        session = getattr(self._backend, "session", None)
        if session is None or not self._measuring or not hasattr(session, "usage"):
            runtime = self.execution.runtime
            invalid("usage", "needs the in-process runtime and measure=True", runtime)
        usage: Usage = session.usage()
        return usage

    def predictions(self, count: int) -> IntArray:
        """Return the predicted classes of the first ``count`` rows of the last run.

        Call it right after ``evaluate`` or ``run``: every pass overwrites them.
        """
        predicted: IntArray = self.sink.memory["predicted"][:count].copy()
        return predicted

    def _elements(self) -> list[Element]:
        inner = list(self.network.elements.values()) if isinstance(self.network, Network) else []
        parts = [part for element in inner for part in element.parts]
        return [self.source, self.network, self.sink, *inner, *parts]

    def _measure(self, seconds: float) -> Metrics:
        sums: dict[str, int] = {}
        residual = 0.0
        for element in self._elements():
            for name, count in element.counts.items():
                kind = name.partition("_")[0]
                sums[kind] = sums.get(kind, 0) + count
            if "residual" in element.memory:
                largest = float(element.memory["residual"][1])
                residual = max(residual, largest * element.arithmetic.unit)
        samples, correct, losses = (float(v) for v in self.sink.memory["totals"])
        per = 1.0 / max(samples, 1.0)
        parts = {kind: sums.get(kind, 0) * per for kind in ("forward", "backward", "learning")}
        return Metrics(
            samples=round(samples),
            loss=losses * per,
            accuracy=correct * per,
            residual=residual,
            straddling=sums.get("straddling", 0) / max(1, sums.get("settled", 0)),
            messages=sums.get("messages", 0) / max(1, self.agenda.presentations(round(samples))),
            events=sums.get("events", 0) * per,
            operations=sum(parts.values()),
            **parts,
            spikes=sums.get("spikes", 0) * per,
            seconds=seconds,
        )


def check_learns(execution: Execution, config: TrainingConfig) -> None:
    """Raise where a number system cannot learn in this way; evaluation takes any batch."""
    if execution.precision == "loihi2" and config.batch_size > 1:
        limit = "precision loihi2 learns one sample at a time"
        invalid("batch_size", limit, config.batch_size, "1, with optimiser sgd")


def check_fit(spec: NetworkSpec, data: Dataset) -> None:
    """Raise where a data set does not fit the first and last layer of a network."""
    features = data.x.shape[1]
    if spec.layers[0] != features:
        invalid(
            f"data {data.name}",
            f"the network has {spec.layers[0]} inputs, the data has {features} features",
            (spec.layers[0], features),
        )
    if spec.layers[-1] < data.classes:
        invalid(
            f"data {data.name}",
            f"the network has {spec.layers[-1]} outputs, the data has {data.classes} classes",
            (spec.layers[-1], data.classes),
        )
