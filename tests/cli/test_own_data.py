"""A table of one's own, from the file to predictions: in four commands, in eight lines."""

import csv
import io
import json
import re

import numpy as np
import pytest

from lava_dyads import (
    Checkpoint,
    Dataset,
    Execution,
    NetworkSpec,
    Trainer,
    TrainingConfig,
    load,
    run,
)
from lava_dyads.cli import main
from lava_dyads.errors import DataError, ValidationError

REFERENCE = Execution(runtime="reference")
RANDOM = np.random.default_rng(0)
KINDS = ("ash", "beech", "yew")


def rows(count, spread=60):
    """Rows of three kinds of tree, each of a height of its own, and with a colour that tells."""
    made = []
    for k in range(count):
        kind = k % 3
        height = 1000 * (kind + 1) + RANDOM.normal(0, spread)
        made.append({"height": round(height, 3), "leaf": ("red", "green")[kind == 2],
                     "noise": round(RANDOM.normal(), 3), "kind": KINDS[kind]})  # fmt: skip
    return made


def write(path, table, names=("height", "leaf", "noise", "kind")):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with trees.csv, new.csv (columns in another order, one more, no kinds) and a run."""
    folder = tmp_path_factory.mktemp("own")
    write(folder / "trees.csv", rows(120))
    new = rows(12, spread=10)  # within what the training has seen
    write(
        folder / "new.csv",
        [{**row, "extra": 1} for row in new],
        ("noise", "extra", "leaf", "height"),
    )
    words = ["train", folder / "trees.csv", "--target", "kind", "--layers", "12", "--epochs", "12",
             "--learning-rate", "0.03", "--validation-share", "0.2", "--runtime", "reference",
             "--out", folder / "run", "--json"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    return folder, [row["kind"] for row in new]


def called(capsys, *words):
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_table_with_names_is_learned_measured_and_predicted_by_commands(files, capsys):
    folder, kinds = files
    run_ = folder / "run"
    found = json.loads((run_ / "result.json").read_text())
    assert found["test_accuracy"] > 0.9
    assert found["validation_accuracy"] > 0.9
    code, text, _ = called(capsys, "eval", run_, "--runtime", "reference", "--json")
    assert (code, json.loads(text)["test_accuracy"]) == (0, found["test_accuracy"])
    code, text, told = called(capsys, "predict", run_, folder / "new.csv", "--proba")
    assert code == 0
    assert "not among the inputs: 'extra'" in told
    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["prediction"] for row in table] == kinds
    likeliest = [max(KINDS, key=lambda kind: float(row[f"p_{kind}"])) for row in table]
    assert likeliest == kinds
    code, text, _ = called(capsys, "predict", run_, folder / "new.csv", "--numbers")
    numbers = [row["prediction"] for row in csv.DictReader(io.StringIO(text))]
    assert [KINDS[int(number)] for number in numbers] == kinds
    code, text, _ = called(capsys, "eval", run_, "--dataset", folder / "trees.csv", "--json",
                           "--runtime", "reference")  # fmt: skip
    assert json.loads(text)["test_accuracy"] == found["test_accuracy"]
    code, text, _ = called(capsys, "predict", run_, folder / "new.csv", "--precision", "loihi2")
    assert [row["prediction"] for row in csv.DictReader(io.StringIO(text))] == kinds


def test_the_same_in_eight_lines_of_python(files):
    folder, kinds = files
    data = load(folder / "trees.csv", target="kind")
    spec = NetworkSpec((data.inputs, 12, data.outputs))
    config = TrainingConfig(epochs=12, learning_rate=0.03)
    network = run(spec, data, config, REFERENCE).checkpoint
    assert network.predict(folder / "new.csv").tolist() == kinds
    pd = pytest.importorskip("pandas")
    assert network.predict(pd.read_csv(folder / "new.csv")).tolist() == kinds
    assert network.transform(folder / "new.csv").shape == (12, 12)


def test_standard_input_is_a_table(files, capsys, monkeypatch):
    folder, kinds = files
    content = io.TextIOWrapper(io.BytesIO((folder / "new.csv").read_bytes()))
    monkeypatch.setattr("sys.stdin", content)
    _, text, _ = called(capsys, "predict", folder / "run", "-")
    assert [row["prediction"] for row in csv.DictReader(io.StringIO(text))] == kinds


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("height,leaf\n1000,red\n", "needs a column 'noise'"),
        ("height,leaf,noise\n1000,blue,0\n", "line 2, column 'leaf': must be one of green, red"),
        ("height,leaf,noise\n,red,0\n", "line 2, column 'height': is missing"),
        ("height,leaf,noise\nhigh,red,0\n", "line 2, column 'height': must be a number"),
        ("height,leaf,noise\n90000,red,0\n", "values of the training data lie in"),
        ("1000,red\n", "needs 3 columns"),
    ],
)
def test_rows_that_do_not_fit_are_named(files, capsys, tmp_path, text, told):
    path = tmp_path / "x.csv"
    path.write_text(text)
    header = "no" if text[0] == "1" else "yes"
    code, out, error = called(capsys, "predict", files[0] / "run", path, "--header", header)
    assert (code, out) == (2, "")
    assert told in error.splitlines()[-1]


def test_scaling_is_that_of_the_training_part_wherever_a_network_is_shown_rows(files):
    folder, _ = files
    checkpoint = Checkpoint.load(folder / "run")
    raw = load(folder / "trees.csv", target="kind")
    train = raw.parts(0, 0.25, 0.2)[0]
    learnt = checkpoint.preparation
    np.testing.assert_allclose(learnt.scaling.offset, raw.x[train].mean(axis=0))
    np.testing.assert_allclose(learnt.scaling.scale, raw.x[train].std(axis=0))
    by_hand = NetworkSpec.from_dict(checkpoint.spec.as_dict())
    shown = (raw.x - learnt.scaling.offset) / learnt.scaling.scale
    zeros = np.zeros((len(shown), 3))
    outputs = by_hand.backpropagate(shown, zeros, checkpoint.weights, checkpoint.biases).output
    np.testing.assert_allclose(checkpoint.decision(raw.x), outputs, atol=1e-12)
    with Trainer(checkpoint.spec, raw, TrainingConfig(validation_share=0.2), REFERENCE) as trainer:
        np.testing.assert_array_equal(trainer.source.x, shown)
    again = checkpoint.data(folder / "run")
    np.testing.assert_array_equal(again.preparation(again.x), shown)


def test_a_run_on_a_table_goes_on_with_the_same_data(files, tmp_path):
    folder, _ = files
    data = load(folder / "trees.csv", target="kind", missing="mean")
    spec, config = NetworkSpec((data.inputs, 4, 3)), TrainingConfig(epochs=2)
    whole = run(spec, data, config, REFERENCE).checkpoint
    with Trainer(spec, data, config, REFERENCE) as trainer:
        trainer.fit(epochs=1)
        state = trainer.state()
    with Trainer(spec, data, config, REFERENCE) as trainer:
        trainer.restore(state)
        trainer.fit()
        for ours, theirs in zip(trainer.parameters()[0], whole.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    other = load(folder / "trees.csv", target="kind", scaling="min-max", missing="mean")
    with Trainer(spec, other, config, REFERENCE) as trainer, pytest.raises(
        ValidationError, match=r"data.kind was 'standard'"
    ):  # fmt: skip
        trainer.restore(state)


def test_a_network_fills_the_gaps_of_new_rows_where_it_learned_to(tmp_path):
    x = RANDOM.normal(size=(40, 2))
    labels = (x[:, 0] > 0).astype(int)
    gaps = x.copy()
    gaps[::7, 1] = np.nan
    data = load(gaps, labels, missing="mean", scaling="none")
    with Trainer(NetworkSpec((2, 4, 2)), data, TrainingConfig(epochs=1), REFERENCE) as trainer:
        trainer.fit()
        mean = np.nanmean(gaps[trainer.train_rows, 1])
        made = trainer.decision([[0.5, np.nan]])
        np.testing.assert_array_equal(made, trainer.decision([[0.5, mean]]))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Dataset("wine", np.array([[1.0, 700], [2, 900]] * 8), [0, 1] * 8), "1: is not scaled"),
        (Dataset("gap", np.eye(16), [0, 2] * 8), "has 3 classes, .* no sample .* .got '1'"),
        (Dataset("flat", np.eye(16)[:, :2] * 0, [0, 1] * 8, feature_names=("a", "b")),
         "constant in the training part.*'a', 'b'"),
    ],
)  # fmt: skip
def test_what_is_likely_a_slip_is_warned_of_at_the_line_that_called(data, told):
    spec = NetworkSpec((data.x.shape[1], 4, data.outputs))
    with pytest.warns(UserWarning, match=told) as caught:
        Trainer(spec, data, TrainingConfig(epochs=1), REFERENCE).close()
    assert [warning.filename for warning in caught] == [__file__]


def test_warnings_are_a_line_each_on_the_command_line(tmp_path, capsys):
    write(tmp_path / "t.csv", rows(30))
    words = ["train", tmp_path / "t.csv", "--scaling", "none", "--epochs", "1", "--layers", "4",
             "--no-save", "--runtime", "reference", "--json"]  # fmt: skip
    code, _, error = called(capsys, *words)
    assert code == 0
    (line,) = [line for line in error.splitlines() if line.startswith("warning: ")]
    assert re.match(r"warning: data t: feature 'height': is not scaled .*--scaling standard", line)


def test_labels_1_5_and_9_give_three_outputs_and_are_predicted(tmp_path):
    x = np.repeat(np.eye(3), 8, axis=0)
    np.savez(tmp_path / "a.npz", x=x, labels=np.repeat([1, 5, 9], 8))
    data = load(tmp_path / "a.npz")
    assert data.outputs == 3
    config = TrainingConfig(epochs=30, learning_rate=0.05)
    result = run(NetworkSpec((3, 8, 3)), data, config, REFERENCE)
    assert result.checkpoint.predict(np.eye(3)).tolist() == [1, 5, 9]
    np.savez(tmp_path / "b.npz", x=x, labels=np.repeat([1, 5, 7], 8))
    with pytest.raises(DataError, match="none of the classes of the training"):
        result.checkpoint.other_data(tmp_path / "b.npz")
