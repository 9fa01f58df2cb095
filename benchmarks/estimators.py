"""The estimators at their defaults against scikit-learn's multi-layer perceptrons at theirs.

Five splits (25 % test) of each set, the same for all. The perceptrons are run as they are, and with
what the estimators do by themselves: columns, and real targets, of mean 0 and deviation 1.
"""

import warnings

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
    make_friedman1,
)
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lava_dyads.sklearn import DyadClassifier, DyadRegressor

SETS = {
    "digits": load_digits,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "Friedman 1, 2,000 rows": lambda **_: make_friedman1(2000, noise=1.0, random_state=0),
}


def contenders(classes: bool, seed: int) -> dict[str, object]:
    """Return the estimators by name."""
    if classes:
        return {
            "DyadClassifier, DyadRegressor": DyadClassifier(random_state=seed),
            "MLP": MLPClassifier(random_state=seed),
            "MLP, scaled": make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
        }
    scaled = make_pipeline(StandardScaler(), MLPRegressor(random_state=seed))
    return {
        "DyadClassifier, DyadRegressor": DyadRegressor(random_state=seed),
        "MLP": MLPRegressor(random_state=seed),
        "MLP, scaled": TransformedTargetRegressor(scaled, transformer=StandardScaler()),
    }


def run(splits: int = 5) -> dict[str, dict[str, list[float]]]:
    """Print a table of accuracy (classes) and R² (values); return the scores."""
    warnings.simplefilter("ignore")  # perceptrons that have not converged say so
    found: dict[str, dict[str, list[float]]] = {}
    for name, load in SETS.items():
        x, y = load(return_X_y=True)
        classes = y.dtype.kind == "i"
        for split in range(splits):
            parts = train_test_split(x, y, random_state=split, stratify=y if classes else None)
            for who, made in contenders(classes, split).items():
                score = made.fit(parts[0], parts[2]).score(parts[1], parts[3])  # type: ignore[attr-defined]
                found.setdefault(name, {}).setdefault(who, []).append(score)
    table = Table(title=f"accuracy, or R², mean of {splits} splits (smallest)")
    table.add_column("")
    for who in contenders(True, 0):
        table.add_column(who, justify="right")
    for name, scores in found.items():
        cells = [f"{np.mean(values):.3f} ({min(values):.3f})" for values in scores.values()]
        table.add_row(name, *cells)
    Console().print(table)
    return found
