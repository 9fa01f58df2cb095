"""Gestures before a simulated event camera: made anew, always the same."""

from __future__ import annotations

from collections.abc import Callable

from lava_dyads.data.binning import Binning
from lava_dyads.data.dataset import Dataset, State
from lava_dyads.data.encoders.camera import GESTURES, Gestures
from lava_dyads.data.event_sets import of_recordings

NAME = "gestures"
SUMMARY = "480 gestures before a simulated event camera, 24 x 24 pixels, eight classes, over time"
UNITS = "events of a pixel up to a frame, divided by 8, at most 1"

BINNING = Binning(bins=8, shrink=2, peak=8)
"""Frames of 2 x 12 x 12, as long as nothing else is asked for."""


class Simulated:
    """A data set that is computed."""

    def state(self) -> State:
        """Return that it is there."""
        return State("ready", "simulated")

    def get(self, on_progress: Callable[[str], None] | None = None) -> State:
        """Nothing to fetch."""
        return self.state()


SOURCE = Simulated()


def load(binning: Binning = BINNING) -> Dataset:
    """Return the recordings as sequences of frames."""
    made = Gestures()
    recordings, labels = made.recordings()
    sensor = made.side, made.side
    return of_recordings(NAME, recordings, labels, sensor, binning, tuple(GESTURES))
