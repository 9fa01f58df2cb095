"""A run that is interrupted goes on to the bits of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from lava_dyads import NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.errors import CheckpointError, UnsupportedError, ValidationError
from lava_dyads.executors.transport import Faults, Transport
from lava_dyads.networks import Execution
from lava_dyads.networks.support import table
from lava_dyads.rules.optimisers import OPTIMISERS
from lava_dyads.rules.units import RULES
from lava_dyads.rules.units.baselines import BACKPROP
from lava_dyads.training import Interval, RunDirectory, RunState
from lava_dyads.training.resume import registers

DIGITS = load("digits")
FEW = Dataset("few", DIGITS.x[:96], DIGITS.labels[:96])
TINY = Dataset("tiny", DIGITS.x[:20], DIGITS.labels[:20], official_training_rows=12)
REFERENCE = Execution(runtime="reference")
EVERY = Interval(batches=3)


class StoppedError(Exception):
    pass


def trainer(execution=REFERENCE, *, transport=None, training=None, data=FEW, **options):
    on_chip = execution.precision == "loihi2"
    size = 1 if on_chip else 8
    known = getattr(RULES.get(options.get("rule")), "activations", ())
    if known and "relu" not in known:
        options["activations"] = known[0]
    chosen = {"epochs": 2, "batch_size": size, "optimiser": "sgd" if on_chip else "adam"}
    config = TrainingConfig(**{**chosen, **(training or {})})
    spec = NetworkSpec((64, 6, 10), **options)
    return Trainer(spec, data, config, execution, transport)


def outcome(made):
    """All that is left of a run: weights, the optimiser's registers, metrics without seconds."""
    kept = registers(made._owners())
    held = {k: v.copy() for k, v in kept.items() if "order" not in k}
    lines = [{k: v for k, v in e.items() if "seconds" not in k} for e in made.history.epochs]
    return held, lines


def assert_resumes_to_the_same_bits(tmp_path, stop_after, **options):
    path = tmp_path / "state.npz"
    with trainer(**options) as whole:
        # In what order losses are added up depends on where a run is cut; weights do not.
        whole.fit(on_checkpoint=lambda: None, every=EVERY)
        expected = outcome(whole)
    with trainer(**options) as first:
        kept = []

        def keep():
            kept.append(None)
            if len(kept) == stop_after:
                first.state().save(path)
            elif len(kept) > stop_after:  # what has been learnt since is lost
                raise StoppedError

        with pytest.raises(StoppedError):
            first.fit(on_checkpoint=keep, every=EVERY)
    with trainer(**options) as second:
        second.restore(RunState.load(path))
        second.fit(on_checkpoint=lambda: None, every=EVERY)
        assert second.inexact == ""
        registers, lines = outcome(second)
    assert lines == expected[1]
    assert registers.keys() == expected[0].keys()
    for name, value in registers.items():
        np.testing.assert_array_equal(value, expected[0][name], err_msg=name)


IN_THIS_PROCESS = [e for e, why in table(neurons=16) if why is None and e.runtime != "lava"]


@pytest.mark.parametrize("execution", IN_THIS_PROCESS, ids=lambda e: e.label)
def test_every_way_to_run_resumes_bit_by_bit(tmp_path, execution):
    slow = execution.precision == "loihi2" or execution.clock == "async"
    options = {"data": TINY} if slow else {}
    if execution.clock == "async":
        options["training"] = {"batch_size": 2}
    # That is after the first epoch and three batches of the second one (loihi2: of the first).
    assert_resumes_to_the_same_bits(tmp_path, 4 if slow else 5, execution=execution, **options)


@pytest.mark.parametrize("rule", [*RULES, BACKPROP])
def test_every_rule_resumes_bit_by_bit(tmp_path, rule):
    assert_resumes_to_the_same_bits(tmp_path, 3, rule=rule)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_every_optimiser_resumes_bit_by_bit(tmp_path, optimiser, batch_size):
    training = {"optimiser": optimiser, "batch_size": batch_size, "learning_rate": 0.01}
    assert_resumes_to_the_same_bits(tmp_path, 3, training=training)


