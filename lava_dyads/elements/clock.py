"""Local time: from the number of a step to what has to happen in it.

Every process of a network keeps the same schedule and counts steps on its own, so nobody has to
be told when a sample ends. With T steps per presentation, presentation p = (t - 1) // T shows
samples p B .. (p + 1) B - 1 in B lanes; state is reset at the first step of the next
presentation (not at the end of the last one, so that probes see the settled state) and weights
learn in the last one.

In a *stream*, presentations are frames of something that goes on: state is kept from one to the
next, sources send what has changed, and only that costs anything. A window begins anew; so does,
where samples are sequences of F frames each, the first frame of every sample.

Sequences are shown B at a time, frame by frame: presentation p shows frame p mod F of the samples
(p div F) B .. of the window.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lava_dyads.array_types import IntArray
from lava_dyads.checks import Count, Natural, Size, checked
from lava_dyads.choices import LEARN_AT, LearnAt
from lava_dyads.errors import invalid

ENDLESS = -1
"""Number of samples of a schedule that never runs out and never learns by itself."""


BEYOND = 1 << 40
"""A step that lies beyond every wave front: asynchronous elements know no steps."""

FROZEN = 2
"""Value of the ``learn`` register that nudges without learning."""

WITHHELD = 3
"""Value of the ``learn`` register that adds up what weights would learn from, and leaves it."""


class Clock(NamedTuple):
    """What one step is.

    Attributes
    ----------
    step : int
        Number of the step within its presentation, from 1.
    first, read, last : bool
        First step of the presentation, step in which the output can be read, last step.
    learn : bool
        Nudge (training) or not (evaluation).
    frozen : bool
        Nudge and count, but change no weight: to measure what training costs.
    stream : bool
        What is held after the last step is what the next presentation begins with.
    kept : bool
        This presentation goes on from the one before.
    final : bool
        The last frame of a sequence: nothing goes on from it.
    valid : int
        Lanes that carry a sample; the others stay silent (last presentation).
    start : int
        Number of the first sample of the presentation.
    batch : int
        Samples in the batch that is applied in this step; 0 if none is.
    """

    step: int
    first: bool
    last: bool
    learn: bool
    valid: int
    start: int = 0
    batch: int = 0
    read: bool = False
    frozen: bool = False
    stream: bool = False
    kept: bool = False
    final: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether what is sent in this step has a step in which it can arrive."""
        return not self.last or (self.stream and not self.final)

    @property
    def fresh(self) -> bool:
        """Whether everything begins from 0 in this step."""
        return self.first and not self.kept


