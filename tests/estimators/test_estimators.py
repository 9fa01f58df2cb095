"""The estimators keep scikit-learn's conventions, and do what its own do."""

import pickle
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import make_multilabel_classification, make_regression  # noqa: E402
from sklearn.inspection import permutation_importance  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from lava_dyads import load  # noqa: E402
from lava_dyads.errors import ValidationError  # noqa: E402
from lava_dyads.rules.units.spiking import SpikingDualPropagation  # noqa: E402
from lava_dyads.sklearn import DyadClassifier, DyadRegressor  # noqa: E402

DIGITS = load("digits")
ROWS = slice(400)
X, Y = DIGITS.x[ROWS], DIGITS.classes_of(ROWS)
FEW = {"epochs": 8, "layers": (16,), "random_state": 0}


def checks():
    for made in (DyadClassifier(epochs=60), DyadRegressor(epochs=60)):
        for estimator, check in estimator_checks_generator(made):
            name = f"{type(made).__name__}-{getattr(check, 'func', check).__name__}"
            yield pytest.param(estimator, check, id=name)


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_own_checks_pass(estimator, check):
    """Warnings of data that cannot be learned in a few epochs are the checks' own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_it_works_in_pipelines_searches_and_validation():
    made = make_pipeline(StandardScaler(), DyadClassifier(**FEW))
    grid = {"dyadclassifier__learning_rate": [1e-6, 0.01]}
    search = GridSearchCV(made, grid, cv=2, n_jobs=2).fit(X, Y)
    assert search.best_params_ == {"dyadclassifier__learning_rate": 0.01}
    scores = cross_val_score(clone(search.best_estimator_), X, Y, cv=2)
    assert scores.min() > 0.75
    found = permutation_importance(search, X[:99], Y[:99], n_repeats=2, random_state=0)
    assert np.all(found.importances_mean[[0, 32, 39]] == 0)  # pixels that are always black


def test_a_fitted_estimator_is_pickled_and_goes_on_alike():
    made = DyadClassifier(**FEW).fit(X, Y)
    other = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(made.predict_proba(X), other.predict_proba(X))
    for each in (made, other):
        each.partial_fit(X, Y)
    np.testing.assert_array_equal(made.predict_proba(X), other.predict_proba(X))


def test_parts_go_on_where_the_last_one_stopped():
    """As many parts as epochs come as far; the optimiser's memory goes along."""
    whole, parts = DyadClassifier(**FEW).fit(X, Y), DyadClassifier(**FEW)
    for _ in range(8):
        parts.partial_fit(X, Y, classes=np.arange(10))
    assert parts.n_iter_ == whole.n_iter_ == 8
    assert parts.score(X, Y) == pytest.approx(whole.score(X, Y), abs=0.03)
    updates = [v for k, v in parts._learning.items() if k.endswith("_updates")]
    assert all(int(v[0]) == 8 * 13 for v in updates)  # of 32 rows each
    with pytest.raises(ValidationError, match="one of the classes"):
        parts.partial_fit(X, Y + 90)
    with pytest.raises(ValueError, match="first call"):
        DyadClassifier().partial_fit(X, Y)


def test_a_warm_start_keeps_the_units_of_its_targets():
    x, y = make_regression(200, 4, noise=1, random_state=0)
    made = DyadRegressor(epochs=40, random_state=0, warm_start=True).fit(x, y)
    made.set_params(epochs=1).fit(x[:150], 0.5 * y[:150])
    assert made.score(x, y) > 0.9  # an epoch does not turn around what forty have learned
    made.set_params(layers=(7,)).fit(x, y)  # another network begins anew
    assert made.weights_[0].shape == (7, 4)


def test_the_order_of_the_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(X))
    one, other = DyadClassifier(**FEW).fit(X, Y), DyadClassifier(**FEW).fit(X[order], Y[order])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-6)


def test_a_warm_start_begins_where_it_ended():
    made = DyadClassifier(**FEW, warm_start=True).fit(X, Y)
    first = made.loss_curve_
    assert made.fit(X, Y).loss_curve_[0] < first[1]


def test_early_stopping_keeps_the_best_weights_of_a_part_held_back():
    options = FEW | {"epochs": 200, "learning_rate": 0.03}
    made = DyadClassifier(**options, early_stopping=True, n_iter_no_change=3).fit(X, Y)
    assert 4 <= made.n_iter_ < 200
    curve = made.history_.column("validation_accuracy")
    best = int(np.argmax(curve)) + 1
    assert made.n_iter_ >= best + 3
    assert made.history_.epochs[0]["train_samples"] == 0.9 * len(X)
    other = DyadClassifier(**options | {"epochs": best}, early_stopping=True, n_iter_no_change=99)
    np.testing.assert_array_equal(made.predict_proba(X), other.fit(X, Y).predict_proba(X))


def test_labels_are_learned_and_said_as_probabilities():
    x, y = make_multilabel_classification(300, 8, n_classes=3, random_state=0)
    made = DyadClassifier(epochs=60, learning_rate=0.01, random_state=0).fit(x, y)
    assert made.score(x, y) > 0.7
    probabilities = made.predict_proba(x)
    np.testing.assert_array_equal(probabilities > 0.5, made.predict(x))


def test_rules_that_say_no_probabilities_have_no_such_method():
    rule = SpikingDualPropagation()
    options = {**FEW, "epochs": 30, "scaling": "min-max", "learning_rate": 0.003}
    made = DyadClassifier(rule=rule, loss="squared-error", **options).fit(X, Y)
    assert made.score(X, Y) > 0.7
    assert not hasattr(made, "predict_proba")
    assert made.decision_function(X).shape == (400, 10)


@pytest.mark.parametrize("execution", [
    {"granularity": "layer", "runtime": "in-process"},
    {"granularity": "neuron", "runtime": "in-process", "clock": "async"},
])  # fmt: skip
def test_every_execution_learns_the_same(execution):
    options = {**FEW, "epochs": 1}
    one, other = (DyadClassifier(**options, **e).fit(X, Y) for e in ({}, execution))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-5)


def test_integers_of_the_chip_predict_in_integers():
    made = DyadClassifier(precision="loihi2", scaling="min-max", layers=(16,), optimiser="sgd",
                          epochs=3, random_state=0).fit(X, Y)  # fmt: skip
    assert made.score(X, Y) > 0.6
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(made.decision_function(X), again.decision_function(X))


def test_values_of_several_outputs_in_their_own_units():
    x, y = make_regression(300, 6, n_targets=2, noise=1, random_state=0)
    y = 1e6 + 1e3 * y
    made = DyadRegressor(epochs=60, random_state=0).fit(x, y)
    assert made.score(x, y) > 0.98
    assert made.predict(x).shape == (300, 2)
    assert DyadRegressor(epochs=2).fit(x, y[:, 0]).predict(x).shape == (300,)


def test_bad_parameters_are_one_line():
    for wrong, said in (({"batch_size": 0}, "batch_size: must be at least 1 .got 0."),
                        ({"rule": "dpt"}, "Try: "), ({"layers": (0,)}, "layers")):  # fmt: skip
        with pytest.raises(ValidationError, match=said):
            DyadClassifier(**wrong).fit(X, Y)
