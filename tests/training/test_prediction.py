"""Trained networks on new rows: the classes that an evaluation counts, and one line for the rest.

Oracles: the accuracy that ``evaluate`` counts, plain forward passes, and softmax by hand.
"""

import warnings
from pathlib import Path

import numpy as np
import pytest

from lava_dyads import Checkpoint, Dataset, Graph, NetworkSpec, Node, Trainer, TrainingConfig, load
from lava_dyads.errors import ValidationError
from lava_dyads.executors.backprop import evaluate, forward
from lava_dyads.networks import Execution
from lava_dyads.rules.activations import activation
from lava_dyads.rules.losses import loss
from lava_dyads.training.new_rows import rows_of
from lava_dyads.training.prediction import Predictor, calibrated_numbers

DIGITS = load("digits")
REFERENCE = Execution(runtime="reference")
GRAPH = Path(__file__).parents[2] / "tutorials" / "graphs" / "convolution.toml"
CONFIG = TrainingConfig(epochs=1, learning_rate=0.01, test_share=0.3, seed=1)

SPECS = {
    "dyads": NetworkSpec((64, 16, 10)),
    "thresholds": NetworkSpec((64, 16, 10), threshold=0.1),
    "plain": NetworkSpec((64, 8, 10), rule="dp", alpha=0.5),
    "backprop": NetworkSpec((64, 16, 10), rule="backprop"),
    "lifted": NetworkSpec((64, 8, 10), rule="lrrn"),
    "binary": NetworkSpec((64, 16, 10), weight_format="ste"),
    "binary backprop": NetworkSpec((64, 16, 10), rule="backprop", weight_format="ste"),
    "feedback": NetworkSpec((64, 16, 10), feedback="random"),
    "spiking": NetworkSpec((64, 8, 10), rule="spiking"),
    "graph": NetworkSpec(graph=Graph.load(GRAPH)),
}


FEW = Dataset("few", DIGITS.x[:300], DIGITS.labels[:300])


def trained(spec, data=DIGITS):
    """Return a checkpoint after some updates, its test rows, and the accuracy on them."""
    with Trainer(spec, data, CONFIG, REFERENCE) as trainer:
        trainer.run(trainer.train_rows[:160], 1)
        accuracy = trainer.evaluate().accuracy
        test = trainer.test_rows
        same = np.mean(trainer.predict(data.x[test]) == data.labels[test])
        assert same == pytest.approx(accuracy, abs=1e-12)
        return Checkpoint.of(trainer, "digits"), test, accuracy


@pytest.mark.parametrize("name", SPECS)
def test_the_classes_are_those_that_an_evaluation_counts(name, tmp_path):
    checkpoint, test, accuracy = trained(SPECS[name], FEW)
    checkpoint.save(tmp_path / "c.npz")
    predicted = Checkpoint.load(tmp_path / "c.npz").predict(DIGITS.x[test])
    assert predicted.shape == (len(test),)
    assert predicted.dtype.kind == "i"
    assert np.mean(predicted == DIGITS.labels[test]) == pytest.approx(accuracy, abs=1e-12)
    # Hidden means, the outputs from them, and the classes fit together.
    hidden = checkpoint.transform(DIGITS.x[test[:40]])
    last = hidden[-1] if isinstance(hidden, list) else hidden
    assert last.shape == (40, [v for v in checkpoint.spec.vertices if v.activation][-2].n)
    if name in ("dyads", "plain", "backprop", "feedback", "graph"):
        outputs = last @ checkpoint.weights[-1].T + checkpoint.biases[-1]
        np.testing.assert_allclose(outputs, checkpoint.decision(DIGITS.x[test[:40]]), atol=1e-9)


def test_integers_of_the_chip_are_calibrated_as_an_evaluation_does():
    checkpoint, test, _ = trained(SPECS["dyads"])
    train, _ = DIGITS.split(0, 0.3)
    weights = checkpoint.weights, checkpoint.biases
    numbers = calibrated_numbers(checkpoint.spec, weights, None, DIGITS, train)
    execution = Execution(precision="loihi2", runtime="reference")
    with Trainer(
        checkpoint.spec, DIGITS, CONFIG, execution, arithmetic=numbers, parameters=weights
    ) as trainer:
        accuracy = trainer.evaluate().accuracy
    predictor = checkpoint.predictor(Execution(precision="loihi2"), DIGITS)
    predicted = predictor.predict(DIGITS.x[test])
    assert np.mean(predicted == DIGITS.labels[test]) == pytest.approx(accuracy, abs=1e-12)
    unit = numbers.unit
    whole = predictor.transform(DIGITS.x[test]) / unit
    np.testing.assert_array_equal(whole, np.rint(whole))


