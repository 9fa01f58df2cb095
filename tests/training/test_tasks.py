"""Classes, several labels, real values: what is learned, scored and predicted of each."""

from itertools import chain

import numpy as np
import pytest

from lava_dyads import Checkpoint, Dataset, Execution, NetworkSpec, Trainer, TrainingConfig
from lava_dyads.data.scaling import Scaling
from lava_dyads.errors import DataError, ValidationError
from lava_dyads.rules.scores import ClassScores, LabelScores, ValueScores
from lava_dyads.training.sampling import drawn, epoch_size, weights_of

metrics = pytest.importorskip("sklearn.metrics")
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(240, 5))
LINES = 100 + 30 * (X @ GENERATOR.normal(size=(5, 2)))
SIGNS = (LINES > 100).astype(int)
VALUES = Dataset("lines", X, targets=LINES, output_names=("a", "b"))
LABELS = Dataset("signs", X, targets=SIGNS)
CLASSES = Dataset("corners", X, SIGNS @ [2, 1], class_names=("sw", "nw", "se", "ne"))
CONFIG = TrainingConfig(epochs=12, learning_rate=0.02)
TASKS = [
    (VALUES, "squared-error"), (VALUES, "huber:0.5"), (LABELS, "binary-cross-entropy"),
    (LABELS, "squared-error"), (CLASSES, "cross-entropy"), (CLASSES, "binary-cross-entropy"),
]  # fmt: skip


def spec_of(data, loss, **options):
    return NetworkSpec((5, 12, data.outputs), loss=loss, **options)


def oracle(data, rows, said):
    """Return scikit-learn's scores."""
    if data.task == "values":
        y = data.targets[rows]
        error = {"mae": metrics.mean_absolute_error, "rmse": metrics.mean_squared_error}
        found = {name: function(y, said) for name, function in error.items()}
        return {"r2": metrics.r2_score(y, said), **found, "rmse": found["rmse"] ** 0.5}
    y = data.targets[rows] if data.labels is None else np.array(data.class_names)[data.labels[rows]]
    f1 = metrics.f1_score(y, said, average="macro", zero_division=0)
    found = {"accuracy": metrics.accuracy_score(y, said), "f1": f1}
    if data.task == "labels":
        return found | {"label_accuracy": 1 - metrics.hamming_loss(y, said)}
    return found | {"balanced_accuracy": metrics.balanced_accuracy_score(y, said)}


@pytest.mark.parametrize(("data", "loss"), TASKS, ids=lambda v: getattr(v, "name", v))
def test_every_task_is_learned_scored_and_predicted(data, loss, tmp_path):
    spec = spec_of(data, loss)
    with Trainer(spec, data, CONFIG, Execution(runtime="reference")) as trainer:
        history = trainer.fit()
        found, rows = trainer.evaluate(), trainer.test_rows
        said = trainer.predict(data.x[rows])
        Checkpoint.of(trainer, "lines").save(tmp_path / "made.npz")
    expected = oracle(data, rows, said)
    assert found.scores == pytest.approx(expected, rel=1e-9)
    assert history.epochs[-1][f"test_{history.score}"] > 0.8
    again = Checkpoint.load(tmp_path / "made.npz").predict(data.x[rows])
    same = np.testing.assert_array_equal if data.class_names else np.testing.assert_allclose
    same(again, said)


@pytest.mark.parametrize("where", ["layer", "neuron"])
@pytest.mark.parametrize(("data", "loss"), [TASKS[1], TASKS[2]], ids=["huber", "labels"])
def test_processes_learn_and_score_the_same(data, loss, where):
    config, made = TrainingConfig(epochs=1, batch_size=4, lanes=2), []
    spec = spec_of(data, loss)
    ways = [Execution(runtime="reference")]
    ways += [
        Execution(granularity=where, runtime="in-process", clock=clock)
        for clock in ("sync", "async")
    ]
    for execution in ways:
        with Trainer(spec, data, config, execution) as trainer:
            scores = {k: v for k, v in trainer.fit().epochs[-1].items() if k.startswith("test")}
            made.append((trainer.parameters(), scores))
    (first, scores), *others = made
    for parameters, theirs in others:
        for ours, other in zip(chain(*first), chain(*parameters), strict=True):
            np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-9)
        assert theirs == pytest.approx(scores, rel=1e-6)


