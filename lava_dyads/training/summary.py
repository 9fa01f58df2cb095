"""The table of results that a run ends with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lava_dyads.options import options
from lava_dyads.training.checks import SETTLED
from lava_dyads.training.metrics import History
from lava_dyads.training.trainer import Trainer


def summarise(trainer: Trainer, epoch: int = 0) -> dict[str, Any]:
    """Return the results of a training; costs are those of the trained network.

    Parameters
    ----------
    trainer : Trainer
    epoch : int
        From which the network is; 0: from the last.
    """
    history = trainer.history
    last, spec = history.epochs[epoch - 1], trainer.spec
    epochs = len(history.epochs)
    cost = trainer.cost()
    # Counts have no rest, so a spiking network has no residual.
    spiking = cost.spikes is not None
    residual = None if spiking else max(history.column("train_residual"))
    seconds = trainer.train_seconds
    tested = [f"test_{name}" for name in (*trainer.sink.scores.names, "loss")]
    return {
        "dataset": trainer.data.name,
        "layers": list(spec.layers),
        **({"frames": trainer.data.frames} if trainer.data.frames > 1 else {}),
        "rule": spec.rule.name,
        **options(spec.rule),
        "feedback": spec.feedback,
        "weight_format": spec.weight_format,
        "decay": trainer.config.decay,
        **asdict(trainer.execution),
        "epochs": epochs,
        **{name: last[name] for name in tested if name in last},
        f"train_{history.score}": last[f"train_{history.score}"],
        "train_loss": last["train_loss"],
        **{name: value for name, value in last.items() if name.startswith("validation_")},
        "train_seconds": seconds,
        "samples_per_second": last["train_samples"] * epochs / seconds,
        "events_per_sample": cost.events,
        "spikes_per_sample": cost.spikes,
        "synops_per_sample": cost.operations,
        "synops_vs_backprop": cost.operations / cost.dense,
        "synops_vs_zero_skipping": cost.operations / cost.zero_skipping,
        "residual": residual,
        "settled": None if residual is None else residual <= SETTLED,
        "straddling": last["train_straddling"],
        **drifts(history),
        "seed": spec.seed,
        "split_seed": trainer.config.split_seed,
    }


def drifts(history: History) -> dict[str, dict[str, list[float]]]:
    """Return drift and angle of separate feedback weights per layer, over the epochs."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in history.epochs[0]:
        kind, _, layer = name.rpartition("_")
        if kind in ("feedback_drift", "feedback_angle"):
            found.setdefault(kind, {})[layer] = history.column(name)
    return found
