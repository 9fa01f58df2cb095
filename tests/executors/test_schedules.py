"""Orders of updating: one fixed point, whatever the order; how many updates is in test_papers."""

from itertools import islice, pairwise

import numpy as np
import pytest

from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.executors.schedules import ORDERS, random_neuron
from lava_dyads.experiments import check_gradient
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.activations import activation
from lava_dyads.rules.losses import loss

SPEC = NetworkSpec(
    (5, 7, 6, 4), activations="linear", loss="squared-error", beta=0.3, bias_deviation=0.1
)
GENERATOR = np.random.default_rng(3)
X, Y = GENERATOR.normal(size=(3, 5)), GENERATOR.normal(size=(3, 4))


def error(network):
    weights, biases = network.parameters()
    hidden = [activation("linear")] * 2
    exact = backpropagate(X, Y, weights, biases, hidden, loss("squared-error")).gradients()
    pairs = zip(
        (*network.gradients()[0], *network.gradients()[1]), (*exact[0], *exact[1]), strict=True
    )
    return max(np.abs(ours - theirs).max() for ours, theirs in pairs)


@pytest.mark.parametrize("name", ORDERS)
def test_every_order_ends_at_the_gradient(name):
    network, order = SPEC.build(lanes=3), ORDERS[name]
    if order.lazy:
        network.settle(Y[:, [0] * 5], X[:, :4])
    outcome = network.settle(X, Y, schedule=order.schedule(2), lazy=order.lazy)
    assert outcome.converged
    assert error(network) < 1e-12


def test_unit_steps_are_exact_after_twice_the_depth_and_not_before():
    network, depth = SPEC.build(lanes=3), SPEC.depth
    outcome = network.settle(X, Y, schedule=ORDERS["unit-step"].schedule())
    assert outcome.steps == 1 + 2 * depth  # data arrive in the first
    assert error(network) < 1e-12

    def shorter(network):
        return islice(ORDERS["unit-step"].schedule()(network), 2 * depth)

    assert not network.settle(X, Y, schedule=shorter).converged
    assert error(network) > 1e-3


def test_a_neuron_updates_alone():
    network = SPEC.build(lanes=3)
    states = []

    def noted(network):
        for names in islice(random_neuron(1)(network), 200):
            state = [p.memory["s_plus"] for p in network.populations.values()]
            states.append(np.concatenate(state, axis=1))
            yield names

    network.settle(X, Y, schedule=noted)
    moved = [np.flatnonzero((a != b).any(axis=0)) for a, b in pairwise(states)]
    assert max(len(m) for m in moved) == 1
    assert len(set(np.concatenate(moved))) == 7 + 6 + 4
    assert all(p.awake == slice(None) for p in network.populations.values())


def test_orders_are_for_the_check_and_unknown_ones_are_named():
    for name in ("one-sweep", "random-neuron", "lazy"):
        assert check_gradient(SPEC, networks=1, samples=2, order=name).holds
    with pytest.raises(ValidationError, match=r"order: unknown name .*Try: .*odd-even"):
        check_gradient(SPEC, order="odd-evn")


def test_a_lazy_start_needs_something_to_start_from():
    with pytest.raises(UnsupportedError, match="nothing was settled before"):
        SPEC.build(lanes=3).settle(X, Y, lazy=True)
