"""Runs of Weights & Biases; WANDB_MODE=offline keeps them on this machine."""

from __future__ import annotations

from typing import Any

from lava_dyads.optional import imported
from lava_dyads.training.loggers.common import numbers, settings
from lava_dyads.training.reporting import Reporter, RunContext, RunResult


class WandbLog(Reporter):
    """Logs configuration, metrics per epoch and results, in the project lava_dyads."""

    def __init__(self) -> None:
        self._wandb = imported("wandb", "logs of wandb", "wandb")
        self._run: Any = None

    def on_begin(self, run: RunContext) -> None:
        """Begin a run of theirs."""
        named = {"name": run.folder.name, "dir": str(run.folder)} if run.folder else {}
        self._run = self._wandb.init(project="lava_dyads", config=settings(run.record), **named)

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Log every metric: train_loss as train/loss."""
        values = {n.replace("_", "/", 1): v for n, v in entry.items() if n != "epoch"}
        self._run.log(values, step=int(entry["epoch"]))

    def on_end(self, result: RunResult | None) -> None:
        """Keep the results, and end it."""
        if self._run is not None:
            self._run.summary.update(numbers(result.table) if result else {})
            self._run.finish(exit_code=0 if result else 1)
