"""Separate feedback weights are the same at every granularity, clock and precision."""

import numpy as np
import pytest

from lava_dyads import DyadDenseFeedback, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.errors import ValidationError
from lava_dyads.networks import Execution, describe
from lava_dyads.processes import DyadNetwork
from lava_dyads.rules.feedback import FEEDBACK
from lava_dyads.rules.optimisers import SGD
from lava_dyads.runtime import DyadRunConfig, InProcessSession
from lava_dyads.testing import play

pytestmark = pytest.mark.timeout(120)
DIGITS = load("digits")
SEPARATE = [name for name, kind in FEEDBACK.items() if kind.separate]


def trained(spec, execution, samples=20):
    chip = execution.precision == "loihi2"
    config = TrainingConfig(
        epochs=1, batch_size=1 if chip else 5, optimiser="sgd" if chip else "adam"
    )
    with Trainer(spec, DIGITS, config, execution) as trainer:
        metrics = trainer.run(trainer.train_rows[:samples], 1)
        back = [b for b in trainer.network.feedback() if b is not None]
        parts = [*(p for part in trainer.parameters() for p in part), *back]
        return np.concatenate([p.ravel() for p in parts]), (metrics.events, metrics.operations)


WAYS = [
    Execution("layer", "sync", runtime="in-process"),
    Execution("neuron", "sync", runtime="in-process"),
    Execution("network", "sync", runtime="in-process"),
    Execution("layer", "async", runtime="in-process"),
    Execution("neuron", "async", runtime="in-process"),
]


@pytest.mark.parametrize("kind", SEPARATE)
def test_every_way_learns_the_same_weights_and_feedback(kind):
    spec = NetworkSpec((64, 12, 8, 10), feedback=kind)
    reference, counted = trained(spec, Execution(runtime="reference"))
    for execution in WAYS:
        ours, counts = trained(spec, execution)
        distance = np.linalg.norm(ours - reference) / np.linalg.norm(reference)
        assert distance <= 1e-9, execution.label
        if execution.clock == "sync":
            assert counts == counted


def test_spiking_dyads_hear_their_feedback_at_every_granularity():
    layers = (64, 12, 8, 10)
    first = []  # weights above the input: what the feedback decides on
    for kind in FEEDBACK:
        spec = NetworkSpec(layers, rule="spiking", feedback=kind, window=16)
        reference, counted = trained(spec, Execution(runtime="reference"), 10)
        first.append(reference[: 64 * 12])
        for granularity in ("layer", "neuron", "network"):
            ours, counts = trained(spec, Execution(granularity, runtime="in-process"), 10)
            np.testing.assert_array_equal(ours, reference)
            assert counts == counted
    assert np.any(first[0] != first[1])


@pytest.mark.parametrize("kind", SEPARATE)
def test_on_the_chip_they_agree_to_the_bit(kind):
    spec = NetworkSpec((64, 12, 8, 10), feedback=kind, beta=0.5)
    reference = trained(spec, Execution(precision="loihi2", runtime="reference"))
    for granularity in ("layer", "neuron", "network"):
        ours = trained(spec, Execution(granularity, "sync", "loihi2", "in-process"))
        np.testing.assert_array_equal(ours[0], reference[0])
        assert ours[1] == reference[1]


def test_the_chip_learns_digits_through_feedback_that_learns_in_strict_mode():
    spec = NetworkSpec((64, 32, 10), beta=1.0, feedback="kolen_pollack")
    config = TrainingConfig(epochs=1, batch_size=1, optimiser="sgd", learning_rate=2.0**-4)
    execution = Execution(precision="loihi2", runtime="reference")
    with Trainer(spec, DIGITS, config, execution) as trainer:
        begin = trainer.feedback_drift()
        last = trainer.fit().epochs[-1]
    assert last["test_accuracy"] > 0.85
    assert last["train_residual"] == 0
    assert last["feedback_angle_2"] < begin["feedback_angle_2"] - 20


@pytest.mark.lava
@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("granularity", "clock", "precision"),
    [
        ("layer", "sync", "float"),
        ("network", "sync", "float"),
        ("neuron", "sync", "float"),
        ("layer", "async", "float"),
        ("layer", "sync", "loihi2"),
        ("network", "sync", "loihi2"),
    ],
)
def test_lavas_own_runtime_learns_them_too(granularity, clock, precision):
    spec = NetworkSpec((64, 8, 10), feedback="kolen_pollack", beta=0.5)
    reference = trained(spec, Execution(precision=precision, runtime="reference"), 10)[0]
    ours = trained(spec, Execution(granularity, clock, precision, "lava"), 10)[0]
    limit = 0 if precision == "loihi2" else 1e-9
    assert np.linalg.norm(ours - reference) <= limit * np.linalg.norm(reference)


@pytest.mark.parametrize("granularity", ["layer", "neuron", "network"])
def test_the_networks_vars_are_the_feedback_of_its_connections(granularity):
    spec = NetworkSpec((3, 4, 2), feedback="random")
    process = DyadNetwork(spec.build())
    assert not hasattr(process, "feedback_1")
    with InProcessSession(process, DyadRunConfig(granularity)) as session:
        session.run(2)
        np.testing.assert_array_equal(process.feedback_2.get(), spec.initial_feedback()[1])
        process.feedback_2.set(np.arange(8.0).reshape(2, 4))
        np.testing.assert_array_equal(process.network.feedback()[1], np.arange(8.0).reshape(2, 4))


def test_a_connection_carries_down_through_its_feedback_and_both_learn():
    w, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.arange(6.0).reshape(2, 3)[::-1]
    up, down = np.array([[1.0, 0.0, 2.0]]), np.array([[0.5, -1.0]])
    still = DyadDenseFeedback(w, feedback=b, beta=0.5, optimiser=SGD(0.1))
    out = play(
        still, {"mean_in": up, "difference_in": down}, outputs=["basal_out", "apical_out"], steps=2
    ).outputs
    np.testing.assert_allclose(out["basal_out"][1:], up @ w.T)
    np.testing.assert_allclose(out["apical_out"][1:], down @ b)
    # By hand: W <- (1 - 1/4) W + 0.1 / 0.5 D zbar^T, B^T alike.
    options = {"lanes": 1, "beta": 0.5, "optimiser": SGD(0.1, decay=0.25)}
    for learns in (False, True):
        made = DyadDenseFeedback(w, feedback=b, feedback_learns=learns, **options)
        made.schedule.steps, made.schedule.window[:] = 1, (0, 1)
        played = play(
            made, {"mean_in": up, "difference_in": down}, watch=["weights", "feedback"], steps=1
        )
        change = 0.2 * down.T @ up
        np.testing.assert_allclose(played.vars["weights"][-1], 0.75 * w + change)
        expected = 0.75 * b + change if learns else b
        np.testing.assert_allclose(played.vars["feedback"][-1], expected)
        assert made.element.counts["learning"] == 4 * (1 + learns)


def test_the_description_names_the_synapses_and_counts_them():
    tied, separate = (
        describe(NetworkSpec((4, 3, 2), feedback=kind), quiet=True) for kind in ("tied", "random")
    )
    kinds = [row.kind for row in separate.rows if row.name.startswith("connection")]
    assert kinds == ["DyadDense", "DyadDenseFeedback"]
    totals = [sum(row.parameters for row in d.rows) for d in (tied, separate)]
    assert totals[1] - totals[0] == 3 * 2
    assert tied.port_messages == separate.port_messages


def test_a_feedback_process_needs_feedback():
    with pytest.raises(ValidationError, match="feedback: must be an array"):
        DyadDenseFeedback(np.ones((2, 3)))
