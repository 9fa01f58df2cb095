"""Whatever the terminal, the environment and the names are like: an answer, or one line."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lava_dyads import TrainingConfig, __version__
from lava_dyads.cli import main

COMMAND = [sys.executable, "-m", "lava_dyads"]
GRAPH = Path(__file__).parents[2] / "tutorials" / "graphs" / "residual.toml"


def called(words, **others):
    environment = {**os.environ, **others.pop("env", {})}
    options = {"capture_output": True, "timeout": 100, "env": environment, **others}
    return subprocess.run([*COMMAND, *words.split()], **options)


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lava-dyads {__version__}\n"


@pytest.mark.parametrize(
    ("columns", "words"),
    [("0", "info"), ("1", "train --help"), ("1", "train digits --aplha 1"), ("x", "info")],
)
def test_any_width_of_the_terminal_will_do(monkeypatch, capsys, columns, words):
    monkeypatch.setenv("COLUMNS", columns)
    try:
        code = main(words.split())
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert os.environ["COLUMNS"] == columns
    assert code == (2 if "aplha" in words else 0)
    if code:
        assert "Try: --alpha" in captured.err
        assert captured.err.count("\n") == 1
    else:
        # no word and no number is cut in two
        assert ("dp-transpose" if words == "info" else "--learning-rate") in captured.out


@pytest.mark.parametrize(
    "words", ["info", "train --help", "train digits --rule β", f"info --graph {GRAPH}"]
)
def test_letters_that_the_terminal_lacks_are_written_as_numbers(words, capsys, monkeypatch):
    for name in ("stdout", "stderr"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        monkeypatch.setattr(sys, name, stream)
    out, err = sys.stdout, sys.stderr
    with contextlib.suppress(SystemExit):
        main(words.split())
    assert (out.errors, err.errors) == ("strict", "strict")
    for stream in (out, err):
        stream.flush()
        text = stream.buffer.getvalue().decode("ascii")
        assert "Traceback" not in text
    assert ("\\u03b2" in text) == ("β" in words)


def test_a_reader_who_has_gone_is_no_error():
    for words in ("--help", "train --help", "data list --json"):
        read, write = os.pipe()
        os.close(read)
        done = called(words, stdout=write, stderr=subprocess.PIPE, capture_output=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (1, b"")


def test_streams_that_were_closed_before_are_no_error():
    line = " ".join([*COMMAND, "data list --json"])
    for closed in (">&-", ">&- 2>&- <&-"):
        done = subprocess.run(["sh", "-c", f"{line} {closed}"], capture_output=True, timeout=100)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_folder_that_has_gone_and_a_home_that_is_none(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    words = f"-m lava_dyads train {tmp_path}/none.npz"
    line = f"cd {gone} && rmdir {gone} && {sys.executable} {words}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: data set: no such file")
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "MPLBACKEND": "nonsense"}
    done = called(f"info --graph {GRAPH} --plot {tmp_path}/graph.svg", env=nowhere)
    assert done.returncode == 0
    assert b"<svg" in (tmp_path / "graph.svg").read_bytes()


NAMES = ["[/x]", "$x$", "_^{", ":smile: [bold]漢字"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).random((24, 3))
    Path(name).parent.mkdir(exist_ok=True)  # [/x] is x in a folder [
    np.savez(f"{name}.npz", x=x, labels=np.arange(24) % 2)
    train = ["--layers", "2", "--epochs", "1", "--runtime", "reference", "--out", f"./{name}"]
    assert main(["train", f"./{name}.npz", *train]) == 0
    assert f"./{name}.npz on the numpy" in capsys.readouterr().out
    assert Path(name, "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert main(["eval", f"./{name}", "--runtime", "reference"]) == 0
    assert f"{name} on ./{name}.npz" in capsys.readouterr().out
    assert main(["eval", f"./{name}", "--runtime", "reference", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == name
    text = f'[nodes."{name}"]\nkind = "input"\nshape = [3]\n[nodes.y]\nkind = "dense"\n'
    Path("g.toml").write_text(text + f'from = "{name}"\nsize = 2\n')
    code = main(["info", "--graph", "g.toml", "--plot", "g.png"])
    _, error = capsys.readouterr()
    assert (code, error) == (0, "") or (code, error.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "words",
    [
        "train {long}.npz",
        "train digits --out {long}",
        "train digits --resume {long}",
        "train digits --graph {long}",
        "eval {long}",
        "deploy {long}",
        "info --graph {long}",
        "bench rules --table {long}",
        "bench stream digits --graph {long}",
        "reproduce two-tales-stability --out {long}",
        "train digits --clock async --runtime in-process --granularity neuron --trace {long}.npz",
    ],
)
@pytest.mark.parametrize("long", ["ü" * 150, "a/" * 3000])
def test_names_that_no_file_can_have_are_one_line(tmp_path, monkeypatch, capsys, words, long):
    monkeypatch.chdir(tmp_path)
    assert main(words.format(long=long).split()) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 3000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        "train digits --batch-size 0",
        "train digits --lanes 0",
        "train digits --repeats-per-batch 0",
        "train digits --epochs 0",
        "train digits --learning-rate 0",
        "train digits --optimiser=",
        "train digits --rule=",
        "train digits --window 0 --rule spiking",
        "train digits --out=",
        "train digits --graph=",
        "train digits --resume=",
        "train digits --checkpoint-every=",
        "train ",
        "eval runs --dataset=",
        "deploy --all-layers=",
        "deploy --all-layers 4,2 --learning --learning-rate 0",
        "deploy --all-layers 4,2 --chips 0",
        "check gradient --samples 0",
        "check equivalence --batch-size 0",
        "bench training --samples 0",
        "bench training --threads 0",
        "bench stream --holds 0",
    ],
)
def test_nothing_is_no_default(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main(words.split(" ")) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_lanes_are_the_batch_size_where_nothing_is_asked_for():
    assert TrainingConfig(batch_size=7).chosen_lanes == 7
    assert TrainingConfig(batch_size=8, lanes=2).chosen_lanes == 2
