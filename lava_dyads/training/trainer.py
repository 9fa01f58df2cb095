"""Train and evaluate a network on a data set, whatever executes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.checks import Count, checked
from lava_dyads.choices import RUNTIMES
from lava_dyads.data.dataset import Dataset
from lava_dyads.elements import Sink, Source
from lava_dyads.errors import invalid
from lava_dyads.executors.transport import Transport
from lava_dyads.files import AnyPath
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.feedback import feedback
from lava_dyads.rules.losses import loss
from lava_dyads.starts import Stopwatch
from lava_dyads.training.backends import open_backend
from lava_dyads.training.checks import (
    check_converging,
    check_epochs,
    check_fit,
    check_learns,
    check_tested,
    loss_at,
    set_up_sweep,
)
from lava_dyads.training.config import TrainingConfig, numbers_for, optimiser_for
from lava_dyads.training.costs import PIECE, cost_of
from lava_dyads.training.metrics import Cost, History, Metrics, feedback_drift, measured
from lava_dyads.training.prediction import Predicting, Predictor
from lava_dyads.training.resumable import Resumable
from lava_dyads.training.resume import (
    Interval,
)
from lava_dyads.training.sequences import read_out, schedule_for, scored, shown_rows
from lava_dyads.training.tasks import Teaching, named_scores

if TYPE_CHECKING:  # importing the runtime costs a second
    from lava_dyads.runtime.usage import Usage

LEARN = 1
"""Value of the ``learn`` register that learns."""


class Trainer(Resumable, Predicting):
    """A specification, a data set and a way to execute them.

    Use it as a context manager: the Lava runtime holds OS processes until ``close``. A copy (by
    pickle or ``copy.deepcopy``) takes along what has been learnt and goes on alike, by a runtime
    of its own.

    Parameters
    ----------
    spec : NetworkSpec
    data : Dataset
    config : TrainingConfig
    execution : Execution
    transport : Transport or None
        How messages travel, for ``clock async`` on the in-process runtime.
    trace, ledger : str, path or None
        Files for a trace of the messages and a ledger of what was settled and learnt, likewise.
    measure : bool
        Time every ProcessModel and count on every channel, in-process; see :meth:`usage`.
    arithmetic : Arithmetic or None
        Number system of the execution's precision; None: float64, or ``Loihi2`` with room for
        the weights it begins with.
    parameters : tuple of two lists, or None
        Weights and biases to begin with; None: the specification's initial ones.
    feedback_weights : list of arrays, or None
        Separate feedback weights to begin with; None: the specification's initial ones.

    Attributes
    ----------
    position : int
        Samples of the present epoch that have been learnt from; 0 between epochs.
    execution : Execution
        How it is run: what was left open is settled.
    chosen : str
        What was left open, and what it has become, in a line; empty where nothing was.

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

    @checked
    def __init__(
        self,
        spec: NetworkSpec,
        data: Dataset,
        config: TrainingConfig | None = None,
        execution: Execution | None = None,
        transport: Transport | None = None,
        trace: AnyPath | None = None,
        measure: bool = False,
        arithmetic: Arithmetic | None = None,
        parameters: tuple[list[Array], list[Array]] | None = None,
        feedback_weights: list[Array | None] | None = None,
        ledger: AnyPath | None = None,
    ) -> None:
        self.spec, self.data = spec, data
        simulated = any(o is not None for o in (transport, trace, ledger)) or measure
        within = ("in-process",) if simulated else RUNTIMES
        self.execution, self.chosen = spec.choose(execution or Execution(), within)
        config = config or TrainingConfig()
        precision = self.execution.precision
        decay = feedback(spec.feedback).decay_of(config.decay, precision == "loihi2")
        self.config = replace(config, decay=decay)
        check_fit(spec, data)
        self._parameters = parameters
        if parameters or feedback_weights:
            given = parameters or (None, None)
            spec.check_parameters(given[0], given[1], feedback_weights)
        parameters = parameters or spec.initial_parameters()
        feedback_weights = feedback_weights or spec.initial_feedback()
        numbers = numbers_for(self.config, precision, arithmetic, parameters[0], feedback_weights)
        self.teaching = Teaching(spec, data, self.config)
        self.train_rows, self.validation_rows, self.test_rows = self.teaching.parts
        lanes = self.config.chosen_lanes
        self.schedule = schedule_for(spec, data, self.config, self.execution)
        capacity = max(self.epoch_size, *map(len, self.teaching.parts)) * data.frames
        x, y = shown_rows(data, self.teaching.x, self.teaching.targets)
        self.source = Source(x, y, lanes=lanes, capacity=capacity, arithmetic=numbers)
        self.network = spec.build(
            lanes=lanes,
            optimiser=optimiser_for(spec, self.config, numbers, self.teaching.rows, data.frames),
            arithmetic=numbers,
            parameters=parameters,
            feedback_weights=feedback_weights,
            executor="step" if self.config.stream else None,
        )
        set_up_sweep(self.network, self.config, self.execution)
        self.sink = Sink(
            loss(spec.loss),
            spec.layers[-1],
            lanes=lanes,
            capacity=capacity,
            baseline=self.network.baseline,
            arithmetic=numbers,
            keep=data.frames > 1,
            scores=scored(self.teaching.scores, data, self.config.readout),
        )
        self._generator = np.random.default_rng(self.config.seed)
        self.history, self._measuring = History(), measure
        self.train_seconds = self._pass_seconds = 0.0
        self.position = 0  # samples of the present epoch that have been shown
        self._drawn_from: Any = None
        self._transport, self._files = transport, {"trace": trace, "ledger": ledger}
        self._backend = open_backend(
            spec,
            self.execution,
            self.source,
            self.network,
            self.sink,
            self.schedule,
            transport=transport,
            measure=measure,
            **self._files,
            skip_error=self.config.skip_error,
            counting=self.config.counting,
        )

    def __enter__(self) -> Trainer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._backend.stop(kill=error is not None)

    @checked
    def fit(
        self,
        on_epoch: Callable[[dict[str, float]], bool | None] | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_checkpoint: Callable[[], None] | None = None,
        every: Interval | None = None,
        epochs: Count | None = None,
    ) -> History:
        """Train for the configured epochs, with an evaluation after each.

        After :meth:`restore` it goes on where the state was made, and a second call where the
        first one ended.

        Parameters
        ----------
        on_epoch : callable or None
            Called with the metrics of each epoch; the training ends where it returns True.
        on_progress : callable or None
            Called with the number of samples of the current pass that are done.
        on_checkpoint : callable or None
            Called when :meth:`state` may be asked for: before the first sample, as often as
            ``every`` says, and after each epoch (before ``on_epoch``).
        every : Interval or None
            How often within an epoch; None: never.
        epochs : int or None
            Epochs there are in all when it ends; None: those of the configuration.

        Raises
        ------
        ValidationError
            If it is to go beyond the configured epochs, and the learning rate falls over these.
        DivergedError
            If an epoch ends with numbers that are none, or a loss beyond all sense; ``state`` and
            checkpoints are those of before.
        """
        check_epochs(self.spec, self.config, self.execution, epochs)
        keep, last = on_checkpoint or (lambda: None), epochs or self.config.epochs
        if not (self.history.epochs or self.position):
            keep()
        for epoch in range(len(self.history.epochs) + 1, last + 1):
            learnt = self._train_epoch(every or Interval(), keep, on_progress)
            self.train_seconds += learnt.seconds
            check_converging(self.spec, epoch, learnt, self._loss_before)
            entry = {"epoch": epoch, **{f"train_{k}": v for k, v in learnt.as_dict().items()}}
            entry |= self.validate(on_progress)
            if len(self.test_rows):
                tested = self.run(self.test_rows, 0, on_progress)
                check_converging(self.spec, epoch, tested, self._loss_before)
                entry |= named_scores(tested, "test")
            entry |= self._beside()
            self.history.epochs.append(entry)
            keep()
            if on_epoch and on_epoch(entry):
                break
        return self.history

    def _train_epoch(
        self,
        every: Interval,
        keep: Callable[[], None],
        on_progress: Callable[[int], None] | None,
    ) -> Metrics:
        """Show the training part once, from where it is, in pieces of whole batches."""
        self._drawn_from = self._generator.bit_generator.state
        order = self._order()
        rows = every.rows(len(order), self.update_rows)
        kept = time.monotonic()
        if not self.position:
            self._begin_pass()
        while self.position < len(order):
            piece = order[self.position : self.position + rows]
            self._pass_seconds += self._show(piece, LEARN, on_progress)
            self.position += len(piece)
            due = every.batches or time.monotonic() - kept > every.seconds
            if due and self.position < len(order):
                keep()
                kept = time.monotonic()
        self.position = 0
        return self._measure(self._pass_seconds)

    def _order(self) -> IntArray:
        """Return the rows of the next epoch as they are shown."""
        weights, frames = self.teaching.weights, self.data.frames
        return self.config.order(self.train_rows, self._generator, weights, frames)

    @property
    def update_rows(self) -> int:
        """Rows between two moments at which a state can be kept."""
        return self.config.batch_size

    def _loss_before(self) -> float:
        """Return the loss of some training samples with the weights of the beginning."""
        rows = self.schedule.rows(self.train_rows[:PIECE])
        return loss_at(self.spec, self._parameters, self.source.x[rows], self.source.y[rows])

    def validate(self, on_progress: Callable[[int], None] | None = None) -> dict[str, float]:
        """Return ``validation_loss`` and the scores of the validation part; empty: none."""
        rows = self.validation_rows
        return named_scores(self.run(rows, 0, on_progress), "validation") if len(rows) else {}

    def evaluate(self) -> Metrics:
        """Measure on the test part; nothing learns.

        Raises
        ------
        ValidationError
            If there is none.
        """
        check_tested(self.test_rows)
        return self.run(self.test_rows, 0)

    def cost(self) -> Cost:
        """Measure what training a sample costs, on the present weights; nothing learns."""
        return cost_of(self)

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
        self._begin_pass()
        return self._measure(self._show(rows, learn, on_progress))

    def _begin_pass(self) -> None:
        """Count and measure from 0."""
        self._pass_seconds = 0.0
        for sums in ("totals", "scores"):
            self.sink.memory[sums].fill(0)
        for element in self._elements():
            element.memory["counts"].fill(0)
            if "residual" in element.memory:
                element.memory["residual"].fill(0)

    def _show(self, rows: IntArray, learn: int, on_progress: Callable[[int], None] | None) -> float:
        """Show some rows; return the seconds it took."""
        totals = self.sink.memory["totals"]

        def poll() -> None:
            if on_progress:
                on_progress(int(totals[0]) // self.data.frames)

        if learn == LEARN:
            check_learns(self.execution, self.config)
        watch = Stopwatch()
        with np.errstate(over="ignore", invalid="ignore"):  # what has diverged is named afterwards
            shown = self.schedule.rows(np.asarray(rows, np.int64))
            self._backend.run(shown, learn, poll)
            read_out(self.sink, self.schedule, rows, self.source.y)
        return watch.seconds()

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return copies of the weights (n_out, n_in) and biases (n,)."""
        return self.network.parameters()

    def stored(self) -> tuple[list[Array], list[Array]]:
        """Return the parameters of a checkpoint: those, or the latent weights of binary ones."""
        return self.network.stored()

    def predictor(self) -> Predictor:
        """Return the network as it is now, to be shown new rows by the reference engine."""
        return Predictor.of(self)

    def feedback_drift(self) -> dict[str, float]:
        """Return ``feedback_drift_k`` and ``feedback_angle_k`` of each layer k with B of its own.

        ``|B - W^T| / |W|`` and the angle between both in degrees; empty where feedback is tied.
        """
        return feedback_drift(self.parameters()[0], self.network.feedback())

    def _beside(self) -> dict[str, float]:
        """Return what an epoch tells beside its scores."""
        return self.feedback_drift()

    def usage(self) -> Usage:
        """Return the usage of ProcessModels and channels so far.

        Needs ``measure=True``, but for the messages of compiled asynchronous networks.

        Raises
        ------
        ValidationError
            If nothing was measured, or not on the in-process runtime.
        """
        session = getattr(self._backend, "session", None)
        if session is not None and hasattr(session, "usage"):
            usage: Usage = session.usage()
            if self._measuring or usage.engine == "compiled":
                return usage
        limit = "needs the in-process runtime and measure=True"
        invalid("usage", limit, self.execution.runtime)

    def predictions(self, count: int) -> IntArray:
        """Return the predicted classes of the first ``count`` rows of the last run.

        Call it right after ``evaluate`` or ``run``: every pass overwrites them.
        """
        return np.array(self.sink.memory["predicted"][:count])

    def _measure(self, seconds: float) -> Metrics:
        """Return the metrics since the pass began."""
        elements, neurons = self._elements(), sum(self.spec.layers[1:])
        return measured(elements, self.sink, self.schedule, neurons, seconds)
