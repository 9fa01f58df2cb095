"""Estimators with scikit-learn's conventions: a network of dyads in its pipelines and searches.

:class:`DyadClassifier` learns classes, or several labels per row; :class:`DyadRegressor` real
values. Both take what describes network, training and execution as flat parameters, so that they
can be cloned, searched and pickled, and both pass scikit-learn's ``check_estimator``.
"""

from __future__ import annotations

from lava_dyads.sklearn.classifier import DyadClassifier
from lava_dyads.sklearn.regressor import DyadRegressor

__all__ = ["DyadClassifier", "DyadRegressor"]
