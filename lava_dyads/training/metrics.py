"""What a pass over the data measured, what a sample costs, and the metrics of all epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from lava_dyads.array_types import Array
from lava_dyads.elements import Element, Sink
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid, nearest
from lava_dyads.kinds import Limit
from lava_dyads.rules.feedback import drift
from lava_dyads.tables import Tabular


@dataclass(frozen=True)
class Metrics(Tabular):
    """What one pass over a part of the data measured; of sequences, a sample is a frame.

    Attributes
    ----------
    samples : int
    loss : float
        Mean loss (nats or squared units).
    scores : dict of str to float
        How right the outputs are, see ``rules.scores``: accuracy, balanced_accuracy and f1 of
        classes; accuracy, label_accuracy and f1 of labels; r2, mae and rmse of values.
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
    scores: dict[str, float]
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

    @property
    def accuracy(self) -> float:
        """Share of rows whose class, or all of whose labels, are right.

        Raises
        ------
        ValidationError
            For real values, which have none.
        """
        if "accuracy" not in self.scores:
            scores = ", ".join(self.scores)
            invalid("accuracy", "real values are never just right", scores, "scores['r2']")
        return self.scores["accuracy"]

    def records(self) -> list[dict[str, object]]:
        """Return the one row there is."""
        return [dict(self.as_dict())]

    def as_dict(self) -> dict[str, float]:
        """Return all of it, the scores by their names."""
        named: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        scores: dict[str, float] = named.pop("scores")
        return {"samples": named.pop("samples"), "loss": named.pop("loss"), **scores, **named}


@dataclass(frozen=True)
class Cost(Tabular):
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

    def records(self) -> list[dict[str, object]]:
        """Return the one row there is."""
        return [{f.name: getattr(self, f.name) for f in fields(self)}]


@dataclass
class History(Tabular):
    """One entry per epoch; a notebook shows it as a table."""

    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def score(self) -> str:
        """Name of the score that tells most: ``accuracy``, or ``r2`` of real values."""
        epoch = self.epochs[0] if self.epochs else {"train_accuracy": 0.0}
        return next(name for name in SCORES if f"train_{name}" in epoch)

    def records(self) -> list[dict[str, object]]:
        """Return a row per epoch."""
        return [dict(epoch) for epoch in self.epochs]

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


SCORES = ("accuracy", "r2")
"""The scores that tell most, of which every task has one."""

_MEASURED = {"epoch", *(f"train_{f.name}" for f in fields(Metrics))} - {"train_scores"}


def _is_epoch(entry: Any) -> bool:
    numbers = isinstance(entry, dict) and all(type(v) in (int, float) for v in entry.values())
    scored = any(f"train_{name}" in entry for name in SCORES)
    return numbers and scored and entry.keys() >= _MEASURED


Epoch = Annotated[Any, Limit("must be metrics of epochs", "another state", _is_epoch)]


def measured(
    elements: Sequence[Element],
    sink: Sink,
    schedule: PresentationSchedule,
    neurons: int,
    seconds: float,
) -> Metrics:
    """Return the metrics of a pass, from the counts of elements.

    Parameters
    ----------
    elements : sequence of Element
    sink : Sink
        What has measured the outputs.
    schedule : PresentationSchedule
    neurons : int
        All but the inputs.
    seconds : float
        What the pass took.
    """
    sums: dict[str, int] = {}
    residual = 0.0
    for element in elements:
        for name, count in element.counts.items():
            kind = name.partition("_")[0]
            sums[kind] = sums.get(kind, 0) + count
        if "residual" in element.memory:
            largest = float(element.memory["residual"][1])
            residual = max(residual, largest * element.arithmetic.unit)
    samples, _, losses = (float(v) for v in sink.memory["totals"])
    per = 1.0 / max(samples, 1.0)
    parts = {kind: sums.get(kind, 0) * per for kind in ("forward", "backward", "learning")}
    return Metrics(
        samples=round(samples),
        loss=losses * per,
        scores=sink.scores.read(sink.memory["scores"], samples),
        residual=residual,
        straddling=sums.get("straddling", 0) / max(1, sums.get("settled", 0)),
        messages=sums.get("messages", 0) / max(1, schedule.presentations(round(samples))),
        events=sums.get("events", 0) * per,
        operations=sum(parts.values()),
        **parts,
        spikes=sums.get("spikes", 0) * per,
        saturated=sums.get("saturated", 0) * per / neurons,
        seconds=seconds,
    )


def feedback_drift(weights: Sequence[Array], feedback: Sequence[Array | None]) -> dict[str, float]:
    """Return the distance of B and W^T of each layer, see :meth:`Trainer.feedback_drift`."""
    found = {}
    for k, (w, b) in enumerate(zip(weights, feedback, strict=True), 1):
        if b is not None:
            apart = drift(w, b)
            found[f"feedback_drift_{k}"] = apart.relative
            found[f"feedback_angle_{k}"] = apart.angle
    return found
