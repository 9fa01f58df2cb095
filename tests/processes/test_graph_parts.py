"""Convolution, pooling, places and products as Processes: what their docstrings say, by hand."""

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_dyads import SGD, Dyad, PresentationSchedule, ValidationError
from lava_dyads.processes import (
    PARTS,
    DyadAveragePool,
    DyadConv,
    DyadConvFeedback,
    DyadEmbed,
    DyadMaxPool,
    DyadProduct,
)
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.testing import play

pytestmark = pytest.mark.timeout(60)

X = np.array([[1.0, 2, 0], [0, 3, 0], [4, 0, 5]])  # an image, 3 x 3
W = np.array([[1.0, 0], [0, -1]])  # a kernel: here minus lower right


def rows(*messages):
    """Return a series for a port, one message after the other."""
    return np.array([np.ravel(m) for m in messages], float)


def conv(kind, **options):
    return kind(W[None, None], image=(1, 3, 3), **options)


def test_a_convolution_carries_both_ways_with_one_step_of_delay():
    process = conv(DyadConv)
    down = [[0, 0], [0, 0.5]]
    out = play(
        process,
        {"mean_in": rows(X, 0 * X), "difference_in": rows([[0] * 2] * 2, down)},
        outputs=["basal_out", "apical_out"],
        steps=3,
        runtime="in-process",
    ).outputs
    # x[i, j] - x[i + 1, j + 1]
    np.testing.assert_array_equal(out["basal_out"], rows([0] * 4, [1 - 3, 2, -0.0, 3 - 5], [0] * 4))
    np.testing.assert_array_equal(
        out["apical_out"][2], np.ravel([[0, 0, 0], [0, 0.5, 0], [0, 0, -0.5]])
    )
    assert not out["apical_out"][:2].any()
    # Events: corners 1, 4 and 5 in one window, 2 in two, 3 in four; the error to four pixels.
    assert process.element.counts == {"forward": 1 + 2 + 4 + 1 + 1, "backward": 4, "learning": 0}


def test_a_kernel_learns_from_all_its_places():
    schedule = PresentationSchedule(steps=2, lanes=1)
    schedule.window[:] = 0, 1
    process = conv(DyadConv, beta=0.5, optimiser=SGD(0.1), schedule=schedule)
    down = np.array([[1.0, 0], [0, 2]])
    series = {"mean_in": rows(X, 0 * X), "difference_in": rows(down, 0 * down)}
    played = play(process, series, watch=["weights"], runtime="in-process")
    # d[0, 0] meets the patch at the upper left, d[1, 1] that at the lower right.
    expected = W + 0.1 / 0.5 * (X[:2, :2] + 2 * X[1:, 1:])
    np.testing.assert_array_equal(played.vars["weights"][0, 0, 0], W)
    np.testing.assert_allclose(played.vars["weights"][1, 0, 0], expected)
    assert process.element.counts["learning"] == 3 + 2  # where both are events


def test_feedback_kernels_of_their_own_carry_the_error_and_learn_beside():
    schedule = PresentationSchedule(steps=3, lanes=1)
    schedule.window[:] = 0, 1
    feedback = np.array([[[[0.0, 2], [0, 0]]]])
    options = {"beta": 0.5, "optimiser": SGD(0.1), "schedule": schedule}
    process = conv(DyadConvFeedback, feedback=feedback, feedback_learns=True, **options)
    down = np.array([[1.0, 0], [0, 0]])
    series = {"mean_in": rows(X), "difference_in": rows(down)}
    played = play(process, series, outputs=["apical_out"], watch=["weights", "feedback"], steps=3,
                  runtime="in-process")  # fmt: skip
    np.testing.assert_array_equal(played.outputs["apical_out"][1], [0, 2, 0, 0, 0, 0, 0, 0, 0])
    for name, start in (("weights", W), ("feedback", feedback[0, 0])):
        np.testing.assert_allclose(played.vars[name][-1, 0, 0], start + 0.2 * X[:2, :2])


def test_a_max_pool_passes_the_error_to_where_the_maximum_is():
    pool = DyadMaxPool((1, 2, 2))
    up = rows([[1, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 0], [0, 0]], [[0, 0], [0, 4]])
    down = rows([0], [0.5], [0], [0])
    out = play(
        pool,
        {"mean_in": up, "difference_in": down},
        outputs=["basal_out", "apical_out"],
        watch=["held_mean", "sent_basal"],
        steps=5,
        runtime="in-process",
    )
    # Held: maximum 2; then 4, upper left; then 4, the first of two: nothing moves any more.
    np.testing.assert_array_equal(out.outputs["basal_out"].ravel(), [0, 2, 0, 2, 0])
    none = [0, 0, 0, 0]
    moves = rows(none, none, [0, 0.5, 0, 0], [0.5, -0.5, 0, 0], none)
    np.testing.assert_array_equal(out.outputs["apical_out"], moves)
    np.testing.assert_array_equal(out.vars["held_mean"][-1], [4, 2, 0, 4])
    assert out.vars["sent_basal"][-1].item() == 4
    assert pool.element.counts == {"unweighted_forward": 4, "unweighted_backward": 1}


