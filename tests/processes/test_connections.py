"""DyadDense, LossHead, DatasetSource and MetricSink on Lava, against hand computation."""

import numpy as np
import pytest

from lava_dyads import (
    SGD,
    DatasetSource,
    DyadDense,
    LossHead,
    MetricSink,
    PresentationSchedule,
    ValidationError,
)
from lava_dyads.testing import play

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]


def test_a_connection_carries_both_ways_with_one_step_of_delay():
    w = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    up, down = np.random.default_rng(0).normal(size=(4, 3)), np.zeros((4, 2))
    down[1] = 0.5, -0.5
    dense = DyadDense(w)
    out = play(
        dense,
        {"mean_in": up, "difference_in": down},
        outputs=["basal_out", "apical_out"],
        watch=["weights"],
        steps=5,
    )
    np.testing.assert_array_equal(out.outputs["basal_out"][0], 0)
    np.testing.assert_allclose(out.outputs["basal_out"][1:], up @ w.T)
    np.testing.assert_allclose(out.outputs["apical_out"][1:], down @ w)
    np.testing.assert_array_equal(out.vars["weights"][-1], w)
    # 4 messages of 3 events touch 2 weights each; one message of 2 events touches 3 each.
    assert dense.element.counts["forward"] == 4 * 3 * 2
    assert dense.element.counts["backward"] == 2 * 3


def test_feedback_that_nobody_hears_is_not_computed():
    dense = DyadDense(np.ones((2, 3)))
    play(dense, {"difference_in": np.ones((2, 2))}, outputs=["basal_out"])
    assert dense.element.counts["backward"] == 0


def test_the_weight_change_is_the_product_of_the_two_signals():
    # Presentations of 3 steps, 2 lanes, 3 samples: the second presentation is half empty, and
    # the batch of 4 ends with the samples. gradient = -(1/beta) mean over the 3 samples.
    schedule = PresentationSchedule(steps=3, lanes=2, batch_size=4)
    schedule.window[:] = 0, 3
    generator = np.random.default_rng(1)
    mean, difference = generator.normal(size=(3, 3)), generator.normal(size=(3, 2))
    series = {"mean_in": np.zeros((6, 2, 3)), "difference_in": np.zeros((6, 2, 2))}
    for p, lanes in enumerate(([0, 1], [2])):
        for lane, sample in enumerate(lanes):
            # in two parts, as changes that add up
            series["mean_in"][3 * p, lane] = 0.25 * mean[sample]
            series["mean_in"][3 * p + 1, lane] = 0.75 * mean[sample]
            series["difference_in"][3 * p + 2, lane] = difference[sample]
    w = generator.normal(size=(2, 3))
    dense = DyadDense(w, lanes=2, beta=0.5, optimiser=SGD(0.1), schedule=schedule)
    played = play(dense, series, watch=["weights", "weights_updates"])
    expected = w + 0.1 / 0.5 * difference.T @ mean / 3
    np.testing.assert_array_equal(played.vars["weights"][:5], np.broadcast_to(w, (5, 2, 3)))
    np.testing.assert_allclose(played.vars["weights"][5], expected)
    assert played.vars["weights_updates"].ravel().tolist() == [0, 0, 0, 0, 0, 1]
    assert dense.element.counts["learning"] == 3 * 6


def test_the_head_sends_minus_beta_times_the_loss_gradient_as_changes():
    head = LossHead(2, loss="squared-error", beta=0.5)
    drive = play(
        head,
        {
            "mean_in": [[1.0, 0.0], [0.5, 0.0], [0.0, 0.0]],
            "target_in": [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]],
        },
        outputs=["drive_out"],
    ).outputs["drive_out"]
    # After step 1: -0.5 * ([1, 0] - [0, 1]); after step 2: -0.5 * ([1.5, 0] - [0, 1]).
    np.testing.assert_allclose(drive, [[0, 0], [-0.5, 0.5], [-0.25, 0]])


def test_the_head_is_silent_in_evaluation():
    schedule = PresentationSchedule()
    schedule.learn[0] = 0
    head = LossHead(2, schedule=schedule)
    played = play(head, {"mean_in": np.ones((3, 2))}, outputs=["drive_out"])
    assert not played.outputs["drive_out"].any()


def test_the_source_shows_rows_in_order_once_per_presentation():
    x, y = np.arange(1.0, 11).reshape(5, 2), np.arange(5.0)[:, None]
    schedule = PresentationSchedule(steps=2, lanes=2)
    schedule.window[:] = 0, 3
    source = DatasetSource(x, y, lanes=2, schedule=schedule)
    source.element.memory["order"][:3] = 4, 0, 2
    played = play(source, outputs=["x_out", "y_out"], steps=4)
    np.testing.assert_array_equal(played.outputs["x_out"][0], x[[4, 0]])
    np.testing.assert_array_equal(played.outputs["x_out"][2], [x[2], [0, 0]])
    np.testing.assert_array_equal(played.outputs["x_out"][[1, 3]], 0)
    np.testing.assert_array_equal(played.outputs["y_out"][0], y[[4, 0]])


def test_the_sink_measures_the_integrated_output():
    schedule = PresentationSchedule(steps=2, read_step=2)
    schedule.window[:] = 0, 2
    sink = MetricSink(2, loss="squared-error", schedule=schedule, capacity=2)
    played = play(
        sink,
        {
            "output_in": [[0.0, 1.0], [1.5, 0.0], [0.2, 0.0], [0.0, 0.1]],
            "target_in": [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]],
        },
        watch=["totals", "predicted"],
    )
    # outputs [1.5, 1] against [1, 0] and [0.2, 0.1] against [0, 1]
    np.testing.assert_allclose(played.vars["totals"][-1], [2, 1, 0.625 + 0.425])
    np.testing.assert_array_equal(played.vars["predicted"][-1], [0, 0])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: DyadDense([1.0, 2.0]), "weights: must have 2 axes"),
        (lambda: DyadDense([[np.inf]]), r"weights\[0, 0\]: must be finite"),
        (lambda: DyadDense([[1.0]], beta=0), "beta: must be positive"),
        (lambda: DatasetSource([[1.0]], [[1.0], [2.0]]), "as many rows"),
        (
            lambda: DatasetSource([[1.0], [np.nan]], [[1.0], [2.0]]),
            r"x\[1, 0\]: must be finite \(got nan\)",
        ),
        (lambda: LossHead(2, loss="mse"), "unknown name"),
    ],
)
def test_bad_parameters_are_refused(make, text):
    with pytest.raises(ValidationError, match=text):
        make()