def test_values_and_labels_are_learned_in_the_chips_integers():
    execution = Execution(precision="loihi2", runtime="reference")
    config = TrainingConfig(epochs=6, batch_size=1, optimiser="sgd", learning_rate=2**-5)
    for data, loss in (TASKS[0], TASKS[1], TASKS[2]):
        shown = Dataset(data.name, (X + 4) / 4, targets=data.targets)
        with Trainer(spec_of(data, loss), shown, config, execution) as trainer:
            history = trainer.fit()
            said = trainer.predict(shown.x[trainer.test_rows])
        expected = oracle(data, trainer.test_rows, said)
        scores = history.column(f"test_{history.score}")
        assert scores[-1] > scores[0] + 0.2
        # Targets are whole numbers of units there, and the oracle takes them as they are.
        assert trainer.evaluate().scores == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("pieces", [1, 3, 240])
def test_scores_are_those_of_all_rows_whatever_the_pieces(pieces):
    generator = np.random.default_rng(pieces)
    target, output = LINES, LINES + generator.normal(size=LINES.shape)
    made = ValueScores(2)
    sums = np.zeros(made.size)
    for rows in np.array_split(np.arange(240), pieces):
        made.add(sums, output[rows], target[rows])
    expected = oracle(VALUES, slice(None), output)
    assert made.read(sums, 240) == pytest.approx(expected, rel=1e-10)


def test_scores_of_nothing_and_of_constants():
    for made in (ClassScores(3), LabelScores(2, 0.5), ValueScores(2)):
        assert all(np.isfinite(v) for v in made.read(np.zeros(made.size), 0).values())
    flat, made = np.full((7, 1), 3.0), ValueScores(1)
    for said, r2 in ((flat, 1.0), (flat + 1, 0.0)):  # as scikit-learn has it
        sums = np.zeros(made.size)
        made.add(sums, said, flat)
        assert made.read(sums, 7)["r2"] == metrics.r2_score(flat, said) == r2


def test_outputs_whose_scale_differs_are_learned_alike():
    """A target in millions, another in millionths: standardised, and said in their units."""
    targets = LINES * [1e6, 1e-6]
    data = Dataset("units", X, targets=targets)
    with Trainer(spec_of(data, "squared-error"), data, CONFIG) as trainer:
        trainer.fit()
        said = trainer.predict(X)
    assert np.all(metrics.r2_score(targets, said, multioutput="raw_values") > 0.9)


def test_whole_weights_are_repeated_rows():
    """A row of weight 2 is a row that is there twice; one of weight 0 is not there."""
    generator = np.random.default_rng(1)
    weights = generator.integers(0, 3, 240)
    rows = np.repeat(np.arange(240), weights)
    config = TrainingConfig(epochs=2, batch_size=512, test_share=0.25)
    made = []
    for data in (
        Dataset("w", np.r_[X, X], targets=np.r_[LINES, LINES], official_training_rows=240,
                weights=np.r_[weights, weights]),
        Dataset("r", np.r_[X[rows], X], targets=np.r_[LINES[rows], LINES],
                official_training_rows=len(rows)),
    ):  # fmt: skip
        scaled = Dataset(**{**vars(data), "target_scaling": Scaling(np.ones(2), np.ones(2))})
        with Trainer(spec_of(data, "huber"), scaled, config) as trainer:
            assert trainer.fit().column("train_samples") == [len(rows)] * 2
            made.append(np.concatenate([w.ravel() for w in trainer.parameters()[0]]))
    np.testing.assert_allclose(*made, rtol=1e-9)


