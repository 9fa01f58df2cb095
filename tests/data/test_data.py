"""Data sets: what is refused, and how it is said."""

import subprocess
import sys

import numpy as np
import pytest

from lava_dyads import load
from lava_dyads.data import Dataset, available
from lava_dyads.data.scaling import Scaling
from lava_dyads.errors import DataError

HUGE = ("digits", "nmnist", "shd")
"""All but the first: gigabytes, from mirrors that few machines reach."""

ONLINE = [pytest.param(n, marks=pytest.mark.slow) for n in available() if n not in HUGE]


@pytest.mark.parametrize("name", ["digits", *ONLINE])
def test_every_built_in_set_is_scaled_and_labelled(name):
    data = load(name)
    assert data.x.min() >= 0
    assert data.x.max() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(np.unique(data.labels), np.arange(data.classes))
    np.testing.assert_array_equal(data.one_hot.argmax(axis=1), data.labels)


def test_digits_are_the_ones_of_scikit_learn(monkeypatch):
    datasets = pytest.importorskip("sklearn.datasets")
    raw, data = datasets.load_digits(), load("digits")
    np.testing.assert_array_equal(data.x, raw.data / 16)
    np.testing.assert_array_equal(data.labels, raw.target)
    monkeypatch.setattr("lava_dyads.data.digits.find_spec", lambda name: None)
    again = load("digits")  # where its file is another one
    np.testing.assert_array_equal(again.x, data.x)
    np.testing.assert_array_equal(again.labels, data.labels)


def test_neither_digits_nor_their_split_pay_for_scikit_learn():
    program = "import sys, lava_dyads; lava_dyads.load('digits').split(0)"
    code = f"{program}; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("seed", range(20))
def test_the_split_is_the_one_of_scikit_learn(seed):
    selection = pytest.importorskip("sklearn.model_selection")
    generator = np.random.default_rng(seed)
    classes = int(generator.integers(2, 12))
    # Few samples: remainders are often equal, and drawn.
    labels = generator.integers(classes, size=int(generator.integers(20, 200)))
    share = float(generator.uniform(0.1, 0.9))
    data = Dataset("drawn", np.zeros((len(labels), 1)), labels)
    rows = np.arange(len(labels))
    try:
        expected = selection.train_test_split(
            rows, test_size=share, stratify=labels, random_state=seed
        )
    except ValueError:
        with pytest.raises(DataError, match="cannot be split"):
            data.split(seed, share)
    else:
        for ours, theirs in zip(data.split(seed, share), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


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
    with pytest.raises(DataError, match="needs an array x"):
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


def test_a_row_of_weight_two_scales_as_one_that_is_there_twice():
    generator = np.random.default_rng(0)
    x, weights = generator.normal(100, 3, (50, 4)), generator.integers(0, 5, 50)
    ours = Scaling.learn(x, weights=weights)
    theirs = Scaling.learn(np.repeat(x, weights, axis=0))
    np.testing.assert_array_equal(ours.offset, theirs.offset)
    np.testing.assert_array_equal(ours.scale, theirs.scale)
    np.testing.assert_allclose(Scaling.learn(x).scale, x.std(axis=0), rtol=1e-14)
