"""Frames of a stream give what the same frames give alone, and cost what changes."""

import json
from pathlib import Path

import numpy as np
import pytest

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.elements import Connection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import NotSettledError, UnsupportedError, ValidationError
from lava_dyads.executors.backprop import forward
from lava_dyads.executors.stream import FrameStream
from lava_dyads.experiments.bench_stream import moving
from lava_dyads.networks import Execution, Graph, Node
from lava_dyads.rules.activations import activation
from lava_dyads.rules.optimisers import SGD

LAYERS = (12, 9, 8, 4)


def frames(count, seed=0, width=LAYERS[0]):
    """Some stand still, some change in a few entries, some altogether; with exact zeros."""
    generator = np.random.default_rng(seed)
    made = [np.zeros(width)]
    for i in range(count - 1):
        frame = made[-1].copy()
        chosen = {0: width, 1: 2, 2: 0}[i % 3]
        where = generator.permutation(width)[:chosen]
        frame[where] = np.maximum(0, generator.normal(size=chosen))
        made.append(frame)
    return np.array(made)


def oracle(spec, parameters, x):
    hidden = [activation(name) for name in spec.activations]
    return forward(x, *parameters, hidden)[1]


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 1.0},
        {"alpha": 0.0, "activations": "tanh"},
        {"rule": "activation-relaxation"},
        {"feedback": "random", "density": 0.5},
    ],
    ids=str,
)
def test_outputs_are_those_of_frames_seen_alone(options):
    spec = NetworkSpec(LAYERS, bias_deviation=0.3, **options)
    stream = FrameStream(spec.build(executor="step"))
    x, y = frames(40), np.eye(4)
    for i, frame in enumerate(x):
        # Without an optimiser a target nudges, and that is all: the output is the free mean.
        output = stream.show(frame, y[i % 4] if i % 5 == 4 else None)
        expected = oracle(spec, spec.initial_parameters(), frame[None])[-1][0]
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12)


GATED_IMAGE = Graph([
    Node("image", "input", shape=(1, 6, 6)),
    Node("edges", "conv", "image", channels=3, kernel=3, padding=1),
    Node("pooled", "max-pool", "edges", activation="relu"),
    Node("gate", "dense", "pooled", size=6, activation="tanh"),
    Node("value", "dense", "pooled", size=6),
    Node("gated", "product", ("gate", "value"), activation="relu"),
    Node("y", "dense", "gated", size=4),
])  # fmt: skip


