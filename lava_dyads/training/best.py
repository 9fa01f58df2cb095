"""The best epoch of a run: kept while it lasts, and taken at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lava_dyads.training.files import BEST_STATE, Checkpoint, RunDirectory
from lava_dyads.training.resume import RunState
from lava_dyads.training.stopping import EarlyStopping, best_epoch
from lava_dyads.training.trainer import Trainer


class Best:
    """Keeps the best epoch of a run, where that is asked for.

    Parameters
    ----------
    trainer : Trainer
    stopping : EarlyStopping or None
    keep : str
        Metric by which best.npz is kept; empty: that of ``stopping``.
    folder : RunDirectory or None
        Where to; None: in memory, and no best.npz.

    Attributes
    ----------
    taken : int
        The epoch to which :meth:`restore` has gone back; 0: none.
    """

    def __init__(
        self,
        trainer: Trainer,
        stopping: EarlyStopping | None,
        keep: str,
        folder: RunDirectory | None,
    ) -> None:
        self._trainer, self._stopping, self._folder = trainer, stopping, folder
        self._asked = keep
        self._state: RunState | None = None
        self.taken = 0

    @property
    def metric(self) -> str:
        """By which the training ends."""
        stopping = self._stopping
        return stopping.named(self._trainer.history) if stopping else self._asked

    @property
    def _keep(self) -> str:
        """By which best.npz is kept; empty: there is none."""
        return self._asked or self.metric

    @property
    def epoch(self) -> int:
        """The best one so far, by that."""
        history = self._trainer.history
        return self._stopping.best(history) if self._stopping else best_epoch(history, self._keep)

    def why(self) -> str:
        """Return why the training ends now; empty: it goes on."""
        history = self._trainer.history
        return self._stopping.why(history) if self._stopping and history.epochs else ""

    def look(self, present: Callable[[Trainer], Checkpoint] | None = None) -> None:
        """Keep the epoch that has just ended, if it is the best.

        Parameters
        ----------
        present : callable or None
            Makes the checkpoint for best.npz; None: there is no folder.
        """
        history, folder = self._trainer.history, self._folder
        last = len(history.epochs)
        if present and self._keep and folder and best_epoch(history, self._keep) == last:
            with folder.writing():
                present(self._trainer).save(folder.path / "best.npz")
        if self._stopping and self._stopping.restore and self.epoch == last:
            state = self._trainer.state()
            copies = {name: array.copy() for name, array in state.arrays.items()}
            self._state = replace(state, arrays=copies)
            if folder:
                with folder.writing():
                    self._state.save(folder.path / BEST_STATE)

    def restore(self) -> bool:
        """Take the network of the best epoch, if that is asked for and it is another."""
        trainer, stopping = self._trainer, self._stopping
        if not (stopping and stopping.restore) or self.epoch == len(trainer.history.epochs):
            return False
        if self._state is None:  # it was the best before the run was interrupted
            assert self._folder is not None
            self._state = RunState.load(self._folder.path / BEST_STATE)
        trainer.back_to(self._state)
        self.taken = self.epoch
        return True

    def told(self) -> dict[str, Any]:
        """Return what the table of results says of it."""
        told: dict[str, Any] = {}
        if self._keep:
            told |= {"best_epoch": self.epoch, "best_by": self.metric}
        if self.why():
            told["stopped"] = self.why()
        return told
