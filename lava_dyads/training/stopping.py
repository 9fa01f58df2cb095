"""When a training ends before its last epoch, and which epoch was the best."""

from __future__ import annotations

from dataclasses import dataclass

from lava_dyads.checks import Count, NotNegative, check_fields
from lava_dyads.training.metrics import History

LOWER = ("loss", "mae", "mse", "rmse", "error", "residual", "seconds", "operations", "events")
"""Ends of the names of metrics of which less is better."""


def lower_is_better(metric: str) -> bool:
    """Tell whether less of a metric is better.

    Examples
    --------
    >>> lower_is_better("test_loss"), lower_is_better("test_accuracy")
    (True, False)
    """
    return metric.endswith(LOWER)


def best_epoch(history: History, metric: str, min_change: float = 0.0) -> int:
    """Return the number of the first epoch that no later one has surpassed by more than a change.

    Raises
    ------
    ValidationError
        If there is no such metric.
    """
    sign = -1.0 if lower_is_better(metric) else 1.0
    best = 0
    values = [sign * value for value in history.column(metric)]
    for i, value in enumerate(values):
        if value > values[best] + min_change:
            best = i
    return best + 1


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a training whose metric does not become better, and goes back to its best epoch.

    It looks at the history alone, so an interrupted run stops where one in one go does.

    Parameters
    ----------
    metric : str
        A name of the history; empty: ``validation_loss`` where there is such a part, else
        ``train_loss``. By the test part (``test_loss``, ``test_accuracy``) the number of
        epochs is fitted to samples that are to tell how it does on new ones.
    patience : int
        Epochs without an improvement after which it ends.
    min_change : float
        What counts as an improvement, in units of the metric.
    restore : bool
        Whether the network is that of the best epoch at the end, stopped or not.

    Raises
    ------
    ValidationError
        If a number is out of range.
    """

    metric: str = ""
    patience: Count = 5
    min_change: NotNegative = 0.0
    restore: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    def best(self, history: History) -> int:
        """Return the number of the best epoch so far."""
        return best_epoch(history, self.named(history), self.min_change)

    def named(self, history: History) -> str:
        """Return the metric it goes by."""
        known = history.epochs[0] if history.epochs else ()
        return self.metric or ("validation_loss" if "validation_loss" in known else "train_loss")

    def why(self, history: History) -> str:
        """Return why the training ends after the last epoch there is; empty: it goes on."""
        best = self.best(history)
        if len(history.epochs) - best < self.patience:
            return ""
        epochs = f"{self.patience} epochs" if self.patience > 1 else "an epoch"
        return f"{self.named(history)} has not become better for {epochs}, since epoch {best}"
