"""What the estimators share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.choices import (
    Auto,
    Backend,
    Clock,
    DType,
    Granularity,
    LrSchedule,
    Precision,
    Runtime,
    ScalingKind,
)
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.scaling import Scaling
from lava_dyads.errors import invalid
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.units import Rule
from lava_dyads.training.best import Best
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.prediction import Predictor
from lava_dyads.training.sampling import epoch_size
from lava_dyads.training.stopping import EarlyStopping
from lava_dyads.training.tasks import fitting
from lava_dyads.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEARNING = ("_state", "_updates")
"""Endings of the registers that an optimiser goes on from."""


@dataclass(kw_only=True, eq=False, repr=False)
class DyadEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share; :class:`DyadRegressor` says the parameters."""

    layers: tuple[int, ...] = (100,)
    rule: str | Rule = "dp-transpose"
    activation: str = "relu"
    loss: str = ""
    feedback: str = "tied"
    scaling: ScalingKind = "standard"
    epochs: int = 200
    batch_size: int = 32
    optimiser: str = "adam"
    learning_rate: float | None = None
    lr_schedule: LrSchedule = "constant"
    weight_decay: float = 0.0
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float = 1e-4
    warm_start: bool = False
    random_state: Any = None
    verbose: bool = False
    granularity: Granularity = "network"
    runtime: Runtime | Auto = "reference"
    clock: Clock = "sync"
    precision: Precision = "float"
    backend: Backend = "numpy"
    dtype: DType = "float64"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags

    def _taught(self, y: AnyArray) -> dict[str, Any]:
        """Return what a Dataset takes of targets."""
        raise NotImplementedError

    def _weights(self, y: AnyArray, sample_weight: object, rows: int) -> Array | None:
        """Return the weights of the rows; None: all alike."""
        if sample_weight is None:
            return None
        x = np.empty((rows, 1))
        weights: Array = _check_sample_weight(
            sample_weight, x, dtype=np.float64, ensure_non_negative=True
        )
        if not weights.sum() > 0:
            raise ValueError("sample_weight: must not be zero everywhere. Try: some above 0")
        return weights

    def _fit(self, x: AnyArray, y: AnyArray, sample_weight: object, *, once: bool) -> None:
        """Learn from rows that have been checked; once: one epoch, from where it stands."""
        again = once or self.warm_start
        weights, taught = self._weights(y, sample_weight, len(x)), self._taught(y)
        order = _order(x, taught)
        if weights is not None:
            order = order[weights[order] > 0]
            weights = weights[order]
        x = x[order]
        if not (again and hasattr(self, "scaling_")):
            self.scaling_ = Scaling.learn(x, self.scaling, weights)
        arrays = {name: a[order] for name, a in taught.items() if isinstance(a, np.ndarray)}
        made = {"x": self.scaling_.apply(x), "weights": weights, **taught, **arrays}
        data = Dataset(type(self).__name__, **made)
        draw = check_random_state(self.random_state)
        seed, shuffle, split = (int(v) for v in draw.randint(2**31 - 1, size=3))
        spec = self._spec(data, seed)
        begin: dict[str, Any] = {}
        held = (
            again and hasattr(self, "spec_") and replace(spec, seed=self.spec_.seed) == self.spec_
        )
        if held:
            spec, shuffle = self.spec_, shuffle + self.n_iter_  # not the same order again
            begin["parameters"] = self.weights_, self.biases_
            begin["feedback_weights"] = self._feedback
            if self._arithmetic.exact and self.precision == self._arithmetic.name:
                begin["arithmetic"] = self._arithmetic
            data = replace(data, target_scaling=self._target_scaling)
        stopping = self.early_stopping and not once
        config = TrainingConfig(
            epochs=1 if once else self.epochs,
            batch_size=self._batch(epoch_size(len(x), weights)),
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            lr_schedule=self.lr_schedule,
            weight_decay=self.weight_decay,
            test_share=0.0,
            validation_share=self.validation_fraction if stopping else 0.0,
            split_seed=split,
            seed=shuffle,
            dtype=self.dtype,
        )
        execution = Execution(
            granularity=self.granularity,
            runtime=self.runtime,
            clock=self.clock,
            precision=self.precision,
            backend=self.backend,
        )
        with Trainer(spec, data, config, execution, **begin) as trainer:
            if held:
                self._go_on(trainer)
            self._learn(trainer, stopping)
            self._keep(trainer, once)

    def _learn(self, trainer: Trainer, stopping: bool) -> None:
        """Train until nothing is gained, by the score of the part that is held back or the loss."""
        metric = f"validation_{trainer.history.score}" if stopping else "train_loss"
        rule = EarlyStopping(metric, self.n_iter_no_change, self.tol, restore=stopping)
        best = Best(trainer, rule, "", None)
        fixed = self.lr_schedule == "linear" and not stopping

        def on_epoch(entry: Mapping[str, float]) -> bool:
            if self.verbose:
                print(f"epoch {entry['epoch']:.0f}: {metric} {entry[metric]:.6g}")
            best.look()
            return bool(best.why()) and not fixed

        trainer.fit(on_epoch)
        best.restore()

    def _spec(self, data: Dataset, seed: int) -> NetworkSpec:
        spec = NetworkSpec(
            (data.x.shape[1], *self.layers, data.outputs),
            self.activation,
            rule=self.rule,
            loss=self.loss,
            feedback=self.feedback,
            seed=seed,
        )
        return spec if self.loss else fitting(spec, data)

    def _batch(self, rows: int) -> int:
        """Return the samples of an update; a small table is one batch."""
        if self.precision == "loihi2":
            return 1
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            invalid("batch_size", "must be at least 1", self.batch_size, "32")
        return min(int(self.batch_size), rows)

    def _go_on(self, trainer: Trainer) -> None:
        """Let the optimisers of a trainer go on from where those of the last one were."""
        for name, register in trainer.registers().items():
            kept = self._learning.get(name)
            if kept is not None and kept.shape == register.shape:
                register[...] = kept

    def _keep(self, trainer: Trainer, once: bool) -> None:
        """Keep what has been learnt."""
        spec, network = trainer.spec, trainer.network
        self.spec_, self._arithmetic = spec, network.arithmetic
        self.weights_, self.biases_ = trainer.stored()
        self._feedback = network.feedback()
        self._target_scaling = trainer.teaching.scaling
        self._task = trainer.data.task
        self._learning = {
            name: np.array(register)
            for name, register in trainer.registers().items()
            if name.endswith(_LEARNING)
        }
        losses = trainer.history.column("train_loss")
        before: list[float] = getattr(self, "loss_curve_", []) if once else []
        self.loss_curve_ = [*before, *losses]
        self.n_iter_ = len(self.loss_curve_)
        self.history_ = trainer.history

    def _rows(self, x: object) -> Array:
        """Return new rows, checked and scaled."""
        check_is_fitted(self)
        x = validate_data(self, x, accept_sparse="csr", dtype=np.float64, reset=False)
        return self.scaling_.apply(dense(x))

    @property
    def predictor_(self) -> Predictor:
        """The network that has been learnt, to be shown scaled rows."""
        check_is_fitted(self)
        return Predictor(
            self.spec_,
            (self.weights_, self.biases_),
            self._feedback,
            execution=Execution(runtime="reference", precision=self.precision),
            arithmetic=self._arithmetic,
            task=self._task,
            target_scaling=self._target_scaling,
        )

    def hidden_means(self, X: Any) -> Array | list[Array]:  # noqa: N803
        """Return the means of the hidden neurons, (rows, neurons), of several layers a list."""
        rows = self._rows(X)
        return self.predictor_.transform(rows)

    def _checked(self, x: object, y: object, **options: Any) -> tuple[Any, Any]:
        """Return rows and targets as arrays, checked by scikit-learn."""
        x, y = validate_data(self, x, y, accept_sparse="csr", dtype=np.float64, **options)
        return dense(x), y


def _order(x: AnyArray, taught: Mapping[str, Any]) -> AnyArray:
    """Return an order of rows that depends on what they hold, not on where they stand.

    So a network learns the same of a table in another order, and rows that are alike are
    neighbours, as they are where a weight repeats them. They are sorted by a random projection.
    """
    y = taught["labels"] if "labels" in taught else taught["targets"]
    whole = np.column_stack([x, y]).astype(np.float64)
    along = np.random.default_rng(0).normal(size=whole.shape[1])
    place: AnyArray = np.argsort(np.sum(whole * along, axis=1), kind="stable")
    return place


def dense(x: Any) -> Array:
    """Return rows, of a sparse matrix too, as an array."""
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)
