"""Trained networks on new rows: classes, probabilities, outputs, and what hidden layers hold.

The rows are shown as an evaluation shows them, by the same backends: so the classes are those that
``Trainer.evaluate`` and ``lava-dyads eval`` count.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.checks import Count, checked
from lava_dyads.choices import TASKS
from lava_dyads.data.advice import warn_caller
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.preparation import NOTHING, Preparation
from lava_dyads.data.scaling import Scaling
from lava_dyads.data.schema import ROWS, Schema
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid, nearest
from lava_dyads.executors.backprop import BackpropNetwork, evaluate
from lava_dyads.executors.step import Network
from lava_dyads.loihi.quantise import calibrated
from lava_dyads.native.thread_pool import thread_team
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import AUTO, Execution
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.arithmetic import Arithmetic, Loihi2
from lava_dyads.rules.losses import Loss, loss
from lava_dyads.rules.scores import decided
from lava_dyads.rules.targets import OneHot
from lava_dyads.training.backends import open_backend
from lava_dyads.training.checks import check_fit
from lava_dyads.training.new_rows import (
    check_seen,
    encoded,
    held,
    named,
    needs_schema,
    rows_of,
    schema_of,
)
from lava_dyads.training.reference import threads_for
from lava_dyads.training.tasks import shown_targets

if TYPE_CHECKING:
    from lava_dyads.training.trainer import Trainer

CALIBRATION_ROWS = 5000
"""Training samples that decide on the chip's numbers."""

_PROBABILITIES = ("cross-entropy", "binary-cross-entropy")
"""Losses whose gradient is a probability less the target."""

_PIECE = 4096
"""Rows that are shown at a time, where the network can be kept: memory stays bounded."""

Parameters = tuple[list[Array], list[Array]]


def calibrated_numbers(
    spec: NetworkSpec,
    parameters: Parameters,
    feedback_weights: list[Array | None] | None,
    data: Dataset,
    rows: IntArray,
    scaling: Scaling | None = None,
) -> Loihi2:
    """Return the chip's numbers for a trained network, decided by the first of some rows.

    Parameters
    ----------
    spec : NetworkSpec
    parameters, feedback_weights
        As :class:`~lava_dyads.training.Trainer` takes them; no binary ones.
    data : Dataset
        What it was trained on.
    rows : int array
        Its training part.
    scaling : Scaling or None
        Of real values, as it was in training.
    """
    check_fit(spec, data)
    held, first = data.preparation, rows[:CALIBRATION_ROWS]
    prepared = held if held.is_learnt else held.learnt(data.x[rows])
    shown = prepared(data.x[first]), shown_targets(data, spec, scaling)[first]
    return calibrated(spec, *parameters, *shown, feedback_weights=feedback_weights)


