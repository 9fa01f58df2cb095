"""What every registered rule has to do, on every activation, loss and shape of a graph.

A new rule is in here as soon as it is registered: what it promises stands in its ``Rule``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lava_dyads.data import Dataset
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import UnsupportedError
from lava_dyads.executors.step import Network
from lava_dyads.experiments.gradient import flat
from lava_dyads.networks import Execution, Graph, NetworkSpec, Node
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.units import RULES
from lava_dyads.training import Trainer, TrainingConfig

SMALL = 1e-5
"""A nudge that no kink of these networks is as near to as."""
SAMPLES = 3


def graph(shape: str, activation: str) -> Graph:
    neurons = {"activation": activation}
    if shape == "image":
        return Graph([
            Node("x", "input", shape=(1, 4, 4)),
            Node("seen", "conv", "x", channels=3, kernel=2),
            Node("pooled", "max-pool", "seen", kernel=2, stride=1, **neurons),
            Node("y", "dense", "pooled", size=3),
        ])  # fmt: skip
    nodes = [Node("x", "input", shape=(4,)), Node("a", "dense", "x", size=5, **neurons)]
    nodes += {
        "chain": [Node("b", "dense", "a", size=4, **neurons)],
        "skip": [Node("w", "dense", "a", size=5), Node("b", "sum", ("a", "w"), **neurons)],
        "branches": [
            Node("c", "dense", "a", size=3, **neurons),
            Node("d", "dense", "a", size=2, **neurons),
            Node("b", "concat", ("c", "d")),
        ],
        "gate": [
            Node("c", "dense", "a", size=5, **neurons),
            Node("b", "product", ("a", "c"), **neurons),
        ],
    }[shape]
    return Graph([*nodes, Node("y", "dense", "b", size=3)])


SHAPES = ("chain", "skip", "branches", "gate", "image")
CASES = [
    (rule.name, activation, loss, shape)
    for rule, activation, loss, shape in product(RULES.values(), ACTIVATIONS, LOSSES, SHAPES)
    if loss in rule.losses and activation in (rule.activations or ACTIVATIONS)
    if shape == "chain" or not (rule.spiking or rule.lifted)
    # A loss has a place of its own: it need not meet every activation and every shape.
    if loss in ("cross-entropy", "squared-error") or (activation, shape) == ("tanh", "chain")
]
SETTLING = [case for case in CASES if not RULES[case[0]].spiking]


def spec_of(rule: str, activation: str, loss: str, shape: str, beta: float) -> NetworkSpec:
    own = {"alpha": 0.5} if rule.startswith("dp") and rule != "dp-transpose" else {}
    options = {"rule": rule, "loss": loss, "beta": beta, "bias_deviation": 0.3, "seed": 5} | own
    if shape == "chain":
        return NetworkSpec((4, 5, 4, 3), activations=activation, **options)
    return NetworkSpec(graph=graph(shape, activation), **options)


def problem(spec: NetworkSpec) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(11)
    x = generator.normal(size=(SAMPLES, spec.layers[0]))
    y = generator.normal(size=(SAMPLES, spec.layers[-1]))
    return x, np.eye(3)[y.argmax(axis=1)] if spec.loss == "cross-entropy" else y


def settled(spec: NetworkSpec, x: np.ndarray, y: np.ndarray, **options: object) -> Network:
    network = spec.build(lanes=len(x), **options)
    assert isinstance(network, Network)
    # Residuals of differences are in units of beta, and so is their rounding.
    rounding = np.finfo(network.arithmetic.dtype).eps / spec.rule.beta
    outcome = network.settle(x, y, tolerance=100 * rounding)
    assert outcome.converged, outcome
    return network


def check_along_some_directions(
    spec: NetworkSpec, x: np.ndarray, y: np.ndarray, gradient: np.ndarray
) -> None:
    """Compare with differences of the loss at the minimum of an energy, which it promises."""
    parameters, generator = spec.initial_parameters(), np.random.default_rng(3)
    ends = np.cumsum([a.size for part in parameters for a in part])

    def value(step: np.ndarray) -> float:
        moves = iter(np.split(step, ends[:-1]))
        moved = [[a + next(moves).reshape(a.shape) for a in part] for part in parameters]
        network = spec.build(lanes=len(x), parameters=(moved[0], moved[1]))
        assert isinstance(network, Network)
        assert network.settle(x, None).converged
        output = list(network.populations.values())[-1].memory["free"]
        return float(LOSSES[spec.loss].value(output, y).mean())

    for _ in range(3):
        along = generator.normal(size=ends[-1])
        slope = (value(1e-5 * along) - value(-1e-5 * along)) / 2e-5
        np.testing.assert_allclose(gradient @ along, slope, rtol=1e-3, atol=1e-4)


@pytest.mark.sampled(8)
@pytest.mark.parametrize(("rule", "activation", "loss", "shape"), SETTLING)
def test_the_gradient_is_backprops_or_what_the_rule_promises(rule, activation, loss, shape):
    spec = spec_of(rule, activation, loss, shape, SMALL)
    x, y = problem(spec)
    network = settled(spec, x, y)
    ours = network.gradients()
    exact = spec.backpropagate(x, y, *spec.initial_parameters()).gradients()
    for mine, theirs in zip((*ours[0], *ours[1]), (*exact[0], *exact[1]), strict=True):
        assert mine.shape == theirs.shape
    one, other = flat(*ours), flat(*exact)
    promised = RULES[rule]
    if promised.lifted:
        check_along_some_directions(spec, x, y, one)
    if promised.exact:
        # Of dyads to first order of beta; rounding costs 1e-16 / beta.
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert cosine >= promised.min_cosine
    # Two samples in other lanes, and the same again: bit for bit.
    again = settled(spec, x, y).gradients()
    np.testing.assert_array_equal(flat(*again), one)
    order = [2, 0, 1]
    others = flat(*settled(spec, x[order], y[order]).gradients())
    np.testing.assert_allclose(others, one, rtol=1e-6, atol=1e-8)


@pytest.mark.sampled(8)
@pytest.mark.parametrize(("rule", "activation", "loss", "shape"), SETTLING)
def test_float32_differs_by_its_rounding(rule, activation, loss, shape):
    spec = spec_of(rule, activation, loss, shape, 0.05)
    x, y = problem(spec)
    wide, narrow = settled(spec, x, y), settled(spec, x, y, arithmetic=Float("float32"))
    for register in narrow.memory.values():
        assert register.dtype in (np.float32, np.int64)
    ours, theirs = flat(*narrow.gradients()), flat(*wide.gradients())
    scale = np.finfo(np.float32).eps / 0.05 * 1e3
    assert np.abs(ours - theirs).max() <= scale * np.abs(theirs).max()


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("rule", "activation", "loss"), sorted({case[:3] for case in CASES if case[3] == "chain"})
)
def test_neurons_that_change_places_take_their_gradients_along(rule, activation, loss):
    spec = spec_of(rule, activation, loss, "chain", RULES[rule].beta)
    (w1, w2, w3), (b1, b2, b3) = spec.initial_parameters()
    x, y = np.abs(problem(spec)[0]) / 4, problem(spec)[1] / 4
    order = np.array([3, 0, 4, 1, 2])
    moved = [w1[order], w2[:, order], w3], [b1[order], b2, b3]

    def learnt(weights: list[np.ndarray], biases: list[np.ndarray]) -> list[list[np.ndarray]]:
        network = spec.build(lanes=SAMPLES, optimiser=SGD(0.1), parameters=(weights, biases))
        clock = Clock(1, True, True, True, SAMPLES, batch=SAMPLES)
        network.after(clock, {"input_in": x, "target_in": y})
        return network.parameters()

    weights, biases = learnt([w1, w2, w3], [b1, b2, b3])
    theirs = learnt(*moved)
    assert not np.array_equal(weights[0], w1)
    mine = [weights[0][order], weights[1][:, order], weights[2]], [biases[0][order], *biases[1:]]
    np.testing.assert_allclose(flat(*theirs), flat(*mine), rtol=1e-9, atol=1e-12)


def counted(spec: NetworkSpec, dtype: str, execution: Execution) -> dict[str, dict[str, int]]:
    """Train, evaluate, and nudge without learning; return what every element has counted."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, spec.layers[0])) * (generator.random((16, 1)) < 0.8)
    data = Dataset("noise", x, np.arange(16) % 3)
    config = TrainingConfig(batch_size=4, dtype=dtype)
    found: dict[str, dict[str, int]] = {}
    with Trainer(spec, data, config, execution) as trainer:
        for rows, mode in ((6, 1), (3, 0), (2, 2)):  # some presentations are not full
            trainer.run(trainer.train_rows[:rows], mode)
            for name, element in trainer.network.elements.items():
                counts = found.setdefault(f"{mode}.{name}", {})
                for part in (element, *element.parts):
                    for what, count in part.counts.items():
                        # A message is a layer's, or a neuron's.
                        if not what.startswith("messages"):
                            counts[what] = counts.get(what, 0) + count
    return found


def same_counts(case: tuple[str, str, str, str], dtype: str) -> None:
    spec = spec_of(*case, RULES[case[0]].beta)
    expected = counted(spec, dtype, Execution(runtime="reference"))
    assert expected["1.y" if case[3] != "chain" else "1.population_3"]
    for granularity in ("network", "layer", "neuron"):
        try:
            found = counted(spec, dtype, Execution(granularity, runtime="in-process"))
        except UnsupportedError:  # a softmax, or a bias, belongs to a whole layer
            assert granularity == "neuron"
        else:
            assert found == expected, granularity


@pytest.mark.sampled(32)
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_events_and_operations_are_as_many_at_every_granularity_in_float32(case):
    same_counts(case, "float32")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_events_and_operations_are_as_many_whatever_the_rule_and_the_type(case, dtype):
    same_counts(case, dtype)
