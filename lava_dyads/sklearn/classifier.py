"""Classes, or several labels per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.errors import invalid
from lava_dyads.sklearn.base import DyadEstimator, dense


def _single(y: AnyArray) -> AnyArray:
    """Return targets of one column as scikit-learn wants them, (rows,), with its warning."""
    column = y.ndim == 2 and y.shape[1] == 1
    return np.asarray(column_or_1d(y, warn=True)) if column else y


def _probable(estimator: DyadClassifier) -> bool:
    """Tell whether outputs say probabilities, as far as that is known before ``fit``."""
    if hasattr(estimator, "spec_"):
        estimator.predictor_.check_probabilities()
        return True
    return estimator.loss in ("", "cross-entropy", "binary-cross-entropy")


@dataclass(kw_only=True, eq=False, repr=False)
class DyadClassifier(ClassifierMixin, DyadEstimator):  # type: ignore[misc]
    """Classes, or several labels per row, by a network of dyads.

    Parameters
    ----------
    class_weight : mapping, ``balanced`` or None
        How much a class counts, see ``training.sampling``.
    layers, rule, activation, loss, ...
        As for :class:`DyadRegressor`.

    Attributes
    ----------
    classes_ : array
        Labels in the order of the outputs.
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
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(DyadClassifier(epochs=60, random_state=0).fit(X, y).score(X, y) > 0.9)
    True
    """

    class_weight: Any = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DyadClassifier:  # noqa: N803
        """Learn from rows (n, features) and their classes (n,), or labels (n, labels) of 0 and 1.

        Parameters
        ----------
        X : array, sparse matrix or frame
        y : array
        sample_weight : array (n,) or None
            How much a row counts; a whole weight is a row that is there as often.
        """
        x, y = self._checked(X, y, multi_output=True)
        y = _single(y)
        check_classification_targets(y)
        if not (self.warm_start and hasattr(self, "classes_")):
            self.classes_ = self._classes(y)
        self._fit(x, y, sample_weight, once=False)
        return self

    def partial_fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> DyadClassifier:
        """Show some rows once, from where the network stands.

        Parameters
        ----------
        X, y
        classes : array or None
            All there will be; needed in the first call.
        sample_weight : array or None
        """
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        x, y = self._checked(X, y, multi_output=True, reset=first)
        y = _single(y)
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            invalid("classes", "must be those of the first call", list(classes), "none")
        self._fit(x, y, sample_weight, once=True)
        return self

    def _classes(self, y: AnyArray) -> AnyArray:
        several = type_of_target(y) == "multilabel-indicator"
        return np.arange(y.shape[1]) if several else np.unique(y)

    def _taught(self, y: AnyArray) -> dict[str, Any]:
        if y.ndim == 2 and y.shape[1] > 1:
            return {"targets": dense(y), "task": "labels"}
        places = np.searchsorted(self.classes_, y)
        known = np.minimum(places, len(self.classes_) - 1)
        strange = np.flatnonzero(self.classes_[known] != y)
        if len(strange):
            limit, hint = "must be one of the classes of the first call", "fit, for other classes"
            invalid(f"y[{strange[0]}]", limit, y[strange[0]], hint)
        names = tuple(str(name) for name in self.classes_)
        return {"labels": known, "class_names": names if len(set(names)) == len(names) else ()}

    def _weights(self, y: AnyArray, sample_weight: object, rows: int) -> Array | None:
        weights = super()._weights(y, sample_weight, rows)
        if self.class_weight is None:
            return weights
        balanced: Array = compute_sample_weight(self.class_weight, y)
        return balanced if weights is None else weights * balanced

    def decision_function(self, X: Any) -> Array:  # noqa: N803
        """Return the outputs, (rows, classes); of two classes the second's less the first's."""
        outputs = self.predictor_.decision(self._rows(X))
        if self._task == "classes" and outputs.shape[1] == 2:
            return np.asarray(outputs[:, 1] - outputs[:, 0])
        return outputs

    def predict(self, X: Any) -> AnyArray:  # noqa: N803
        """Return the class of every row, or 0 and 1 for each label."""
        said = self.predictor_.predict(self._rows(X))
        return said if self._task == "labels" else np.asarray(self.classes_[said])

    @available_if(_probable)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the probability of every class, or of every label."""
        found = self.predictor_.predict_proba(self._rows(X))
        if self._task == "classes" and self.spec_.loss != "cross-entropy":
            found = found / found.sum(axis=1, keepdims=True)
        return found

    @available_if(_probable)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Array:  # noqa: N803
        """Return the logarithm of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))
