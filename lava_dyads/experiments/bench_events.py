"""What learning costs in synaptic operations when little things are not sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from statistics import mean
from typing import Any

import numpy as np

from lava_dyads.choices import LrSchedule
from lava_dyads.data import load
from lava_dyads.errors import invalid
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.training import Trainer, TrainingConfig


@dataclass(frozen=True)
class EventCost:
    """One setting, trained from the same initial weights in the same order as all others.

    Attributes
    ----------
    threshold, skip_error : float
        Of means, and of the output error of a sample.
    test_accuracy : float
        Final epoch, mean of the seeds.
    loss_of_accuracy : float
        Accuracy of the dense run less that.
    operations : float
        Synaptic operations per training sample, mean over all epochs: weights touched by an
        event up or down, or by learning.
    forward, backward, learning : float
        Its three parts.
    vs_dense, vs_zero_skipping : float
        Operations as a share of dense backprop's, and of what backprop on the weights of the
        dense run needs without exact zeros.
    """

    threshold: float
    skip_error: float
    test_accuracy: float
    loss_of_accuracy: float
    operations: float
    forward: float
    backward: float
    learning: float
    vs_dense: float
    vs_zero_skipping: float


@dataclass(frozen=True)
class EventBench:
    """All settings, the dense run first, and the baselines (operations per sample)."""

    settings: list[EventCost]
    dense: int
    zero_skipping: float
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    def cheapest(self, margin: float = 0.003) -> EventCost:
        """Return the setting with the fewest operations among those within a margin of dense."""
        close = [s for s in self.settings if s.loss_of_accuracy <= margin]
        return min(close, key=lambda s: s.operations)


def bench_events(
    dataset: str = "mnist",
    hidden: tuple[int, ...] = (512, 512),
    thresholds: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5),
    skip_errors: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3),
    error_threshold: float = 0.0,
    epochs: int = 5,
    batch_size: int = 100,
    beta: float = 0.1,
    lr_schedule: LrSchedule = "linear",
    seeds: int = 1,
    on_setting: Callable[[str], None] | None = None,
) -> EventBench:
    """Train with every pair of a threshold and an error to skip; count what was done.

    Parameters
    ----------
    dataset : str
    hidden : tuple of int
    thresholds, skip_errors : tuples of float
        Both with 0; the pair of them is the dense run.
    error_threshold : float
        Of differences, in units of beta; in all runs but the dense one.
    epochs, batch_size : int
    beta : float
    lr_schedule : str
        Of all runs, see ``TrainingConfig``.
    seeds : int
        Of initial weights and orders; means are reported.
    on_setting : callable or None
        Called with a line on what is trained next.

    Raises
    ------
    ValidationError
        If a value is out of range.
    """
    if 0.0 not in thresholds or 0.0 not in skip_errors:
        invalid("bench events", "needs threshold 0 and skip_error 0, the dense run",
                (thresholds, skip_errors))  # fmt: skip
    if seeds < 1:
        invalid("seeds", "must be at least 1", seeds)
    data = load(dataset)
    layers = (data.x.shape[1], *hidden, data.classes)
    runs: dict[tuple[float, float], list[list[float]]] = {}
    baselines: list[tuple[int, float]] = []
    # The dense run comes first: the others are measured by it.
    pairs = sorted(product(thresholds, skip_errors), key=lambda pair: (pair != (0.0, 0.0), pair))
    for (threshold, skip_error), seed in product(pairs, range(seeds)):
        if on_setting:
            on_setting(f"threshold {threshold:g}, skip_error {skip_error:g}, seed {seed}")
        below = error_threshold if threshold or skip_error else 0.0
        spec = NetworkSpec(layers, beta=beta, threshold=threshold, error_threshold=below, seed=seed)
        config = TrainingConfig(
            epochs,
            batch_size,
            lr_schedule=lr_schedule,
            seed=seed,
            dtype="float32",
            skip_error=skip_error,
            counting=True,
        )
        with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
            trainer.fit()
            if not (threshold or skip_error):
                cost = trainer.cost()
                baselines.append((cost.dense, cost.zero_skipping))
        history = trainer.history
        names = ("test_accuracy", "train_forward", "train_backward", "train_learning")
        row = [history.column(names[0])[-1], *(mean(history.column(n)) for n in names[1:])]
        runs.setdefault((threshold, skip_error), []).append(row)
    dense, zero_skipping = baselines[0][0], float(np.mean([b for _, b in baselines]))
    best = float(np.mean(runs[0.0, 0.0], axis=0)[0])
    settings = []
    for (threshold, skip_error), rows in runs.items():
        accuracy, up, down, learnt = (float(v) for v in np.mean(rows, axis=0))
        total = up + down + learnt
        setting = EventCost(
            threshold,
            skip_error,
            accuracy,
            best - accuracy,
            total,
            up,
            down,
            learnt,
            total / dense,
            total / zero_skipping,
        )
        settings.append(setting)
    facts = {
        "dataset": dataset,
        "layers": list(layers),
        "epochs": epochs,
        "seeds": seeds,
        "batch_size": batch_size,
        "beta": beta,
        "lr_schedule": lr_schedule,
        "error_threshold": error_threshold,
        "dtype": "float32",
    }
    return EventBench(settings, dense, zero_skipping, facts)
