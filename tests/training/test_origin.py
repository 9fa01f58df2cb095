"""Networks and the data they were trained on: the same or refused, found from anywhere."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lava_dyads import Checkpoint, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.errors import CheckpointError, DataChangedError, DataError
from lava_dyads.networks import Execution
from lava_dyads.training import RunDirectory

REFERENCE = Execution(runtime="reference")
TRAIN = ["train", "data/d.npz", "--layers", "8", "--runtime", "reference", "--epochs", "1"]


def rows(n=60):
    generator = np.random.default_rng(3)
    return {"x": generator.random((n, 5)), "labels": np.arange(n) % 3}


def appended():
    return {name: np.concatenate([a, a[-3:]]) for name, a in rows().items()}


def in_another_order():
    return {name: a[::-1] for name, a in rows().items()}


def with_one_label_changed():
    labels = rows()["labels"].copy()
    labels[0] = 1
    return {"x": rows()["x"], "labels": labels}


def with_a_number_changed():
    x = rows()["x"].copy()
    x[7, 2] += 1e-9
    return {"x": x, "labels": rows()["labels"]}


CHANGES = [appended, in_another_order, with_one_label_changed, with_a_number_changed]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with data and a run that has been trained on them."""
    folder, here = tmp_path_factory.mktemp("origin"), os.getcwd()
    (folder / "data").mkdir()
    np.savez(folder / "data" / "d.npz", **rows())
    os.chdir(folder)
    try:
        assert main([*TRAIN, "--out", "runs/r", "--json"]) == 0
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy of it in which the command is called; the first folder is out of sight."""
    shutil.copytree(made, tmp_path / "project")
    away = made.with_name(f"{made.name}-away")
    made.rename(away)
    monkeypatch.chdir(tmp_path / "project")
    yield tmp_path / "project"
    away.rename(made)


def evaluated(capsys, *words):
    code = main(["eval", *words, "--runtime", "reference", "--json"])
    captured = capsys.readouterr()
    return json.loads(captured.out)["test_accuracy"] if code == 0 else captured.err


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "words",
    ["eval runs/r --runtime reference", "deploy runs/r", "deploy runs/r --export a.net",
     "eval runs/r --runtime reference --precision loihi2"],
)  # fmt: skip
def test_data_that_have_changed_are_refused(project, capsys, change, words):
    np.savez("data/d.npz", **change())
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: data data/d.npz: have changed since the training")
    assert captured.err.count("\n") == 1
    assert not os.path.exists("a.net")


def test_other_data_are_taken_when_they_are_named(project, capsys):
    np.savez("data/d.npz", **appended())
    assert isinstance(evaluated(capsys, "runs/r", "--dataset", "data/d.npz"), float)
    assert main(["deploy", "runs/r", "--dataset", "data/d.npz"]) == 0


def test_the_same_rows_in_another_file_or_format_are_the_same_data(project, capsys):
    before = evaluated(capsys, "runs/r")
    data = rows()
    data["x"] = np.asfortranarray(data["x"])
    data["labels"] = data["labels"].astype(np.int8)
    np.savez_compressed("data/d.npz", **data, more=np.ones(3))
    assert evaluated(capsys, "runs/r") == before


def test_no_split_shows_samples_that_were_trained_on(project, capsys):
    error = evaluated(capsys, "runs/r", "--split-seed", "1")
    assert "--split-seed: the test part of another split holds samples that were trained" in error
    shutil.copy("data/d.npz", "same.npz")
    assert evaluated(capsys, "runs/r", "--split-seed", "1", "--dataset", "same.npz") == error
    assert isinstance(evaluated(capsys, "runs/r", "--split-seed", "0"), float)
    np.savez("other.npz", **{"x": rows(90)["x"], "labels": rows(90)["labels"]})
    other = ("--split-seed", "1", "--dataset", "other.npz")
    assert isinstance(evaluated(capsys, "runs/r", *other), float)


def test_a_run_is_found_from_any_folder_and_after_moves(project, made, tmp_path, capsys):
    expected = evaluated(capsys, "runs/r")
    os.makedirs("elsewhere")
    os.chdir("elsewhere")
    assert evaluated(capsys, "../runs/r") == expected  # run and data have moved together
    os.chdir(tmp_path)
    shutil.move("project", "moved")
    assert evaluated(capsys, "moved/runs/r") == expected
    assert evaluated(capsys, "moved/runs/r/checkpoint.npz") == expected
    away = made.with_name(f"{made.name}-away")
    away.rename(made)  # where it was trained
    shutil.move("moved/runs/r", "alone")
    shutil.rmtree("moved")
    assert evaluated(capsys, "alone") == expected  # the run has moved, the data have not
    made.rename(away)
    error = evaluated(capsys, "alone")
    assert "data set: no such file, nor is there /" in error
    assert "--dataset FILE, where it is now" in error
    shutil.copy(away / "data" / "d.npz", "new-place.npz")
    assert evaluated(capsys, "alone", "--dataset", "new-place.npz") == expected


def test_of_two_files_of_a_name_the_one_of_the_training_is_taken(project, capsys):
    expected = evaluated(capsys, "runs/r")
    os.makedirs("elsewhere/data")
    os.chdir("elsewhere")
    np.savez("data/d.npz", **appended())
    assert evaluated(capsys, "../runs/r") == expected


def test_a_run_goes_on_from_any_folder_with_all_that_it_needs(tmp_path, monkeypatch, capsys):
    (tmp_path / "a" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    np.savez("data/d.npz", **rows())
    x, h = (
        'kind = "input"\nshape = [5]',
        'kind = "dense"\nfrom = "x"\nsize = 6\nactivation = "relu"',
    )
    y = 'kind = "dense"\nfrom = "h"\nsize = 3'
    text = f"[nodes.x]\n{x}\n[nodes.h]\n{h}\n[nodes.y]\n{y}\n"
    Path("g.toml").write_text(text)
    words = ["train", "data/d.npz", "--graph", "g.toml", "--runtime", "reference", "--epochs", "3"]
    assert main([*words, "--out", "whole", "--json"]) == 0
    add_metrics = RunDirectory.add_metrics

    def interrupted(self, *entries):
        add_metrics(self, *entries)
        if len(self._metrics) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "add_metrics", interrupted)
        assert main([*words, "--out", "r", "--json"]) == 130
    os.unlink("g.toml")
    os.chdir(tmp_path)
    shutil.move("a", "b")
    assert main(["train", "--resume", "b/r", "--json"]) == 0
    ours, theirs = (Checkpoint.load(f"b/{name}/checkpoint.npz").weights for name in ("r", "whole"))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_in_python_a_checkpoint_knows_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", **rows())
    spec, data = NetworkSpec((5, 4, 3)), load("d.npz")
    with Trainer(spec, data, TrainingConfig(epochs=1), REFERENCE) as trainer:
        checkpoint = Checkpoint.of(trainer, "d.npz")
    checkpoint.save("c.npz")
    read = Checkpoint.load("c.npz")
    assert np.array_equal(read.data().x, data.x)
    np.savez("d.npz", **with_one_label_changed())
    with pytest.raises(DataChangedError, match="have changed since"):
        read.data()
    os.unlink("d.npz")
    with pytest.raises(DataError, match="no such file"):
        read.data()
    with pytest.raises(CheckpointError, match="names no data set"):
        Checkpoint(spec, *spec.initial_parameters(), {}).data()
