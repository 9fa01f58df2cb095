"""What a network is taught and how it is scored: one class, several labels, or real values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.data.advice import warn_of
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.scaling import Scaling
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.losses import LOSSES, loss
from lava_dyads.rules.scores import ClassScores, LabelScores, Scores, ValueScores
from lava_dyads.rules.targets import OneHot
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.metrics import Metrics
from lava_dyads.training.sampling import epoch_size, weights_of


def fitting(spec: NetworkSpec, data: Dataset) -> NetworkSpec:
    """Return a network with the loss that its rule has for the task of data, where it names none.

    The first loss of its rule that fits; :class:`Trainer` refuses one that does not.
    """
    if data.task in loss(spec.loss).tasks:
        return spec
    known = [name for name in spec.rule.losses if data.task in LOSSES[name].tasks]
    preferred = "binary-cross-entropy" if data.task == "labels" else "squared-error"
    return replace(spec, loss=preferred if preferred in known else known[0])


class Teaching:
    """What a network is shown of data, what the training part teaches it, and how often.

    Parameters
    ----------
    spec : NetworkSpec
    data : Dataset
    config : TrainingConfig

    Attributes
    ----------
    parts : tuple of three int arrays
        Rows of the training, validation and test part; of a stream in their order.
    preparation : Preparation
        Of the inputs, learnt on the training part.
    x : array (samples, features)
        Of all rows, as the network is shown them.
    scaling : Scaling or None
        Of real values, learnt on the training part.
    targets : OneHot or array (samples, outputs)
        Of all rows, as the network is shown them.
    scores : Scores
        How right it is, in units of the data.
    weights : array or None
        Of the training part.
    rows : int
        Rows of an epoch, however often each batch is shown.
    """

    def __init__(self, spec: NetworkSpec, data: Dataset, config: TrainingConfig) -> None:
        parts = data.parts(config.split_seed, config.test_share, config.validation_share)
        if config.stream and data.frames == 1:
            parts = np.sort(parts[0]), np.sort(parts[1]), np.sort(parts[2])
        self.parts, rows = parts, parts[0]
        held = data.preparation  # rows are copied only where there is something to learn
        self.preparation = held if held.is_learnt else held.learnt(data.x[rows])
        self.x = self.preparation(data.x)
        warn_of(data, self.x, rows)
        self.scaling = target_scaling(data, rows, config)
        self.targets = shown_targets(data, spec, self.scaling)
        self.scores = scores_of(data, spec, self.scaling)
        self.weights = weights_of(data, rows, config.class_weight)
        self.rows = epoch_size(len(rows), self.weights)


def target_scaling(data: Dataset, rows: IntArray, config: TrainingConfig) -> Scaling | None:
    """Return how real values are scaled, learnt on the training part; None: they are not."""
    if data.task != "values":
        return None
    if data.target_scaling is not None or not config.scale_targets:
        return data.target_scaling
    assert data.targets is not None
    weights = None if data.weights is None else data.weights[rows]
    return Scaling.learn(data.targets[rows], weights=weights)


def shown_targets(data: Dataset, spec: NetworkSpec, scaling: Scaling | None) -> OneHot | Array:
    """Return the targets of all rows as the network is shown them."""
    targets = data.taught(spec.layers[-1])
    return targets if scaling is None else scaling.apply(targets)


def scores_of(data: Dataset, spec: NetworkSpec, scaling: Scaling | None) -> Scores:
    """Return the scores of the task, in units of the data."""
    n = spec.layers[-1]
    if data.task == "classes":
        return ClassScores(n)
    if data.task == "labels":
        return LabelScores(n, loss(spec.loss).boundary)
    return ValueScores(n, 1.0 if scaling is None else scaling.scale)


def named_scores(found: Metrics, part: str) -> dict[str, float]:
    """Return loss and scores of a part of the data, as an epoch has them."""
    scores = {"loss": found.loss, **found.scores}
    return {f"{part}_{name}": value for name, value in scores.items()}
