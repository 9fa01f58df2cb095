"""Event files of TensorBoard, by tensorboardX, which needs neither TensorFlow nor PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava_dyads.optional import imported
from lava_dyads.training.loggers.common import numbers
from lava_dyads.training.reporting import Reporter, RunContext, RunResult


class TensorBoardLog(Reporter):
    """Writes to the folder tensorboard of the run directory (without one, of runs)."""

    def __init__(self) -> None:
        self._package = imported("tensorboardX", "logs of tensorboard", "tensorboard")
        self._writer: Any = None

    def on_begin(self, run: RunContext) -> None:
        """Open the file."""
        folder = (run.folder or Path("runs")) / "tensorboard"
        self._writer = self._package.SummaryWriter(str(folder))

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Write every metric: train_loss as train/loss."""
        step = int(entry["epoch"])
        for name, value in entry.items():
            if name != "epoch":
                self._writer.add_scalar(name.replace("_", "/", 1), value, step)
        self._writer.flush()

    def on_end(self, result: RunResult | None) -> None:
        """Write the results, and close."""
        if self._writer is not None:
            for name, value in numbers(result.table if result else {}).items():
                self._writer.add_scalar(f"result/{name}", value, 0)
            self._writer.close()
