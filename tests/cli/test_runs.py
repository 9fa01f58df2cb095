"""Runs that explain themselves: their record, the same options again, lists, reruns."""

import csv
import io
import json

import numpy as np
import pytest

from lava_dyads import Checkpoint, Execution, NetworkSpec, TrainingConfig, load, run
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.errors import CheckpointError
from lava_dyads.training.environment import environment, versions
from lava_dyads.training.listing import RunRecord, differences, find_runs, rerun

QUICK = ["--layers", "4", "--epochs", "1", "--runtime", "reference", "--granularity", "network"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two runs that differ in their seed, and a file that is none."""
    folder = tmp_path_factory.mktemp("runs")
    digits = load("digits")
    np.savez(folder / "few.npz", x=digits.x[:60], labels=digits.labels[:60])
    for seed in ("0", "1"):
        words = ["train", str(folder / "few.npz"), *QUICK, "--no-count", "--seed", seed]
        assert main([*words, "--out", str(folder / seed), "--json"]) == 0
    (folder / "other").mkdir()
    (folder / "other" / "config.json").write_text("[]")
    return folder


def told(capsys, *words, code=0):
    capsys.readouterr()
    assert main(list(words)) == code
    return capsys.readouterr()


def test_a_run_says_with_what_and_by_what_it_was_made(runs):
    config = json.loads((runs / "0" / "config.json").read_text())
    made = config["environment"]
    assert made["versions"] == versions()
    assert made["versions"]["numpy"] == np.__version__
    assert made["command"]
    assert made["machine"]["cores"] >= 1
    assert made.keys() == environment().keys()
    assert config["data"]["checksum"] == load(runs / "few.npz").checksum


def test_the_options_of_a_run_or_a_file_are_taken_and_those_beside_them_count(
    runs, tmp_path, capsys
):
    out = tmp_path / "again"
    told(capsys, "train", "--config", str(runs / "0"), "--seed", "1", "--out", str(out), "--json")
    ours, theirs = ((p / "metrics.jsonl").read_text() for p in (out, runs / "1"))
    strip = [{k: v for k, v in json.loads(t).items() if "seconds" not in k} for t in (ours, theirs)]
    assert strip[0] == strip[1]
    assert strip[0]["train_operations"] == 0  # --no-count was on
    text = {"dataset": "digits", "layers": "5,4", "batch-size": 16, "runtime": "reference"}
    (tmp_path / "c.json").write_text(json.dumps({**text, "epochs": 9}))
    lines = [f"{k} = {json.dumps(v)}" for k, v in {**text, "epochs": 1}.items()]
    (tmp_path / "c.toml").write_text("\n".join(lines))
    first = told(capsys, "train", "--config", str(tmp_path / "c.toml"), "--no-save", "--json").out
    other = told(capsys, "train", "--config", str(tmp_path / "c.json"), "--epochs", "1",
                 "--no-save", "--json").out  # fmt: skip
    one, two = json.loads(first), json.loads(other)
    assert one["layers"] == [64, 5, 4, 10]
    assert {k: v for k, v in one.items() if "second" not in k} == {
        k: v for k, v in two.items() if "second" not in k
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 1", "unknown option (got 'epoch'). Try: epochs"),
        ("epochs = ", "cannot be read"),
        ("epochs = 'x'", "epochs: must be a whole number"),
    ],
)
def test_a_file_of_options_that_is_wrong_is_one_line(tmp_path, capsys, text, words):
    (tmp_path / "c.toml").write_text(text)
    error = told(capsys, "train", "digits", "--config", str(tmp_path / "c.toml"), code=2).err
    assert error.startswith("error: --config: ")
    assert words in error
    assert error.count("\n") == 1


def test_runs_are_listed_in_four_forms(runs, capsys, monkeypatch):
    found = json.loads(told(capsys, "runs", str(runs), "--json").out)["runs"]
    assert [row["seed"] for row in found] == [0, 1]
    result = json.loads((runs / "1" / "result.json").read_text())
    assert found[1]["test"] == result["test_accuracy"]
    rows = list(csv.DictReader(io.StringIO(told(capsys, "runs", str(runs), "--csv").out)))
    assert [float(row["test"]) for row in rows] == [row["test"] for row in found]
    lines = told(capsys, "runs", str(runs), "--markdown").out.splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(found[0]) + 1}
    monkeypatch.setenv("COLUMNS", "200")
    assert told(capsys, "runs", str(runs)).out.count("dp-transpose") == 2
    for words in (["runs", str(runs / "none")], ["runs", str(runs), "--csv", "--json"]):
        assert told(capsys, *words, code=2).err.startswith("error: ")


def test_what_runs_differ_in_is_shown_and_nothing_else(runs, capsys):
    rows = differences(find_runs([runs]))
    settings = {row["setting"] for row in rows if not row["setting"].startswith("result.")}
    assert settings == {"spec.seed", "training.seed"}
    shown = json.loads(told(capsys, "runs", str(runs), "--compare", "--json").out)["differences"]
    assert shown == json.loads(json.dumps(rows))
    assert "needs two runs" in told(capsys, "runs", str(runs / "0"), "--compare", code=2).err


def test_a_run_is_done_again_and_its_weights_are_compared(runs, tmp_path, capsys):
    again = json.loads(told(capsys, "rerun", str(runs / "0"), "--json").out)
    assert (again["equal"], again["largest_difference"]) == (True, 0)
    kept = Checkpoint.load(runs / "0")
    kept.weights[0][1, 2] += 0.25
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("config.json", "result.json", "metrics.jsonl"):
        (changed / name).write_text((runs / "0" / name).read_text())
    kept.save(changed / "checkpoint.npz")
    found = json.loads(told(capsys, "rerun", str(changed), "--json", code=1).out)
    assert found["equal"] is False
    assert found["largest_difference"] == pytest.approx(0.25)


def test_what_cannot_be_done_again_is_one_line(runs, tmp_path, capsys):
    digits = load("digits")
    few = Dataset("few", digits.x[:60], digits.labels[:60])
    run(NetworkSpec((64, 4, 10)), few, TrainingConfig(epochs=1), Execution(runtime="reference"),
        out=tmp_path / "object")  # fmt: skip
    with pytest.raises(CheckpointError, match="names no data set"):
        rerun(tmp_path / "object")
    assert RunRecord.read(tmp_path / "object").row()["dataset"] == "few"
    (tmp_path / "object" / "result.json").unlink()
    assert "is not finished" in told(capsys, "rerun", str(tmp_path / "object"), code=2).err
    assert "holds no run" in told(capsys, "rerun", str(tmp_path), code=2).err
