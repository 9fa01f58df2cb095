"""Figures for papers: returned, written by suffix, and of the numbers they are given."""

import json

import numpy as np
import pytest

from lava_dyads import Checkpoint, NetworkSpec
from lava_dyads.cli import main
from lava_dyads.errors import ValidationError
from lava_dyads.plots import (
    confusion_matrix,
    error_law,
    graph_picture,
    learning_curve,
    learning_curves,
    membrane,
    spike_raster,
    weight_matrices,
)
from lava_dyads.training import History
from lava_dyads.training.listing import RunRecord

MAGIC = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
SPEC = NetworkSpec((3, 4, 2))
EPOCHS = [{"epoch": k, "train_loss": 1 / k, "test_loss": 2 / k, "train_accuracy": 0.5,
           "test_accuracy": 0.4} for k in (1, 2, 3)]  # fmt: skip
FIGURES = {
    "confusion": lambda path=None: confusion_matrix(np.eye(3), ("a", "$b$", "c"), path),
    "weights": lambda path=None: weight_matrices(Checkpoint(SPEC, *SPEC.initial_parameters(), {}),
                                                 path),
    "curve": lambda path=None: learning_curve(History(EPOCHS), "t", path),
    "curves": lambda path=None: learning_curves([record("r", 0, EPOCHS)], path=path),
    "graph": lambda path=None: graph_picture(SPEC, path),
    "membrane": lambda path=None: membrane(np.ones((2, 5)), "t", path),
    "raster": lambda path=None: spike_raster([np.ones((2, 5, 1, 2), bool)], path),
    "law": lambda path=None: error_law([1, 2], [0.5, 0.25], -1.0, path),
}  # fmt: skip


def record(name, seed, epochs, layers=(3, 4, 2)):
    from pathlib import Path

    config = {"dataset": "d", "spec": {"layers": list(layers), "seed": seed},
              "training": {"seed": seed}, "environment": {"started": name}}  # fmt: skip
    return RunRecord(Path(name), config, {}, epochs)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_returned_and_written_by_its_suffix(tmp_path, name):
    from matplotlib.figure import Figure

    assert isinstance(FIGURES[name](), Figure)
    assert not list(tmp_path.iterdir())
    suffix = list(MAGIC)[list(FIGURES).index(name) % len(MAGIC)]
    figure = FIGURES[name](tmp_path / f"f{suffix}")
    assert isinstance(figure, Figure)
    assert (tmp_path / f"f{suffix}").read_bytes().startswith(MAGIC[suffix])


def test_runs_that_differ_in_their_seeds_alone_are_a_band():
    losses = {0: (3.0, 2.0), 1: (1.0, 2.0), 2: (2.0, 2.0)}
    runs = []
    for seed, each in losses.items():
        epochs = [{**e, "test_loss": v} for e, v in zip(EPOCHS[:2], each, strict=True)]
        runs.append(record(f"r{seed}", seed, epochs))
    runs.append(record("wide", 0, EPOCHS, (3, 9, 2)))
    axes = learning_curves(runs, ("test_loss",)).axes[0]
    band, alone = axes.lines
    np.testing.assert_allclose(band.get_ydata(), [2.0, 2.0])
    np.testing.assert_allclose(alone.get_ydata(), [2.0, 1.0, 2 / 3])
    corners = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert {corners.min(), corners.max()} == {1.0, 3.0}  # a deviation of 1
    assert band.get_label() == "layers [3, 4, 2] (3 runs)"


def test_a_matrix_that_does_not_fit_is_one_line():
    for confusion, names in ((np.ones((2, 3)), ()), (np.eye(2), ("a",))):
        with pytest.raises(ValidationError, match="confusion_matrix"):
            confusion_matrix(confusion, names)
    with pytest.raises(ValidationError, match="needs a run"):
        learning_curves([])
    with pytest.raises(ValidationError, match="Try: test_loss"):
        learning_curves([record("r", 0, EPOCHS)], ("test_los",))


def test_the_command_draws_curves_confusion_and_weights(tmp_path, capsys):
    run = str(tmp_path / "run")
    line = ["train", "digits", "--layers", "4", "--epochs", "1", "--runtime", "reference"]
    assert main([*line, "--out", run, "--json"]) == 0
    for kind in ("curves", "confusion", "weights"):
        capsys.readouterr()
        words = ["plot", run, "--kind", kind, "--out", str(tmp_path / f"{kind}.pdf"), "--json"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["runs"] == [run]
        assert (tmp_path / f"{kind}.pdf").read_bytes().startswith(b"%PDF")
    for words in (["--out", str(tmp_path / "f.txt")], ["--metrics", "test_los"]):
        assert main(["plot", run, *words]) == 2
    assert main(["plot", str(tmp_path / "none")]) == 2