def test_maxima_and_products_keep_what_they_hold_and_learn_on():
    spec = NetworkSpec(graph=GATED_IMAGE, bias_deviation=0.3, beta=0.01)
    even = Graph((*GATED_IMAGE.nodes[:3], Node("y", "dense", "pooled", size=4)))
    with pytest.raises(UnsupportedError, match="swept"):
        FrameStream(NetworkSpec(graph=even).build())
    network = spec.build(executor="step", optimiser=SGD(0.05))
    stream, alone = FrameStream(network), spec.build(executor="step", optimiser=SGD(0.05))
    schedule = PresentationSchedule(1)
    for i, x in enumerate(frames(30, width=36)):
        y = np.eye(4)[i % 4] if i % 3 else None
        expected = spec.backpropagate(x[None], np.zeros((1, 4)), *network.parameters()).output
        np.testing.assert_allclose(stream.show(x, y), expected[0], rtol=0, atol=1e-10)
        if y is not None:
            clock = schedule.at(i + 1)._replace(batch=1)
            alone.after(clock, {"input_in": x[None], "target_in": y[None]})
        for ours, theirs in zip(network.parameters()[0], alone.parameters()[0], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_streams_side_by_side_do_not_mix():
    spec = NetworkSpec(LAYERS, bias_deviation=0.3)
    stream = FrameStream(spec.build(lanes=3, executor="step"))
    for x in frames(60).reshape(20, 3, -1):
        expected = oracle(spec, spec.initial_parameters(), x)[-1]
        np.testing.assert_allclose(stream.show(x), expected, rtol=0, atol=1e-12)


def test_events_and_operations_are_those_of_what_changes():
    spec = NetworkSpec(LAYERS, bias_deviation=0.3)
    parameters, stream = spec.initial_parameters(), FrameStream(spec.build(executor="step"))
    before = None
    for frame in frames(40):
        here = [layer[0] for layer in oracle(spec, parameters, frame[None])]
        # Biases speak in the first frame, inputs where they are not zero.
        old = before or [np.zeros_like(layer) for layer in here]
        changed = [np.count_nonzero(np.abs(a - b) > 1e-12) for a, b in zip(here, old, strict=True)]
        began = stream.cost
        stream.show(frame)
        assert stream.cost.events - began.events == sum(changed)
        operations = sum(n * above for n, above in zip(changed, LAYERS[1:], strict=False))
        assert stream.cost.operations - began.operations == operations
        before = here


def test_a_slow_stream_costs_a_fifth_at_most():
    image = load("digits").x[3].reshape(8, 8) / 2
    seen = moving(image, hold=12).reshape(-1, 64)
    spec = NetworkSpec((64, 32, 10))
    stream, alone = FrameStream(spec.build(executor="step")), spec.build(executor="step")
    total = np.zeros(2)
    for frame in seen:
        one = FrameStream(alone)
        np.testing.assert_allclose(stream.show(frame), one.show(frame), rtol=0, atol=1e-12)
        total += one.cost
    assert np.all(np.array(stream.cost) <= 0.2 * total)


def learnt(execution, stream, data, **options):
    on_chip = execution.precision == "loihi2"
    training = {"optimiser": options.pop("optimiser", "sgd"), "batch_size": 1, "lanes": 1}
    rate = None if on_chip else {"sgd": 0.02, "adam": 0.001, "momentum": 0.005}
    training["learning_rate"] = rate and rate[training["optimiser"]]
    training |= options.pop("training", {})
    spec = NetworkSpec(LAYERS, **options)
    config = TrainingConfig(epochs=1, stream=stream, **training)
    with Trainer(spec, data, config, execution) as trainer:
        metrics = [trainer.run(trainer.train_rows, 1), trainer.run(trainer.test_rows, 0)]
        separate = [b for b in trainer.network.feedback() if b is not None]
        return [*trainer.parameters()[0], *trainer.parameters()[1], *separate], metrics


X = frames(30)
DATA = Dataset("frames", X, np.arange(30) // 5 % 4, official_training_rows=20)
REFERENCE = Execution(runtime="reference")
EVERYWHERE = [REFERENCE, *(Execution(g, runtime="in-process")
                           for g in ("network", "layer", "neuron"))]  # fmt: skip


@pytest.mark.parametrize("execution", EVERYWHERE, ids=lambda e: e.label)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimiser": "adam", "feedback": "kolen_pollack"},
        {"training": {"batch_size": 4, "lanes": 2}, "density": 0.5},
    ],
    ids=str,
)
def test_what_is_learnt_is_what_frames_alone_teach(execution, options):
    (ours, metrics), (theirs, alone) = (
        learnt(execution, stream, DATA, **{**options}) for stream in (True, False)
    )
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-10)
    for mine, other in zip(metrics, alone, strict=True):
        assert mine.residual == 0
        assert mine.loss == pytest.approx(other.loss, abs=1e-10)
        assert mine.accuracy == other.accuracy
    if "training" not in options:  # of two streams side by side, each has every second frame
        assert metrics[1].operations < alone[1].operations


@pytest.mark.parametrize("granularity", ["network", "layer"])
def test_integers_learn_the_same_to_the_bit(granularity):
    execution = Execution(granularity, "sync", "loihi2", "in-process")
    unit = Dataset("frames", np.clip(X, 0, 1), DATA.labels, official_training_rows=20)
    (ours, _), (theirs, _) = (learnt(execution, s, unit, beta=0.125) for s in (True, False))
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.lava
@pytest.mark.timeout(60)
def test_on_lavas_own_runtime():
    (ours, _), (theirs, _) = (
        learnt(Execution(*where), True, DATA) for where in (("layer",), ("layer", "sync", "float",
                                                                        "in-process"))
    )  # fmt: skip
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_it_takes_what_connections_make_up_for(monkeypatch):
    monkeypatch.setattr(Connection, "_make_up", lambda self, *before: None)
    ours, theirs = (learnt(REFERENCE, stream, DATA)[0] for stream in (True, False))
    assert max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) > 1e-3


