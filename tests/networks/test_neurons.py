"""Every dyad its own Lava Process, in one OS process: the same weights as everywhere else."""

import numpy as np
import pytest

from lava_dyads import (
    DyadNetwork,
    DyadRunConfig,
    InProcessSession,
    NetworkSpec,
    Trainer,
    TrainingConfig,
    load,
)
from lava_dyads.errors import UnsupportedError
from lava_dyads.networks import Execution
from lava_dyads.testing import play

pytestmark = pytest.mark.timeout(60)
DIGITS = load("digits")


def trained(spec, granularity, runtime="in-process", samples=43, **training):
    config = TrainingConfig(batch_size=10, lanes=5, **training)
    with Trainer(spec, DIGITS, config, Execution(granularity, runtime=runtime)) as trainer:
        metrics = trainer.run(trainer.train_rows[:samples], 1)
        weights = np.concatenate([p.ravel() for part in trainer.parameters() for p in part])
    return weights, metrics


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_neurons_learn_the_weights_of_the_fused_network(alpha, optimiser, loss):
    spec = NetworkSpec((64, 12, 8, 10), alpha=alpha, loss=loss)
    fine, counted = trained(spec, "neuron", optimiser=optimiser)
    fused, fused_counted = trained(spec, "network", runtime="reference", optimiser=optimiser)
    assert np.linalg.norm(fine - fused) <= 1e-12 * np.linalg.norm(fused)
    assert (counted.events, counted.operations) == (fused_counted.events, fused_counted.operations)
    assert counted.straddling == fused_counted.straddling
    assert counted.residual == 0


@pytest.mark.parametrize(
    ("rule", "loss"),
    [
        ("dp", "squared-error"),
        ("activation-relaxation", "cross-entropy"),
        ("predictive-coding", "cross-entropy"),
        ("predictive-coding-free", "squared-error"),
    ],
)
def test_other_rules_too(rule, loss):
    own = {"alpha": 0.5} if rule == "dp" else {}
    spec = NetworkSpec((64, 6, 10), "tanh", rule=rule, loss=loss, threshold=1e-3, **own)
    fine, _ = trained(spec, "neuron", samples=15)
    fused, _ = trained(spec, "network", runtime="reference", samples=15)
    np.testing.assert_allclose(fine, fused, rtol=0, atol=1e-12)


def test_every_dyad_is_a_process_with_its_own_model_and_counters():
    process = DyadNetwork(NetworkSpec((4, 3, 2), activations="tanh").build())
    with InProcessSession(process, DyadRunConfig("neuron")) as session:
        session.run(process.schedule.steps)
        models = {id(n.model) for n in session.runtime.nodes if "." in n.process.name}
        names = [n.process.name for n in session.runtime.nodes]
    assert len(models) == 5
    assert {"population_1.0", "population_2.1", "connection_2", "head", "output"} <= set(names)
    parts = process.network.elements["population_1"].parts
    assert len(parts) == 3
    assert parts[0].memory["counts"] is not parts[1].memory["counts"]
    # Whatever a neuron writes, its layer shows.
    parts[2].memory["bias"][:] = 7.0
    assert process.read("biases_1").tolist() == [0.0, 0.0, 7.0]


def test_a_softmax_inside_the_output_unit_cannot_be_cut():
    spec = NetworkSpec((4, 3, 2), rule="dp", nudge="proximal", alpha=0.5)
    with pytest.raises(UnsupportedError, match="needs its whole layer"):
        InProcessSession(DyadNetwork(spec.build()), DyadRunConfig("neuron"))


def test_a_whole_network_can_be_played_with():
    spec = NetworkSpec((2, 3, 1), activations="linear", loss="squared-error")
    weights, _ = spec.initial_parameters()
    process = DyadNetwork(spec.build())
    x = np.array([[0.5, -1.0]])
    played = play(
        process,
        {"input_in": x},
        outputs=["output_out"],
        steps=6,
        run_cfg=DyadRunConfig("neuron"),
        runtime="in-process",
    )
    # The forward wave takes a step per connection; the sum of the changes is W2 W1 x.
    total = played.outputs["output_out"].sum(axis=0)
    np.testing.assert_allclose(total, (weights[1] @ weights[0] @ x[0]), rtol=1e-12)
