"""Recurrent dyads against implicit differentiation, feedforward networks and what theory says."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import Clock, PresentationSchedule
from lava_dyads.errors import ValidationError
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.executors.recurrent import (
    ReadOut,
    RecurrentDyads,
    best_rate,
    longest_path,
    recurrent,
    step_limit,
    steps_to_rest,
)
from lava_dyads.networks import Execution
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.losses import loss
from lava_dyads.rules.ops.structured import STRUCTURES
from lava_dyads.rules.optimisers import SGD, Adam
from lava_dyads.training.backends import LavaBackend, ReferenceBackend

N, N_IN, N_OUT, LANES = 6, 4, 3, 5
GENERATOR = np.random.default_rng(7)
BIAS = GENERATOR.normal(size=N) * 0.3
U = GENERATOR.normal(size=(N, N_IN)) / 2
V = GENERATOR.normal(size=(N_OUT, N)) / 2
C = GENERATOR.normal(size=N_OUT) / 2
X = GENERATOR.normal(size=(LANES, N_IN))
Y = np.eye(N_OUT)[GENERATOR.integers(N_OUT, size=LANES)]
NORMS = {"lower-triangular": 2.0, "symmetric": 0.8, "skew-symmetric": 3.0, "any": 0.7}


def square(kind, seed=3, n=N):
    return STRUCTURES[kind].random(n, NORMS[kind], seed)


def at_rest(w, drive, f):
    """Solve s = f(W s + drive) by small steps, without dyads."""
    s, rate = np.zeros_like(drive), best_rate(w)
    for _ in range(20_000):
        moved = rate * (f(s @ w.T + drive) - s)
        s += moved
        if np.abs(moved).max() < 1e-14:
            break
    return s


def implicit(w, x, y, f, loss_name):
    """Gradients of U, W, V and the biases by implicit differentiation, sample by sample."""
    f, cost = ACTIVATIONS[f], loss(loss_name)
    drive = x @ U.T + BIAS
    s = at_rest(w, drive, f.f)
    slope = f.derivative(s @ w.T + drive)
    d_out = cost.gradient(s @ V.T + C, y)
    delta = np.array(
        [
            np.linalg.solve(np.eye(N) - g[:, None] * w.T, g * (d @ V))
            for g, d in zip(slope, d_out, strict=True)
        ]
    )
    count = len(x)
    return [delta.T @ x, delta.T @ s, d_out.T @ s], [delta.sum(0), d_out.sum(0)], count


@pytest.mark.parametrize("loss_name", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("kind", STRUCTURES)
def test_gradients_are_those_of_implicit_differentiation(kind, loss_name):
    w = square(kind)
    network = recurrent(w, BIAS, kind=kind, inputs=U, read_out=ReadOut(V, C), f="tanh",
                        loss=loss_name, dyads=RecurrentDyads(beta=1e-4), lanes=LANES)  # fmt: skip
    assert network.settle(X, Y, tolerance=1e-9, max_steps=1500).converged
    weights, biases, count = implicit(w, X, Y, "tanh", loss_name)
    weights[1] = STRUCTURES[kind].project(weights[1])
    ours = network.gradients()
    for mine, exact in zip((*ours[0], *ours[1]), (*weights, *biases), strict=True):
        np.testing.assert_allclose(mine, exact / count, atol=1e-6 * np.abs(exact).max())


def test_implicit_differentiation_is_the_slope_of_the_loss():
    w = square("skew-symmetric")
    weights, _, count = implicit(w, X, Y, "tanh", "squared-error")

    def cost(w):
        s = at_rest(w, X @ U.T + BIAS, np.tanh)
        return loss("squared-error").value(s @ V.T + C, Y).mean()

    step = np.zeros_like(w)
    step[1, 4] = 1e-5
    slope = (cost(w + step) - cost(w - step)) / 2e-5
    assert weights[1][1, 4] / count == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_on_linear_pieces_every_alpha_is_exact_and_the_head_may_stand_on_the_population(alpha):
    w, x, y = square("skew-symmetric"), X @ U.T, GENERATOR.normal(size=(LANES, N))
    network = recurrent(w, BIAS, f="linear", dyads=RecurrentDyads(alpha, 0.1), lanes=LANES)
    assert network.settle(x, y).converged
    s = np.linalg.solve(np.eye(N) - w, (x + BIAS).T).T
    delta = np.linalg.solve((np.eye(N) - w).T, (s - y).T).T
    np.testing.assert_allclose(network.gradients()[0][0], delta.T @ s / LANES, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_lower_triangular_block_matrix_is_the_feedforward_network(alpha):
    """4 -> 3 -> 2 neurons in one population, exact in as many steps as the depth asks for."""
    sizes, f = (4, 3, 2), "relu"
    blocks = [GENERATOR.normal(size=(b, a)) for a, b in pairwise(sizes)]
    w = np.zeros((9, 9))
    w[4:7, :4], w[7:, 4:7] = blocks
    inputs = np.vstack([np.eye(4) * 2, np.zeros((5, 4))])
    bias = GENERATOR.normal(size=9) * 0.1
    read_out = np.hstack([np.zeros((2, 7)), np.eye(2)])
    network = recurrent(w, bias, kind="lower-triangular", inputs=inputs, f=f,
                        read_out=ReadOut(read_out), dyads=RecurrentDyads(alpha, 1e-6),
                        lanes=LANES, optimiser=SGD(1.0))  # fmt: skip
    assert longest_path(w) == 2
    assert network.steps == 2 * 3 + 5
    y = GENERATOR.normal(size=(LANES, 2))
    network.after(Clock(1, True, True, True, LANES, batch=LANES), {"input_in": X, "target_in": y})
    layers = [2 * np.eye(4), *blocks, np.eye(2)]
    biases = [bias[:4], bias[4:7], bias[7:], np.zeros(2)]
    exact = backpropagate(X, y, layers, biases, [ACTIVATIONS[f]] * 3, loss("squared-error"))
    learnt = network.parameters()[0][1] - w
    np.testing.assert_allclose(learnt[4:7, :4], -exact.gradients()[0][1], atol=1e-8)
    np.testing.assert_allclose(learnt[7:, 4:7], -exact.gradients()[0][2], atol=1e-8)
    assert not np.triu(learnt).any()
    assert network.populations["population"].memory["residual"][0] == 0


@pytest.mark.parametrize("kind", ["symmetric", "skew-symmetric", "lower-triangular"])
def test_weights_stay_of_their_kind_while_they_learn(kind):
    w = STRUCTURES[kind].random(N, 0.6, seed=3)
    network = recurrent(w, BIAS, kind=kind, inputs=U, read_out=ReadOut(V), f="tanh",
                        lanes=LANES, dyads=RecurrentDyads(beta=0.1, steps=60),
                        optimiser=Adam(0.01))  # fmt: skip
    s = loss("squared-error")
    costs = []
    clock = Clock(1, True, True, True, LANES, batch=LANES)
    for _ in range(12):
        costs.append(
            s.value(network.after(clock, {"input_in": X, "target_in": Y})["output_out"], Y).mean()
        )
    learnt = network.parameters()[0][1]
    assert np.abs(learnt - w).max() > 0.05
    np.testing.assert_array_equal(STRUCTURES[kind].project(learnt), learnt)
    assert costs[-1] < 0.7 * costs[0]


def largest_ratio(w, f, pairs, scale=3.0):
    """Return max |ds| / |dx| over random pairs, half of them close together."""
    generator = np.random.default_rng(1)
    n = len(w)
    x = scale * generator.normal(size=(pairs, n))
    apart = generator.normal(size=(pairs, n)) * np.where(np.arange(pairs) % 2, 0.05, 2.0)[:, None]
    network = recurrent(w, generator.normal(size=n), f=f, lanes=2 * pairs)
    both, enough = np.vstack([x, x + apart]), steps_to_rest(w, best_rate(w), 1e-8) // 2
    assert network.settle(both, None, tolerance=1e-6, max_steps=enough).converged
    s = network.populations["population"].memory["s_plus"]
    moved = np.linalg.norm(s[:pairs] - s[pairs:], axis=1)
    return (moved / np.linalg.norm(apart, axis=1)).max()


@pytest.mark.parametrize("norm", [0.1, 0.5, 2.0, 10.0])
def test_the_skew_layer_is_1_lipschitz_over_random_pairs(norm):
    w = STRUCTURES["skew-symmetric"].random(6, norm, seed=2)
    for f, pairs in (("relu", 1000), ("tanh", 50 if norm < 5 else 5)):
        assert 0.05 < largest_ratio(w, f, pairs) <= 1 + 1e-6


def test_the_rounding_of_many_lanes_is_no_motion():
    w = STRUCTURES["skew-symmetric"].random(6, 2.0, seed=2)
    outcome = recurrent(w, f="relu", lanes=2000).settle(GENERATOR.normal(size=(2000, 6)), None)
    assert outcome.residual < 1e-13
    assert outcome.steps < 1000


def test_other_layers_of_the_same_size_are_not():
    assert largest_ratio(square("symmetric"), "linear", 100) > 1.5
    assert largest_ratio(square("lower-triangular"), "relu", 100) > 1.2


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["symmetric", "skew-symmetric"]),
    norm=st.floats(0.05, 8.0),
    seed=st.integers(0, 10**6),
)
def test_steps_converge_exactly_below_the_limit(kind, norm, seed):
    w = STRUCTURES[kind].random(5, norm, seed)
    if kind == "symmetric":  # eigenvalues below 1, as far down as they like
        w = w - np.eye(5) * max(0.0, np.linalg.eigvalsh(w).max() - 0.9)
    limit = step_limit(w)
    for rate, settles in ((0.98 * limit, True), (1.02 * limit, False)):
        radius = np.abs(np.linalg.eigvals(np.eye(5) - rate * (np.eye(5) - w))).max()
        assert (radius < 1) == settles
    if kind == "skew-symmetric":
        assert limit == pytest.approx(2 / (1 + np.linalg.norm(w, 2) ** 2))
        assert best_rate(w) == pytest.approx(limit / 2, rel=1e-4)


def test_bad_input_gets_one_line():
    w = square("skew-symmetric")
    for weights, options, words in (
        (np.ones((3, 4)), {}, r"recurrent.weights: must be a square matrix .* \(got \(3, 4\)\)"),
        (np.full((2, 2), np.nan), {}, "must be finite"),
        (np.eye(3), {"kind": "skew-symmetric"}, r"must be skew-symmetric .*Try: STRUCTURES"),
        (
            w,
            {"dyads": RecurrentDyads(rate=0.5)},
            r"recurrent.rate: cannot converge .* below 0.2 \(got 0.5\). Try: 0.1",
        ),
        (w, {"dyads": RecurrentDyads(rate=0.0)}, r"recurrent.rate: must lie in \(0, 1\]"),
        (2 * np.eye(3), {"f": "linear"}, r"no rate converges .*\(got '2'\)"),
        (w, {"kind": "skew"}, "structure: unknown name .*Try: skew-symmetric"),
        (w, {"inputs": np.ones((2, 2))}, r"recurrent.inputs: must have shape \(6, n_in\)"),
        (w, {"bias": np.ones(2)}, r"recurrent.bias: must be a number or have shape \(6,\)"),
    ):
        with pytest.raises(ValidationError, match=words):
            recurrent(weights, **options)


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["lower-triangular", "skew-symmetric"])
def test_it_learns_the_same_as_processes_in_process_and_on_lavas_runtime(kind):
    y = Y[[0, 1, 2, 3, 4, 0, 1]]
    x = np.vstack([X, X[:2] / 2])
    w, learnt = STRUCTURES[kind].random(N, 0.5), []
    for execution in (
        Execution("network", runtime="reference"),
        Execution("layer", runtime="in-process"),
        Execution("neuron", runtime="in-process"),
        Execution("layer", "async", runtime="in-process"),
        Execution("layer", runtime="lava"),
    ):
        schedule = PresentationSchedule(1, 2, 4)
        network = recurrent(w, BIAS, kind=kind, inputs=U, read_out=ReadOut(V), f="tanh",
                            dyads=RecurrentDyads(1.0, 0.1), lanes=2,
                            optimiser=SGD(0.5))  # fmt: skip
        sink = Sink(loss("squared-error"), N_OUT, lanes=2, capacity=7)
        elements = Source(x, y, lanes=2), network, sink, schedule
        reference = execution.runtime == "reference"
        backend = ReferenceBackend(*elements) if reference else LavaBackend(*elements, execution)
        backend.run(np.arange(7), 1, lambda: None)
        backend.stop()
        learnt.append(np.concatenate([p.ravel() for part in network.parameters() for p in part]))
        assert sink.memory["totals"][0] == 7
    assert np.linalg.norm(learnt[0][: U.size] - U.ravel()) > 1e-3
    for other in learnt[1:]:
        np.testing.assert_allclose(other, learnt[0], rtol=0, atol=1e-13)


def loops():
    """Matrices with I - W singular, or an eigenvalue beyond 1: of every kind."""
    swap, one_sided = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.3, 0.2]])
    stuck = np.diag([1.0, 0.0, 0.0, 0.0]) + np.tri(4, k=-1) * 0.5
    drawn = np.random.default_rng(0).normal(size=(5, 5))
    drawn /= np.linalg.eigvals(drawn).real.max()
    return [np.eye(1), np.eye(2), 1.5 * np.eye(3), swap, one_sided, stuck, drawn, 1.3 * drawn]


@pytest.mark.parametrize("w", loops(), ids=range(8))
def test_a_loop_that_no_rate_can_master_is_refused_or_runs_where_f_closes_it(w):
    with pytest.raises(ValidationError, match="no rate converges"):
        recurrent(w, f="linear")
    n = len(w)
    network = recurrent(w, -1.0, f="relu", lanes=2)
    outcome = network.settle(np.zeros((2, n)), np.ones((2, n)), tolerance=1e-9)
    assert outcome.converged
    np.testing.assert_array_equal(network.populations["population"].memory["s_plus"], 0.0)
    # A presentation of the steps by itself is enough, too: the residual says so.
    clock = Clock(1, True, True, True, 2, batch=2)
    network.after(clock, {"input_in": np.zeros((2, n)), "target_in": np.ones((2, n))})
    assert network.settled


@pytest.mark.parametrize("largest", [1 - 1e-9, 1 - 1e-12, -1.0])
def test_what_would_hardly_ever_come_to_rest_is_refused_in_a_line(largest):
    w, rate = np.diag([largest, 0.0]), 1.0 if largest < 0 else None
    with pytest.raises(ValidationError, match=r"recurrent\.(weights|rate): .*got"):
        recurrent(w, dyads=RecurrentDyads(rate=rate))
