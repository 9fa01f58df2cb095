"""Metrics to where others look at them: a reporter per program, imported when it is asked for."""

from __future__ import annotations

import importlib

from lava_dyads.errors import invalid, nearest
from lava_dyads.training.reporting import Reporter

LOGGERS = {
    "csv": "csv_log:CsvLog",
    "tensorboard": "tensorboard_log:TensorBoardLog",
    "mlflow": "mlflow_log:MlflowLog",
    "wandb": "wandb_log:WandbLog",
}
"""Where ``--log`` can write, and what does it."""


def logger(name: str) -> Reporter:
    """Return the reporter that writes to a program.

    Raises
    ------
    ValidationError
        If there is none of this name, or the package is not installed.
    """
    if name not in LOGGERS:
        invalid("log", "unknown name", name, nearest(name, LOGGERS))
    module, _, cls = LOGGERS[name].partition(":")
    made: Reporter = getattr(importlib.import_module(f"{__name__}.{module}"), cls)()
    return made
