"""Data sets: what is refused, and how it is said."""

import numpy as np
import pytest

from lava_dyads import load
from lava_dyads.data import Dataset, available
from lava_dyads.errors import DataError

ONLINE = [pytest.param(n, marks=pytest.mark.slow) for n in available() if n != "digits"]


@pytest.mark.parametrize("name", ["digits", *ONLINE])
def test_every_built_in_set_is_scaled_and_labelled(name):
    data = load(name)
    assert data.x.min() >= 0
    assert data.x.max() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(np.unique(data.labels), np.arange(data.classes))
    np.testing.assert_array_equal(data.targets.argmax(axis=1), data.labels)


def test_digits_are_the_ones_of_scikit_learn():
    assert load("digits").x.shape == (1797, 64)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(DataError, match="Try: digits"):
        load("digts")


def test_a_file_is_read_and_checked(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(DataError, match="no such file"):
        load(str(path))
    x, labels = np.ones((4, 3)), np.array([0, 1, 0, 1])
    np.savez(path, x=x, labels=labels)
    assert load(str(path)).classes == 2
    x[2, 1] = np.nan
    np.savez(path, x=x, labels=labels)
    with pytest.raises(DataError, match=r"x\[2, 1\]: must be finite \(got nan\)"):
        load(str(path))
    np.savez(path, y=x)
    with pytest.raises(DataError, match="cannot be read"):
        load(str(path))
    path.write_text("no archive")
    with pytest.raises(DataError, match="cannot be read"):
        load(str(path))


@pytest.mark.parametrize(
    ("x", "labels", "text"),
    [
        (np.ones((3, 2)), np.zeros(2, int), "one label per row"),
        (np.ones(3), np.zeros(3, int), r"shape \(samples, features\)"),
        (np.ones((2, 2)), np.array([0.5, 1.0]), "whole numbers"),
        (np.ones((2, 2)), np.array([-1, 0]), "at least 0"),
        (np.array([["a", "b"]]), np.array([0]), "needs numbers"),
    ],
)
def test_malformed_data_is_refused(x, labels, text):
    with pytest.raises(DataError, match=text):
        Dataset("bad", x, labels)


def test_a_class_too_small_to_split_is_refused():
    with pytest.raises(DataError, match="cannot be split"):
        Dataset("tiny", np.ones((3, 1)), np.array([0, 0, 1])).split(0)
