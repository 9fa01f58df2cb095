"""Sparse connections: what is no synapse stays 0, costs nothing, and learns nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.errors import ValidationError
from lava_dyads.experiments import check_gradient
from lava_dyads.networks import describe
from lava_dyads.processes import DyadSparse
from lava_dyads.rules.ops import Dense, Sparse

DIGITS = load("digits")


@given(seed=st.integers(0, 10**6), lanes=st.integers(1, 4))
def test_operations_are_counted_one_by_one(seed, lanes):
    generator = np.random.default_rng(seed)
    mask = generator.random((4, 6)) < 0.4
    up = generator.integers(-1, 2, (lanes, 6)) * 1.0
    down = generator.integers(-1, 2, (lanes, 4)) * 1.0
    op = Sparse(4, 6, mask)
    places = [(lane, i, j) for lane in range(lanes) for i, j in np.argwhere(mask)]
    assert op.synapses == mask.sum()
    assert op.forward_operations(up) == sum(up[n, j] != 0 for n, i, j in places)
    assert op.backward_operations(down) == sum(down[n, i] != 0 for n, i, j in places)
    both = sum(up[n, j] != 0 and down[n, i] != 0 for n, i, j in places)
    assert op.learning_operations(down, up) == both
    np.testing.assert_array_equal(op.outer(down, up), Dense(4, 6).outer(down, up) * mask)


def test_every_neuron_has_as_many_synapses_and_weights_of_that_deviation():
    spec = NetworkSpec((400, 300, 10), density=(0.1, 1.0), gain=1.5, seed=2)
    first, second = (op.mask for op in spec.ops)
    assert second is None
    assert set(first.sum(axis=1)) == {40}
    weights = spec.initial_parameters()[0][0]
    np.testing.assert_array_equal(weights != 0, first)
    assert weights[first].std() == pytest.approx(1.5 / np.sqrt(40), rel=0.03)
    assert spec.parameter_count == 300 * 40 + 300 * 10 + 310
    assert describe(spec, quiet=True).rows[1].kind == "DyadSparse"


@pytest.mark.parametrize("rule", ["dp-transpose", "activation-relaxation"])
def test_the_gradient_is_backprops_of_the_sparse_network(rule):
    options = {"activations": "linear", "loss": "squared-error", "density": 0.3}
    spec = NetworkSpec((16, 24, 16, 5), rule=rule, beta=0.1, bias_deviation=0.1, **options)
    masks = [op.mask for op in spec.ops]
    network = spec.build(lanes=4)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(4, 16)), generator.normal(size=(4, 5))
    assert network.settle(x, y).converged
    weights, biases = spec.initial_parameters()

    def cost():
        z = x
        for w, b in zip(weights, biases, strict=True):
            z = z @ w.T + b
        return 0.5 * ((z - y) ** 2).sum() / len(x)

    for w, gradient, mask in zip(weights, network.gradients()[0], masks, strict=True):
        assert np.all(gradient[~mask] == 0)
        i = tuple(np.argwhere(mask)[3])
        old = w[i]
        w[i] = old + 1e-6
        above = cost()
        w[i] = old - 1e-6
        below = cost()
        w[i] = old
        assert gradient[i] == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-8)


WAYS = [
    ("network", "sync", "float", "reference"),
    ("layer", "sync", "float", "in-process"),
    ("neuron", "sync", "float", "in-process"),
    ("layer", "async", "float", "in-process"),
    ("layer", "sync", "float", "lava"),
]


def learnt(spec, way, **options):
    execution = Execution(*way)
    chip = execution.precision == "loihi2"
    config = TrainingConfig(batch_size=1 if chip else 4, optimiser="sgd", **options)
    with Trainer(spec, DIGITS, config, execution) as trainer:
        metrics = trainer.run(trainer.train_rows[:24], learn=True)
        return trainer.parameters()[0], metrics


@pytest.mark.parametrize("feedback", ["tied", "kolen_pollack"])
def test_every_way_learns_the_same_and_no_synapse_appears(feedback):
    spec = NetworkSpec((64, 8, 10), density=0.25, feedback=feedback)
    reference, cost = learnt(spec, WAYS[0])
    masks = [op.mask for op in spec.ops]
    for weights, mask, start in zip(reference, masks, spec.initial_parameters()[0], strict=True):
        np.testing.assert_array_equal(weights != 0, mask)
        assert np.abs(weights - start).max() > 1e-4
    for way in WAYS[1 : 5 if feedback == "tied" else 3]:
        weights, here = learnt(spec, way)
        for ours, theirs in zip(weights, reference, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        if way[1] == "sync":
            assert here.operations == cost.operations
    dense = learnt(NetworkSpec((64, 8, 10)), WAYS[0])[1]
    assert cost.operations < 0.4 * dense.operations


def test_integers_are_sparse_too_and_equal_at_every_granularity():
    spec = NetworkSpec((64, 8, 10), density=0.25, beta=1.0)
    ways = [("network", "sync", "loihi2", "reference"), ("layer", "sync", "loihi2", "in-process")]
    one, other = (learnt(spec, way)[0] for way in ways)
    for ours, theirs, mask in zip(one, other, [op.mask for op in spec.ops], strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert np.all(ours[~mask] == 0)
    start = spec.initial_parameters()[0]
    assert max(np.abs(a - b).max() for a, b in zip(one, start, strict=True)) > 2.0**-7


def test_backprop_and_spikes_keep_to_their_synapses():
    for rule in ("backprop", "spiking"):
        spec = NetworkSpec((64, 8, 10), density=0.25, rule=rule, loss="squared-error")
        weights, _ = learnt(spec, WAYS[0])
        for w, op in zip(weights, spec.ops, strict=True):
            assert np.all(w[~op.mask] == 0)
            assert np.any(w[op.mask] != 0)


def test_a_process_of_its_own():
    matrix = csr_matrix(([0.0, 2.0], ([0, 1], [0, 2])), shape=(2, 3))
    assert DyadSparse(matrix).element.op.synapses == 2  # a stored zero is a synapse
    assert DyadSparse(matrix.toarray()).element.op.synapses == 1
    assert DyadSparse(np.zeros((2, 3)), mask=np.eye(2, 3)).element.op.synapses == 2
    with pytest.raises(ValidationError, match=r"must be 0 where there is no synapse \(got 1\)"):
        DyadSparse(matrix, mask=np.zeros((2, 3)))
    with pytest.raises(ValidationError, match=r"Sparse.there: .*\(2, 3\)"):
        DyadSparse(matrix, mask=np.ones((3, 2)))


@pytest.mark.parametrize("density", [0.0, 1.5, (0.5,)])
def test_densities_out_of_range_are_refused(density, capsys):
    with pytest.raises(ValidationError, match="density"):
        NetworkSpec((4, 3, 2), density=density)
    assert main(["train", "digits", "--density", "0"]) == 2
    assert "density: must lie in (0, 1]" in capsys.readouterr().err


def test_the_gradient_check_holds_for_sparse_networks():
    check = check_gradient(NetworkSpec((16, 12, 5), density=0.4, beta=0.01), networks=3)
    assert check.holds
