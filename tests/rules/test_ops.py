"""Convolution, pooling and the other ops: against scipy, brute force, and their derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from lava_dyads.errors import ValidationError
from lava_dyads.rules.ops import (
    AveragePool,
    Conv,
    Embed,
    MaxPool,
    NonlinearOp,
    Op,
    Product,
    Slice,
)

NOTHING = np.zeros(())


@st.composite
def convolutions(draw):
    """Return a convolution and a generator of random numbers."""
    side = st.integers(1, 3)
    kernel, stride = draw(st.tuples(side, side)), draw(st.tuples(side, side))
    padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    sizes = [draw(st.integers(max(1, k - 2 * p), 6)) for k, p in zip(kernel, padding, strict=True)]
    channels = draw(st.tuples(side, side))
    conv = Conv((channels[0], *sizes), channels[1], kernel, stride, padding)
    return conv, np.random.default_rng(draw(st.integers(0, 2**32)))


@st.composite
def pools(draw, kind):
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    sizes = [draw(st.integers(k, 6)) for k in kernel]
    pool = kind((draw(st.integers(1, 2)), *sizes), kernel, stride)
    return pool, np.random.default_rng(draw(st.integers(0, 2**32)))


def uses(conv):
    """Return every (above, below, weight) that meet, one by one, in flat indices."""
    (below, height, width), (above, rows, columns) = conv.image, conv.image_out
    (kh, kw), (sh, sw), (ph, pw) = conv.windows.kernel, conv.windows.stride, conv.windows.padding
    for o, i, j in np.ndindex(above, rows, columns):
        for c, a, b in np.ndindex(below, kh, kw):
            y, x = i * sh + a - ph, j * sw + b - pw
            if 0 <= y < height and 0 <= x < width:
                weight = ((o * below + c) * kh + a) * kw + b
                yield (o * rows + i) * columns + j, (c * height + y) * width + x, weight


def matrix_of(op, weights=NOTHING):
    """Return a linear op as the matrix it stands for, (n_out, n_in)."""
    return op.forward(weights, np.eye(op.n_in)).T


@given(made=convolutions(), lanes=st.integers(1, 3))
def test_a_convolution_is_what_its_indices_say(made, lanes):
    conv, generator = made
    weights = generator.normal(size=conv.shape)
    up = generator.normal(size=(lanes, conv.n_in))
    down = generator.normal(size=(lanes, conv.n_out))
    above, below, product = np.zeros_like(down), np.zeros_like(up), np.zeros(weights.size)
    for i, j, w in uses(conv):
        above[:, i] += weights.flat[w] * up[:, j]
        below[:, j] += weights.flat[w] * down[:, i]
        product[w] += down[:, i] @ up[:, j]
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(conv.forward(weights, up), above, **close)
    np.testing.assert_allclose(conv.transpose(weights, down), below, **close)
    np.testing.assert_allclose(conv.outer(down, up), product.reshape(conv.shape), **close)


@given(made=convolutions(), lanes=st.integers(1, 3))
def test_operations_of_a_convolution_are_counted_one_by_one(made, lanes):
    conv, generator = made
    up = generator.integers(-1, 2, (lanes, conv.n_in)) * 1.0
    down = generator.integers(-1, 2, (lanes, conv.n_out)) * 1.0
    meetings = list(uses(conv))
    assert conv.forward_operations(up) == sum(np.count_nonzero(up[:, j]) for _, j, _ in meetings)
    assert conv.backward_operations(down) == sum(
        np.count_nonzero(down[:, i]) for i, _, _ in meetings
    )
    both = sum(np.count_nonzero(down[:, i] * up[:, j]) for i, j, _ in meetings)
    assert conv.learning_operations(down, up) == both
    assert conv.synapses == np.prod(conv.shape)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("lanes", [1, 300])  # a part of a block, and several
def test_a_convolution_is_scipys_correlation_in_every_type(dtype, lanes):
    conv = Conv((3, 9, 7), 4, kernel=(3, 5), stride=(2, 1), padding=(1, 2))
    generator = np.random.default_rng(0)
    weights = generator.integers(-9, 9, conv.shape).astype(dtype)
    up = generator.integers(-9, 9, (lanes, conv.n_in)).astype(dtype)
    expected = [
        sum(
            correlate2d(np.pad(image, ((1, 1), (2, 2))), kernel, "valid")[::2]
            for image, kernel in zip(images, kernels, strict=True)
        )
        for images in up[[0, -1]].reshape(-1, 3, 9, 7)
        for kernels in weights
    ]
    made = conv.forward(weights, up)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made[[0, -1]], np.reshape(expected, (2, -1)))
    # Products of these integers are exact in all three types.
    down = generator.integers(-9, 9, (lanes, conv.n_out)).astype(dtype)
    back, outer = conv.transpose(weights, down), conv.outer(down, up)
    assert back.dtype == outer.dtype == dtype
    assert np.vdot(made, down) == np.vdot(up, back) == np.vdot(weights, outer)


def test_results_go_where_they_are_wanted():
    conv, pool, place = Conv((2, 5, 5), 3, padding=1), AveragePool((3, 4, 4)), Embed(3, 7, 2)
    generator = np.random.default_rng(1)
    for op in (conv, pool, place, Slice(7, 3, 1)):
        weights = generator.normal(size=op.shape)
        up, down = generator.normal(size=(4, op.n_in)), generator.normal(size=(4, op.n_out))
        for method, arguments in (
            (op.forward, (weights, up)),
            (op.transpose, (weights, down)),
            (op.outer, (down, up)),
        ):
            expected = method(*arguments)
            if expected.ndim:
                # A part of a wider array: nothing beside it may change.
                workspace = np.full((*expected.shape[:-1], expected.shape[-1] + 2), np.nan)
                assert np.shares_memory(method(*arguments, workspace[..., 1:-1]), workspace)
                np.testing.assert_array_equal(workspace[..., 1:-1], expected)
                assert np.isnan(workspace[..., [0, -1]]).all()


@given(made=pools(AveragePool))
def test_an_average_pool_is_linear_and_its_transpose_is_that_of_its_matrix(made):
    pool, generator = made
    (kh, kw), (sh, sw) = pool.windows.kernel, pool.windows.stride
    matrix = matrix_of(pool)
    expected = np.zeros((*pool.image_out, *pool.image))
    for c, i, j in np.ndindex(pool.image_out):
        expected[c, i, j, c, i * sh : i * sh + kh, j * sw : j * sw + kw] = 1 / (kh * kw)
    np.testing.assert_allclose(matrix, expected.reshape(matrix.shape))
    np.testing.assert_allclose(pool.transpose(NOTHING, np.eye(pool.n_out)), matrix)
    up = generator.integers(-1, 2, (2, pool.n_in)) * 1.0
    down = generator.integers(-1, 2, (2, pool.n_out)) * 1.0
    there = (matrix != 0).astype(int)
    assert pool.forward_operations(up) == np.sum((up != 0) @ there.T)
    assert pool.backward_operations(down) == np.sum((down != 0) @ there)
    assert pool.synapses == pool.learning_operations(down, up) == 0


@given(made=pools(MaxPool))
def test_a_max_pool_takes_the_first_of_the_largest_and_sends_the_error_there(made):
    pool, generator = made
    up = generator.integers(-2, 2, (2, *pool.image)) * 1.0  # many ties
    down = generator.integers(-2, 3, (2, *pool.image_out)) * 1.0
    above, below = np.zeros_like(down), np.zeros_like(up)
    (kh, kw), (sh, sw) = pool.windows.kernel, pool.windows.stride
    for n, c, i, j in np.ndindex(above.shape):
        window = up[n, c, i * sh : i * sh + kh, j * sw : j * sw + kw]
        a, b = np.unravel_index(np.argmax(window), window.shape)  # the first, row by row
        above[n, c, i, j] = window[a, b]
        below[n, c, i * sh + a, j * sw + b] += down[n, c, i, j]
    flat = [array.reshape(2, -1) for array in (up, down, above, below)]
    np.testing.assert_array_equal(pool.forward(flat[0]), flat[2])
    (routed,) = pool.transpose(flat[1], flat[0])
    np.testing.assert_array_equal(routed, flat[3])
    assert pool.backward_operations(flat[1], flat[0]) == np.count_nonzero(down)
    average = AveragePool(pool.image, pool.kernel, pool.stride)
    assert pool.forward_operations(flat[0]) == average.forward_operations(flat[0])


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), more=st.integers(0, 3), data=st.data())
def test_places_are_a_part_of_the_identity(seed, n, more, data):
    offset = data.draw(st.integers(0, more))
    place, pick = Embed(n, n + more, offset), Slice(n + more, n, offset)
    expected = np.eye(n + more)[:, offset : offset + n]
    np.testing.assert_array_equal(matrix_of(place), expected)
    np.testing.assert_array_equal(matrix_of(pick), expected.T)
    np.testing.assert_array_equal(place.transpose(NOTHING, np.eye(n + more)), expected)
    np.testing.assert_array_equal(pick.transpose(NOTHING, np.eye(n)), expected.T)
    message = np.random.default_rng(seed).integers(-1, 2, (2, n + more)) * 1.0
    through = np.count_nonzero(message[:, offset : offset + n])
    assert place.backward_operations(message) == pick.forward_operations(message) == through
    up = message[:, :n]
    assert place.forward_operations(up) == np.count_nonzero(up) == pick.backward_operations(up)
    np.testing.assert_array_equal(matrix_of(Embed(n, n)), np.eye(n))


@pytest.mark.parametrize("op", [Product(6), MaxPool((1, 2, 6), (1, 2)), MaxPool((2, 3, 3), 2, 1)])
def test_what_a_nonlinear_op_sends_down_is_its_derivative(op):
    generator = np.random.default_rng(0)
    # Entries of a window differ by far more than the step.
    ups = [generator.permutation(2 * n).reshape(2, n) / n for n in op.n_in]
    down = generator.normal(size=(2, op.n_out))
    step = 1e-6
    for k, below in enumerate(op.transpose(down, *ups)):
        slope = np.zeros_like(ups[k])
        for i in np.ndindex(slope.shape):
            sides = []
            for sign in (1, -1):
                moved = [up.copy() for up in ups]
                moved[k][i] += sign * step
                sides.append(np.vdot(down, op.forward(*moved)))
            slope[i] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(below, slope, atol=1e-8)


def test_a_product_counts_where_an_argument_or_the_error_has_changed():
    one, other, down = (
        np.array([[1.0, 0, 0, 1]]),
        np.array([[0.0, 2, 0, 2]]),
        np.array([[3.0, 0, 0, 0]]),
    )
    assert Product(4).forward_operations(one, other) == 3
    # For either side: the error, or the other argument.
    assert Product(4).backward_operations(down, one, other) == len({0, 1, 3}) + len({0, 3})


def test_ops_and_joins_can_be_told_apart():
    ops: list[Op] = [Conv((1, 3, 3), 1), AveragePool((1, 2, 2)), Embed(1, 2), Slice(2, 1)]
    joins: list[NonlinearOp] = [MaxPool((1, 2, 2)), Product(1)]
    assert not any(isinstance(op, NonlinearOp) for op in ops)
    assert all(isinstance(op, NonlinearOp) for op in joins)
    assert [op.shape for op in ops] == [(1, 1, 3, 3), (), (), ()]
    assert ops[0].fan_in == 9


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Conv((1, 2, 5), 1), r"kernel: must fit into its image, 2 x 5 \(got '3 x 3'\)"),
        (lambda: Conv((1, 1, 5), 1, 5, 1, 1), "image, 1 x 5 with padding 1 x 1"),
        (lambda: MaxPool((1, 3, 3), 4), "kernel: must fit into its image, 3 x 3"),
        (lambda: AveragePool((1, 3, 3), 4), "kernel: must fit into its image, 3 x 3"),
        (lambda: Conv((1, 3, 3), 1, 3, 0), "stride: must be at least 1"),
        (lambda: Conv((1, 3, 3), 1, 3, 1, 3), "padding: must be smaller than the kernel"),
        (lambda: Conv((1, 3, 3), 1, 3, 1, -1), "padding: must be at least 0"),
        (lambda: Conv((1, 3, 3), 0), "channels: must be at least 1"),
        (lambda: MaxPool((0, 3, 3)), "channels: must be at least 1"),
        (lambda: Embed(3, 4, 2), "3 neurons must fit among 4"),
        (lambda: Slice(4, 3, 2), "3 neurons must fit among 4"),
        (lambda: Product(0), "must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make, text):
    with pytest.raises(ValidationError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)
