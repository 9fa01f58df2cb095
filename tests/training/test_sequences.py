"""Samples that are sequences: a state that is kept costs less and changes nothing."""

import numpy as np
import pytest

from lava_dyads import NetworkSpec, Trainer, TrainingConfig
from lava_dyads.data import Dataset
from lava_dyads.errors import DataError, UnsupportedError, ValidationError
from lava_dyads.networks import Execution
from lava_dyads.rules.scores import ClassScores
from lava_dyads.training.sequences import SequenceScores

INPUTS, FRAMES, TRAIN = 12, 4, 14
LAYERS = (INPUTS, 9, 8, 3)


def sequences(samples=20, seed=0):
    """Sums of sparse changes, so that most of a frame is that of the one before."""
    generator = np.random.default_rng(seed)
    changes = np.maximum(0, generator.normal(size=(samples, FRAMES, INPUTS)))
    changes *= generator.random(changes.shape) < 0.25
    x = np.cumsum(changes, axis=1)
    return Dataset("seq", x.reshape(samples, -1), np.arange(samples) % 3,
                   official_training_rows=TRAIN, frames=FRAMES)  # fmt: skip


DATA = sequences()
REFERENCE = Execution(runtime="reference")


def trained(stream, execution=REFERENCE, epochs=2, spec=None, **options):
    options = {"batch_size": 3, "optimiser": "sgd", "learning_rate": 0.05} | options
    spec = spec or NetworkSpec(LAYERS, bias_deviation=0.3, beta=1e-5, seed=3)
    config = TrainingConfig(epochs=epochs, stream=stream, **options)
    with Trainer(spec, DATA, config, execution) as trainer:
        trainer.fit()
        outputs = trainer.sink.memory["outputs"].copy()
        cost = trainer.evaluate()
        return [*trainer.parameters()[0], *trainer.parameters()[1]], trainer.history, cost, outputs


def by_hand(learn_at, batch, epochs, readout):
    """Plain numpy: every cumulated frame through a dense network, backprop, gradient descent."""
    spec = NetworkSpec(LAYERS, bias_deviation=0.3, beta=1e-5, seed=3)
    weights, biases = ([a.copy() for a in part] for part in spec.initial_parameters())
    x, generator = DATA.x.reshape(len(DATA.x), FRAMES, INPUTS), np.random.default_rng(0)

    def forward(frame):
        signals = [frame]
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            drive = signals[-1] @ w.T + b
            signals.append(drive if k == len(weights) - 1 else np.maximum(drive, 0))
        return signals

    def learn(rows, frames):
        sums = [[np.zeros_like(a) for a in part] for part in (weights, biases)]
        for k in frames:
            signals = forward(x[rows, k])
            exps = np.exp(signals[-1] - signals[-1].max(axis=1, keepdims=True))
            error = exps / exps.sum(axis=1, keepdims=True) - np.eye(3)[DATA.labels[rows]]
            for layer in reversed(range(len(weights))):
                sums[0][layer] += error.T @ signals[layer]
                sums[1][layer] += error.sum(axis=0)
                error = (error @ weights[layer]) * (signals[layer] > 0)
        for part, gradients in zip((weights, biases), sums, strict=True):
            for value, gradient in zip(part, gradients, strict=True):
                value -= 0.05 * gradient / (len(rows) * len(frames))

    for _ in range(epochs):
        order = generator.permutation(np.arange(len(DATA.x))[:TRAIN])
        for begin in range(0, TRAIN, batch):
            rows = order[begin : begin + batch]
            steps = {"end": [range(FRAMES)], "last": [[FRAMES - 1]],
                     "frame": [[k] for k in range(FRAMES)]}[learn_at]  # fmt: skip
            for frames in steps:
                learn(rows, frames)
    test = np.arange(TRAIN, len(DATA.x))
    outputs = np.stack([forward(x[test, k])[-1] for k in range(FRAMES)], axis=1)
    read = outputs[:, -1] if readout == "last" else outputs.mean(axis=1)
    return [*weights, *biases], outputs, read


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("learn_at", ["end", "frame", "last"])
def test_outputs_and_weights_are_those_of_numpy_by_hand(learn_at, readout):
    weights, outputs, read = by_hand(learn_at, 3, 2, readout)
    ours, history, tested, kept = trained(True, learn_at=learn_at, readout=readout)
    for value, expected in zip(ours, weights, strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(kept[: len(read)], read, rtol=0, atol=1e-9)
    labels = DATA.labels[TRAIN:]
    right = outputs.argmax(axis=2) == labels[:, None]
    assert tested.accuracy == pytest.approx(np.mean(read.argmax(axis=1) == labels))
    for k in range(FRAMES):
        assert tested.scores[f"accuracy_after_{k + 1}"] == pytest.approx(right[:, k].mean())
    delays = [next(k for k in range(FRAMES) if row[k:].all()) + 1 for row in right if row[-1]]
    assert tested.scores["delay"] == pytest.approx(np.mean(delays))
    assert history.column("test_accuracy")[-1] == tested.accuracy


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 4, "lanes": 2, "repeats_per_batch": 2},
        {"learn_at": "frame", "batch_size": 1},
        {"learn_at": "last", "batch_size": 5, "optimiser": "adam", "learning_rate": 0.001},
    ],
    ids=str,
)
def test_frames_shown_alone_teach_the_same_and_cost_more(options):
    (ours, kept, cost, _), (theirs, apart, alone, _) = (
        trained(stream, **options) for stream in (True, False)
    )
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-10)
    same = [name for name in kept.epochs[0] if "accuracy" in name or "loss" in name]
    for name in [*same, "test_delay"]:
        np.testing.assert_allclose(kept.column(name), apart.column(name), atol=1e-9)
    assert cost.operations < alone.operations
    assert cost.events < alone.events
    if options.get("learn_at") != "frame":  # weights that move under what is held cost
        assert kept.column("train_operations")[-1] < apart.column("train_operations")[-1]


