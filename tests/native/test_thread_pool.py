"""Products and steps that threads share against those of one thread."""

import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest

from lava_dyads.elements.clock import Clock
from lava_dyads.native import thread_pool
from lava_dyads.native.registry import active, kernel, overlap
from lava_dyads.native.thread_pool import WORTH, thread_team
from lava_dyads.networks import NetworkSpec
from lava_dyads.rules.ops.dense import product
from lava_dyads.rules.optimisers import OPTIMISERS

pytest.importorskip("numba")
NUMBERS = (0.1, 0.001, 0.9, 0.999, 0.01, 1e-8, 1e-290)


@pytest.fixture(scope="module", params=[2, 3])
def team(request):
    with thread_team(request.param) as made:
        yield made


def operands(m, k, n, dtype=np.float64, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(m, k)).astype(dtype), generator.normal(size=(k, n)).astype(dtype)


def check_product(team, left, right, out):
    expected = left.astype(float) @ right.astype(float)
    assert team.product(left, right, out)
    # Every sum of k products is rounded k times at most (Higham, 2002, section 3.1).
    bound = 2 * left.shape[1] * np.finfo(out.dtype).eps * (np.abs(left) @ np.abs(right))
    assert np.all(np.abs(out - expected) <= bound)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(100, 784, 37), (7, 801, 129), (640, 31, 49), (33, 999, 17)])
def test_a_shared_product_is_the_product(team, shape, dtype):
    left, right = operands(*shape, dtype)
    m, _, n = shape
    check_product(team, left, right, np.full((m, n), np.nan, dtype))
    turned = np.ascontiguousarray(left.T).T, np.ascontiguousarray(right.T).T
    check_product(team, *turned, np.full((m, n), np.nan, dtype))


def test_parts_of_larger_arrays_are_read_and_written_in_place(team):
    left, right = operands(90, 200, 300)
    out = np.full((100, 120), 7.0)
    check_product(team, left[:60, 50:150], right[30:130, 100:200], out[10:70, 5:105])
    out[10:70, 5:105] = 7.0
    assert np.all(out == 7.0)


def test_what_is_not_worth_sharing_or_not_for_blas_is_left_alone(team):
    left, right = operands(100, 100, 100)
    left_out = np.full((100, 100), 7.0)
    for a, b, out in (
        (left[:, :10], right[:10], left_out),  # small
        (left[:, ::2], np.repeat(right, 4, axis=1)[::2], np.full((100, 400), 7.0)),  # strided
        (left, right.astype(np.float32), left_out),  # of two kinds
        (left, right, left_out.T),  # column by column
        (np.broadcast_to(left[:1], (100, 100)), right, left_out),  # one row for all
        (np.ones((100, 100), np.int64), np.ones((100, 100), np.int64), left_out.astype(np.int64)),
    ):
        assert not team.product(a, b, out)
        assert np.all(out == 7)


def test_whoever_multiplies_is_helped(team):
    left, right = operands(100, 100, 100)
    assert left.size * 100 >= WORTH
    calls, share = [], team.product
    team.product = lambda *given: calls.append(given) or share(*given)
    try:
        np.testing.assert_allclose(product(left, right), left @ right, rtol=0, atol=1e-12)
    finally:
        del team.product
    assert len(calls) == 1
    with pytest.raises(ValueError, match="mismatch"):
        product(left, right[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(400, 100), (31, 1003), (17000,)])