def test_an_average_pool_shares_the_error_equally():
    played = play(
        DyadAveragePool((1, 1, 3), (1, 2), 1),
        {"mean_in": rows([2, 4, 0]), "difference_in": rows([1, 3])},
        outputs=["basal_out", "apical_out"],
        steps=2,
        runtime="in-process",
    ).outputs
    np.testing.assert_array_equal(played["basal_out"][1], [3, 2])
    np.testing.assert_array_equal(played["apical_out"][1], [0.5, 2, 1.5])


def test_places_move_and_pick():
    for process, up, down in (
        (DyadEmbed(2, 4, 1), [0, 1, 2, 0], [6, 7]),
        (DyadEmbed(2), [1, 2], [5, 6]),
        (DyadEmbed(2, 1, 1), [2], [0, 5]),
    ):
        above = [5, 6, 7, 8][: len(up)]
        series = {"mean_in": rows([1, 2]), "difference_in": rows(above)}
        played = play(process, series, outputs=["basal_out", "apical_out"], steps=2,
                      runtime="in-process").outputs  # fmt: skip
        np.testing.assert_array_equal(played["basal_out"], rows([0] * len(up), up))
        np.testing.assert_array_equal(played["apical_out"], rows([0, 0], down))


def test_a_product_sends_the_error_down_times_the_other_side():
    product = DyadProduct(1)
    series = {
        "mean_1_in": rows([2], [0], [1]),
        "mean_2_in": rows([3], [1], [0]),
        "difference_in": rows([0], [0.5], [0]),
    }
    out = play(
        product, series, outputs=["basal_out", "apical_1_out", "apical_2_out"], steps=4,
        runtime="in-process",
    ).outputs  # fmt: skip
    np.testing.assert_array_equal(out["basal_out"].ravel(), [0, 6, 2, 4])  # of 6, 8, 12
    np.testing.assert_array_equal(out["apical_1_out"].ravel(), [0, 0, 2, 0])  # 0.5 times 4
    np.testing.assert_array_equal(out["apical_2_out"].ravel(), [0, 0, 1, 0.5])  # times 2, 3


def test_dyads_share_a_bias_by_channels():
    schedule = PresentationSchedule(steps=1, lanes=1)
    schedule.window[:] = 0, 1
    rule = DualPropagationAdjoint(beta=0.5)
    options = {"activation": "linear", "rule": rule, "optimiser": SGD(0.1), "schedule": schedule}
    dyad = Dyad((4,), bias=[1.0, -1.0], sharing=2, **options)
    played = play(
        dyad,
        {"apical_in": rows([0.1, 0.2, 0, 0.4])},
        outputs=["mean_out"],
        watch=["bias"],
        runtime="in-process",
    )
    np.testing.assert_array_equal(played.outputs["mean_out"][0], [1, 1, -1, -1])
    np.testing.assert_allclose(played.vars["bias"][0], [1 + 0.2 * 0.3, -1 + 0.2 * 0.4])


MAKERS = {
    "conv": lambda lanes: DyadConv(np.ones((2, 1, 3, 3)), image=(1, 4, 4), lanes=lanes),
    "max-pool": lambda lanes: DyadMaxPool((1, 4, 4), lanes=lanes),
    "average-pool": lambda lanes: DyadAveragePool((1, 4, 4), lanes=lanes),
    "place": lambda lanes: DyadEmbed(3, 5, 1, lanes=lanes),
    "product": lambda lanes: DyadProduct(3, lanes=lanes),
}


@pytest.mark.lava
@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("lanes", [1, 2])
def test_on_lavas_own_runtime_found_by_lavas_own_rules_they_do_the_same(kind, lanes):
    generator = np.random.default_rng(0)
    element = MAKERS[kind](lanes).element
    series = {
        port: generator.normal(size=(3, n) if lanes == 1 else (3, lanes, n))
        for port, n in element.inputs.items()
    }
    ports = list(element.outputs)
    run_cfg = Loihi2SimCfg(select_tag="floating_pt")
    one, other = (
        play(MAKERS[kind](lanes), series, outputs=ports, steps=4, **options)
        for options in ({"run_cfg": run_cfg}, {"runtime": "in-process"})
    )
    for port in ports:
        assert other.outputs[port].any()
        np.testing.assert_array_equal(one.outputs[port], other.outputs[port])


def test_every_part_of_a_network_has_a_smallest_element_and_says_what_it_is():
    for process in PARTS:
        element = process.example()
        assert process(element=element).element.process_name == process.__name__


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: DyadConv(W), r"weights: must have shape \(channels, 1, rows, columns\)"),
        (lambda: DyadConv(W[None, None], image=(1, 1, 3)), "must fit into its image, 1 x 3"),
        (lambda: DyadMaxPool((1, 3, 3), 4), "must fit into its image, 3 x 3"),
        (lambda: DyadAveragePool((1, 3, 3), 4), "must fit into its image, 3 x 3"),
        (lambda: DyadEmbed(2, 3, 2), "2 neurons must fit among 3"),
        (lambda: DyadProduct(0), "must be at least 1"),
        (lambda: Dyad((4,), sharing=3), "sharing: must divide n = 4"),
        (lambda: Dyad((4,), sharing=2, bias=[1.0] * 4), r"number or have shape \(2,\)"),
    ],
)
def test_bad_parameters_are_refused(make, text):
    with pytest.raises(ValidationError, match=text):
        make()
