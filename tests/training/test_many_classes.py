"""What a program needs of memory is asked before it is taken; many classes take no square."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lava_dyads import Dataset, Execution, NetworkSpec, Trainer, TrainingConfig, memory
from lava_dyads.errors import ValidationError
from lava_dyads.files import write_arrays
from lava_dyads.rules.targets import OneHot
from lava_dyads.training import reference

REFERENCE = Execution(runtime="reference")


def test_targets_are_those_of_the_unit_matrix_whatever_rows_are_looked_at():
    labels = np.array([2, 0, 3, 3])
    targets, dense = OneHot(labels, 5), np.eye(5)[labels]
    assert targets.shape == dense.shape
    for rows in (slice(1, 3), np.array([3, 0, 0]), 2, slice(0, 0), [1]):
        np.testing.assert_array_equal(targets[rows], dense[rows])
        assert targets.astype(np.float32)[rows].dtype == np.float32
    np.testing.assert_array_equal(Dataset("d", np.ones((4, 1)), labels).one_hot, dense[:, :4])


def test_ten_thousand_classes_take_no_square_of_them():
    classes = 5_000
    x = np.random.default_rng(0).random((2 * classes, 3))
    data = Dataset("many", x, np.arange(2 * classes) % classes, official_training_rows=classes)
    spec = NetworkSpec((3, 2, classes))
    tracemalloc.start()
    try:
        with Trainer(spec, data, TrainingConfig(batch_size=50), REFERENCE) as trainer:
            metrics = trainer.run(trainer.train_rows[:50], 1)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert metrics.samples == 50
    assert most < 4 * classes**2  # bytes: half of the square, which is of float64


@pytest.mark.parametrize(("lanes", "batch"), [(4, 4), (4, 12), (8, 8)])
def test_pieces_of_a_run_are_measured_as_the_whole(lanes, batch, monkeypatch):
    x = np.random.default_rng(0).normal(size=(60, 3))
    data = Dataset("noise", x, np.arange(60) % 3)
    config = TrainingConfig(batch_size=batch, lanes=lanes)
    found = []
    for entries in (1 << 23, 3 * 11):
        monkeypatch.setattr(reference, "_ENTRIES", entries)
        with Trainer(NetworkSpec((3, 5, 3)), data, config, REFERENCE) as trainer:
            metrics = [trainer.run(trainer.train_rows, mode) for mode in (1, 0)]
            found.append((metrics, trainer.predictions(len(trainer.train_rows))))
    for one, other in zip(*(metrics for metrics, _ in found), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-12)
        assert (one.samples, one.accuracy, one.events) == (
            other.samples, other.accuracy, other.events)  # fmt: skip
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_what_needs_more_memory_than_there_is_says_how_much(monkeypatch):
    limit = r"layers: needs at least 1.49e\+04 GiB of memory, .* are free .* Try: smaller layers"
    with pytest.raises(ValidationError, match=limit):
        NetworkSpec((1_000_000, 1_000_000)).build()
    spec = NetworkSpec((2_000, 2_000))
    assert spec.build()
    monkeypatch.setattr(memory, "free_bytes", lambda: 3e7)
    with pytest.raises(ValidationError, match="needs at least"):
        spec.build()


def test_a_file_that_memory_has_no_room_for_is_refused_before_it_is_begun(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "free_bytes", lambda: 3e7)
    with pytest.raises(ValidationError, match=r"a\.npz: needs at least .* GiB of memory"):
        write_arrays(tmp_path / "a.npz", "", {"w": np.zeros(4_000_000)})
    assert not list(tmp_path.iterdir())