@pytest.mark.parametrize("name", ["dyads", "spiking"])
def test_a_process_per_layer_says_what_the_reference_engine_says(name):
    pytest.importorskip("lava")
    checkpoint, test, _ = trained(SPECS[name])
    layered = checkpoint.predictor(Execution("layer", runtime="in-process"), batch_size=8)
    rows = DIGITS.x[test[:20]]
    np.testing.assert_allclose(layered.decision(rows), checkpoint.decision(rows), atol=1e-12)


def test_outputs_hidden_means_and_probabilities_are_those_of_a_forward_pass():
    spec = NetworkSpec((64, 12, 8, 10), ("tanh", "relu"), loss="cross-entropy", bias_deviation=0.1)
    parameters = spec.initial_parameters()
    predictor, x = Predictor(spec, parameters), DIGITS.x[:70]
    _, z = forward(x, *parameters, [activation("tanh"), activation("relu")])
    np.testing.assert_allclose(predictor.decision(x), z[-1], atol=1e-12)
    for found, wanted in zip(predictor.transform(x), z[1:3], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    for layer, wanted in ((1, z[1]), (2, z[2]), (-1, z[2])):
        np.testing.assert_allclose(predictor.transform(x, layer), wanted, atol=1e-12)
    p = predictor.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    losses = loss("cross-entropy").value(z[-1], np.eye(10)[DIGITS.labels[:70]])
    np.testing.assert_allclose(-np.log(p[np.arange(70), DIGITS.labels[:70]]), losses)


def test_hidden_layers_of_graphs_are_found_by_name_and_number():
    nodes = (
        Node("left", "input", shape=(3,)),
        Node("right", "input", shape=(2,)),
        Node("upper", "dense", "right", size=4, activation="relu"),
        Node("lower", "dense", "left", size=4, activation="tanh"),
        Node("both", "sum", ("lower", "upper")),
        Node("one", "dense", "both", size=2),
        Node("two", "dense", "both", size=3),
    )
    spec = NetworkSpec(graph=Graph(nodes))
    parameters = spec.initial_parameters()
    predictor, x = Predictor(spec, parameters), np.random.default_rng(0).random((5, 5))
    _, z = evaluate(spec.vertices, x, *parameters)
    for name, found in zip(("upper", "lower"), predictor.transform(x), strict=True):
        np.testing.assert_allclose(found, z[name], atol=1e-12)
        np.testing.assert_allclose(predictor.transform(x, name), z[name], atol=1e-12)
    outputs = np.hstack([z["one"], z["two"]])
    np.testing.assert_allclose(predictor.decision(x), outputs, atol=1e-12)
    with pytest.raises(ValidationError, match=r"one output \(got 'one, two'\)\. Try: decision"):
        predictor.predict(x)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 4096, 4097])
def test_any_number_of_rows_gives_each_its_own_outputs(rows):
    spec = NetworkSpec((3, 4, 2))
    predictor = Predictor(spec, spec.initial_parameters())
    x = np.random.default_rng(0).random((rows, 3))
    np.testing.assert_allclose(predictor.decision(x)[-1:], predictor.decision(x[-1]), atol=1e-12)
    assert predictor.transform(x).shape == (rows, 4)


