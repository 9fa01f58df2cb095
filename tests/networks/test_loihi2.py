"""Precision loihi2: bit-equal at every granularity and on every runtime."""

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_dyads import DyadNetwork, InProcessSession, LavaSession, NetworkSpec, Trainer, load
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.models import FIXED_LEAVES, layer_processes
from lava_dyads.networks import Execution, reason
from lava_dyads.processes import Dyad
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.training import TrainingConfig

pytestmark = pytest.mark.timeout(120)
DIGITS = load("digits")
CHIP = TrainingConfig(epochs=1, batch_size=1, optimiser="sgd")


def trained(spec, granularity, runtime, samples=40):
    with Trainer(spec, DIGITS, CHIP, Execution(granularity, "sync", "loihi2", runtime)) as trainer:
        metrics = trainer.run(trainer.train_rows[:samples], 1)
        weights = np.concatenate([p.ravel() for part in trainer.parameters() for p in part])
        evaluated = trainer.run(trainer.test_rows[: samples // 2], 0)
        same = np.concatenate([p.ravel() for part in trainer.parameters() for p in part])
        np.testing.assert_array_equal(weights, same)
    counted = (metrics.events, metrics.operations, metrics.residual)
    return weights, counted, (evaluated.loss, evaluated.accuracy)


WAYS = [("layer", "in-process"), ("neuron", "in-process"), ("network", "in-process")]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("dp-transpose", {"alpha": 0.0}),
        ("dp-transpose", {"alpha": 1.0}),
        ("activation-relaxation", {}),
    ],
)
def test_granularities_learn_the_same_weights_to_the_bit(rule, options, loss):
    spec = NetworkSpec((64, 12, 8, 10), rule=rule, loss=loss, beta=0.5, **options)
    reference = trained(spec, "network", "reference")
    initial = np.concatenate([p.ravel() for part in spec.initial_parameters() for p in part])
    assert np.linalg.norm(reference[0] - initial) > 0.05
    for granularity, runtime in WAYS:
        ours = trained(spec, granularity, runtime)
        np.testing.assert_array_equal(ours[0], reference[0])
        assert ours[1:] == reference[1:]


@pytest.mark.lava
@pytest.mark.parametrize("granularity", ["layer", "network", "neuron"])
def test_lavas_own_runtime_learns_them_too(granularity):
    spec = NetworkSpec((64, 4, 10), beta=0.5)
    ours = trained(spec, granularity, "lava", samples=8)
    reference = trained(spec, "network", "reference", samples=8)
    np.testing.assert_array_equal(ours[0], reference[0])
    assert ours[1:] == reference[1:]


def test_every_message_is_made_of_integers():
    process = DyadNetwork(NetworkSpec((4, 3, 2), gain=0.1).build(arithmetic=Loihi2()))
    with InProcessSession(process) as session:
        session.run(process.schedule.steps)
        types = [
            np.dtype(getattr(node.model, port.name)._d_type).name
            for node in session.runtime.nodes
            for port in (*node.process.out_ports, *node.process.in_ports)
            if port.name not in ("command_in", "report_out")  # for a conductor: host, not chip
        ]
    assert len(types) > 10
    assert set(types) == {"int32"}


def test_a_model_of_the_other_precision_refuses_the_element():
    for arithmetic, tag in ((None, "fixed_pt"), (Loihi2(), "floating_pt")):
        network = NetworkSpec((3, 2), gain=0.1).build(arithmetic=arithmetic)
        processes, _ = layer_processes(network, PresentationSchedule())
        config = Loihi2SimCfg(select_tag=tag)
        with pytest.raises(ValidationError, match="Try: select_tag="):
            InProcessSession(processes["head"], config)


def test_every_process_has_a_fixed_point_model_with_lavas_tag():
    assert Dyad in FIXED_LEAVES
    for model in FIXED_LEAVES.values():
        assert model.tags == ["fixed_pt"]
        assert model.precision == "loihi2"


@pytest.mark.lava
def test_lavas_own_run_configuration_finds_them_by_their_tag():
    network = NetworkSpec((3, 2), gain=0.1).build(arithmetic=Loihi2())
    processes, _ = layer_processes(network, PresentationSchedule())
    with LavaSession(processes["population_1"], Loihi2SimCfg(select_tag="fixed_pt")) as session:
        assert session.run(2) == 2


@pytest.mark.parametrize(
    ("execution", "rule", "words"),
    [
        (Execution("layer", "async", "loihi2", "in-process"), "dp-transpose", "step together"),
        (Execution(precision="loihi2", runtime="reference"), "backprop", "no place on the chip"),
        (Execution(precision="loihi2"), "spiking", "no integer form"),
    ],
)
def test_the_support_table_says_why_not(execution, rule, words):
    assert words in reason(execution, rule)
    with pytest.raises(UnsupportedError, match=words):
        execution.check(rule)


def test_learning_takes_one_sample_at_a_time_and_evaluation_many():
    spec = NetworkSpec((64, 10), beta=1.0)
    execution = Execution(precision="loihi2", runtime="reference")
    config = TrainingConfig(batch_size=50)
    with Trainer(spec, DIGITS, config, execution) as trainer:
        many = trainer.evaluate()
        with pytest.raises(ValidationError, match=r"batch_size: .*one sample at a time"):
            trainer.run(trainer.train_rows, 1)
    with Trainer(spec, DIGITS, CHIP, execution) as trainer:
        one = trainer.evaluate()
    assert (many.accuracy, many.samples) == (one.accuracy, one.samples)
    with pytest.raises(ValidationError, match=r"optimiser: .*sgd"):
        Trainer(spec, DIGITS, TrainingConfig(batch_size=1), execution)
    with pytest.raises(ValidationError, match=r"arithmetic: .*float"):
        Trainer(spec, DIGITS, config, Execution(runtime="reference"), arithmetic=Loihi2())


@pytest.mark.parametrize(
    ("epochs", "level"), [(1, 0.85), pytest.param(5, 0.95, marks=pytest.mark.slow)]
)
def test_digits_are_learnt_from_scratch_in_strict_mode(epochs, level):
    spec = NetworkSpec((64, 64, 10), beta=1.0)
    config = TrainingConfig(epochs, batch_size=1, optimiser="sgd")
    execution = Execution(precision="loihi2", runtime="reference")
    with Trainer(spec, DIGITS, config, execution) as trainer:
        history = trainer.fit()
    assert history.column("test_accuracy")[-1] >= level
    assert max(history.column("train_residual")) == 0
