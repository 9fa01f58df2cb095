"""Specifications, trainers and what they hold can be sent to another process, and copied."""

import copy
import pickle

import numpy as np
import pytest

from lava_dyads import (
    Adam,
    Checkpoint,
    Dataset,
    Execution,
    Faults,
    Graph,
    InProcessSession,
    NetworkSpec,
    Node,
    PresentationSchedule,
    Trainer,
    TrainingConfig,
    Transport,
    describe,
)
from lava_dyads.errors import ValidationError
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.ops.structured import STRUCTURES
from lava_dyads.rules.units import BASELINES, RULES

DATA = Dataset("rows", np.random.default_rng(0).random((40, 4)), np.arange(40) % 3)
GRAPH = Graph(
    [
        Node("x", "input", shape=(4,)),
        Node("h", "dense", "x", size=3, activation="hard-sigmoid"),
        Node("y", "dense", "h", size=3, loss="cross-entropy"),
    ]
)


def cloudpickled(value):
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(value))


def pickled(value):
    return pickle.loads(pickle.dumps(value))


WAYS = [pickled, copy.deepcopy, copy.copy, cloudpickled]


def specs():
    for rule in (*RULES, *BASELINES):
        known = getattr(RULES.get(rule), "activations", ()) or ACTIVATIONS
        for name in known:
            yield NetworkSpec((4, 3, 3), rule=rule, activations=name)
    yield NetworkSpec(graph=GRAPH)
    yield NetworkSpec((4, 3, 3), density=0.5, feedback="kolen_pollack")


@pytest.mark.parametrize("way", WAYS)
def test_a_specification_in_use_is_copied_and_builds_the_same_network(way):
    for spec in specs():
        network = spec.build()
        twin = way(spec)
        assert twin == spec
        for ours, theirs in zip(network.parameters()[0], twin.build().parameters()[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("way", WAYS)
def test_whatever_a_training_is_made_of_is_copied(way):
    spec = NetworkSpec((4, 3, 3))
    checkpoint = Checkpoint(spec, *spec.initial_parameters(), {"dataset": "rows"})
    config = TrainingConfig(epochs=2, batch_size=8)
    with Trainer(spec, DATA, config, Execution(runtime="reference")) as trainer:
        history, state, metrics = trainer.fit(), trainer.state(), trainer.evaluate()
    equal = (config, Execution(), Transport(faults=Faults(drop=0.1)), GRAPH, Adam(), spec, history,
             metrics, describe(spec, quiet=True), *ACTIVATIONS.values(),
             *STRUCTURES.values())  # fmt: skip
    for value in equal:
        twin = way(value)
        assert twin is value or repr(twin) == repr(value)
    for loss in LOSSES.values():
        assert way(loss).name == loss.name
    assert way(PresentationSchedule(3, 2, 4)).steps == 3
    assert way(state).progress == state.progress
    np.testing.assert_array_equal(way(checkpoint).weights[0], checkpoint.weights[0])
    np.testing.assert_array_equal(way(DATA).x, DATA.x)
    with pytest.raises(ValidationError) as caught:
        NetworkSpec((0, 0))
    assert str(pickled(caught.value)) == str(caught.value)


RUNS = [
    ({}, Execution(runtime="reference")),
    ({}, Execution("layer", runtime="in-process")),
    ({}, Execution("neuron", "async", runtime="in-process")),
    ({"compartment_noise": 0.01}, Execution("layer", runtime="in-process")),
    ({"weight_format": "ste"}, Execution(runtime="reference")),
    ({"rule": "spiking", "feedback": "random"}, Execution(runtime="reference")),
    pytest.param({}, Execution("layer", runtime="lava"), marks=pytest.mark.lava),
]


@pytest.mark.sampled(2)
@pytest.mark.sampled(2)
@pytest.mark.parametrize("way", [pickled, copy.deepcopy])
@pytest.mark.parametrize(("options", "execution"), RUNS)
def test_a_trainer_that_has_been_running_is_copied_and_goes_on_with_equal_weights(
    options, execution, way
):
    if execution.runtime != "reference":
        pytest.importorskip("lava.magma")
    spec, config = NetworkSpec((4, 3, 3), **options), TrainingConfig(epochs=2, batch_size=6)
    with Trainer(spec, DATA, config, execution) as trainer:
        first = []
        trainer.fit(lambda entry: first or first.append(way(trainer)))
        with first[0] as twin:
            assert len(twin.history.epochs) == 1
            twin.fit()
            for ours, theirs in zip(trainer.stored()[0], twin.stored()[0], strict=True):
                np.testing.assert_array_equal(ours, theirs)
            assert twin.history.column("test_loss") == trainer.history.column("test_loss")
    with way(trainer) as finished:  # also when it is closed
        np.testing.assert_array_equal(finished.stored()[0][0], trainer.stored()[0][0])


def test_what_cannot_be_copied_says_so_in_one_line(tmp_path):
    pytest.importorskip("lava.magma")
    from lava_dyads import Dyad

    with InProcessSession(Dyad((2,))) as session:
        for way in (pickled, copy.deepcopy):
            with pytest.raises(ValidationError, match=r"^InProcessSession: .* cannot be pickled"):
                way(session)
    execution = Execution("neuron", "async", runtime="in-process")
    options = {"trace": tmp_path / "trace.npz"}
    with (
        Trainer(NetworkSpec((4, 3)), DATA, None, execution, **options) as trainer,
        pytest.raises(ValidationError, match=r"^Trainer.trace: "),
    ):
        pickled(trainer)
