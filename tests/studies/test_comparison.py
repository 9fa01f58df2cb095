"""Spaces and statistics of studies, against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_dyads.errors import ValidationError
from lava_dyads.studies import Range, Search
from lava_dyads.studies.comparison import SettingResult, compared, holm
from lava_dyads.studies.space import listed, space_of, text_of


def result(number, values, metric="test_accuracy", runs=None):
    seeds = dict(enumerate(values)) if not isinstance(values, dict) else values
    return SettingResult(number, {"a": number}, metric, runs or len(seeds), seeds)


def test_the_best_comes_first_and_less_of_a_loss_is_better():
    three = [result(1, [0.5, 0.6]), result(2, [0.9, 0.8]), result(3, [0.7, 0.7])]
    assert [one.number for one in compared(three)] == [2, 3, 1]
    losses = [result(1, [0.5, 0.6], "test_loss"), result(2, [0.9, 0.8], "test_loss")]
    assert [one.number for one in compared(losses)] == [1, 2]
    lacking = [result(1, [0.9], runs=2), result(2, [0.1, 0.2]), result(3, [], runs=2)]
    assert [one.number for one in compared(lacking)] == [2, 1, 3]


def test_p_is_students_by_pairs_where_seeds_are_the_same_and_welchs_elsewhere():
    ours, theirs = [0.91, 0.93, 0.90], [0.95, 0.94, 0.96]
    found = compared([result(1, ours), result(2, theirs)])[1]
    d = np.subtract(ours, theirs)
    t = d.mean() / (d.std(ddof=1) / math.sqrt(3))
    # Student's distribution function for two degrees of freedom has a closed form.
    assert found.test == "paired"
    assert found.p == pytest.approx(1 - abs(t) / math.sqrt(2 + t * t), rel=1e-9)

    other = dict(zip((5, 6, 7), theirs, strict=True))
    found = compared([result(1, ours), result(2, other)])[1]
    va, vb = np.var(ours, ddof=1) / 3, np.var(theirs, ddof=1) / 3
    t = (np.mean(ours) - np.mean(theirs)) / math.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 2)
    assert found.test == "Welch"
    # His density, integrated: no other library of the same function.
    a = np.linspace(0, np.arctan(abs(t) / math.sqrt(freedom)), 20001)
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(math.pi)
    heights = np.cos(a) ** (freedom - 1)
    inside = 2 * scale * np.sum((heights[1:] + heights[:-1]) / 2) * (a[1] - a[0])
    assert found.p == pytest.approx(1 - inside, rel=1e-6)


def test_without_a_deviation_there_is_no_p_and_equal_runs_do_not_differ():
    assert [one.p for one in compared([result(1, [0.5]), result(2, [0.6])])] == [None, None]
    assert compared([result(1, [0.5, 0.6]), result(2, [0.5, 0.6])])[1].p == 1.0
    assert compared([result(1, [0.5, 0.5]), result(2, [0.6, 0.6])])[1].p == 0.0
    # Differences that are one but for rounding have no spread to be measured by.
    assert compared([result(1, [0.1, 0.2, 0.3]), result(2, [0.2, 0.3, 0.4])])[1].p == 0.0


def test_others_are_compared_with_the_setting_that_is_asked_for():
    three = [result(1, [0.5, 0.6]), result(2, [0.9, 0.8]), result(3, [0.7, 0.72])]
    assert [one.number for one in compared(three, 3) if one.p is None] == [3]
    with pytest.raises(ValidationError, match="--against: there is no such setting"):
        compared(three, 4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_rejects_what_his_steps_reject(chances):
    corrected = holm(chances)
    for level in (0.01, 0.05, 0.3):
        order = np.argsort(chances, kind="stable")
        rejected = set()
        for rank, place in enumerate(order):  # his procedure: until the first that is not
            if chances[place] > level / (len(chances) - rank):
                break
            rejected.add(int(place))
        near = [abs(p - level) < 1e-12 for p in corrected]
        for place, p in enumerate(corrected):
            assert near[place] or (p <= level) == (place in rejected)


@given(st.integers(1, 50), st.integers(1, 50), st.booleans(), st.floats(0, 1))
def test_a_range_holds_what_it_gives(low, more, log, share):
    whole = Range(low, low + more, log).at(share)
    assert isinstance(whole, int)
    assert low <= whole <= low + more
    real = Range(float(low), float(low + more), log)
    assert low <= real.at(share) <= low + more
    assert (real.at(0.0), real.at(1.0)) == pytest.approx((low, low + more))


def test_whole_numbers_of_a_range_are_equally_likely_and_its_logarithm_even():
    shares = (np.arange(3000) + 0.5) / 3000
    counts = np.bincount([Range(1, 3).at(s) for s in shares])[1:]
    assert counts.tolist() == [1000, 1000, 1000]
    logs = np.log10([Range(1e-4, 1e-1, log=True).at(s) for s in shares])
    np.testing.assert_allclose(logs, -4 + 3 * shares)


def test_a_grid_is_the_product_and_more_trials_are_the_same_ones_and_others():
    space = space_of({"a": [1, 2], "b": ["x", "y", "z"]})
    grid = listed(space, Search())
    assert len(grid) == len({text_of(list(s.values())) for s in grid}) == 6
    wide = space_of({"a": {"low": 0.1, "high": 1.0}, "b": [1, 2]})
    drawn = listed(wide, Search("random", 20, seed=3))
    assert listed(wide, Search("random", 5, seed=3)) == drawn[:5]
    assert {s["b"] for s in drawn} == {1, 2}


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"low": 1}, "a range needs low and high"),
        ({"low": 1, "high": 2, "lug": True}, "unknown key of a range (got 'lug'). Try: log"),
        ({"low": 2, "high": 1}, "space.a: Range: needs low < high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "must be positive where log is on"),
        ({"low": "1", "high": 2}, "Range.low: must be a number"),
        ({"low": 1.0, "high": math.inf}, "Range.high: must be finite"),
    ],
)
def test_a_range_that_is_none_is_refused_in_a_line(held, words):
    with pytest.raises(ValidationError) as caught:
        space_of({"a": held})
    assert words in str(caught.value)
