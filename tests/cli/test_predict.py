"""``lava-dyads predict`` as a user types it: the classes that ``eval`` counts, from any file."""

import csv
import io
import json

import numpy as np
import pytest

from lava_dyads import Checkpoint, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.data.contents import How
from lava_dyads.data.formats import read
from lava_dyads.data.schema import ROWS
from lava_dyads.errors import DataError
from lava_dyads.networks import Execution

DIGITS = load("digits")
REFERENCE = Execution(runtime="reference")
_, TEST = DIGITS.split(0, 0.25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run on digits and files of the rows it is tested on."""
    made = tmp_path_factory.mktemp("predict")
    config = TrainingConfig(epochs=1, learning_rate=0.01)
    with Trainer(NetworkSpec((64, 16, 10)), DIGITS, config, REFERENCE) as trainer:
        trainer.run(trainer.train_rows, 1)
        Checkpoint.of(trainer, "digits", made / "run").save(made / "run" / "checkpoint.npz")
    x = DIGITS.x[TEST]
    np.save(made / "x.npy", x.reshape(-1, 8, 8))
    np.savez(made / "x.npz", X=x, y=DIGITS.labels[TEST])
    np.savez(made / "other.npz", spikes=x)
    np.savetxt(made / "x.csv", x, "%.17g", delimiter=",", comments="",
               header=",".join(f"pixel {k}" for k in range(64)))  # fmt: skip
    np.savetxt(made / "x.txt", x, "%.17g")
    np.savetxt(made / "raw.tsv", x[:3] * 16, delimiter="\t")
    return made


def called(capsys, *words):
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("options", [[], ["--precision", "loihi2"]])
def test_the_accuracy_of_what_is_predicted_is_that_of_eval(folder, capsys, options):
    run = folder / "run"
    words = ["eval", run, "--runtime", "reference", "--json", *options]
    accuracy = json.loads(called(capsys, *words)[1])["test_accuracy"]
    code, text, _ = called(capsys, "predict", run, folder / "x.npy", "--json", *options)
    found = json.loads(text)
    assert code == 0
    assert found["rows"] == len(TEST)
    right = np.array(found["predictions"]) == DIGITS.labels[TEST]
    assert np.mean(right) == pytest.approx(accuracy, abs=1e-12)


def test_every_kind_of_file_says_the_same(folder, capsys):
    found = [called(capsys, "predict", folder / "run", folder / name)
             for name in ("x.npy", "x.npz", "x.csv", "x.txt")]  # fmt: skip
    assert {code for code, *_ in found} == {0}
    assert len({text for _, text, _ in found}) == 1
    told = [error for *_, error in found]
    assert "X, array (450, 64)" in told[1]
    assert "450 rows of 64 columns, commas between, the first line taken as names" in told[2]
    assert "spaces between, no line of names" in told[3]


def test_csv_and_json_hold_classes_probabilities_and_outputs(folder, capsys):
    run, file, out = folder / "run", folder / "x.npy", folder / "out.csv"
    words = ["predict", run, file, "--proba", "--decision", "--json", "--out", out]
    code, text, _ = called(capsys, *words)
    assert code == 0
    found, table = json.loads(text), list(csv.reader(io.StringIO(out.read_text())))
    each = range(10)
    names = ["row", "prediction", *(f"p_{k}" for k in each), *(f"o_{k}" for k in each)]
    assert table[0] == names
    numbers = np.array(table[1:], float)
    np.testing.assert_array_equal(numbers[:, 0], np.arange(len(TEST)))
    np.testing.assert_array_equal(numbers[:, 1], found["predictions"])
    np.testing.assert_array_equal(numbers[:, 2:12], found["probabilities"])
    np.testing.assert_array_equal(numbers[:, 12:], found["outputs"])
    raised = np.exp(numbers[:, 12:])
    np.testing.assert_allclose(numbers[:, 2:12], raised / raised.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("raw.tsv", "values of the training data lie in 0 .. 1 (got 1"),
        ("other.npz", "needs an array x or X, or data or images (got 'spikes')"),
        ("none.csv", "no such file"),
        ("run", "is a folder of none of the kinds"),
        ("x.doc", "must end in .csv"),
    ],
)
def test_wrong_files_end_in_one_line_and_code_2(folder, capsys, file, told):
    code, text, error = called(capsys, "predict", folder / "run", folder / file)
    assert (code, text) == (2, "")
    assert told in error.splitlines()[-1]
    assert error.splitlines()[-1].startswith("error: ")


def test_other_units_are_taken_where_that_is_said(folder, capsys):
    words = ["predict", folder / "run", folder / "raw.tsv", "--any-range", "--json"]
    assert called(capsys, *words)[0] == 0


TABLES = {  # text, options: rows, or what is told
    "a,b\n1,2\n3,4\n": [[1, 2], [3, 4]],
    "\ufeffa;b\r\n1;2\r\n": [[1, 2]],
    "# by hand\n\n1\t2\n3\t4\n": [[1, 2], [3, 4]],
    " 1  2\n 3  4\n": None,
    "0,1,2\n5,6,7\n": [[5, 6, 7]],  # the columns of a frame without names
    "0,1\n5,6\n": [[0, 1], [5, 6]],
    "a,1\n5,6\n": [[5, 6]],
    '"x, y",z\n1,2\n': [[1, 2]],
    "7\n8\n": [[7], [8]],
    "": "holds no rows",
    "a,b\n": "holds a header and no rows",
    "1,2\n3\n": r"line 2: needs 2 fields, as the first line has \(got 1\)",
    "1,2\n3,4,5\n": "line 2: needs 2 fields",
    "a,b\n1,2\n3,\n": [[1, 2], [3, np.nan]],
    "a,b\n1,2\n3,x\n": r"line 3, column 'b': must be a number \(got 'x'\)",
    "5.1,red\n4,blue\n": r"line 1, column 1: must be a number \(got 'red'\)",
}


def numbers(path, header="auto"):
    """Return the rows of a table of numbers."""
    return ROWS.encode(read(path, How(header)))[0]


@pytest.mark.parametrize("text", TABLES)
def test_tables_are_read_as_they_are_meant_or_not_at_all(tmp_path, text):
    path, wanted = tmp_path / "t.csv", TABLES[text]
    path.write_bytes(text.encode())
    if isinstance(wanted, str):
        with pytest.raises(DataError, match=wanted):
            numbers(path)
    elif wanted is None:
        np.testing.assert_array_equal(numbers(path), np.loadtxt(path))
    else:
        np.testing.assert_array_equal(numbers(path), wanted)


def test_headers_are_what_the_user_says(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("0,1,2\n5,6,7\n")
    assert len(numbers(path, "no")) == 2
    path.write_text("1,5\n5,6\n")
    assert read(path, How("yes")).names == ("1", "5")


def test_damaged_files_end_in_one_line(tmp_path):
    for name, content in (("a.npy", b"no"), ("a.npz", b"no"), ("a.csv", b"\xff\xfe1"),
                          ("b.csv", b"1,\x002\n")):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError):
            numbers(tmp_path / name)
    np.save(tmp_path / "c.npy", np.zeros((40, 40)))
    whole = (tmp_path / "c.npy").read_bytes()
    (tmp_path / "c.npy").write_bytes(whole[:-9])
    with pytest.raises(DataError):
        read(tmp_path / "c.npy")
    with pytest.raises(DataError):
        read(tmp_path)


def test_long_tables_are_read_in_full(tmp_path):
    x = np.random.default_rng(0).random((2501, 3))
    np.savetxt(tmp_path / "t.csv", x, "%.17g", delimiter=",")
    np.testing.assert_array_equal(numbers(tmp_path / "t.csv"), x)
