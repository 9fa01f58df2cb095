"""What a run tells while it lasts, and to whom: the interface of reporters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lava_dyads.training.costs import Profile
from lava_dyads.training.files import Checkpoint
from lava_dyads.training.metrics import History
from lava_dyads.training.trainer import Trainer


@dataclass(frozen=True)
class RunContext:
    """What a run knows of itself when it begins.

    Attributes
    ----------
    trainer : Trainer
        With the history so far, which is not empty where a run goes on.
    dataset : str
        What the data are called.
    folder : Path or None
        Its run directory.
    epochs : int
        How many there are to be.
    samples : int
        Shown in an epoch.
    record : mapping
        What config.json holds.
    """

    trainer: Trainer
    dataset: str
    folder: Path | None
    epochs: int
    samples: int
    record: Mapping[str, Any]


@dataclass(frozen=True)
class RunResult:
    """What a run ends with.

    Attributes
    ----------
    history : History
        One entry per epoch.
    table : dict
        The results by name, as result.json has them.
    checkpoint : Checkpoint
        The network as it is at the end; it predicts.
    folder : Path or None
        Run directory; None: nothing was written.
    profile : dict
        Seconds per ProcessModel and traffic per channel, where that was asked for.
    """

    history: History
    table: dict[str, Any]
    checkpoint: Checkpoint
    folder: Path | None = None
    profile: Profile = field(default_factory=dict)


class Reporter:
    """Is told how a run goes. Every method may be left as it is, which does nothing.

    Examples
    --------
    >>> class Lines(Reporter):
    ...     def on_epoch(self, entry):
    ...         print(entry["epoch"])
    """

    def on_begin(self, run: RunContext) -> None:
        """Learn of a run before its first sample, or before the next one where it goes on."""

    def on_note(self, text: str) -> None:
        """Take a line for people: what was chosen, where a run goes on, what takes seconds."""

    def on_progress(self, done: int, total: int) -> None:
        """Learn how many samples of the whole run have been shown; called very often."""

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Learn the metrics of an epoch, once the files of the run hold them."""

    def on_end(self, result: RunResult | None) -> None:
        """Learn the result, before result.json is written; None: the run did not get there."""
