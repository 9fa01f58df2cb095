"""Training, evaluation, checkpoints and run records."""

from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.files import Checkpoint, RunDirectory
from lava_dyads.training.metrics import Cost, History, Metrics
from lava_dyads.training.reporting import Reporter, RunContext, RunResult
from lava_dyads.training.resume import Interval, RunState
from lava_dyads.training.run import run
from lava_dyads.training.stopping import EarlyStopping
from lava_dyads.training.trainer import Trainer

__all__ = [
    "Checkpoint",
    "Cost",
    "EarlyStopping",
    "History",
    "Interval",
    "Metrics",
    "Reporter",
    "RunContext",
    "RunDirectory",
    "RunResult",
    "RunState",
    "Trainer",
    "TrainingConfig",
    "run",
]