def test_a_shared_step_is_the_step_of_one_thread(team, shape, dtype):
    generator = np.random.default_rng(0)
    w, g = generator.normal(size=(2, *shape)).astype(dtype)
    state, numbers = generator.random((2, *shape)).astype(dtype), np.array(NUMBERS, dtype)
    expected, moments = w.copy(), state.copy()
    kernel("adam")(expected, g, *moments, numbers)
    assert kernel("adam", w.size) is team.kernels["adam"]
    assert kernel("adam", 9) is kernel("adam")
    team.kernels["adam"](w, g, *state, numbers)
    np.testing.assert_array_equal(w, expected)
    np.testing.assert_array_equal(state, moments)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_shared_step_from_events_is_that_of_one_thread(team, dtype, waits):
    generator = np.random.default_rng(0)
    w, state = generator.normal(size=(333, 150)), generator.random((2, 333, 150))
    w, state, numbers = w.astype(dtype), state.astype(dtype), np.array(NUMBERS, dtype)
    down = (generator.normal(size=(5, 333)) * (generator.random((5, 333)) < 0.4)).astype(dtype)
    up = generator.normal(size=(5, 150)).astype(dtype)
    expected, moments = w.copy(), state.copy()
    kernel("adam_events")(expected, down, up, *moments, numbers)
    with nullcontext() if waits else overlap():
        kernel("adam_events", w.size)(w, down, up, *state, numbers)
    np.testing.assert_array_equal(w, expected)
    np.testing.assert_array_equal(state, moments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_descent_is_a_product_and_a_step(team, dtype):
    generator, layers = np.random.default_rng(0), []
    for n, columns in [(512, 70), (33, 600), (130, 129)] * 12:  # more parts than may wait
        w, workspace = generator.normal(size=(2, n, columns)).astype(dtype)
        down, up = generator.normal(size=(9, n)), generator.normal(size=(9, columns))
        state = generator.random((2, n, columns)).astype(dtype)
        layers.append((w, down.astype(dtype), up.astype(dtype), workspace, state))
    numbers = np.array(NUMBERS, dtype)
    expected = [(w.copy(), state.copy()) for w, _, _, _, state in layers]
    for (w, state), (_, down, up, *_) in zip(expected, layers, strict=True):
        kernel("adam")(w, down.T @ up, *state, numbers)
    with overlap():
        for layer in layers:
            kernel("descent", layer[0].size)(*layer[:4], *layer[4], numbers)
    for (w, state), (mine, *_, moments) in zip(expected, layers, strict=True):
        # A gradient that is rounded otherwise, by some eps, moves a step of .01 by as much at most.
        bound = 100 * np.finfo(dtype).eps
        np.testing.assert_allclose(mine, w, rtol=bound, atol=bound)
        np.testing.assert_allclose(moments, state, rtol=bound, atol=bound)


def test_what_helpers_still_read_is_kept(team):
    w, state, numbers = np.zeros((5, 640, 300)), np.zeros((5, 2, 640, 300)), np.array(NUMBERS)
    with overlap():
        for weights, moments in zip(w, state, strict=True):
            down, up = np.ones((4, 640)), np.ones((4, 300))
            kernel("adam_events", weights.size)(weights, down, up, *moments, numbers)
            del down, up
            np.full((4, 640), np.nan)
    assert np.all(w == w[0, 0, 0])
    assert w[0, 0, 0] < 0


def test_helpers_that_slept_take_part_again(team):
    left, right = operands(100, 300, 100)
    for pause in (0.0, 1e-4, 0.003, 0.05):
        time.sleep(pause)
        for _ in range(20):
            check_product(team, left, right, np.empty((100, 100)))


def test_helpers_end_whatever_happens():
    before, others = threading.active_count(), active.team
    for error in (None, ValueError):
        try:
            with thread_team(3) as made:
                assert active.team is made
                assert threading.active_count() == before + 2
                if error:
                    raise error
        except ValueError:
            pass
        assert active.team is others
        assert threading.active_count() == before
    with thread_team(2) as outer:
        with thread_team(2):
            pass
        assert active.team is outer
    with thread_team(0) as none:
        assert none is None
    with thread_team(1) as alone:
        assert threading.active_count() == before
        check_product(alone, *operands(100, 300, 100), np.empty((100, 100)))
    with thread_team(thread_pool.MOST + 9) as many:
        assert many.threads == thread_pool.MOST


def test_nobody_helps_another_thread(team):
    found = []
    other = threading.Thread(target=lambda: found.append(active.team))
    other.start()
    other.join()
    assert found == [None]
    assert active.team is team


@pytest.mark.parametrize("options", [{}, {"threshold": 0.05}, {"skip_error": 0.8}])
def test_a_network_with_helpers_learns_what_it_learns_alone(options):
    skip_error = options.pop("skip_error", 0.0)
    spec = NetworkSpec((150, 200, 5), bias_deviation=0.1, **options)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(75, 150)), np.eye(5)[generator.integers(5, size=75)]
    networks = [spec.build(lanes=75, optimiser=OPTIMISERS["adam"]()) for _ in range(2)]
    for network in networks:
        network.skip_error = skip_error
    outputs = []
    for threads, network in zip((0, 3), networks, strict=True):
        with thread_team(threads):
            clock = Clock(1, True, True, False, 75, batch=75)
            outputs.append([network.present(x, y, clock).copy() for _ in range(4)])
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-12)
    for mine, other in zip(*(network.parameters()[0] for network in networks), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-9)
    for element, same in zip(*(network.elements.values() for network in networks), strict=True):
        np.testing.assert_array_equal(element.memory["counts"], same.memory["counts"])
