"""``lava-dyads eval``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from lava_dyads.cli.common import (
    OK,
    ExecutionOptions,
    console,
    print_json,
    progress_console,
    result_table,
)
from lava_dyads.data import Dataset
from lava_dyads.errors import invalid
from lava_dyads.training import Checkpoint, Trainer, TrainingConfig
from lava_dyads.training.files import checkpoint_file
from lava_dyads.training.origin import is_same
from lava_dyads.training.prediction import calibrated_numbers


@dataclass(frozen=True, kw_only=True)
class Evaluate(ExecutionOptions):
    """Measure a checkpoint on the test part of its data set. Nothing learns.

    With ``--precision loihi2`` the network is quantised first, calibrated on the training part.
    """

    checkpoint: Positional[Annotated[Path, arg(metavar="CHECKPOINT")]]
    """A checkpoint.npz, or the run directory that holds it."""
    dataset: str | None = None
    """Other data than the checkpoint was trained on: a name, a file or a folder."""
    split_seed: int | None = None
    """Split of other data; by default as in training."""
    batch_size: int = 32
    """Samples side by side."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Evaluate; return the exit code."""
        path = checkpoint_file(self.checkpoint)
        checkpoint = Checkpoint.load(path)
        meta = checkpoint.meta
        name = meta.get("dataset") if self.dataset is None else self.dataset
        folder, other = path.parent, self.dataset
        data = checkpoint.data(folder) if other is None else checkpoint.other_data(other)
        data = replace(data, target_scaling=checkpoint.target_scaling)
        seed = self._split_seed(meta, data)
        config = TrainingConfig(
            epochs=1,
            batch_size=self.batch_size,
            split_seed=seed,
            **{name: share for name, share in checkpoint.split.items() if name != "seed"},
            scale_targets=False,
        )
        request, kind = self.request(), checkpoint.spec.weight_format
        if request.precision == "loihi2":
            checkpoint = checkpoint.shown()
        execution, chosen = checkpoint.spec.choose(request)
        parameters = checkpoint.weights, checkpoint.biases
        numbers = None
        if execution.precision == "loihi2":
            rows = data.parts(**{**checkpoint.split, "seed": seed})[0]
            back, scaling = checkpoint.feedback, checkpoint.target_scaling
            numbers = calibrated_numbers(checkpoint.spec, parameters, back, data, rows, scaling)
        spec = checkpoint.spec
        begin: dict[str, Any] = {
            "arithmetic": numbers,
            "parameters": parameters,
            "feedback_weights": checkpoint.feedback,
        }
        with Trainer(spec, data, config, execution, **begin) as trainer:
            if chosen and not self.json:
                progress_console().print(chosen, markup=False, soft_wrap=True)
            metrics = trainer.evaluate()
        result: dict[str, Any] = {
            "checkpoint": str(self.checkpoint),
            "dataset": name,
            "rule": checkpoint.spec.rule.name,
            "weight_format": kind,
            **asdict(execution),
            "split_seed": seed,
            "samples": metrics.samples,
            **{f"test_{name}": score for name, score in metrics.scores.items()},
            "test_loss": metrics.loss,
            "events_per_sample": metrics.events,
            "synops_per_sample": metrics.operations,
            "seconds": metrics.seconds,
        }
        if self.json:
            print_json(result)
        else:
            console().print(result_table(f"{self.checkpoint} on {name}", result))
        return OK

    def _split_seed(self, meta: Mapping[str, Any], data: Dataset) -> int:
        """Return the seed of the split; the test part has to be one that was not trained on."""
        trained: int = meta.get("split_seed", 0)
        seed = trained if self.split_seed is None else self.split_seed
        if seed != trained and data.official_training_rows is None and is_same(meta, data):
            limit = "the test part of another split holds samples that were trained on"
            hint = f"{trained}, that of the training, or --dataset with other data"
            invalid("--split-seed", limit, seed, hint)
        return seed
