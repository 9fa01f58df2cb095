"""``lava-dyads eval``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, ExecutionOptions, console, print_json, result_table
from lava_dyads.data import load
from lava_dyads.errors import CheckpointError
from lava_dyads.loihi import calibrated
from lava_dyads.training import Checkpoint, Trainer, TrainingConfig
from lava_dyads.training.trainer import check_fit

CALIBRATION_ROWS = 5000
"""Training samples that decide on the chip's numbers."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(ExecutionOptions):
    """Measure a checkpoint on the test part of its data set. Nothing learns.

    With ``--precision loihi2`` the network is quantised first, calibrated on the training part.
    """

    checkpoint: Positional[Annotated[Path, arg(metavar="CHECKPOINT")]]
    """A checkpoint.npz, or the run directory that holds it."""
    dataset: str | None = None
    """Other data than the checkpoint was trained on: a name or an .npz file."""
    split_seed: int | None = None
    """Other split than that of the training."""
    batch_size: int = 32
    """Samples side by side."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Evaluate; return the exit code."""
        path = self.checkpoint
        checkpoint = Checkpoint.load(path / "checkpoint.npz" if path.is_dir() else path)
        meta = checkpoint.meta
        name = self.dataset or meta.get("dataset")
        if not name:
            raise CheckpointError(f"checkpoint {path}: names no data set. Try: --dataset NAME")
        seed = meta.get("split_seed", 0) if self.split_seed is None else self.split_seed
        config = TrainingConfig(
            epochs=1,
            batch_size=self.batch_size,
            split_seed=seed,
            test_share=meta.get("test_share", 0.25),
        )
        execution = self.execution(checkpoint.spec.rule)
        data = load(name)
        kind = checkpoint.spec.weights
        if execution.precision == "loihi2":
            checkpoint = checkpoint.shown()
        parameters = checkpoint.weights, checkpoint.biases
        numbers = None
        if execution.precision == "loihi2":
            check_fit(checkpoint.spec, data)
            rows = data.split(seed, config.test_share)[0][:CALIBRATION_ROWS]
            targets = np.eye(checkpoint.spec.layers[-1])[data.labels[rows]]
            rows_shown = data.x[rows], targets
            numbers = calibrated(
                checkpoint.spec, *parameters, *rows_shown, feedback_weights=checkpoint.feedback
            )
        spec = checkpoint.spec
        begin: dict[str, Any] = {
            "arithmetic": numbers,
            "parameters": parameters,
            "feedback_weights": checkpoint.feedback,
        }
        with Trainer(spec, data, config, execution, **begin) as trainer:
            metrics = trainer.evaluate()
        result: dict[str, Any] = {
            "checkpoint": str(path),
            "dataset": name,
            "rule": checkpoint.spec.rule,
            "weights": kind,
            **asdict(execution),
            "split_seed": seed,
            "samples": metrics.samples,
            "test_accuracy": metrics.accuracy,
            "test_loss": metrics.loss,
            "events_per_sample": metrics.events,
            "synops_per_sample": metrics.operations,
            "seconds": metrics.seconds,
        }
        if self.json:
            print_json(result)
        else:
            console().print(result_table(f"{path} on {name}", result))
        return OK