@pytest.mark.parametrize("granularity", ["network", "layer", "neuron"])
def test_processes_learn_the_same(granularity):
    execution = Execution(granularity, runtime="in-process")
    for learn_at in ("end", "last"):
        ours = trained(True, execution, epochs=1, learn_at=learn_at)
        theirs = trained(True, epochs=1, learn_at=learn_at)
        for value, expected in zip(ours[0], theirs[0], strict=True):
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)
        assert ours[2].scores == pytest.approx(theirs[2].scores)
        assert ours[2].operations == theirs[2].operations


def test_integers_of_the_chip_learn_the_same_to_the_bit():
    spec = NetworkSpec(LAYERS, beta=0.125, seed=3)
    execution = Execution("layer", precision="loihi2", runtime="in-process")
    options = {"spec": spec, "batch_size": 1, "learning_rate": None, "learn_at": "last"}
    (ours, *_), (theirs, *_) = (trained(s, execution, 1, **options) for s in (True, False))
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(value, expected)
    with pytest.raises(UnsupportedError, match="one frame at a time"):
        trained(True, execution, 1, **options | {"learn_at": "end"})


def test_a_run_that_was_interrupted_within_an_epoch_goes_on_to_the_same_bits():
    from lava_dyads.training import Interval

    config = TrainingConfig(epochs=2, batch_size=2, stream=True)
    states = []
    with Trainer(NetworkSpec(LAYERS), DATA, config, REFERENCE) as trainer:
        trainer.fit(on_checkpoint=lambda: states.append(trainer.state()), every=Interval(batches=3))
        expected, history = trainer.parameters()[0], trainer.history.epochs
    middle = next(s for s in states if s.progress["position"] and s.progress["epochs"])
    with Trainer(NetworkSpec(LAYERS), DATA, config, REFERENCE) as trainer:
        trainer.restore(middle)
        trainer.fit()
        for value, other in zip(trainer.parameters()[0], expected, strict=True):
            np.testing.assert_array_equal(value, other)
        for name in ("train_accuracy", "train_delay", "test_accuracy_after_2"):
            assert trainer.history.epochs[-1][name] == history[-1][name]


def test_scores_count_frames_until_the_class_is_right_and_stays():
    scores = SequenceScores(ClassScores(2), 3, "mean", True)
    sums, targets = np.zeros(scores.size), np.eye(2)[[0, 0, 1]]
    right, wrong = [1.0, 0.0], [0.0, 1.2]
    outputs = np.array([[wrong, right, right], [right, right, wrong], [right, wrong, wrong]])
    read = scores.add_sequences(sums, outputs, targets)
    np.testing.assert_allclose(read, outputs.mean(axis=1))
    scored = scores.read(sums, 9)
    # Of the third sample, of class 1, the second and third frame are right.
    assert [scored[f"accuracy_after_{k}"] for k in (1, 2, 3)] == [1 / 3, 1, 2 / 3]
    assert scored["delay"] == 2
    assert scored["accuracy"] == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="frames: needs frames of one size"):
        Dataset("it", np.ones((4, 5)), np.arange(4) % 2, frames=2)
    with pytest.raises(UnsupportedError, match="sequences: need the clock"):
        trained(False, Execution("layer", "async", runtime="in-process"))
    with pytest.raises(UnsupportedError, match="stream: needs"):
        trained(True, spec=NetworkSpec(LAYERS, rule="dp"))
    with pytest.raises(ValidationError, match="learn_at"):
        TrainingConfig(learn_at="never")
    with pytest.raises(ValidationError, match="12 features"):
        Trainer(NetworkSpec((48, 9, 3)), DATA, TrainingConfig(), REFERENCE)