NEURONS = Execution("neuron", "sync", "float", "in-process")
EVENTS = Execution("neuron", "async", "float", "in-process")
FAULTS = Faults(drop=0.02, duplicate=0.02, reorder=0.05, flip=0.01, noise=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {"feedback": "random"},
        {"feedback": "kolen_pollack", "execution": Execution("network", precision="loihi2",
                                                           runtime="reference")},
        {"compartment_noise": 0.01},
        {"compartment_noise": 0.01, "execution": NEURONS},
        {"training": {"repeats_per_batch": 2, "lr_schedule": "linear"}},
        {"density": 0.5, "activations": "tanh", "loss": "squared-error"},
        {"training": {"lanes": 4, "skip_error": 0.05, "dtype": "float32"}},
        {"training": {"stream": True, "batch_size": 1, "optimiser": "momentum"}, "data": TINY},
        {"execution": EVENTS, "transport": Transport("heavy-tailed", 3, "value", faults=FAULTS),
         "data": TINY, "training": {"epochs": 1, "batch_size": 2}},
        {"execution": EVENTS, "transport": Transport({"head.*": "constant", "*": "uniform"}),
         "data": TINY, "training": {"batch_size": 2}},
    ],
    ids=lambda options: " ".join(options),
)  # fmt: skip
def test_every_generator_and_register_is_kept(tmp_path, options):
    assert_resumes_to_the_same_bits(tmp_path, 2, **options)


@pytest.mark.lava
@pytest.mark.timeout(300)  # every OS process compiles its kernels
def test_lavas_own_runtime_resumes_bit_by_bit(tmp_path):
    options = {"execution": Execution("layer", "sync", "float", "lava")}
    assert_resumes_to_the_same_bits(tmp_path, 3, **options)


def test_where_the_bits_may_differ_a_line_says_so():
    with trainer() as made:
        assert made.inexact == ""
        made.execution = Execution("layer", "async", "float", "lava")
        assert "no two asynchronous runs agree" in made.inexact
        made.execution, made.spec = (
            Execution("layer", runtime="lava"),
            replace(made.spec, compartment_noise=0.1),
        )
        assert "noise is drawn in OS processes" in made.inexact


def test_frozen_processes_are_refused():
    transport = Transport(faults=Faults(frozen=("population_1.0",)))
    with (
        trainer(EVENTS, transport=transport) as made,
        pytest.raises(UnsupportedError, match=r"Faults\.frozen"),
    ):
        made.state()


def test_weights_do_not_depend_on_how_often_the_state_is_kept():
    found = []
    for every in (Interval(), Interval(batches=1), Interval(seconds=1e-9)):
        with trainer() as made:
            calls = []
            made.fit(on_checkpoint=lambda calls=calls: calls.append(1), every=every)
            found.append((len(calls), made.parameters()))
    # 72 samples in batches of 8: 9 a pass; after the last one of a pass comes the epoch's own.
    assert [calls for calls, _ in found] == [3, 1 + 2 * 9, 1 + 2 * 9]
    for _, parameters in found[1:]:
        for kind, expected in zip(parameters, found[0][1], strict=True):
            for value, other in zip(kind, expected, strict=True):
                np.testing.assert_array_equal(value, other)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seed": 1}, r"spec\.seed was 0 \(got 1\)"),
        ({"training": {"epochs": 3}}, r"training\.epochs was 2 \(got 3\)"),
        ({"data": Dataset("few", FEW.x * 0.5, FEW.labels)}, r"data\.checksum was"),
        ({"execution": Execution("layer", runtime="in-process")}, r"execution\.granularity was"),
    ],
)
def test_a_state_of_another_run_is_refused(options, text):
    with trainer() as made:
        state = made.state()
    with trainer(**options) as other, pytest.raises(CheckpointError, match=text):
        other.restore(state)


@pytest.mark.parametrize("text", ["never", "0", "-3", "nan s", "infs", "1.5"])
def test_a_senseless_interval_is_refused(text):
    with pytest.raises(ValidationError, match="--checkpoint-every: must be epoch, a number"):
        Interval.parse(text)


# --- the command line

QUICK = ["train", "digits", "--layers", "12", "--epochs", "3", "--runtime", "reference"]


def weights(folder):
    with np.load(folder / "checkpoint.npz") as file:
        return {name: file[name] for name in file.files if name != "header"}


def lines(folder):
    return [
        {k: v for k, v in json.loads(line).items() if "seconds" not in k}
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*QUICK, "--checkpoint-every", "7", "--out", str(folder), "--json"]) == 0
    return folder


