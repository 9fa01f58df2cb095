"""A run of the API: recorded, resumed, longer than configured, told to reporters."""

import json

import numpy as np
import pytest

from lava_dyads import (
    Checkpoint,
    Execution,
    NetworkSpec,
    Reporter,
    Trainer,
    TrainingConfig,
    load,
    run,
)
from lava_dyads.data import Dataset
from lava_dyads.errors import CheckpointError, DataError, ValidationError

DIGITS = load("digits")
FEW = Dataset("few", DIGITS.x[:96], DIGITS.labels[:96])
SPEC = NetworkSpec((64, 6, 10))
CONFIG = TrainingConfig(epochs=3, batch_size=8)
REFERENCE = Execution("network", runtime="reference")


def equal(one, other):
    for kind in ("weights", "biases"):
        for a, b in zip(getattr(one, kind), getattr(other, kind), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run in one go."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return run(SPEC, FEW, CONFIG, REFERENCE, out=out)


class StoppedAfter(Reporter):
    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch, self.error = epoch, error

    def on_epoch(self, entry):
        if entry["epoch"] == self.epoch:
            raise self.error


def test_a_run_learns_what_a_trainer_learns_and_knows_data_of_no_name_by_their_checksum(whole):
    with Trainer(SPEC, FEW, CONFIG, REFERENCE) as trainer:
        trainer.fit()
        weights, biases = trainer.parameters()
    kept = Checkpoint.load(whole.folder)
    equal(kept, whole.checkpoint)
    equal(kept, Checkpoint(SPEC, weights, biases, {}))
    assert kept.meta["data"] == {"checksum": FEW.checksum}
    with pytest.raises(CheckpointError, match="names no data set"):
        kept.data(whole.folder)
    result = json.loads((whole.folder / "result.json").read_text())
    assert result == whole.table
    assert result["test_accuracy"] == whole.history.column("test_accuracy")[-1]
    np.testing.assert_array_equal(kept.predict(FEW.x), trainer.predict(FEW.x))


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, whole):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt, match=r"to go on: run\(\.\.\., resume="):
        run(SPEC, FEW, CONFIG, REFERENCE, out=out, reporters=[StoppedAfter(2)])
    assert not (out / "result.json").exists()
    with pytest.raises(CheckpointError, match=r"spec\.seed was 0 \(got 1\)"):
        run(NetworkSpec((64, 6, 10), seed=1), FEW, CONFIG, REFERENCE, resume=out)
    with pytest.raises(CheckpointError, match=r"data\.checksum was"):
        run(SPEC, Dataset("few", FEW.x / 2, FEW.labels), CONFIG, REFERENCE, resume=out)
    equal(run(SPEC, FEW, CONFIG, REFERENCE, resume=out).checkpoint, whole.checkpoint)
    with pytest.raises(CheckpointError, match="nothing to resume"):
        run(SPEC, FEW, CONFIG, REFERENCE, resume=out)


def test_data_that_have_changed_are_refused_also_where_no_state_was_kept(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(SPEC, FEW, CONFIG, REFERENCE, out=out, reporters=[StoppedAfter(1)])
    for name in ("state.npz", "state.previous.npz"):
        (out / name).unlink()
    with pytest.raises(DataError, match="have changed since the training"):
        run(SPEC, Dataset("few", FEW.x / 2, FEW.labels), CONFIG, REFERENCE, resume=out)


def test_it_goes_on_beyond_the_configured_epochs_as_if_there_had_been_more(tmp_path, whole):
    short = TrainingConfig(epochs=1, batch_size=8)
    with Trainer(SPEC, FEW, short, REFERENCE) as trainer:
        assert len(trainer.fit().epochs) == 1
        assert len(trainer.fit(epochs=2).epochs) == 2
        assert len(trainer.fit(epochs=2).epochs) == 2
        trainer.fit(epochs=3)
        equal(whole.checkpoint, Checkpoint(SPEC, *trainer.stored(), {}))
        state = trainer.state()
    with Trainer(SPEC, FEW, short, REFERENCE) as other:
        other.restore(state)
        assert other.history.epochs == trainer.history.epochs
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(SPEC, FEW, short, REFERENCE, out=out, epochs=5, reporters=[StoppedAfter(2)])
    longer = run(SPEC, FEW, short, REFERENCE, resume=out, epochs=3)
    equal(longer.checkpoint, whole.checkpoint)


@pytest.mark.parametrize(
    ("options", "execution", "words"),
    [
        ({"lr_schedule": "linear"}, REFERENCE, "falls to 0 over the 1 epochs"),
        (
            {"batch_size": 1, "optimiser": "sgd"},
            Execution(precision="loihi2", runtime="reference"),
            "on the chip the learning rate falls",
        ),
        ({"weight_format": "ste"}, REFERENCE, "binary weights harden over the 1 epochs"),
    ],
)
def test_where_the_rate_falls_over_the_epochs_there_are_no_more(options, execution, words):
    spec = NetworkSpec((64, 6, 10), weight_format=options.pop("weight_format", "float"))
    config = TrainingConfig(**{"epochs": 1, "batch_size": 8, **options})
    with Trainer(spec, FEW, config, execution) as trainer:
        with pytest.raises(ValidationError, match=words):
            trainer.fit(epochs=2)
        assert trainer.history.epochs == []


class Diary(Reporter):
    def __init__(self):
        self.lines = []

    def on_begin(self, run):
        self.lines.append(("begin", run.dataset, run.epochs, len(run.trainer.history.epochs)))

    def on_note(self, text):
        self.lines.append(("note", text))

    def on_progress(self, done, total):
        self.lines.append(("progress", done, total))

    def on_epoch(self, entry):
        self.lines.append(("epoch", entry["epoch"]))

    def on_end(self, result):
        self.lines.append(("end", result and result.table["epochs"]))


def test_reporters_learn_all_of_it_in_order(tmp_path):
    diary, other = Diary(), Diary()
    reporters = [diary, StoppedAfter(2, OSError("its own")), other]
    with pytest.raises(OSError, match="its own"):
        run(SPEC, FEW, CONFIG, REFERENCE, out=tmp_path / "run", reporters=reporters)
    assert diary.lines[0] == ("begin", "few", 3, 0)
    assert diary.lines[-2:] == [("epoch", 2), ("end", None)]
    assert other.lines[-2:] == [other.lines[-2], ("end", None)]
    assert ("epoch", 2) not in other.lines
    again = Diary()
    run(SPEC, FEW, CONFIG, REFERENCE, resume=tmp_path / "run", reporters=[again])
    assert again.lines[:2] == [("begin", "few", 3, 0), ("note", "resumed after 2 of 3 epochs")]
    assert again.lines[-2:] == [("epoch", 3), ("end", 3)]
    shown = [line[1:] for line in again.lines if line[0] == "progress"]
    assert shown == sorted(shown)
    assert shown[-1] == (3 * 72, 3 * 72)


def test_an_unknown_option_and_a_reporter_that_is_none_are_one_line(tmp_path):
    with pytest.raises(ValidationError, match=r"run\.outt: unknown option .* Try: out"):
        run(SPEC, FEW, CONFIG, REFERENCE, outt=tmp_path)
    with pytest.raises(ValidationError, match=r"run\.reporters: must be a list of Reporter"):
        run(SPEC, FEW, CONFIG, REFERENCE, reporters=[print])
    assert not list(tmp_path.iterdir())