def test_learning_and_looking_may_alternate():
    spec = NetworkSpec(LAYERS)
    stream = FrameStream(spec.build(executor="step", optimiser=SGD(0.05)))
    alone = spec.build(executor="step", optimiser=SGD(0.05))
    for i, frame in enumerate(frames(30)):
        target = np.eye(4)[i // 8] if i % 3 else None
        np.testing.assert_allclose(
            stream.show(frame, target), FrameStream(alone).show(frame, target), rtol=0, atol=1e-11
        )
    for ours, theirs in zip(stream.network.parameters()[0], alone.parameters()[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11)


def test_what_keeps_nothing_is_refused():
    with pytest.raises(UnsupportedError, match="a swept network keeps nothing"):
        FrameStream(NetworkSpec(LAYERS).build())
    with pytest.raises(UnsupportedError, match="a spiking network keeps nothing"):
        FrameStream(NetworkSpec(LAYERS, rule="spiking").build(executor="step"))
    config = TrainingConfig(stream=True)
    for options, execution in (
        ({"alpha": 0.5}, REFERENCE),
        ({"rule": "backprop"}, REFERENCE),
        ({}, Execution("layer", "async", "float", "in-process")),
    ):
        with pytest.raises(UnsupportedError, match="stream: needs"):
            Trainer(NetworkSpec(LAYERS, **options), DATA, config, execution)


def test_a_frame_that_does_not_settle_is_no_result():
    network = NetworkSpec(LAYERS, rule="dp", alpha=0.9, beta=0.5, repeats=0).build(executor="step")
    stream = FrameStream(network)
    stream.show(X[1])
    with pytest.raises(NotSettledError, match="frame 2: the network did not settle"):
        stream.show(X[1], np.eye(4)[0])


@pytest.mark.parametrize(
    ("frame", "text"),
    [(np.zeros(3), "must have shape"), (np.full(12, np.nan), "must be finite"), ([], "shape")],
)
def test_a_bad_frame_is_refused(frame, text):
    stream = FrameStream(NetworkSpec(LAYERS).build(executor="step"))
    with pytest.raises(ValidationError, match=text):
        stream.show(frame)


def test_the_benchmark_counts_both(capsys):
    line = "bench stream digits --layers 16 --holds 1 8 --images 2 --epochs 0 --json"
    assert main(line.split()) == 0
    one, eight = json.loads(capsys.readouterr().out)["streams"]
    assert (one["frames"], eight["frames"]) == (16, 128)
    assert one["alone_operations"] == pytest.approx(eight["alone_operations"])
    # What moves costs the same, seven of eight frames nothing.
    assert eight["operations"] == pytest.approx(one["operations"] / 8)
    assert eight["share"] <= 0.2
    for row in (one, eight):
        assert max(row["difference"], row["weight_difference"]) < 1e-9
    assert main(["bench", "stream", "digits", "--holds", "0"]) == 2
    assert "holds: must be at least 1" in capsys.readouterr().err


def test_with_convolutions_what_is_local_stays_local(capsys):
    """A square that goes a pixel further changes what its window sees, and what sees that."""
    graph = Path(__file__).parents[2] / "tutorials" / "graphs" / "convolution.toml"
    line = f"bench stream digits --graph {graph} --holds 1 --images 1 --epochs 0 --json"
    found = []
    for words in (line, f"{line} --speck 1"):
        assert main(words.split()) == 0
        (row,) = json.loads(capsys.readouterr().out)["streams"]
        assert row["difference"] < 1e-9
        found.append(row["share"])
    assert found[1] < 0.6 * found[0]