@pytest.mark.timeout(120)
def test_a_killed_run_resumes_to_the_same_weights_and_lines(tmp_path, undisturbed, capsys):
    folder, kills = tmp_path / "run", 0
    command = [*QUICK, "--checkpoint-every", "7", "--out", str(folder)]
    generator = random.Random(os.getpid())
    while not (folder / "result.json").exists():
        if kills == 2:
            assert main(command) == 0
            break
        child = subprocess.Popen([sys.executable, "-m", "lava_dyads", *command])
        try:
            deadline = time.monotonic() + 40
            while not (folder / "config.json").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            # Some time after it has begun to write; on a second try that is from the start.
            time.sleep(generator.uniform(0.0, 0.4) + 1.2 * bool(kills))
            os.kill(child.pid, signal.SIGKILL)
        finally:
            child.kill()
            child.wait()
        kills += 1
        command = ["train", "--resume", str(folder)]
    assert kills > 0
    for name, value in weights(folder).items():
        np.testing.assert_array_equal(value, weights(undisturbed)[name], err_msg=name)
    assert lines(folder) == lines(undisturbed)
    assert sorted(os.listdir(folder)) == sorted(os.listdir(undisturbed))
    capsys.readouterr()
    assert main(["train", "--resume", str(folder)]) == 2
    assert "the run is finished, nothing to resume" in capsys.readouterr().err


def interrupted(folder, monkeypatch, flags=(), after=5):
    """Run until the state has been kept some times; then stop like Ctrl-C or a dying disk."""
    keep, kept = RunDirectory.keep, []

    def keep_or_stop(self, state):
        if len(kept) == after:
            raise KeyboardInterrupt
        kept.append(keep(self, state))

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "keep", keep_or_stop)
        return main([*QUICK, "--checkpoint-every", "7", "--out", str(folder), *flags])


def test_flags_may_be_said_again_or_left_out(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    assert interrupted(folder, monkeypatch, ("--json", "--no-count")) == 130
    assert main(["train", "--resume", str(folder), "--profile"]) == 2
    assert "--profile: the run began with False (got True)" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder), "--no-count", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 3
    assert all(line["train_operations"] == 0 for line in lines(folder))


def test_ctrl_c_leaves_a_state_to_go_on_from(tmp_path, undisturbed, monkeypatch, capsys):
    folder = tmp_path / "run"
    assert interrupted(folder, monkeypatch) == 130
    assert f"to go on: lava-dyads train --resume {folder}" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder), "--epochs", "30"]) == 2
    assert "--epochs: the run began with 3 (got 30)" in capsys.readouterr().err
    assert main([*QUICK, "--out", str(folder)]) == 2
    assert "--resume if it was interrupted" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder), "--epochs", "3", "--json"]) == 0
    assert "resumed after" in capsys.readouterr().err
    for name, value in weights(folder).items():
        np.testing.assert_array_equal(value, weights(undisturbed)[name], err_msg=name)
    assert lines(folder) == lines(undisturbed)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("damage", ["newest cut", "newest lost", "half-written", "none kept"])
def test_it_goes_on_from_whatever_is_whole(tmp_path, undisturbed, monkeypatch, capsys, damage):
    folder = tmp_path / "run"
    interrupted(folder, monkeypatch)
    newest = folder / "state.npz"
    if damage == "newest cut":
        newest.write_bytes(newest.read_bytes()[:1000])
    elif damage == "newest lost":  # killed between the two renames
        newest.unlink()
    elif damage == "half-written":
        (folder / ".state.npz.abc.part").write_bytes(newest.read_bytes()[:1000])
    else:  # killed before the first one
        newest.unlink()
        (folder / "state.previous.npz").unlink()
    assert main(["train", "--resume", str(folder)]) == 0
    for name, value in weights(folder).items():
        np.testing.assert_array_equal(value, weights(undisturbed)[name], err_msg=name)
    assert lines(folder) == lines(undisturbed)
    assert sorted(os.listdir(folder)) == sorted(os.listdir(undisturbed))


def test_two_processes_do_not_write_to_one_run(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    interrupted(folder, monkeypatch)
    with RunDirectory.reopen(folder).claimed():
        assert main(["train", "--resume", str(folder)]) == 2
        assert "--out: another process is writing to it" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder), "--json"]) == 0


def test_what_cannot_be_resumed_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    assert main(["train", "--resume", str(folder)]) == 2
    assert "--resume: holds no run" in capsys.readouterr().err
    interrupted(folder, monkeypatch)
    capsys.readouterr()
    for name in ("state.npz", "state.previous.npz"):
        (folder / name).write_text("no state")
    assert main(["train", "--resume", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "state.npz: is damaged" in error
    assert error.count("\n") == 1
    config = json.loads((folder / "config.json").read_text())
    del config["options"]
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["train", "--resume", str(folder)]) == 2
    assert "written by another version" in capsys.readouterr().err
