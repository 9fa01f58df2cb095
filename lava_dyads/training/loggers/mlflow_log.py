"""Runs of MLflow, wherever its environment (MLFLOW_TRACKING_URI) says that they are kept."""

from __future__ import annotations

from typing import Any

from lava_dyads.optional import imported
from lava_dyads.training.loggers.common import numbers, settings
from lava_dyads.training.reporting import Reporter, RunContext, RunResult

LONGEST = 500
"""Letters of a parameter that every version takes."""


class MlflowLog(Reporter):
    """Logs parameters, metrics per epoch and results, in an experiment of the data's name."""

    def __init__(self) -> None:
        self._mlflow, self._active = imported("mlflow", "logs of mlflow", "mlflow"), False

    def on_begin(self, run: RunContext) -> None:
        """Begin a run of MLflow's."""
        self._mlflow.set_experiment(run.dataset)
        self._mlflow.start_run(run_name=run.folder.name if run.folder else None)
        self._active = True
        kept = {name: str(value)[:LONGEST] for name, value in settings(run.record).items()}
        self._mlflow.log_params(kept)

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Log every metric."""
        values: dict[str, Any] = {name: v for name, v in entry.items() if name != "epoch"}
        self._mlflow.log_metrics(values, step=int(entry["epoch"]))

    def on_end(self, result: RunResult | None) -> None:
        """Log the results, and say whether it was finished."""
        if not self._active:
            return
        if result:
            self._mlflow.log_metrics({f"result_{n}": v for n, v in numbers(result.table).items()})
        self._mlflow.end_run("FINISHED" if result else "KILLED")
