"""Nonlinear connections, connections of any op, and shared biases: as elements, step by step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_dyads.elements import Connection, NonlinearConnection, Population
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float, Loihi2
from lava_dyads.rules.ops import AveragePool, Conv, MaxPool, Product
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.units.dyad import DyadUnit

STEPS = 6


def clock(step, lanes, learn=True):
    return Clock(step, step == 1, step == STEPS, learn, lanes, batch=lanes * (step == STEPS))


def run(element, series):
    """Feed an element messages, port by port; return the sums of what it has sent, per step."""
    sums = {port: np.zeros((element.lanes, n)) for port, n in element.outputs.items()}
    history = []
    for step in range(1, STEPS + 1):
        now = clock(step, element.lanes)
        sent = element.before(now)
        element.after(now, {port: s[step - 1] for port, s in series.items() if step <= len(s)})
        for port, message in sent.items():
            sums[port] = sums[port] + message
        history.append(dict(sums))
    return history


@given(seed=st.integers(0, 10**6), lanes=st.integers(1, 3))
@pytest.mark.parametrize("op", [Product(4), MaxPool((1, 2, 4))])
def test_what_a_nonlinear_connection_has_sent_is_the_function_of_what_it_has_heard(op, seed, lanes):
    generator = np.random.default_rng(seed)
    connection = NonlinearConnection(op, lanes=lanes, beta=0.5)
    ups, downs = NonlinearConnection.up_ports(op), NonlinearConnection.back_ports(op)
    series = {port: generator.normal(size=(4, lanes, n)) for port, n in connection.inputs.items()}
    series["difference_in"][:2] = 0
    for step, sent in enumerate(run(connection, series)):
        heard = {port: s[:step].sum(axis=0) for port, s in series.items()}  # a step ago
        values = [heard[port] for port in ups]
        np.testing.assert_allclose(sent["basal_out"], op.forward(*values), atol=1e-12)
        back = op.transpose(heard["difference_in"], *values)
        for port, expected in zip(downs, back, strict=True):
            np.testing.assert_allclose(sent[port], expected, atol=1e-12)
    assert not connection.buffered


def test_a_maximum_that_moves_takes_its_error_along():
    connection = NonlinearConnection(MaxPool((1, 1, 2), (1, 2)))
    series = {
        "mean_in": [np.array([[2.0, 1.0]]), None, np.array([[0.0, 3.0]])],
        "difference_in": [None, np.array([[0.5]])],
    }
    sent = run(connection, series)
    assert [s["basal_out"].item() for s in sent[:4]] == [0, 2, 2, 4]
    np.testing.assert_array_equal([s["apical_out"][0] for s in sent[1:4]],
                                  [[0, 0], [0.5, 0], [0, 0.5]])  # fmt: skip
    # Events below are compared in one window each, those from above go to one pixel.
    assert connection.counts == {"unweighted_forward": 3, "unweighted_backward": 1}


def test_a_nonlinear_connection_is_silent_where_nothing_moves_and_forgets():
    connection = NonlinearConnection(MaxPool((1, 1, 2), (1, 2)))
    run(connection, {"mean_in": [np.array([[2.0, 1.0]])], "difference_in": [np.array([[1.0]])]})
    later = clock(2, 1)
    assert connection.before(later) == {}
    connection.after(later, {"mean_in": np.array([[0.0, 0.5]])})  # below the largest
    assert not connection.buffered
    connection.after(later, {"mean_in": np.array([[1e-15, 0.0]])})  # rounding
    assert not connection.buffered
    connection.before(clock(1, 1))
    assert not any(connection.memory[name].any() for name in ("held_mean", "sent_basal"))
    assert all(not held.any() for held in (*connection.held, connection.memory["sent_apical"]))


def test_feedback_that_nobody_hears_is_not_computed():
    connection = NonlinearConnection(Product(1))
    connection.listened = {"basal_out", "apical_2_out"}
    one = [np.ones((1, 1))]
    sent = run(connection, {"mean_1_in": one, "mean_2_in": [2 * one[0]], "difference_in": one})[-1]
    assert (sent["apical_1_out"].item(), sent["apical_2_out"].item()) == (0, 1)
    connection = NonlinearConnection(Product(1))
    connection.listened = {"basal_out"}
    run(connection, {"mean_1_in": one, "difference_in": one})
    assert connection.counts["unweighted_backward"] == 0


def test_a_nonlinear_connection_computes_in_single_precision():
    connection = NonlinearConnection(MaxPool((1, 2, 2)), arithmetic=Float("float32"))
    messages = {
        "mean_in": np.ones((1, 4), np.float32),
        "difference_in": np.ones((1, 1), np.float32),
    }
    connection.after(clock(2, 1), messages)
    assert {m.dtype.name for m in connection.before(clock(3, 1)).values()} == {"float32"}


def test_kernels_learn_from_all_places_and_lanes():
    conv = Conv((2, 4, 4), 3, padding=1)
    generator = np.random.default_rng(0)
    weights = generator.normal(size=conv.shape)
    connection = Connection(weights, op=conv, lanes=2, beta=0.5, optimiser=SGD(0.1))
    up, down = generator.normal(size=(2, conv.n_in)), generator.normal(size=(2, conv.n_out))
    sent = run(connection, {"mean_in": [up], "difference_in": [down]})[-1]
    np.testing.assert_allclose(sent["basal_out"], conv.forward(weights, up))
    np.testing.assert_allclose(sent["apical_out"], conv.transpose(weights, down))
    # The mean of two samples, each divided by beta.
    expected = weights + 0.1 / 0.5 * conv.outer(down, up) / 2
    np.testing.assert_allclose(connection.weights, expected)
    uses = [conv.forward_operations(up), conv.backward_operations(down)]
    assert connection.counts == {
        "forward": uses[0],
        "backward": uses[1],
        "learning": conv.learning_operations(down, up),
    }


def test_kernels_can_have_feedback_of_their_own():
    conv, generator = Conv((2, 4, 4), 3), np.random.default_rng(1)
    weights, feedback = generator.normal(size=(2, *conv.shape))
    connection = Connection(weights, op=conv, feedback=feedback)
    down = generator.normal(size=(1, conv.n_out))
    sent = run(connection, {"difference_in": [down]})[-1]
    np.testing.assert_allclose(sent["apical_out"], conv.transpose(feedback, down))


def test_a_connection_without_weights_has_no_register_and_learns_nothing():
    pool = AveragePool((1, 2, 2))
    connection = Connection(None, op=pool, lanes=2, optimiser=SGD(0.1))
    assert not [name for name in connection.memory if name.startswith("weights")]
    assert connection.weightless
    assert connection.weights.shape == ()
    up, down = np.arange(8.0).reshape(2, 4), np.array([[4.0], [8.0]])
    sent = run(connection, {"mean_in": [up], "difference_in": [down]})[-1]
    np.testing.assert_array_equal(sent["basal_out"], [[1.5], [5.5]])
    np.testing.assert_array_equal(sent["apical_out"], [[1.0] * 4, [2.0] * 4])
    assert connection.counts == {"unweighted_forward": 7, "unweighted_backward": 8}


@pytest.mark.parametrize("lanes", [1, 3])
def test_neurons_that_share_a_bias_are_those_with_equal_ones_and_learn_the_sum(lanes):
    unit = DyadUnit(ACTIVATIONS["relu"], 1.0, True)
    generator = np.random.default_rng(2)
    bias, options = generator.normal(size=3), {"lanes": lanes, "beta": 0.5, "optimiser": SGD(0.1)}
    shared = Population(unit, bias, sharing=4, **options)
    own = Population(unit, np.repeat(bias, 4), **options)
    series = {
        "basal_in": generator.normal(size=(2, lanes, 12)),
        "apical_in": generator.normal(size=(2, lanes, 12)),
    }
    for population in (shared, own):
        for step in range(1, STEPS + 1):
            inbox = {port: s[step - 1] for port, s in series.items() if step <= 2}
            population.after(clock(step, lanes), inbox)
    for name in ("s_plus", "s_minus", "sent_mean", "sent_difference"):
        np.testing.assert_array_equal(shared.memory[name], own.memory[name])
    assert shared.memory["bias"].shape == (3,)
    assert shared.bias.shape == (12,)
    change = (own.memory["bias"] - np.repeat(bias, 4)).reshape(3, 4).sum(axis=1)
    np.testing.assert_allclose(shared.memory["bias"], bias + change)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: NonlinearConnection(Product(1), beta=0),
            ValidationError,
            "beta: must be positive",
        ),
        (
            lambda: NonlinearConnection(Product(1), arithmetic=Loihi2()),
            UnsupportedError,
            "Try: precision",
        ),
        (
            lambda: Connection(np.zeros((2, 2)), op=Conv((1, 3, 3), 1)),
            ValidationError,
            r"must be a finite \(1, 1, 3, 3\) array",
        ),
        (
            lambda: Connection(np.zeros((1, 1, 3, 3)), op=Conv((1, 3, 3), 1), arithmetic=Loihi2()),
            UnsupportedError,
            "a weight of its own, Conv has not",
        ),
        (
            lambda: Population(_UNIT, np.zeros(2), sharing=0),
            ValidationError,
            "sharing: must be at least 1",
        ),
        (
            lambda: Population(_UNIT, np.zeros(2), sharing=2, arithmetic=Loihi2()),
            UnsupportedError,
            "here 2 share one",
        ),
        (
            lambda: Population(_UNIT, np.zeros(2), sharing=2).split(),
            UnsupportedError,
            "granularity neuron",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


_UNIT = DyadUnit(ACTIVATIONS["relu"], 1.0, True)
