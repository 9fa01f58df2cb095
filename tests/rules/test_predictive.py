"""Predictive coding against its published dynamics, step by step, and against backprop."""

import numpy as np
import pytest

from lava_dyads.errors import ValidationError
from lava_dyads.executors.backprop import forward
from lava_dyads.experiments.papers.relaxing import LANES, relaxing_errors
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS


def published(spec, steps, free):
    """Values of the hidden layers at every step, from the papers' equations alone.

    With free predictions a message takes a step: what comes down is a value less the prediction
    that it was last told of.
    """
    generator = np.random.default_rng((spec.seed, 1))
    x = generator.normal(size=(LANES, spec.layers[0]))
    y = generator.normal(size=(LANES, spec.layers[-1]))
    weights, biases = spec.initial_parameters()
    depth = len(weights)
    drives, values = forward(x, weights, biases, [ACTIVATIONS["tanh"]] * (depth - 1))
    values = [v.copy() for v in values]
    predictions = [v.copy() for v in values]
    slopes = [None, *(1 - np.tanh(a) ** 2 for a in drives[:-1]), np.ones_like(drives[-1])]
    # The output has been nudged before the first step: with free predictions twice, and the
    # first time by a head that had not heard of it.
    if free:
        values[-1] += spec.rule.rate * spec.rule.beta * y
        moved = values[-1] - predictions[-1]
        values[-1] += spec.rule.rate * (-spec.rule.beta * (values[-1] - y) - moved)
    else:
        values[-1] -= spec.rule.beta * (values[-1] - y)
    sent = [None, *(slopes[k] * (values[k] - predictions[k]) for k in range(1, depth + 1))]
    history = []
    for _ in range(steps + 1):
        history.append([v.copy() for v in values[1:-1]])
        before, feedback = [v.copy() for v in values], [None] * (depth + 1)
        feedback[depth] = -spec.rule.beta * (values[-1] - y)
        for k in range(1, depth):
            feedback[k] = sent[k + 1] @ weights[k]
        for k in range(1, depth + (1 if free else 0)):
            if free:
                a = before[k - 1] @ weights[k - 1].T + biases[k - 1]
                predictions[k] = np.tanh(a) if k < depth else a
                slopes[k] = 1 - np.tanh(a) ** 2 if k < depth else np.ones_like(a)
            values[k] += spec.rule.rate * (feedback[k] - (before[k] - predictions[k]))
            sent[k] = slopes[k] * (values[k] - predictions[k])
    return history


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("rate", [0.1, 0.7])
def test_values_follow_the_published_dynamics_at_every_step(free, rate):
    name = "predictive-coding-free" if free else "predictive-coding"
    spec = NetworkSpec(
        (6, 5, 4, 3), activations="tanh", rule=name, loss="squared-error", rate=rate, beta=0.5,
        bias_deviation=0.1, seed=4,
    )  # fmt: skip
    seen = []

    def value(population):
        seen.append(population.memory["value"].copy())
        return seen[-1]

    relaxing_errors(spec, 12, value, output_moves=free)
    made = [seen[i : i + 2] for i in range(0, len(seen), 2)][:13]
    for ours, theirs in zip(made, published(spec, 12, free), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_free_predictions_are_for_smooth_activations():
    with pytest.raises(ValidationError, match=r"supports tanh or linear .got .relu"):
        NetworkSpec((4, 3, 2), rule="predictive-coding-free")
