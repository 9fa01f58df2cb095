"""Training, evaluation, checkpoints and run records."""

from lava_dyads.training.files import Checkpoint, RunDirectory
from lava_dyads.training.resume import Interval, RunState
from lava_dyads.training.trainer import Cost, History, Metrics, Trainer, TrainingConfig

__all__ = [
    "Checkpoint",
    "Cost",
    "History",
    "Interval",
    "Metrics",
    "RunDirectory",
    "RunState",
    "Trainer",
    "TrainingConfig",
]
