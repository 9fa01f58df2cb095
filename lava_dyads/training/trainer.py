"""Train and evaluate a network on a data set, whatever executes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.checks import (
    Count,
    Limit,
    Natural,
    NotNegative,
    Positive,
    Size,
    check_fields,
    checked,
    entries,
)
from lava_dyads.data.dataset import Dataset, SplitSeed, TestShare
from lava_dyads.elements import Element, Population, Sink, Source
from lava_dyads.elements.clock import FROZEN, Agenda
from lava_dyads.elements.stacked_populations import OWN
from lava_dyads.errors import (
    CheckpointError,
    DivergedError,
    UnsupportedError,
    invalid,
    message,
    nearest,
)
from lava_dyads.executors.backprop import (
    BackpropNetwork,
    zero_skipping_operations,
)
from lava_dyads.executors.step import Network
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.executors.transport import Transport
from lava_dyads.files import AnyPath, reason
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import AXES, BASELINES, Execution
from lava_dyads.rules.arithmetic import Arithmetic, Float, Loihi2
from lava_dyads.rules.arithmetic.loihi2 import feedback_exponents, fitting_exponent
from lava_dyads.rules.binary import BINARY, FLOAT, Latent, growth_for
from lava_dyads.rules.feedback import drift, feedback
from lava_dyads.rules.losses import loss
from lava_dyads.rules.optimisers import ChipSGD, Optimiser, optimiser
from lava_dyads.rules.targets import OneHot
from lava_dyads.rules.units import RULES, rule
from lava_dyads.rules.units.spiking import OFFSET
from lava_dyads.training.backends import open_backend
from lava_dyads.training.resume import Interval, RunState, machine

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

SATURATED = 0.1
"""Share of spiking dyads with more spikes to send than steps, from which on counts are no rates;
where a network learns it is below .02."""

EXPLODED = 1e6
"""Loss, in units of that before training (or 1), from which on a training has diverged."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained, checked at construction.

    Parameters
    ----------
    epochs : int
        Passes over the training part.
    batch_size : int
        Samples per update.
    updates : int
        Updates per batch, one after the other: a batch is shown as often (DP's several updates). A
        last batch that is not full is shown once.
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
    stream : bool
        Samples are frames of a stream (of ``lanes`` streams, frame by frame): they are shown in
        the order of the data, state is kept from one to the next and only what changes costs
        anything. For rules that settle in one sweep, clock sync.

    Raises
    ------
    ValidationError
        If a value is out of range.
    """

    epochs: Count = 30
    batch_size: Count = 32
    updates: Count = 1
    lanes: Size | None = None
    optimiser: str = "adam"
    learning_rate: Positive | None = None
    falling: bool = False
    weight_decay: NotNegative = 0.0
    decay: NotNegative | None = None
    split_seed: SplitSeed = 0
    test_share: TestShare = 0.25
    seed: Natural = 0
    dtype: str = "float64"
    silence: NotNegative = 0.0
    counting: bool = True
    stream: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dtype not in DTYPES:
            invalid("dtype", "unknown name", self.dtype, " or ".join(DTYPES))
        Agenda(lanes=self.chosen_lanes, batch_size=self.batch_size)
        self.build_optimiser()

    @property
    def chosen_lanes(self) -> int:
        """Samples side by side: the batch size, where nothing else is asked for."""
        return self.batch_size if self.lanes is None else self.lanes

    def build_optimiser(self, samples: int = 0) -> Optimiser:
        """Return the optimiser for a number of training samples."""
        decay = self.decay or 0.0
        horizon = self.epochs * self.updates_per_epoch(samples) if self.falling else 0
        return optimiser(self.optimiser, self.learning_rate, self.weight_decay, decay, horizon)

    def updates_per_epoch(self, samples: int) -> int:
        """Return the updates of an epoch of so many samples; a batch that is not full gets one.

        Examples
        --------
        >>> TrainingConfig(batch_size=4, updates=3).updates_per_epoch(10)
        7
        """
        full, rest = divmod(samples, self.batch_size)
        return full * self.updates + (rest > 0)


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
    saturated : float
        Share of spiking dyads that ended a window with spikes they had no step for.
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
    saturated: float
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


_MEASURED = {"epoch", *(f"train_{f.name}" for f in fields(Metrics)), "test_loss", "test_accuracy"}


def _is_epoch(entry: Any) -> bool:
    numbers = isinstance(entry, dict) and all(type(v) in (int, float) for v in entry.values())
    return numbers and entry.keys() >= _MEASURED


_Epoch = Annotated[Any, Limit("must be metrics of epochs", "another state", _is_epoch)]

PROGRESS: dict[str, Any] = {
    "position": Natural,
    "pass_seconds": NotNegative,
    "train_seconds": NotNegative,
    "epochs": list[_Epoch],
    "order": dict[str, Any],
    "noise": list[dict[str, Any]],
    "backend": dict[str, Any],
}
"""What a state knows of where in a run it was made."""


class Trainer:
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
    trace : str, path or None
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
    ) -> None:
        self.spec, self.data = spec, data
        simulated = transport is not None or trace is not None or measure
        within = ("in-process",) if simulated else AXES["runtime"]
        self.execution, self.chosen = spec.choose(execution or Execution(), within)
        config = config or TrainingConfig()
        on_chip = self.execution.precision == "loihi2"
        decay = feedback(spec.feedback).decay_of(config.decay, on_chip)
        self.config = replace(config, decay=decay)
        check_fit(spec, data)
        self._parameters = parameters
        if parameters or feedback_weights:
            given = parameters or (None, None)
            spec.check_parameters(given[0], given[1], feedback_weights)
        parameters = parameters or spec.initial_parameters()
        feedback_weights = feedback_weights or spec.initial_feedback()
        numbers = self._numbers(arithmetic, parameters[0], feedback_weights)
        self.train_rows, self.test_rows = data.split(self.config.split_seed, self.config.test_share)
        lanes = self.config.chosen_lanes
        self.agenda = Agenda(1, lanes, self.config.batch_size, stream=self.config.stream)
        if self.config.stream:
            check_streams(spec, self.execution)
            self.train_rows, self.test_rows = np.sort(self.train_rows), np.sort(self.test_rows)
        targets = OneHot(data.labels, spec.layers[-1])
        capacity = max(len(self.train_rows) * self.config.updates, len(self.test_rows))
        self.source = Source(data.x, targets, lanes=lanes, capacity=capacity, arithmetic=numbers)
        self.network = spec.build(
            lanes=lanes,
            optimiser=self._optimiser(numbers),
            arithmetic=numbers,
            parameters=parameters,
            feedback_weights=feedback_weights,
            executor="step" if self.config.stream else None,
        )
        self._sweep()
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
        self.train_seconds = self._pass_seconds = 0.0
        self.position = 0  # samples of the present epoch that have been shown
        self._drawn_from: Any = None
        self._transport, self._trace = transport, trace
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
        if self.spec.weights != FLOAT:
            epochs, epoch = self.config.epochs, self.config.updates_per_epoch(len(self.train_rows))
            kind, growth = BINARY[self.spec.weights], growth_for(epochs)
            return Latent(inner=made, kind=kind, epoch=epoch, growth=growth, horizon=epochs * epoch)
        if not numbers.exact:
            return made
        if self.config.batch_size > 1:
            return None
        if made.name != "sgd" or made.weight_decay:
            limit = "precision loihi2 learns by traces alone: a synapse has no room for other state"
            invalid("optimiser", limit, made.name, "sgd, without weight decay")
        rate = self.config.learning_rate or CHIP_RATE
        horizon = self.config.epochs * self.config.updates_per_epoch(len(self.train_rows))
        return ChipSGD(rate, decay=made.decay, horizon=horizon)

    def _sweep(self) -> None:
        """Hand over what only networks know that show presentations by one sweep."""
        config, network = self.config, self.network
        swept = self.execution.granularity == "network"
        if swept and isinstance(network, SweptNetwork):
            network.counting, network.silence = config.counting, config.silence
        elif config.silence:
            limit = "needs granularity network, and a rule that settles in one sweep"
            invalid("silence", limit, self.execution.label, "--rule dp-transpose --alpha 1")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how it was made and what it has learnt: a copy goes on from there, by itself."""
        if self._trace is not None:
            hint = "a trainer without a trace"
            invalid("Trainer.trace", "a copy would write to the same file", str(self._trace), hint)
        options = self._transport, None, self._measuring, self.network.arithmetic
        made = self.spec, self.data, self.config, self.execution, *options
        return _revived, (type(self), made, self.state())

    def __enter__(self) -> Trainer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._backend.stop(kill=error is not None)

    def close(self) -> None:
        """End the run; weights and metrics stay readable."""
        self._backend.stop()

    @checked
    def fit(
        self,
        on_epoch: Callable[[dict[str, float]], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_checkpoint: Callable[[], None] | None = None,
        every: Interval | None = None,
    ) -> History:
        """Train for the configured epochs, with an evaluation after each.

        After :meth:`restore` it goes on where the state was made.

        Parameters
        ----------
        on_epoch : callable or None
            Called with the metrics of each epoch.
        on_progress : callable or None
            Called with the number of samples of the current pass that are done.
        on_checkpoint : callable or None
            Called when :meth:`state` may be asked for: before the first sample, as often as
            ``every`` says, and after each epoch (before ``on_epoch``).
        every : Interval or None
            How often within an epoch; None: never.

        Raises
        ------
        DivergedError
            If an epoch ends with numbers that are none, or a loss beyond all sense; ``state`` and
            checkpoints are those of before.
        """
        keep = on_checkpoint or (lambda: None)
        if not (self.history.epochs or self.position):
            keep()
        for epoch in range(len(self.history.epochs) + 1, self.config.epochs + 1):
            learnt = self._train_epoch(every or Interval(), keep, on_progress)
            self.train_seconds += learnt.seconds
            self._check_converging(epoch, learnt)
            tested = self.run(self.test_rows, 0, on_progress)
            self._check_converging(epoch, tested)
            entry = {
                "epoch": epoch,
                **{f"train_{k}": v for k, v in asdict(learnt).items()},
                "test_loss": tested.loss,
                "test_accuracy": tested.accuracy,
                **self.feedback_drift(),
            }
            self.history.epochs.append(entry)
            keep()
            if on_epoch:
                on_epoch(entry)
        return self.history

    def _train_epoch(
        self,
        every: Interval,
        keep: Callable[[], None],
        on_progress: Callable[[int], None] | None,
    ) -> Metrics:
        """Show the training part once, from where it is, in pieces of whole batches."""
        self._drawn_from = self._generator.bit_generator.state
        order = self._epoch()
        rows = every.rows(len(order), self.config.batch_size)
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

    def state(self) -> RunState:
        """Return all that the rest of the run depends on, see ``training.resume``.

        To be asked for between two passes, or by ``on_checkpoint`` of :meth:`fit`.

        Raises
        ------
        UnsupportedError
            If a part of it cannot be read: Processes that are frozen by a fault.
        """
        within = self.position > 0
        progress = {
            "position": self.position,
            "pass_seconds": self._pass_seconds if within else 0.0,
            "train_seconds": self.train_seconds,
            "epochs": self.history.epochs,
            "order": self._drawn_from if within else self._generator.bit_generator.state,
            "noise": [generator.bit_generator.state for generator in self._noise()],
            "backend": self._backend.state(),
        }
        return RunState(self._made_for(), progress, self._registers(), machine())

    @checked
    def restore(self, state: RunState) -> None:
        """Go on from a state; the next :meth:`fit` does the rest of the run, bit by bit.

        Raises
        ------
        CheckpointError
            If it was made with other options or other data.
        """
        state.check(self._made_for())
        progress = entries(state.progress, "state: progress", PROGRESS, error=CheckpointError)
        order = len(self.train_rows) * self.config.updates
        if progress["position"] > order or len(progress["epochs"]) > self.config.epochs:
            got = progress["position"], len(progress["epochs"])
            limit = f"must lie within {self.config.epochs} epochs of {order} samples"
            raise CheckpointError(message("state: position", limit, got, "another state"))
        check_registers(self._registers(), state.arrays)
        for name, element, register, part in self._places():
            value = state.arrays[name]
            element.memory[register][...] = value if part is None else value[part]
        self.position, self._pass_seconds = progress["position"], progress["pass_seconds"]
        self.train_seconds = progress["train_seconds"]
        self.history.epochs[:] = progress["epochs"]
        try:
            self._generator.bit_generator.state = progress["order"]
            for generator, drawn in zip(self._noise(), progress["noise"], strict=True):
                generator.bit_generator.state = drawn
            self._backend.restore(progress["backend"])
        except Exception as error:  # each part reads what it has written, and trusts it
            why = f"its generators cannot be read ({reason(error)})"
            raise CheckpointError(f"state: {why}. Try: another state") from error

    @property
    def inexact(self) -> str:
        """Return why a resumed run may differ in its bits from one in one go; empty: it does not.

        (On the same machine, with as many threads.)
        """
        if self.execution.runtime != "lava":
            return ""
        if self.execution.clock == "async":
            return "on Lava's own runtime messages take real time, no two asynchronous runs agree"
        if self.spec.compartment_noise:
            return "on Lava's own runtime noise is drawn in OS processes, where it begins anew"
        return ""

    @cached_property
    def data_checksum(self) -> int:
        """Checksum of the data, computed once: a state is kept more often than they change."""
        return self.data.checksum

    def _made_for(self) -> dict[str, Any]:
        numbers = self.network.arithmetic
        found = {
            "spec": self.spec.as_dict(),
            "training": asdict(self.config),
            "execution": asdict(self.execution),
            "transport": self._transport and asdict(self._transport),
            "arithmetic": repr(vars(numbers)),
            "data": {"checksum": self.data_checksum},
        }
        made: dict[str, Any] = json.loads(json.dumps(found, default=str))
        return made

    def _noise(self) -> list[np.random.Generator]:
        """Return the generators of the populations' noise."""
        found = [e for e in self._elements() if isinstance(e, Population) and e.noise]
        return [population._generator for population in found]

    def _registers(self) -> dict[str, AnyArray]:
        """Return every register once, those that neurons of a layer have apart in one array."""
        found: dict[str, Any] = {}
        for name, element, register, part in self._places():
            if part is None:
                found[name] = element.memory[register]
            else:
                found.setdefault(name, []).append(element.memory[register])
        return {name: np.array(v) if isinstance(v, list) else v for name, v in found.items()}

    def _places(self) -> Iterator[tuple[str, Element, str, int | None]]:
        """Yield name, owner and register of all there is to keep; and the part it is of a name."""
        seen: set[int] = set()
        inner = self.network.elements.values() if isinstance(self.network, Network) else ()
        for i, element in enumerate([self.source, self.network, self.sink, *inner]):
            for register, value in element.memory.items():
                if id(value) not in seen:  # a network's are those of its elements
                    seen.add(id(value))
                    yield f"{i}.{register}", element, register, None
            for k, part in enumerate(element.parts):  # the rest are views on those of the layer
                for register in OWN:
                    yield f"{i}.parts.{register}", part, register, k

    def _epoch(self) -> IntArray:
        """Return the rows of an epoch, in a new order but for streams.

        Each full batch stands there as often as it is shown.
        """
        rows, size = self.train_rows, self.config.batch_size
        if not self.config.stream:
            rows = self._generator.permutation(rows)
        full = len(rows) // size * size
        batches = np.repeat(rows[:full].reshape(-1, size), self.config.updates, axis=0)
        return np.concatenate([batches.ravel(), rows[full:]])

    def _check_converging(self, epoch: int, passed: Metrics) -> None:
        """Raise where weights, states or counts have left their range."""
        if passed.saturated > SATURATED:
            raise DivergedError(
                f"epoch {epoch}: scale times activity has to stay below 1 and does not, in "
                f"{passed.saturated:.0%} of the spiking dyads (scale {self.spec.scale:g}). "
                f"Try: scale {self.spec.scale / 2:g}, smaller inputs or a smaller learning rate"
            )
        finite = np.isfinite(passed.residual) and np.isfinite(passed.loss)
        if finite and not (passed.loss > EXPLODED and passed.loss > EXPLODED * self._loss_before()):
            return
        if self.spec.timing.repeats == 0 or passed.residual <= SETTLED:  # so it was the weights
            raise DivergedError(
                f"epoch {epoch}: the weights diverged (loss {passed.loss:.3g}). "
                "Try: a smaller learning rate"
            )
        raise DivergedError(
            f"epoch {epoch}: the network did not settle (residual {passed.residual:.3g}); rule "
            f"{self.spec.rule} at alpha {self.spec.alpha:g} diverges for these weights. "
            "Try: --rule dp-transpose with alpha 0 or 1, a smaller beta, or a smaller learning rate"
        )

    def _loss_before(self) -> float:
        """Return the loss of some training samples with the weights of the beginning."""
        rows = self.train_rows[:_PIECE]
        x, y = self.data.x[rows], OneHot(self.data.labels, self.spec.layers[-1])[rows]
        begun = self._parameters or self.spec.initial_parameters()
        with np.errstate(all="ignore"):
            passed = self.spec.backpropagate(x, y, *begun)
            return float(np.mean(loss(self.spec.loss).value(passed.output, y)))

    def evaluate(self) -> Metrics:
        """Measure on the test part; nothing learns."""
        return self.run(self.test_rows, 0)

    def cost(self) -> Cost:
        """Measure what training a sample costs, on the present weights; nothing learns."""
        total, parameters = 0, self.parameters()
        for start in range(0, len(self.train_rows), _PIECE):  # all at once would take gigabytes
            rows = self.train_rows[start : start + _PIECE]
            x, y = self.source.x[rows], self.source.y[rows]
            total += zero_skipping_operations(self.spec.backpropagate(x, y, *parameters))
        dense = self.spec.dense_operations
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
        self._begin_pass()
        return self._measure(self._show(rows, learn, on_progress))

    def _begin_pass(self) -> None:
        """Count and measure from 0."""
        self._pass_seconds = 0.0
        self.sink.memory["totals"].fill(0)
        for element in self._elements():
            element.memory["counts"].fill(0)
            if "residual" in element.memory:
                element.memory["residual"].fill(0)

    def _show(self, rows: IntArray, learn: int, on_progress: Callable[[int], None] | None) -> float:
        """Show some rows; return the seconds it took."""
        totals = self.sink.memory["totals"]

        def poll() -> None:
            if on_progress:
                on_progress(int(totals[0]))

        if learn == LEARN:
            check_learns(self.execution, self.config)
        begin = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # what has diverged is named afterwards
            self._backend.run(np.asarray(rows, np.int64), learn, poll)
        return time.perf_counter() - begin

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return copies of the weights (n_out, n_in) and biases (n,)."""
        return self.network.parameters()

    def stored(self) -> tuple[list[Array], list[Array]]:
        """Return what a checkpoint keeps: those, or the latent weights behind binary ones."""
        return self.network.stored()

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
            saturated=sums.get("saturated", 0) * per / sum(self.spec.layers[1:]),
            seconds=seconds,
        )


def _revived(cls: type[Trainer], made: tuple[Any, ...], state: RunState) -> Trainer:
    """Return a copy of a trainer."""
    trainer = cls(*made)
    try:
        trainer.restore(state)
    except BaseException:
        trainer.close()
        raise
    return trainer


def check_registers(held: Mapping[str, AnyArray], kept: Mapping[str, AnyArray]) -> None:
    """Raise where the arrays of a state are not what a network has place for.

    Raises
    ------
    CheckpointError
        Naming the first.
    """
    for name in dict.fromkeys((*held, *kept)):
        there = [f"{a[name].dtype} {a[name].shape}" if name in a else None for a in (held, kept)]
        why = f"should be {there[0]}, not {there[1]}" if there[0] != there[1] else ""
        if not why and name.endswith(("updates", "counts")) and (kept[name] < 0).any():
            why = "should be at least 0"
        if why:
            raise CheckpointError(f"state: {name} {why}. Try: another state")


def check_learns(execution: Execution, config: TrainingConfig) -> None:
    """Raise where a number system cannot learn in this way; evaluation takes any batch."""
    if execution.precision == "loihi2" and config.batch_size > 1:
        limit = "precision loihi2 learns one sample at a time"
        invalid("batch_size", limit, config.batch_size, "1, with optimiser sgd")


def check_streams(spec: NetworkSpec, execution: Execution) -> None:
    """Raise where state cannot be kept from one presentation to the next.

    Raises
    ------
    UnsupportedError
        With the reason.
    """
    why = ""
    if spec.rule in BASELINES or not rule(spec.rule).finite(spec.parameters) or spec.anneal:
        why = "needs a rule that settles in one sweep. Try: --rule dp-transpose --alpha 1"
    elif execution.clock == "async":
        why = "needs the clock: without it nobody knows when a frame ends. Try: --clock sync"
    elif spec.weights != FLOAT:
        why = f"weights ({spec.weights}) become signs between frames. Try: --weights float"
    if why:
        raise UnsupportedError(f"stream: {why}")


def check_fit(spec: NetworkSpec, data: Dataset) -> None:
    """Raise where a data set does not fit the first and last layer of a network."""
    features = data.x.shape[1]
    heads = [vertex.name for vertex in spec.vertices if vertex.loss]
    if len(heads) > 1:
        limit = "data with one label per sample train one output"
        hint = "NetworkSpec.build, and your own loop"
        invalid(f"data {data.name}", limit, ", ".join(heads), hint)
    if spec.layers[0] != features:
        invalid(
            f"data {data.name}",
            f"the network has {spec.layers[0]} inputs, the data has {features} features",
            (spec.layers[0], features),
        )
    if spec.rule in RULES and RULES[spec.rule].spiking and not spec.scale * (1 + OFFSET) < 1:
        limit = f"outputs count up to {1 + OFFSET:g}, times which it has to stay below 1"
        invalid("scale", limit, spec.scale, "0.375")
    if spec.layers[-1] < data.classes:
        invalid(
            f"data {data.name}",
            f"the network has {spec.layers[-1]} outputs, the data has {data.classes} classes",
            (spec.layers[-1], data.classes),
        )
