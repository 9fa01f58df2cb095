"""Damaged files, full disks, paths that cannot be written: one line, and a second try works."""

import io
import os
import random
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest

from lava_dyads import Checkpoint, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.data.event_formats import read_events
from lava_dyads.errors import ValidationError
from lava_dyads.networks import Execution
from lava_dyads.runtime.trace import COLUMNS, Trace
from lava_dyads.training import RunState


def npz(save, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def made(tmp_path, kind):
    """Content of a file of a kind, and what reads it."""
    generator = np.random.default_rng(0)
    data = {"x": generator.random((30, 8)), "labels": np.arange(30) % 3}
    path, spec = tmp_path / "made.npz", NetworkSpec((8, 4, 3))
    if kind.startswith("data"):
        save = np.savez_compressed if kind == "data, compressed" else np.savez
        return npz(save, **data), lambda path: load(str(path))
    if kind == "events":
        events = generator.integers(0, 32, (80, 5), np.uint8)
        return events.tobytes(), read_events
    if kind == "checkpoint":
        Checkpoint(spec, *spec.initial_parameters(), {}).save(path)
        return path.read_bytes(), Checkpoint.load
    if kind == "state":
        (tmp_path / "data.npz").write_bytes(npz(np.savez, **data))
        few, config = load(str(tmp_path / "data.npz")), TrainingConfig(epochs=1)
        with Trainer(spec, few, config, Execution(runtime="reference")) as trainer:
            trainer.state().save(path)
        return path.read_bytes(), RunState.load
    columns = {name: np.arange(5) for name in COLUMNS}
    return npz(np.savez, **columns, source=np.array(["a.b"]), target=np.array(["c.d"])), Trace.load


@pytest.mark.parametrize(
    "kind", ["data", "data, compressed", "checkpoint", "state", "events", "trace"]
)
def test_whatever_damage_ends_in_one_line_or_does_no_harm(tmp_path, kind):
    content, read = made(tmp_path, kind)
    generator, path = random.Random(7), tmp_path / "damaged.npz"
    refused = []
    for i in range(150):
        damaged = bytearray(content)
        if i % 3 == 0:
            damaged = damaged[: generator.randrange(len(content))]
        else:
            for _ in range(generator.choice((1, 1, 4))):
                damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of zipfile: a name that is twice
                read(path)
        except ValidationError as error:
            refused.append(str(error))
    assert len(refused) > 40
    for text in refused:
        assert "\n" not in text
        assert str(path) in text or kind.startswith("data")


TRAIN = ["train", "digits", "--layers", "12", "--epochs", "2", "--runtime", "reference"]
TRAIN += ["--granularity", "network"]  # what is chosen for them is said in a line


def limited(size):
    """Let no file grow beyond a size, as where the disk is full.

    For interpreters that write no bytecode (-B): Python takes what it could write of it for whole,
    and whoever imports the module next ends in an error.
    """
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("size", [1000, 60_000])
def test_a_full_disk_ends_training_in_one_line_and_a_second_try_works(tmp_path, size, capsys):
    folder = tmp_path / "run"
    command = [sys.executable, "-B", "-m", "lava_dyads", *TRAIN, "--out", str(folder)]
    run = subprocess.run(command, preexec_fn=limited(size), capture_output=True, text=True)
    assert run.returncode == 2, run.stderr
    error = run.stderr.strip().splitlines()
    assert len(error) == 1, run.stderr
    assert "cannot be written (File too large)" in error[0]
    assert not [name for name in os.listdir(folder) if name.startswith(".")]
    resume = (folder / "config.json").exists()
    again = ["train", "--resume", str(folder)] if resume else [*TRAIN, "--out", str(folder)]
    assert main(again) == 0
    assert {"result.json", "learning_curve.png", "checkpoint.npz"} <= set(os.listdir(folder))


def test_standard_output_on_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "lava_dyads", "data", "list", "--json"]
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert run.returncode != 0
    assert "cannot be written (No space left on device)" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("words", ["bench events digits", "bench training digits", "bench faults"])
@pytest.mark.parametrize("path", ["none/there.png", "folder"])
def test_a_plot_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys, words, path):
    (tmp_path / "folder").mkdir()
    # It would take minutes to train first.
    assert main([*words.split(), "--plot", str(tmp_path / path)]) == 2
    assert "error: --plot: " in capsys.readouterr().err