def test_a_row_lists_images_and_frames_are_taken():
    x = DIGITS.x[:6]
    bytes_ = (x * 255).astype(np.uint8)

    class Frame:
        columns = tuple(f"p{i}" for i in range(64))

        def to_numpy(self):
            return x.astype(object)

    taken = [x.tolist(), x.reshape(6, 8, 8), x.reshape(6, 8, 8, 1), x.astype("f4"), Frame()]
    for given in taken:
        np.testing.assert_allclose(rows_of(given, (64,)), x, atol=1e-7)
    np.testing.assert_array_equal(rows_of(x[0], (64,)), x[:1])
    np.testing.assert_array_equal(rows_of(bytes_, (64,)), bytes_.astype(float))
    images = np.random.default_rng(0).random((5, 4, 6, 3))
    first = np.moveaxis(images, -1, 1)  # as convolutions have them
    for given in (images, first, first.reshape(5, -1)):
        np.testing.assert_array_equal(rows_of(given, (3, 4, 6)), first.reshape(5, -1))
    Frame.to_numpy = lambda _: np.where(np.arange(128).reshape(2, 64) == 67, np.nan, 0.5)
    with pytest.raises(ValidationError, match=r"x\[1, 'p3'\]: must be finite"):
        rows_of(Frame(), (64,))


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (np.zeros((2, 5)), r"^x: the network has 3 inputs, the rows have 5 columns \(got \(2, 5\)"),
        (np.zeros(4), "has 3 inputs, the rows have 4 columns"),
        (np.zeros((3, 1)), r"reshape\(1, -1\)"),
        ([[0, 0, 0], [0, np.nan, 0]], r"^x\[1, 1\]: must be finite"),
        ([[0, np.inf, 0]], r"^x\[0, 1\]: must be finite"),
        (np.ma.array([[0.0, 1, 2]], mask=[[0, 0, 1]]), r"^x\[0, 2\]: must be finite"),
        ([[0, None, 0]], r"^x\[0, 1\]: must be finite"),
        ([], "at least one row"),
        (np.zeros((0, 3)), "at least one row"),
        ([[1, 2, 3], [1, 2]], r"^x\[1\]: rows must be of one length, and row 0 has 3 \(got 2\)"),
        ([["1", "2", "3"]], "must be numbers"),
        (np.array([[1, "a", 2]], object), r"^x\[0, 1\]: must be a number \(got 'a'\)"),
        ("rows.csv", "must be numbers"),
        (7, "must be a row"),
        (None, "must be numbers"),
        (np.zeros((1, 3), complex), "must be numbers"),
        (np.zeros((1, 3), "M8[s]"), "must be numbers"),
        ({"a": 1}, "must be numbers"),
    ],
)
def test_what_are_no_rows_ends_in_one_line(x, told):
    with pytest.raises(ValidationError, match=told) as error:
        rows_of(x, (3,))
    assert "\n" not in str(error.value)


def test_other_units_than_those_of_the_training_are_found_out():
    checkpoint, *_ = trained(SPECS["dyads"])
    with pytest.raises(ValidationError, match=r"lie in 0 \.\. 1 .*digits: pixels of 0 \.\. 16"):
        checkpoint.predict(DIGITS.x[:5] * 16)
    with pytest.warns(UserWarning, match="lie in 0"):
        checkpoint.predict(DIGITS.x[:5] * 1.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint.predict(DIGITS.x[:5])
        scaled = checkpoint.predictor(any_range=True).decision(DIGITS.x[:5] * 16)
    assert scaled.shape == (5, 10)


def test_what_a_network_cannot_say_is_refused_with_what_it_can():
    spec = NetworkSpec((3, 4, 2), loss="squared-error")
    predictor = Predictor(spec, spec.initial_parameters())
    with pytest.raises(ValidationError, match=r"loss cross-entropy .*Try: decision"):
        predictor.predict_proba([1, 2, 3])
    for layer in (0, 2, True, 1.0, "nothing"):
        with pytest.raises(ValidationError, match=r"^layer"):
            predictor.transform([1, 2, 3], layer)
    straight = NetworkSpec((3, 2))
    with pytest.raises(ValidationError, match="no hidden layer"):
        Predictor(straight, straight.initial_parameters()).transform([1, 2, 3])
    with pytest.raises(ValidationError, match="needs numbers"):
        Predictor(spec, spec.initial_parameters(), execution=Execution(precision="loihi2"))
    big = [np.full_like(w, 1e200) for w in spec.initial_parameters()[0]]
    with pytest.raises(ValidationError, match="leave the range"):
        Predictor(spec, (big, spec.initial_parameters()[1])).predict([1e200, 1, 1])
