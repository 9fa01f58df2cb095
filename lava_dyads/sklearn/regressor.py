"""Real values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.sklearn.base import DyadEstimator

if TYPE_CHECKING:
    pass


@dataclass(kw_only=True, eq=False, repr=False)
class DyadRegressor(RegressorMixin, DyadEstimator):  # type: ignore[misc]
    """Real values, one or several per row, by a network of dyads.

    Parameters
    ----------
    layers : tuple of int
        Sizes of the hidden layers.
    rule : str or Rule
        ``dp-transpose`` and its like, or an object with its options.
    activation : str
        Of the hidden layers.
    loss : str
        Empty: cross-entropy of classes, binary cross-entropy of labels, squared error of values.
    feedback : str
        How the error comes down.
    scaling : str
        Of the columns of X, learnt in ``fit``: ``standard``, ``min-max`` or ``none``.
    epochs : int
        Most passes over the training rows.
    batch_size : int
        Samples per update, at most as many as there are.
    optimiser : str
    learning_rate : float or None
        None: the optimiser's default.
    lr_schedule : str
        ``constant``, or ``linear``: it falls to 0 over all epochs, and training never ends early.
    weight_decay : float
    early_stopping : bool
        Hold a part of the rows back, end when its score grows no more and keep the best weights;
        else the training ends when its loss falls no more.
    validation_fraction : float
        That part, in (0, 1).
    n_iter_no_change : int
        Epochs without a gain of ``tol`` after which it ends.
    tol : float
        Gain that counts.
    warm_start : bool
        ``fit`` goes on from the weights that are there.
    random_state : int, RandomState or None
        Of initial weights, the order of the rows and the part that is held back.
    verbose : bool
        Print a line per epoch.
    granularity, runtime, clock, precision, backend : str
        How the network is executed while it learns, see :class:`~lava_dyads.Execution`. What it
        has learnt is applied by the reference engine, in the same number system.
    dtype : str

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : array
        Names of the columns of a frame.
    weights_, biases_ : lists of arrays (n_out, n_in), (n_out,)
    loss_curve_ : list of float
        Training loss per epoch.
    n_iter_ : int
        Epochs.
    history_ : History
        Of the last call.
    scaling_ : Scaling
    spec_ : NetworkSpec

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> fitted = DyadRegressor(epochs=30, random_state=0).fit(X, y)
    >>> bool(fitted.score(X, y) > 0.4)
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DyadRegressor:  # noqa: N803
        """Learn from rows (n, features) and values (n,) or (n, outputs).

        Parameters
        ----------
        X : array, sparse matrix or frame
        y : array
        sample_weight : array (n,) or None
            How much a row counts; a whole weight is a row that is there as often.
        """
        x, y = self._checked(X, y, multi_output=True, y_numeric=True)
        self._fit(x, y, sample_weight, once=False)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> DyadRegressor:  # noqa: N803
        """Show some rows once, from where the network stands.

        The scaling of columns and targets is that of the first call.
        """
        first = not hasattr(self, "spec_")
        x, y = self._checked(X, y, multi_output=True, y_numeric=True, reset=first)
        self._fit(x, y, sample_weight, once=True)
        return self

    def _taught(self, y: AnyArray) -> dict[str, Any]:
        self._flat = y.ndim == 1
        return {"targets": y, "task": "values"}

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the values of every row, (rows,) or (rows, outputs) as those it was taught."""
        outputs = self.predictor_.decision(self._rows(X))
        return np.asarray(outputs[:, 0]) if self._flat else outputs