def test_weights_that_are_alike_are_none_but_whole_ones_repeat():
    rows = np.arange(4)
    for weight, expected in ((1, None), (0.25, None), (1.5, None), (3, [3, 3, 3, 3])):
        data = Dataset("alike", np.ones((4, 1)), targets=[0, 1, 2, 3], weights=np.full(4, weight))
        found = weights_of(data, rows)
        assert (found is None) if expected is None else (list(found) == expected)


def test_other_weights_are_shares_of_presentations():
    generator = np.random.default_rng(2)
    weights, rows = generator.uniform(0, 3, 50), np.arange(50)
    counts = np.zeros(50)
    for _ in range(2000):
        shown = drawn(rows, weights, generator)
        assert len(shown) == epoch_size(50, weights) == 50
        found = np.bincount(shown, minlength=50)
        share = weights * 50 / weights.sum()
        assert np.all(np.abs(found - share) < 1)  # never off by a whole one
        counts += found
    np.testing.assert_allclose(counts / 2000, share, atol=0.05)


def test_balanced_classes_are_scikit_learns():
    utils = pytest.importorskip("sklearn.utils")
    labels = np.repeat([0, 2, 3], [5, 20, 75])
    data = Dataset("rare", np.ones((100, 1)), labels)
    expected = utils.compute_sample_weight("balanced", labels)
    np.testing.assert_allclose(weights_of(data, np.arange(100), "balanced"), expected)


def test_rare_classes_gain_by_balance():
    labels = (X[:, 0] + 0.8 * np.random.default_rng(3).normal(size=240) > 1.3).astype(int)
    data, made = Dataset("rare", X, labels), []
    for kind in ("none", "balanced"):
        config = TrainingConfig(epochs=20, learning_rate=0.01, class_weight=kind)
        with Trainer(spec_of(data, "cross-entropy"), data, config) as trainer:
            trainer.fit()
            said = trainer.predict(data.x[trainer.train_rows])
            made.append(metrics.recall_score(labels[trainer.train_rows], said))
    assert made[1] > made[0]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "one of them"),
        ({"labels": [0, 1, 0], "targets": [0, 1, 2]}, "both"),
        ({"targets": [0, 1]}, "one row for each of x"),
        ({"targets": [0, np.nan, 1]}, r"targets\[1, 0\]: must be finite"),
        ({"targets": [0.5, 1, 1], "task": "labels"}, "0 or 1"),
        ({"targets": [0, 1, 1], "task": "classes"}, "labels or values"),
        ({"labels": [0, 1, 1], "task": "values"}, "must be classes"),
        ({"labels": [0, 1, 1], "class_names": ("a", "b", "c", "d", "e"), "weights": [1, 1]}, "row"),
        ({"labels": [0, 1, 1], "weights": [1, -1, 1]}, "at least 0"),
        ({"labels": [0, 1, 1], "class_names": ("a",)}, "needs 2 names"),
        ({"targets": [0, 1, 1], "output_names": ("a", "b")}, "needs 1 names"),
    ],
)
def test_wrong_targets_are_refused(options, text):
    with pytest.raises(DataError, match=text):
        Dataset("wrong", np.ones((3, 2)), **options)


def test_a_loss_that_does_not_fit_the_targets_is_refused():
    with pytest.raises(ValidationError, match="Try: loss huber or squared-error"):
        Trainer(spec_of(VALUES, "cross-entropy"), VALUES)
    with pytest.raises(ValidationError, match="binary-cross-entropy"):
        Trainer(spec_of(LABELS, "cross-entropy"), LABELS)
    with pytest.raises(ValidationError, match="needs data with classes"):
        Trainer(spec_of(VALUES, "huber"), VALUES, TrainingConfig(class_weight="balanced"))
    with Trainer(spec_of(VALUES, "huber"), VALUES) as trainer:
        with pytest.raises(ValidationError, match="r2"):
            _ = trainer.evaluate().accuracy
        with pytest.raises(ValidationError, match="cross-entropy"):
            trainer.predict_proba(X)
