"""Who is told of a run: lines, bars, and programs of others."""

import csv
import io
import json
import logging
import sys
import threading
import time
import types

import pytest
from rich.console import Console

from lava_dyads import Execution, NetworkSpec, TrainingConfig, load, run, starts
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.errors import ValidationError
from lava_dyads.training.loggers import LOGGERS, logger
from lava_dyads.training.progress import EpochLines, NotebookBar, ProgressBar, watched

DIGITS = load("digits")
FEW = Dataset("few", DIGITS.x[:96], DIGITS.labels[:96])
RUN = NetworkSpec((64, 4, 10)), FEW, TrainingConfig(epochs=2, batch_size=8)
WHERE = Execution("network", runtime="reference")
QUICK = ["train", "digits", "--layers", "4", "--epochs", "2", "--runtime", "reference", "--no-save"]


def test_a_line_per_epoch_where_output_goes_into_a_file(capsys):
    assert main(QUICK) == 0
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()[:2]] == ["epoch 1/2", "epoch 2/2"]
    assert "epoch" not in err
    assert main([*QUICK, "--json"]) == 0
    out, err = capsys.readouterr()
    accuracy = json.loads(out)["test_accuracy"]
    assert "epoch 2/2: train loss " in err
    assert f"test accuracy {accuracy:.4f}" in err


def test_a_bar_at_a_terminal_and_notes_above_it(capsys):
    console = Console(file=io.StringIO(), force_terminal=True, width=90, color_system=None)
    bar = ProgressBar(console)
    bar.on_note("note: before it has begun")
    made = run(*RUN, WHERE, reporters=[bar])
    text = console.file.getvalue()
    assert "note: before it has begun" in text
    assert f"test accuracy {made.table['test_accuracy']:.4f}" in text
    assert "144/144" in text  # two epochs of 72 training samples
    assert capsys.readouterr() == ("", "")  # a library is silent where nobody watches
    assert watched() == []


def test_a_bar_in_a_notebook_escapes_what_it_shows(monkeypatch):
    shown = []
    module = types.ModuleType("IPython.display")
    module.HTML = str
    handle = types.SimpleNamespace(update=shown.append)
    module.display = lambda html, display_id: shown.append(html) or handle
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    bar = NotebookBar()
    bar.on_note("<b>")
    made = run(*RUN, WHERE, reporters=[bar])
    assert 'value="0"' in shown[0]
    assert "&lt;b&gt;" in shown[0]
    assert f"epoch 2/2, test accuracy {made.table['test_accuracy']:.4f}" in shown[-1]


def test_csv_has_a_row_per_epoch_also_of_a_run_that_was_resumed(tmp_path):
    lines = []

    class Stop(EpochLines):
        def on_epoch(self, entry):
            raise KeyboardInterrupt

    stop = Stop(lines.append)
    with pytest.raises(KeyboardInterrupt):
        run(*RUN, WHERE, out=tmp_path / "r", reporters=[logger("csv"), stop])
    made = run(*RUN, WHERE, resume=tmp_path / "r", reporters=[logger("csv")])
    with (tmp_path / "r" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == made.history.epochs
    with pytest.raises(ValidationError, match="csv needs a run directory"):
        run(*RUN, WHERE, reporters=[logger("csv")])


class Recorder:
    """Stands in for a package: notes every call of whatever it is asked for."""

    def __init__(self, name="", calls=None):
        self.name, self.calls = name, [] if calls is None else calls

    def __getattr__(self, name):
        return Recorder(f"{self.name}.{name}".lstrip("."), self.calls)

    def __call__(self, *args, **options):
        self.calls.append((self.name, args, options))
        return Recorder(self.name, self.calls)


@pytest.mark.parametrize(
    ("name", "package", "epoch", "end"),
    [
        ("tensorboard", "tensorboardX", "SummaryWriter.add_scalar", "SummaryWriter.close"),
        ("mlflow", "mlflow", "log_metrics", "end_run"),
        ("wandb", "wandb", "init.log", "init.finish"),
    ],
)
def test_others_are_told_every_metric_of_every_epoch(
    tmp_path, monkeypatch, name, package, epoch, end
):
    stand_in = Recorder()
    monkeypatch.setitem(sys.modules, package, stand_in)
    made = run(*RUN, WHERE, out=tmp_path / "r", reporters=[logger(name)])
    text = repr([call for call in stand_in.calls if call[0] == epoch])
    for entry in made.history.epochs:
        for metric, value in entry.items():
            assert metric == "epoch" or repr(value) in text, metric
    assert stand_in.calls[-1][0] == end
    if name != "tensorboard":  # the settings, without the options of the command line
        assert "training.batch_size" in repr(stand_in.calls)


@pytest.mark.parametrize("name", [name for name in LOGGERS if name != "csv"])
def test_what_is_not_installed_is_one_line_with_the_command(monkeypatch, capsys, name):
    package = {"tensorboard": "tensorboardX"}.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert main([*QUICK, "--log", name]) == 2
    assert f"Try: pip install 'lava_dyads[{name}]'" in capsys.readouterr().err


def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboardX")
    made = run(*RUN, WHERE, out=tmp_path / "r", reporters=[logger("tensorboard")])
    (file,) = (tmp_path / "r" / "tensorboard").iterdir()
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401 (it is the same package)

    content, found, at = file.read_bytes(), {}, 0
    while at < len(content):  # length, its checksum, the event, its checksum
        size = int.from_bytes(content[at : at + 8], "little")
        event = Event.FromString(content[at + 12 : at + 12 + size])
        found |= {(v.tag, event.step): v.simple_value for v in event.summary.value}
        at += size + 16
    losses = made.history.column("train_loss")
    assert [found["train/loss", i] for i in (1, 2)] == pytest.approx(losses, rel=1e-6)


# --- what starts


def test_a_stopwatch_stands_still_while_something_starts():
    watch = starts.Stopwatch()
    with starts.starting("this"), starts.starting("and that in it"):
        time.sleep(0.2)
    seconds = watch.seconds()
    starts.took(0.5)
    assert 0 < seconds < 0.1
    assert watch.seconds() < 1e-8


def test_what_takes_its_time_is_said_once_and_to_whoever_listens(caplog):
    heard = []
    word = f"starting {time.monotonic()}"
    with starts.told(heard.append):
        with starts.starting(word, patience=5.0):
            pass
        for _ in range(2):
            with starts.starting(word, patience=0.02):
                time.sleep(0.1)
    assert heard == [word]
    with caplog.at_level(logging.WARNING), starts.starting(f"{word}!", patience=0.02):
        time.sleep(0.1)
    assert f"{word}!" in caplog.text


def test_seconds_of_compiling_are_no_seconds_of_training():
    numba = pytest.importorskip("numba")
    from lava_dyads.native import registry

    registry.kernels()
    heard = []

    class Compiles(EpochLines):
        def on_progress(self, done, total):
            if not heard:
                begin = time.perf_counter()

                @numba.njit
                def new(x):
                    return x + 1

                new(1)
                heard.append(time.perf_counter() - begin)

    made = run(*RUN, WHERE, reporters=[Compiles(lambda line: None)])
    assert heard[0] > 0.05
    assert made.history.epochs[0]["train_seconds"] < heard[0] + 0.5
    before = starts.Stopwatch()

    @numba.njit
    def other(x):
        return x + 2

    thread = threading.Thread(target=other, args=(1,))
    begin = time.perf_counter()
    thread.start()
    thread.join()
    assert before.seconds() < time.perf_counter() - begin
