"""Graded events with an annealed threshold: exponentially exact, in rules and in Brian2.

The oracle is the fixed point of the rate network, reached without any threshold.
"""

import numpy as np
import pytest

from lava_dyads import NetworkSpec
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import ValidationError
from lava_dyads.rules.send_on_change import annealed
from lava_dyads.spiking.graded_twin import simulate_graded

STEPS = 1000  # of 1 ms: one simulated second
CODE = {"threshold": 0.1, "anneal": 50.0}
every_alpha = pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])


def spec(alpha, **options):
    fixed = {"loss": "squared-error", "beta": 0.25, "bias_deviation": 0.1}
    return NetworkSpec((8, 16, 12, 4), alpha=alpha, **fixed, **options)


def samples():
    generator = np.random.default_rng(0)
    return generator.uniform(size=(16, 8)), np.eye(4)[generator.integers(4, size=16)]


def flat(gradients):
    return np.concatenate([np.ravel(part) for parts in gradients for part in parts])


def fixed_point(alpha):
    network = spec(alpha).build(lanes=16)
    assert network.settle(*samples()).converged
    return flat(network.gradients())


def error(ours, alpha):
    exact = fixed_point(alpha)
    return np.linalg.norm(ours - exact) / np.linalg.norm(exact)


def run(alpha, steps=STEPS, **options):
    network = spec(alpha, **options).build(lanes=16)
    x, y = samples()
    for t in range(1, steps + 1):
        inbox = {"input_in": x, "target_in": y} if t == 1 else {}
        network.tick(Clock(t, t == 1, False, True, 16), inbox)
    sent = [n for e in network.elements.values() for k, n in e.counts.items() if "events" in k]
    return error(flat(network.gradients()), alpha), sum(sent) / 16


@every_alpha
def test_within_a_simulated_second_the_gradient_is_exact_to_a_millionth(alpha):
    annealing, events = run(alpha, **CODE)
    assert annealing < 1e-6
    # A fixed threshold as coarse as the first one stays coarse; one as fine costs no less.
    coarse, _ = run(alpha, threshold=0.1)
    assert coarse > 1e-3
    assert events < 300  # of 36 units, up and down


@every_alpha
def test_brian2_reaches_the_same_fixed_point_to_a_millionth(alpha):
    pytest.importorskip("brian2")
    network = spec(alpha)
    graded = simulate_graded(*network.initial_parameters(), *samples(), alpha=alpha, beta=0.25)
    means = [part.mean(axis=0) for part in graded.weight_gradients]
    ours = flat((means, [part.mean(axis=0) for part in graded.bias_gradients]))
    assert error(ours, alpha) < 1e-6
    assert graded.events / 16 < 300


def test_the_error_falls_with_the_threshold():
    errors = [run(1.0, steps, **CODE)[0] for steps in (200, 350, 500)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_a_network_gives_an_annealed_threshold_its_time():
    network = spec(1.0, **CODE).build(lanes=16)
    assert network.steps >= 20 * CODE["anneal"]
    x, y = samples()
    network.after(Clock(1, True, True, True, 16), {"input_in": x, "target_in": y})
    assert error(flat(network.gradients()), 1.0) < 1e-6
    assert max(p.memory["residual"][1] for p in network.populations.values()) < 1e-6


def test_what_is_left_of_the_threshold():
    assert annealed(0.0, 10) == 1.0
    assert annealed(5.0, 1) == 1.0
    assert annealed(5.0, 6) == pytest.approx(np.exp(-1))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"alpha": 2.0}, r"alpha: must lie in \[0, 1\]"),
        ({"beta": 1.0}, r"beta: must lie in \(0, 1\)"),
        ({"anneal": 0.0}, "anneal: must be positive"),
        ({"target": "fortran"}, "target: must be one of"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(change, text):
    pytest.importorskip("brian2")
    given = {"alpha": 0.5, "beta": 0.25, **change}
    with pytest.raises(ValidationError, match=text) as caught:
        simulate_graded(*spec(0.5).initial_parameters(), *samples(), **given)
    assert "\n" not in str(caught.value)


def test_a_negative_time_constant_is_refused():
    with pytest.raises(ValidationError, match="anneal: must be at least 0"):
        spec(0.5, anneal=-1.0)
