"""Every executor against ``step``, the meaning: rules, shapes of graphs, number types, optimisers.

States, answers, gradients and what is learnt agree to rounding; counts agree exactly, in single
precision, too. A new executor or rule is in here as soon as it is registered.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lava_dyads import Graph, NetworkSpec, Node
from lava_dyads.elements.clock import FROZEN, Clock
from lava_dyads.executors.registry import EXECUTORS, STEP
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.optimisers import SGD, Adam
from lava_dyads.rules.units import RULES

N_IN, N_OUT, LANES = 16, 3, 4
RELU, TANH = {"activation": "relu"}, {"activation": "tanh"}
SHAPES = {
    "image": [
        Node("x", "input", shape=(1, 4, 4)),
        Node("seen", "conv", "x", channels=3, kernel=2),
        Node("pooled", "max-pool", "seen", kernel=2, stride=1, **RELU),
    ],
    "blocks": [
        Node("x", "input", shape=(N_IN,)),
        Node("n0", "dense", "x", size=5, **TANH),
        Node("w1", "dense", "n0", size=5, **RELU),
        Node("n1", "sum", ("w1", "n0")),
        Node("w2", "dense", "n1", size=5, **RELU),
        Node("v2", "dense", "w2", size=5, **TANH),
        Node("n2", "sum", ("n1", "v2")),
        Node("w3", "dense", "n2", size=5, **RELU),
        Node("n3", "sum", ("n2", "w3")),
    ],
    "uneven": [
        Node("x", "input", shape=(N_IN,)),
        Node("a", "dense", "x", size=5, **RELU),
        Node("b", "dense", "a", size=5, **TANH),
        Node("gate", "product", ("b", "a")),
        Node("c", "dense", "gate", size=4, **RELU),
        Node("both", "concat", ("c", "a")),
    ],
}
SHAPES["image"].append(Node("y", "dense", "pooled", size=N_OUT))
SHAPES["blocks"].append(Node("y", "dense", "n3", size=N_OUT))
SHAPES["uneven"].append(Node("y", "dense", "both", size=N_OUT))
OPTIMISERS = {"sgd": SGD(0.05), "adam": Adam(0.01, weight_decay=0.01)}


def spec_of(rule: str, shape: str) -> NetworkSpec:
    activations = (*RULES[rule].activations, "relu")[0]
    options = {"rule": rule, "bias_deviation": 0.2, "seed": 3}
    if shape == "chain":
        return NetworkSpec((N_IN, 6, 5, N_OUT), activations=activations, **options)
    if RULES[rule].spiking or RULES[rule].lifted:
        return None
    only = RULES[rule].activations
    nodes = [
        Node(**{**vars(node), "activation": only[0]}) if only and node.activation else node
        for node in SHAPES[shape]
    ]
    return NetworkSpec(graph=Graph(nodes), **options)


def cases():
    found = []
    for rule, shape in product(RULES, ("chain", *SHAPES)):
        spec = None if RULES[rule].lifted else spec_of(rule, shape)
        for executor, entry in EXECUTORS.items():
            if spec and executor != STEP and entry.why_not(spec.plan, Float()) is None:
                found.append((executor, rule, shape))
    return found


def presentations(spec, dtype):
    """Full and partly filled ones, some samples without an event; train, evaluate, measure."""
    generator = np.random.default_rng(2)
    batch = 0
    for number, (mode, valid) in enumerate([(1, LANES), (1, LANES - 1), (0, LANES), (FROZEN, LANES),
                                            (1, LANES)]):  # fmt: skip
        x = generator.random((LANES, N_IN)) * 0.9 * (generator.random((LANES, N_IN)) > 0.3)
        y = np.eye(N_OUT)[generator.integers(N_OUT, size=LANES)]
        full = spec.rule.spiking  # a window has a sample in every lane
        valid = LANES if full else valid
        x[valid:], y[valid:] = 0, 0
        last = number % 2 == 1 or number == 4
        batch += valid if mode == 1 else 0
        steps = batch if last and mode == 1 else 0
        batch = 0 if steps else batch
        yield (
            Clock(1, True, True, bool(mode), valid, batch=steps, frozen=mode == FROZEN),
            {"input_in": x.astype(dtype), "target_in": y.astype(dtype)},
        )


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("learner", OPTIMISERS)
@pytest.mark.parametrize(("executor", "rule", "shape"), cases())
def test_it_is_what_the_steps_are(executor, rule, shape, learner, dtype):
    spec = spec_of(rule, shape)
    numbers, optimiser = Float(dtype), OPTIMISERS[learner]
    ours, theirs = (
        spec.build(lanes=LANES, optimiser=optimiser, arithmetic=numbers, executor=name)
        for name in (executor, STEP)
    )
    tolerance = {"rtol": 0, "atol": 1e-11 if dtype == "f8" else 2e-4}
    for clock, inbox in presentations(spec, dtype):
        answers = [network.after(clock, dict(inbox))["output_out"] for network in (ours, theirs)]
        np.testing.assert_allclose(*(a[: clock.valid] for a in answers), **tolerance)
        if clock.learn and clock.valid == LANES:
            for mine, other in zip(ours.gradients(), theirs.gradients(), strict=True):
                for a, b in zip(mine, other, strict=True):
                    scale = max(1.0, np.abs(b).max()) / spec.rule.beta
                    np.testing.assert_allclose(a / scale, b / scale, **tolerance)
        for mine, other in zip(ours.elements.values(), theirs.elements.values(), strict=True):
            assert mine.counts == other.counts
        for p, q in zip(ours.populations.values(), theirs.populations.values(), strict=True):
            for name in p.unit.state:
                if clock.learn:  # of the free phase, a sweep keeps what a nudge would begin from
                    np.testing.assert_allclose(p.memory[name], q.memory[name], **tolerance)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, **tolerance)
    start = spec.initial_parameters()[0][0]
    assert np.abs(ours.parameters()[0][0] - start).max() > 1e-6
