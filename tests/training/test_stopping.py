"""A training that ends early: when, with which network, and after an interruption, too."""

from dataclasses import replace

import numpy as np
import pytest

from lava_dyads import Checkpoint, EarlyStopping, Execution, NetworkSpec, TrainingConfig, load, run
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.errors import CheckpointError, ValidationError
from lava_dyads.training import History, Reporter
from lava_dyads.training.stopping import best_epoch

DIGITS = load("digits")
FEW = Dataset("few", DIGITS.x[:96], DIGITS.labels[:96])
SPEC = NetworkSpec((64, 6, 10))
# So large a rate that losses go up and down.
CONFIG = TrainingConfig(epochs=40, batch_size=8, optimiser="sgd", learning_rate=0.9)
REFERENCE = Execution("network", runtime="reference")
STOPPING = EarlyStopping("test_loss", patience=3)


def history(*losses):
    return History(
        [{"epoch": i, "test_loss": v, "test_accuracy": -v} for i, v in enumerate(losses)]
    )


@pytest.mark.parametrize(
    ("losses", "best", "stops"),
    [
        ((3, 2, 1), 3, False),
        ((1, 2, 3), 1, True),
        ((3, 1, 1, 1), 2, True),  # the first of equals
        ((3, 1, 2, 1.5), 2, True),
        ((3, 1, 2, 0.95), 2, True),  # less than the least change
        ((3, 1, 2, 0.5), 4, False),
        ((1,), 1, False),
    ],
)
def test_it_stops_after_so_many_epochs_without_improvement(losses, best, stops):
    for metric in ("test_loss", "test_accuracy"):
        stopping = EarlyStopping(metric, patience=2, min_change=0.1)
        found = history(*losses)
        assert stopping.best(found) == best
        assert bool(stopping.why(found)) == stops
    assert best_epoch(history(*losses), "test_loss") == 1 + int(np.argmin(losses))


def equal(one, other):
    for kind in ("weights", "biases"):
        for a, b in zip(getattr(one, kind), getattr(other, kind), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    out = tmp_path_factory.mktemp("stopped") / "run"
    return run(SPEC, FEW, CONFIG, REFERENCE, out=out, stopping=STOPPING)


def test_a_stopped_run_ends_with_the_network_of_its_best_epoch(stopped):
    losses = stopped.history.column("test_loss")
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + STOPPING.patience < CONFIG.epochs
    alone = run(SPEC, FEW, replace(CONFIG, epochs=best), REFERENCE)
    for made in (stopped.checkpoint, *map(Checkpoint.load, map(stopped.folder.joinpath,
                 ("checkpoint.npz", "best.npz")))):  # fmt: skip
        equal(made, alone.checkpoint)
        assert made.meta["epochs"] == best
    for name in ("test_loss", "test_accuracy", "train_loss", "synops_per_sample"):
        assert stopped.table[name] == alone.table[name], name
    assert (stopped.table["epochs"], stopped.table["best_epoch"]) == (len(losses), best)
    assert stopped.table["stopped"].startswith("test_loss has not become better for 3 epochs")
    assert not list(stopped.folder.glob("*state*"))


class StoppedAfter(Reporter):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch(self, entry):
        if entry["epoch"] == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", ["best", "last"])
def test_it_stops_at_the_same_epoch_after_an_interruption(tmp_path, stopped, after):
    epoch = stopped.table["best_epoch"] + (STOPPING.patience if after == "last" else 1)
    options = {"stopping": STOPPING}
    with pytest.raises(KeyboardInterrupt):
        run(SPEC, FEW, CONFIG, REFERENCE, out=tmp_path / "r", reporters=[StoppedAfter(epoch)],
            **options)  # fmt: skip
    with pytest.raises(CheckpointError, match="stopping: the run began with"):
        run(SPEC, FEW, CONFIG, REFERENCE, resume=tmp_path / "r")
    again = run(SPEC, FEW, CONFIG, REFERENCE, resume=tmp_path / "r", **options)
    equal(again.checkpoint, stopped.checkpoint)
    assert again.history.column("test_loss") == stopped.history.column("test_loss")


def test_the_best_epoch_is_kept_beside_the_last(tmp_path):
    config = replace(CONFIG, epochs=6)
    made = run(SPEC, FEW, config, REFERENCE, out=tmp_path / "r", keep_best="test_loss")
    best = int(np.argmin(made.history.column("test_loss"))) + 1
    assert best < 6
    alone = run(SPEC, FEW, replace(CONFIG, epochs=best), REFERENCE)
    equal(Checkpoint.load(tmp_path / "r" / "best.npz"), alone.checkpoint)
    assert made.checkpoint.meta["epochs"] == 6


def test_the_command_line_stops_early_and_knows_what_it_is_told(tmp_path, capsys):
    line = ["train", "digits", "--layers", "4", "--runtime", "reference", "--epochs", "9"]
    rest = ["--learning-rate", "3", "--out", str(tmp_path / "r")]
    assert main([*line, "--patience", "1", "--stop-metric", "test_accuracy", *rest]) == 0
    out, err = capsys.readouterr()
    assert "back to the network of epoch" in err or "best_epoch" in out
    assert out.startswith("epoch 1/9: train loss ")
    assert main([*line, "--patience", "0"]) == 2
    assert "--patience: must be at least 1 (got 0)" in capsys.readouterr().err
    assert main([*line, "--patience", "1", "--stop-metric", "test_acuracy", "--no-save"]) == 2
    assert "Try: test_accuracy" in capsys.readouterr().err


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValidationError, match="Try: test_loss"):
        run(SPEC, FEW, replace(CONFIG, epochs=1), REFERENCE, stopping=EarlyStopping("test_los"))