class PresentationSchedule:
    """The schedule of presentations, and the two registers that a host may set between runs.

    Parameters
    ----------
    steps : int
        Steps per presentation, T; 0 for one endless presentation.
    lanes : int
        Samples side by side, B.
    batch_size : int
        Samples per weight update; a multiple of ``lanes``.
    read_step : int
        Step of a presentation in which the output's forward wave arrives.
    stream : bool
        Whether presentations are frames of a stream: of ``lanes`` streams side by side.
    frames : int or None
        Presentations of a sample that is a sequence; None: samples are no sequences, and a stream
        has no end. Without ``stream`` each frame is shown from 0, by itself.
    learn_at : str
        ``end``: every frame of a sequence teaches, and weights learn from all of them after the
        last one of ``batch_size`` sequences. ``frame``: weights learn after every frame of
        ``batch_size`` sequences. ``last``: the last frame alone teaches, the others are shown free.

    Attributes
    ----------
    learn : int array of shape (1,)
        1 to nudge and learn, 0 to evaluate, 2 to nudge without learning, 3 to add up alone.
    window : int array of shape (2,)
        Time step before the first one, and number of samples to come (``ENDLESS``: no end).

    Raises
    ------
    ValidationError
        If the batch is not a multiple of the lanes.
    """

    @checked
    def __init__(
        self,
        steps: Natural = 0,
        lanes: Size = 1,
        batch_size: Count | None = None,
        read_step: Count = 1,
        stream: bool = False,
        frames: Count | None = None,
        learn_at: LearnAt = "end",
    ) -> None:
        if learn_at not in LEARN_AT:
            invalid("learn_at", "unknown name", learn_at, " or ".join(LEARN_AT))
        batch_size = lanes if batch_size is None else batch_size
        if batch_size % lanes:
            invalid("batch_size", f"must be a multiple of lanes = {lanes}", batch_size)
        self.steps, self.lanes, self.batch_size = steps, lanes, batch_size
        self.read_step, self.stream = read_step, stream
        self.frames, self.learn_at = frames, learn_at
        self.learn: IntArray = np.ones(1, np.int64)
        self.window: IntArray = np.array([0, ENDLESS], np.int64)
        self._last: tuple[object, Clock] = ((), Clock(0, False, False, False, 0))
        self._last_settled: tuple[object, Clock] = self._last

    def presentations(self, samples: int) -> int:
        """Return how many presentations a number of rows takes: samples, or frames of them."""
        frames = self.frames or 1
        return -(-(samples // frames) // self.lanes) * frames

    def rows(self, samples: IntArray) -> IntArray:
        """Return the rows of some samples in the order in which they are shown.

        Row F s + k is frame k of sample s.
        """
        if self.frames is None:
            return samples
        full = len(samples) // self.lanes * self.lanes
        frames = np.arange(self.frames)[:, None]
        groups = [*samples[:full].reshape(-1, self.lanes), samples[full:]]
        shown = [(group * self.frames + frames).ravel() for group in groups]
        made: IntArray = np.concatenate(shown).astype(np.int64)
        return made

    def at(self, time_step: int) -> Clock:
        """Return the clock of a time step (from 1, never reset)."""
        begin, samples = self.window.tolist()
        key = (time_step, self.learn.item(), begin, samples, self.steps)
        # The processes of a network ask one after the other for the same step.
        known, clock = self._last
        if key != known:
            clock = self._at(*key)
            self._last = key, clock
        return clock

    def inside_presentation(self, time_step: int, steps: int) -> bool:
        """Tell whether no presentation begins or ends in some steps, from a time step on."""
        begin = self.window.item(0)
        offset = time_step - begin - 1
        if not self.steps:
            return not offset <= 0 < offset + steps
        offset %= self.steps
        return 0 < offset < self.steps - steps

    def settled(self, presentation: int) -> Clock:
        """Return the clock of a presentation at rest: read-out and learning, no steps counted.

        Parameters
        ----------
        presentation : int
            From 0, since the window began.
        """
        begin, samples = self.window.tolist()
        key = (presentation, self.learn.item(), begin, samples)
        known, clock = self._last_settled
        if key != known:
            clock = self._at(begin + presentation + 1, key[1], begin, samples, steps=1)
            clock = clock._replace(step=BEYOND, first=False, read=True)
            self._last_settled = key, clock
        return clock

    def _at(self, time_step: int, mode: int, begin: int, samples: int, steps: int) -> Clock:
        learn, frozen = mode != 0, mode == FROZEN
        elapsed = time_step - begin - 1
        step = elapsed + 1
        if not steps:
            read = step == self.read_step
            return Clock(step, step == 1, False, learn, self.lanes, 0, 0, read, frozen)
        presentation, offset = divmod(elapsed, steps)
        frames = self.frames or 1
        group, frame = divmod(presentation, frames)
        first, total = group * self.lanes, samples // frames
        valid = self.lanes if samples == ENDLESS else max(0, min(self.lanes, total - first))
        last, final = offset == steps - 1, frame == frames - 1
        learn &= final or self.learn_at != "last"
        made = Clock(
            offset + 1,
            offset == 0,
            last,
            learn,
            valid,
            first * frames + frame * valid,
            self._batch(presentation, samples) if last and learn and mode != WITHHELD else 0,
            offset + 1 == self.read_step,
            frozen and learn,
        )
        if self.stream:
            kept = presentation > 0 if self.frames is None else frame > 0
            return made._replace(stream=True, kept=kept, final=final and self.frames is not None)
        return made

    def _batch(self, presentation: int, samples: int) -> int:
        """Return the rows since weights have learnt last, if they learn after a presentation."""
        frames = self.frames or 1
        # What teaches, counted: presentations, or the last ones of groups of sequences.
        each = 1 if self.learn_at == "last" else frames
        number, per_update = presentation * each // frames, self.batch_size // self.lanes
        if self.learn_at == "end":
            per_update *= frames
        before, after = number // per_update * per_update, number + 1
        if samples == ENDLESS:
            return per_update * self.lanes if after % per_update == 0 else 0
        groups, rest = divmod(samples // frames, self.lanes)
        full, end = groups * each, (groups + (rest > 0)) * each
        if after > end or (after % per_update and after != end):
            return 0
        whole = max(0, min(after, full) - before)
        return whole * self.lanes + (after - before - whole) * rest
