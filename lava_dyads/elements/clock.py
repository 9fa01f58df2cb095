"""Local time: from the number of a step to what has to happen in it.

Every process of a network keeps the same schedule and counts steps on its own, so nobody has to
be told when a sample ends. With T steps per presentation, presentation p = (t - 1) // T shows
samples p B .. (p + 1) B - 1 in B lanes; state is reset at the first step of the next
presentation (not at the end of the last one, so that probes see the settled state) and weights
learn in the last one.

In a *stream*, presentations are frames of something that goes on: state is kept from one to the
next, sources send what has changed, and only that costs anything. A window begins anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lava_dyads.array_types import IntArray
from lava_dyads.checks import Count, Natural, Size, checked
from lava_dyads.errors import invalid

ENDLESS = -1
"""Number of samples of a schedule that never runs out and never learns by itself."""


BEYOND = 1 << 40
"""A step that lies beyond every wave front: asynchronous elements know no steps."""

FROZEN = 2
"""Value of the ``learn`` register that nudges without learning."""


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

    Attributes
    ----------
    learn : int array of shape (1,)
        1 to nudge and learn, 0 to evaluate, 2 to nudge without learning.
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
    ) -> None:
        batch_size = lanes if batch_size is None else batch_size
        if batch_size % lanes:
            invalid("batch_size", f"must be a multiple of lanes = {lanes}", batch_size)
        self.steps, self.lanes, self.batch_size = steps, lanes, batch_size
        self.read_step, self.stream = read_step, stream
        self.learn: IntArray = np.ones(1, np.int64)
        self.window: IntArray = np.array([0, ENDLESS], np.int64)
        self._last: tuple[object, Clock] = ((), Clock(0, False, False, False, 0))
        self._last_settled: tuple[object, Clock] = self._last

    def presentations(self, samples: int) -> int:
        """Return how many presentations a number of samples takes."""
        return -(-samples // self.lanes)

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
        last = offset == steps - 1
        start = presentation * self.lanes
        if samples == ENDLESS:
            end, valid, full = start + self.lanes, self.lanes, False
        else:
            end = min(start + self.lanes, samples)
            valid, full = max(0, end - start), end == samples
        full = full or end % self.batch_size == 0
        batch = end - start // self.batch_size * self.batch_size if last and full else 0
        read = offset + 1 == self.read_step
        batch = max(0, batch)
        made = Clock(offset + 1, offset == 0, last, learn, valid, start, batch, read, frozen)
        if self.stream:
            return made._replace(stream=True, kept=presentation > 0)
        return made