class Predictor:
    """A trained network, to be shown new rows; nothing learns.

    :meth:`Checkpoint.predictor` and :meth:`Trainer.predictor` make one. Rows are a row of numbers,
    a list of rows, an array (n, features), images (n, height, width) or (n, height, width,
    channels), a frame of pandas or polars, or the name of a file of rows, in the units of the
    training data: the images of ``digits`` are pixels of 0 .. 16 divided by 16, those of ``mnist``
    and ``fashion-mnist`` bytes divided by 255. Images are laid out as the network's input is, row
    by row, channel by channel where it has channels. Of tables and frames columns are found by
    name.

    Parameters
    ----------
    spec : NetworkSpec
    parameters : tuple of two lists
        Weights (n_out, n_in) and biases (n,); latent ones, where weights are binary.
    feedback_weights : list of arrays or None per layer, or None
    execution : Execution or None
        How it is run. What is left open is the reference engine, which needs no Lava, where it
        can be, and else what ``NetworkSpec.choose`` takes.
    arithmetic : Arithmetic or None
        Number system of the execution's precision; None: float64.
    batch_size : int
        Samples side by side. Rows are shown so many at a time, as many as there are.
    seen : (lowest, highest) or None
        Values of the training data. Rows that leave this range get a warning, and an error where
        they leave it by more than half its width: they are in other units.
    units : str
        What to do about that, for the message.
    task : str
        What it says of a row: its class (``classes``), which of several labels it has
        (``labels``), or real values (``values``).
    target_scaling : Scaling or None
        How values were scaled in training: it is undone.
    preparation : Preparation
        How values become what the network is shown; as learnt.
    schema : Schema
        What rows have to be, where they have names, texts or pixels; and the names of classes.

    Raises
    ------
    UnsupportedError
        If the support table refuses the execution.

    Examples
    --------
    >>> from lava_dyads import NetworkSpec
    >>> spec = NetworkSpec((2, 4, 3), loss="cross-entropy")
    >>> predictor = Predictor(spec, spec.initial_parameters())
    >>> predictor.predict([[0.1, 0.2], [0.3, 0.4]]).shape
    (2,)
    >>> print(predictor.predict_proba([0.1, 0.2]).sum().round(6))
    1.0
    """

    what = "x"
    """What the rows are called in messages."""

    @checked
    def __init__(
        self,
        spec: NetworkSpec,
        parameters: tuple[list[Array], list[Array]],
        feedback_weights: list[Array | None] | None = None,
        *,
        execution: Execution | None = None,
        arithmetic: Arithmetic | None = None,
        batch_size: Count = 32,
        seen: tuple[float, float] | None = None,
        units: str = "",
        task: str = TASKS[0],
        target_scaling: Scaling | None = None,
        preparation: Preparation = NOTHING,
        schema: Schema = ROWS,
    ) -> None:
        self.preparation, self.schema = preparation, schema
        self.task, self.target_scaling = task, target_scaling
        self.spec, self._parameters, self._feedback = spec, parameters, feedback_weights
        self.execution = settled(spec, execution or Execution())
        self.arithmetic, self.batch_size = arithmetic, batch_size
        if self.execution.precision == "loihi2" and arithmetic is None:
            hint = "Checkpoint.predictor, which calibrates it"
            invalid("arithmetic", "precision loihi2 needs numbers", None, hint)
        self._seen, self._units = seen, units

    @classmethod
    def of(cls, trainer: Trainer) -> Predictor:
        """Return the network that a trainer holds now, by the reference engine."""
        return cls(
            trainer.spec,
            trainer.stored(),
            trainer.network.feedback(),
            execution=Execution(precision=trainer.execution.precision),
            arithmetic=trainer.network.arithmetic,
            batch_size=trainer.config.chosen_lanes,
            seen=trainer.data.input_range,
            task=trainer.data.task,
            target_scaling=trainer.teaching.scaling,
            preparation=trainer.teaching.preparation,
            schema=schema_of(trainer.data),
        )

    def predict(self, x: object) -> AnyArray:
        """Return what the network says of every row.

        Returns
        -------
        array
            Classes, shape (rows,): their names, or the number of the largest output where they
            have none; or 0 and 1 for each label, (rows, labels); or real values in the units of
            the targets, (rows, outputs), of a single one (rows,).
        """
        self._check_one_head("predict")
        return self.said_by(self.decision(x))

    def predict_proba(self, x: object) -> Array:
        """Return probabilities, (rows, outputs): softmax or, of each label, sigmoid of the outputs.

        Raises
        ------
        ValidationError
            If the network was not trained with cross-entropy or binary cross-entropy: its outputs
            say no probabilities.
        """
        self.check_probabilities()
        return self.probabilities_of(self.decision(x))

    def said_by(self, outputs: Array) -> AnyArray:
        """Return what outputs say, see :meth:`predict`."""
        self._check_one_head("predict")
        said = decided(outputs, self.task, self._loss.boundary)
        if self.task == "classes":
            return named(said, self.schema.class_names)
        return said[:, 0] if self.task == "values" and said.shape[1] == 1 else said

    def probabilities_of(self, outputs: Array) -> Array:
        """Return the probabilities that outputs say."""
        self.check_probabilities()
        return self._loss.gradient(outputs, np.zeros_like(outputs))

    def check_probabilities(self) -> None:
        """Raise where outputs say no probabilities."""
        self._check_one_head("predict_proba")
        if self._loss.name not in _PROBABILITIES:
            names = " or ".join(_PROBABILITIES)
            limit, hint = f"needs a network trained with loss {names}", "decision, or predict"
            invalid("predict_proba", limit, self._loss.name, hint)

    @property
    def _loss(self) -> Loss:
        return next(v.loss for v in self.spec.vertices if v.loss)

    def decision(self, x: object) -> Array:
        """Return the outputs, (rows, outputs): logits, or estimates of the targets."""
        rows = self._rows(x)
        found = np.zeros((len(rows), self.spec.layers[-1]))
        network = self._build() if self._keeps else None
        for place in self._pieces(len(rows)):
            found[place] = self._shown(rows[place], network or self._build())
        if self.target_scaling is not None:
            found = self.target_scaling.undo(found)
        return self._finite(found)

    def transform(self, x: object, layer: int | str | None = None) -> Array | list[Array]:
        """Return the means of hidden neurons, (rows, neurons), as the reference engine has them.

        Parameters
        ----------
        x
            Rows.
        layer : int, str or None
            Number of a hidden layer, from 1 (or from the last, -1), or the name of its node in
            the graph. None: the one hidden layer, or the list of all of them.
        """
        hidden = [v for v in self.spec.vertices if v.activation is not None and not v.loss]
        chosen = _chosen(hidden, layer)
        rows = self._rows(x)
        found = {v.name: np.zeros((len(rows), v.n)) for v in chosen}
        network = self._build()
        means = self._means(network)
        with thread_team(threads_for(network)):
            for place in self._pieces(len(rows), self.batch_size):
                held = means(rows[place])
                for name, array in found.items():
                    array[place] = held[name]
        made = [self._finite(array) for array in found.values()]
        return made[0] if layer is not None or len(made) == 1 else made

    def _rows(self, x: object) -> Array:
        """Return rows as an array (n, features), checked."""
        inputs = [v.shape for v in self.spec.vertices if not v.sources]
        shape = inputs[0] if len(inputs) == 1 else (self.spec.layers[0],)
        gaps = self.preparation.fills
        if isinstance(x, str | os.PathLike):
            x = held(x, self.schema)
        if needs_schema(x, self.schema):
            x = encoded(x, self.schema, self.what, lenient=self._seen is None, gaps=gaps)
        rows = rows_of(x, self.schema.image or shape, self.what, gaps)
        if self._seen is not None:
            told = check_seen(rows, self._seen, self.what, self._units)
            if told:
                warn_caller(told)
        return self.preparation(rows)

    def _check_one_head(self, what: str) -> None:
        heads = [v.name for v in self.spec.vertices if v.loss]
        if len(heads) > 1:
            invalid(what, "needs a network of one output", ", ".join(heads), "decision")

    @property
    def _keeps(self) -> bool:
        """Whether one network is shown all pieces: no process of a runtime holds it."""
        return self.execution.runtime == "reference" and self.execution.backend == "numpy"

    def _pieces(self, rows: int, size: int = 0) -> Iterator[slice]:
        """Yield the rows that are shown at a time: whole presentations."""
        lanes = self.batch_size
        size = size or (max(1, _PIECE // lanes) * lanes if self._keeps else rows)
        for start in range(0, rows, size):
            yield slice(start, min(rows, start + size))

    def _build(self) -> Network | BackpropNetwork:
        return self.spec.build(
            lanes=self.batch_size,
            arithmetic=self.arithmetic,
            parameters=self._parameters,
            feedback_weights=self._feedback,
        )

    def _shown(self, rows: Array, network: Network | BackpropNetwork) -> Array:
        """Return the outputs of some rows."""
        spec, lanes, numbers = self.spec, self.batch_size, self.arithmetic
        n, count = spec.layers[-1], len(rows)
        targets = OneHot(np.zeros(count, np.int64), n)  # nobody looks at them: nothing learns
        shared: dict[str, Any] = {"lanes": lanes, "capacity": count, "arithmetic": numbers}
        source = Source(rows, targets, **shared)
        sink = Sink(loss(spec.loss), n, baseline=network.baseline, keep=True, **shared)
        schedule = PresentationSchedule(1, lanes, lanes)
        backend = open_backend(spec, self.execution, source, network, sink, schedule)
        done = False
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                backend.run(np.arange(count), 0, lambda: None)
            done = True
        finally:
            backend.stop(kill=not done)
        outputs: Array = sink.memory["outputs"]
        return outputs

    def _means(self, network: Network | BackpropNetwork) -> Callable[[Array], dict[str, Array]]:
        """Return a function from at most ``batch_size`` rows to the means of all neurons."""
        vertices = self.spec.vertices
        if isinstance(network, BackpropNetwork):
            parameters = network.parameters()
            return lambda rows: evaluate(vertices, rows, *parameters)[1]
        names = [v.name for v in vertices if v.activation is not None]
        schedule, lanes = PresentationSchedule(1, self.batch_size, self.batch_size), self.batch_size

        def means(rows: Array) -> dict[str, Array]:
            schedule.learn[0], schedule.window[:] = 0, (0, len(rows))
            targets = OneHot(np.zeros(len(rows), np.int64), self.spec.layers[-1])
            source = Source(rows, targets, lanes=lanes, arithmetic=self.arithmetic)
            clock = schedule.at(1)
            said = source.before(clock)
            network.after(clock, {"input_in": said["x_out"], "target_in": said["y_out"]})
            held = (array[: len(rows)] for array in network.means().values())
            return dict(zip(names, held, strict=True))

        return means

    def _finite(self, found: Array) -> Array:
        """Return outputs that are numbers."""
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            limit = "the network's sums leave the range of floating point"
            invalid(f"{self.what}[{bad[0]}]", limit, f"{len(bad)} such rows", "smaller values")
        return found


class Predicting:
    """What has a :class:`Predictor`: the short ways to it."""

    def predictor(self) -> Predictor:
        """Return the network as it is now, to be shown new rows."""
        raise NotImplementedError

    def predict(self, x: object) -> AnyArray:
        """Return class, labels or values of every row, see :meth:`Predictor.predict`.

        Parameters
        ----------
        x : row, rows, array (n, features), images, or frame
            In the units of the training data, see :class:`Predictor`.
        """
        return self.predictor().predict(x)

    def predict_proba(self, x: object) -> Array:
        """Return probabilities of classes or labels, see :meth:`Predictor.predict_proba`."""
        return self.predictor().predict_proba(x)

    def decision(self, x: object) -> Array:
        """Return the outputs, see :meth:`Predictor.decision`."""
        return self.predictor().decision(x)

    def transform(self, x: object, layer: int | str | None = None) -> Array | list[Array]:
        """Return the means of hidden neurons, see :meth:`Predictor.transform`."""
        return self.predictor().transform(x, layer)


def settled(spec: NetworkSpec, request: Execution) -> Execution:
    """Return how rows are shown: what is left open, by the reference engine where it can."""
    open_ = request.runtime == AUTO and request.granularity in (AUTO, "network")
    if open_ and request.clock == "sync":
        request = replace(request, runtime="reference")
    return spec.choose(request)[0]


def _chosen(hidden: Sequence[Vertex], layer: int | str | None) -> list[Vertex]:
    """Return the hidden layers that are asked for."""
    names = [v.name for v in hidden]
    if not hidden:
        invalid("transform", "the network has no hidden layer", layer, "decision")
    if layer is None:
        return list(hidden)
    if isinstance(layer, str):
        if layer not in names:
            invalid("layer", "unknown name", layer, nearest(layer, names))
        return [hidden[names.index(layer)]]
    whole = isinstance(layer, int | np.integer) and not isinstance(layer, bool)
    if not whole or not 1 <= abs(layer) <= len(hidden):
        limit = f"must be a number of a hidden layer, 1 .. {len(hidden)}, or a name"
        invalid("layer", limit, layer, ", ".join(names))
    return [hidden[layer - 1 if layer > 0 else layer]]
