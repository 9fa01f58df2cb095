"""Post-training quantisation: derived bounds, and digits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.errors import FixedPointError, ValidationError
from lava_dyads.executors.backprop import forward
from lava_dyads.loihi import calibrated
from lava_dyads.networks import Execution
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Loihi2

DIGITS = load("digits")
CHIP = Execution(precision="loihi2", runtime="reference")


def problem(seed, sizes):
    generator = np.random.default_rng(seed)
    spec = NetworkSpec(sizes, beta=1.0, seed=seed, bias_deviation=0.3)
    weights, biases = spec.initial_parameters()
    weights = [w * 2.0 ** generator.uniform(-3, 3) for w in weights]
    x = generator.uniform(0, 1, (5, sizes[0]))
    return spec, weights, biases, x, np.eye(sizes[-1])[generator.integers(sizes[-1], size=5)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4))
@example(seed=120664, sizes=[6, 1, 6, 2])  # in integers more dyads straddle than in floats
def test_what_was_calibrated_never_overflows_in_strict_mode(seed, sizes):
    spec, weights, biases, x, y = problem(seed, tuple(sizes))
    numbers = calibrated(spec, weights, biases, x, y)

    def largest(fraction):
        """Return the largest sum of messages in integers of so many bits after the point."""
        other = replace(numbers, fraction=fraction)
        network = spec.build(lanes=5, arithmetic=other, parameters=(weights, biases))
        try:
            assert network.settle(x, y).converged
        except FixedPointError:
            return np.inf
        ours = connections(network)
        held = [c.op.forward(c.memory["weights"], c.memory["held_mean"]) for c in ours]
        held += [c.op.transpose(c.memory["weights"], c.memory["held_difference"])
                 for c in ours[1:]]  # fmt: skip
        return max(np.abs(h).max() for h in held)

    for w, e in zip(weights, numbers.weight_exponents, strict=True):
        assert np.all(np.abs(np.rint(w * 2.0**e)) <= 127)
        assert e == 12 or np.any(np.abs(np.rint(w * 2.0 ** (e + 1))) > 127)
    # One bit is kept free, which one more after the point would take (14 bits are the most).
    finer = numbers.fraction + 1
    assert largest(numbers.fraction) <= 1.01 * 2**22
    bias = max(np.abs(b).max() for b in biases)
    assert finer > 14 or largest(finer) > 0.99 * 2**22 or bias * 2**finer > 2**22


def connections(network):
    return list(network.connections.values())


@pytest.fixture(scope="module")
def trained():
    spec = NetworkSpec((64, 64, 32, 10))
    config = TrainingConfig(epochs=12, learning_rate=0.003)
    with Trainer(spec, DIGITS, config, Execution(runtime="reference")) as trainer:
        trainer.fit()
        metrics = trainer.evaluate()
        return spec, trainer.parameters(), metrics, trainer.train_rows, trainer.test_rows


def test_digits_lose_next_to_nothing_in_integers(trained):
    spec, (weights, biases), exact, train, test = trained
    assert exact.accuracy > 0.95
    numbers = calibrated(spec, weights, biases, DIGITS.x[train], DIGITS.one_hot[train])
    # Inputs beyond the calibration data need the headroom; strict mode sees that it is enough.
    begin = {"arithmetic": numbers, "parameters": (weights, biases)}
    with Trainer(spec, DIGITS, TrainingConfig(), CHIP, **begin) as trainer:
        ours = trainer.evaluate()
        predicted = trainer.predictions(len(test))
        stored = trainer.parameters()
    assert ours.accuracy >= exact.accuracy - 0.005
    # Where the float network with the stored weights is sure by more than the rounding of both
    # outputs, the class has to be the same: E_0 = 1/2, E_k = |W_k| E_(k-1) + 1/2.
    activities = forward(DIGITS.x[test], *stored, [ACTIVATIONS["relu"]] * 2)[1]
    error = np.full(64, 0.5)
    for w in stored[0]:
        error = np.abs(w) @ error + 0.5
    order = np.sort(activities[-1], axis=1)
    sure = order[:, -1] - order[:, -2] > 2 * error.max() * numbers.unit
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(predicted[sure], activities[-1].argmax(axis=1)[sure])


def test_too_large_weights_and_missing_data_are_named():
    spec, weights, biases, x, y = problem(0, (3, 4, 2))
    with pytest.raises(FixedPointError, match=r"weights: [\d.e+]+ does not fit into 8 bits"):
        calibrated(spec, [w * 1e3 for w in weights], biases, x, y)
    with pytest.raises(FixedPointError, match="bits are left for states"):
        calibrated(spec, weights, biases, x * 1e6, y)
    with pytest.raises(ValidationError, match="as many rows"):
        calibrated(spec, weights, biases, x, y[:2])
    with pytest.raises(ValidationError, match="headroom"):
        calibrated(spec, weights, biases, x, y, headroom=-1)
    with pytest.raises(ValidationError, match="Try: relu"):
        calibrated(NetworkSpec((3, 4, 2), activations="tanh"), weights, biases, x, y)


def test_a_calibrated_network_is_a_number_system_of_its_own():
    spec, weights, biases, x, y = problem(1, (3, 4, 2))
    numbers = calibrated(spec, weights, biases, x, y, seed=7)
    assert isinstance(numbers, Loihi2)
    assert len(numbers.weight_exponents) == 2
    assert (numbers.seed, numbers.strict) == (7, True)
