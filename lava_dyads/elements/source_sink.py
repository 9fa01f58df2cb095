"""Source and sink: how samples get in, and what is measured about what comes out."""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array, IntArray, Signal
from lava_dyads.elements.base import Element, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import invalid
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.scores import ClassScores, Scores
from lava_dyads.rules.send_on_change import send_on_change
from lava_dyads.rules.targets import OneHot


class Source(Element):
    """Stream rows of a data set, a presentation of ``lanes`` rows at a time.

    In the first step of a presentation it sends the rows ``order[start : start + valid]`` of
    x and y (as changes from zero, in a stream from the rows before); in all other steps it is
    silent.

    Parameters
    ----------
    x : array, shape (samples, n_in)
    y : array, shape (samples, n_out), or OneHot
        Targets.
    lanes : int
    capacity : int
        Rows that a run may show, where that is more than there are.
    """

    counted = ("messages_input", "events_input")

    def __init__(
        self,
        x: Array,
        y: Array | OneHot,
        *,
        lanes: int = 1,
        capacity: int = 0,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        x = np.atleast_2d(np.asarray(x, float))
        if not isinstance(y, OneHot):
            y = np.atleast_2d(np.asarray(y, float))
        if len(x) != len(y):
            invalid("Source", "x and y must have as many rows", (x.shape, y.shape))
        for name, array in (("x", x), ("y", y)):
            if isinstance(array, OneHot):
                continue
            bad = np.argwhere(~np.isfinite(array))
            if len(bad):
                row, column = (int(i) for i in bad[0])
                invalid(
                    f"Source.{name}[{row}, {column}]", "must be finite", float(array[row, column])
                )
        super().__init__(lanes, {}, {"x_out": x.shape[1], "y_out": y.shape[1]}, arithmetic)
        self.x, self.y = x, y
        self._last_sent: dict[str, Array] = {}
        self.memory["order"] = np.arange(max(len(x), capacity), dtype=np.int64) % len(x)

    def before(self, clock: Clock) -> Outbox:
        """Send the next rows in the first step of a presentation."""
        if not clock.first or not clock.valid:
            return {}
        # An endless schedule goes round and round.
        index = np.arange(clock.start, clock.start + clock.valid) % len(self.memory["order"])
        rows = self.memory["order"][index]
        outbox: Outbox = {}
        both: tuple[tuple[str, Array | OneHot], ...] = (("x", self.x), ("y", self.y))
        for name, data in both:
            value = self._rows(name, data, rows)
            message = self._change(name, value, clock) if clock.stream else value
            outbox[f"{name}_out"] = message
            if name == "x" and message is not None:
                self.count("events_input", int(np.count_nonzero(message)))
        self.count("messages_input", int(outbox["x_out"] is not None))
        return outbox

    def said(self, start: int, samples: int) -> dict[str, Array]:
        """Return what it sends for some samples in a row, each a row, by port; and count it.

        Presentations are full: every lane has a sample.
        """
        rows = self.memory["order"][np.arange(start, start + samples) % len(self.memory["order"])]
        said = {
            "x_out": np.asarray(self.arithmetic.number(self.x[rows], "x")),
            "y_out": np.asarray(self.arithmetic.number(self.y[rows], "y")),
        }
        self.count("events_input", int(np.count_nonzero(said["x_out"])))
        self.count("messages_input", samples // self.lanes)
        return said

    def _rows(self, name: str, data: Array | OneHot, rows: IntArray) -> Array:
        """Return rows in the number system, (lanes, n): a view of the data where that is enough."""
        numbers, count = self.arithmetic, len(rows)
        plain = data.dtype == numbers.dtype and not numbers.exact
        first, last = int(rows[0]), int(rows[-1])
        if count < self.lanes or not plain:
            value = numbers.zeros((self.lanes, data.shape[1]))
            value[:count] = data[rows] if plain else numbers.number(data[rows], name)
            return value
        if last - first == count - 1 and (count == 1 or np.all(np.diff(rows) == 1)) and first >= 0:
            view = data[first : last + 1]
            view.flags.writeable = False  # nobody may change the data by way of a message
            return view
        return np.asarray(data[rows])

    def _change(self, name: str, value: Array, clock: Clock) -> Signal:
        """Return what has changed since the last frame of a stream."""
        if clock.fresh:
            self._last_sent[name] = np.zeros_like(value)
        scale = None if self.arithmetic.exact else 1.0
        return send_on_change(value, self._last_sent[name], 0.0, scale, self.arithmetic)[0]

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Receive nothing."""
        return {}


class Sink(Element):
    """Integrate outputs and targets, and collect metrics.

    In the read step of a presentation: the loss and the predicted class of each lane.
    Registers: ``totals`` = [samples, of which the largest output is right, sum of losses],
    ``predicted`` (capacity,) the number of the largest output per sample number of the run,
    ``scores`` what the scores add up.

    Parameters
    ----------
    loss : Loss
    n : int
        Outputs.
    capacity : int
        Samples of the longest run.
    baseline : float
        What the outputs carry beyond the activity they stand for.
    keep : bool
        Keep the outputs, in units of the activity, in the register ``outputs`` (capacity, n).
    scores : Scores or None
        How right they are; None: as classes.
    """

    def __init__(
        self,
        loss: Loss,
        n: int,
        *,
        lanes: int = 1,
        capacity: int = 1,
        baseline: float = 0.0,
        arithmetic: Arithmetic | None = None,
        keep: bool = False,
        scores: Scores | None = None,
    ) -> None:
        super().__init__(lanes, {"output_in": n, "target_in": n}, {}, arithmetic)
        self.loss, self.baseline = loss, baseline
        zeros = self.arithmetic.zeros
        self.memory |= {name: zeros((lanes, n)) for name in ("output", "target")}
        self.memory |= {"totals": np.zeros(3), "predicted": np.full(capacity, -1, np.int64)}
        self.keep, self.scores = keep, scores or ClassScores(n)
        self.memory["scores"] = np.zeros(self.scores.size)
        self.memory["outputs"] = np.zeros((capacity if keep else 1, n))

    def reset(self) -> None:
        """Forget the last presentation."""
        self.memory["output"].fill(0)
        self.memory["target"].fill(0)

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Add the messages up; measure in the read step."""
        m = self.memory
        if clock.fresh:
            self.reset()
        numbers = self.arithmetic
        numbers.accumulate(m["output"], inbox.get("output_in"), "output")
        numbers.accumulate(m["target"], inbox.get("target_in"), "target")
        if clock.read and clock.valid:
            self.measure(m["output"][: clock.valid], m["target"][: clock.valid], clock.start)
        return {}

    def measure(self, outputs: Array, targets: Array, start: int) -> None:
        """Measure what was heard of samples in a row, from one on; losses by presentation."""
        m, numbers, samples = self.memory, self.arithmetic, len(outputs)
        output, target = numbers.real(outputs) - self.baseline, numbers.real(targets)
        predicted: IntArray = output.argmax(axis=1)
        correct = np.count_nonzero(predicted == target.argmax(axis=1))
        losses = self.loss.value(output, target)
        m["totals"][:2] += samples, correct
        self.scores.add(m["scores"], output, target)
        for presentation in range(0, samples, self.lanes):
            m["totals"][2] += losses[presentation : presentation + self.lanes].sum()
        index = np.arange(start, start + samples) % len(m["predicted"])
        m["predicted"][index] = predicted
        if self.keep:
            m["outputs"][index] = output
