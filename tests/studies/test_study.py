"""Studies: all jobs are done, each as it would be alone, whoever ends meanwhile."""

import csv
import json
import multiprocessing
import os
import signal
import sys
import types

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lava_dyads import Checkpoint, Dataset, Execution, NetworkSpec, TrainingConfig, run
from lava_dyads.errors import DivergedError, ValidationError
from lava_dyads.studies import Job, Range, Search, StudyResults, study
from lava_dyads.studies.study import Watcher

REFERENCE = Execution("network", runtime="reference")


def rows():
    x = np.random.default_rng(0).random((60, 4))
    return Dataset("rows", x, (x[:, 0] > 0.5) + 2 * (x[:, 1] > 0.5))


DATA = rows()


def job(learning_rate, layers, seed):
    spec = NetworkSpec((4, *layers, 4), seed=seed)
    # Momentum is in numpy alone: the steps of others would have every worker import numba.
    config = TrainingConfig(
        epochs=3, batch_size=4, optimiser="momentum", learning_rate=learning_rate, seed=seed
    )
    return Job(spec, DATA, config, REFERENCE)


SPACE = {"learning_rate": [0.01, 0.1], "layers": [[5], [6, 5]]}


class Trouble(Watcher):
    """Kills a worker after the first job, and interrupts after the third."""

    def __init__(self):
        self.jobs, self.notes = 0, []

    def on_note(self, text):
        self.notes.append(text)

    def on_job(self, results, entry):
        self.jobs += 1
        if self.jobs == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        if self.jobs == 3:
            raise KeyboardInterrupt


class Count(Watcher):
    begun = jobs = 0

    def on_begin(self, jobs, done):
        self.begun = done

    def on_job(self, results, entry):
        self.jobs += 1


@pytest.fixture(scope="module")
def dask():
    """A cluster of Dask in this process: it costs next to nothing."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        yield {"on": "dask", "scheduler": cluster.scheduler_address}


@pytest.fixture(scope="module")
def found(tmp_path_factory, dask):
    """A study in which a worker was killed, and which was interrupted, and then went on."""
    out, trouble, rest = tmp_path_factory.mktemp("study") / "s", Trouble(), Count()
    # Workers import the program, and this one is pytest: of no use to them.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
        with pytest.raises(KeyboardInterrupt):
            study(job, SPACE, out, seeds=2, workers=1, watcher=trouble)
    assert not multiprocessing.active_children()
    half = StudyResults.read(out)
    assert half.count("finished") >= 3
    made = study(job, SPACE, out, seeds=2, watcher=rest, **dask)
    assert rest.begun == half.count("finished")
    assert rest.jobs == 8 - rest.begun
    return made


def test_every_job_learns_what_it_would_alone(found):
    assert found.count("finished") == len(found.entries) == 8
    for entry in found.entries:
        alone = job(**entry.setting, seed=entry.seed)
        with threadpool_limits(1):
            expected = run(alone.spec, DATA, alone.config, REFERENCE).checkpoint
        learnt = Checkpoint.load(found.folder / "runs" / entry.name)
        for kind in ("weights", "biases"):
            pairs = zip(getattr(learnt, kind), getattr(expected, kind), strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)


def test_the_table_has_a_row_per_job_and_is_read_back(found):
    with (found.folder / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["learning_rate"], row["layers"], row["seed"]) for row in table] == [
        (rate, layers, seed) for rate in ("0.01", "0.1") for layers in ("5", "6,5") for seed in "01"
    ]
    again = StudyResults.read(found.folder)
    assert again.records() == found.records()
    kept = json.loads((found.folder / table[0]["run"] / "result.json").read_text())
    assert float(table[0]["test_accuracy"]) == kept["test_accuracy"]
    other = pytest.importorskip("pyarrow.parquet").read_table(found.folder / "results.parquet")
    assert other.column("test_loss").to_pylist() == [float(row["test_loss"]) for row in table]


def test_a_finished_study_has_nothing_to_do_and_takes_more_values_and_seeds(found, dask):
    watcher = Count()
    study(job, SPACE, found.folder, seeds=2, watcher=watcher)
    assert (watcher.begun, watcher.jobs) == (8, 0)
    wider = {**SPACE, "learning_rate": [0.01, 0.05, 0.1]}
    study(job, wider, found.folder, seeds=2, watcher=watcher, **dask)
    assert (watcher.begun, watcher.jobs) == (8, 4)
    with pytest.raises(ValidationError, match=r"--out: holds another study.*--overwrite"):
        study(job, SPACE, found.folder, seeds=2)


def test_a_job_that_fails_is_written_down_and_the_others_go_on(dask, tmp_path):
    def explosive(learning_rate, seed):
        config = TrainingConfig(epochs=2, learning_rate=learning_rate, optimiser="sgd")
        spec = NetworkSpec((4, 8, 4), loss="squared-error", seed=seed)
        return Job(spec, DATA, config, REFERENCE)

    with pytest.raises(DivergedError):
        run(explosive(1e9, 0).spec, DATA, explosive(1e9, 0).config, REFERENCE)
    out, space = tmp_path / "s", {"learning_rate": [0.01, 1e9]}
    made = study(explosive, space, out, **dask)
    assert [made.state(e) for e in made.entries] == ["finished", "failed"]
    assert "diverged" in made.entries[1].why or "Try" in made.entries[1].why
    watcher = Count()
    again = study(explosive, space, out, watcher=watcher)
    assert (watcher.jobs, again.count("failed")) == (0, 1)
    assert [one.number for one in again.settings()] == [1, 2]


def test_dask_workers_learn_the_same(found, dask, tmp_path):
    few = {"learning_rate": [0.1], "layers": [[5]]}
    made = study(job, few, tmp_path / "s", seeds=2, **dask)
    assert made.count("finished") == 2
    theirs = {entry.name: found.results[entry.name] for entry in made.entries}
    for name, result in made.results.items():
        assert {k: v for k, v in result.items() if "second" not in k} == {
            k: v for k, v in theirs[name].items() if "second" not in k
        }


def test_optuna_asks_for_settings_and_is_told_again_what_they_had_reached(dask, tmp_path):
    pytest.importorskip("optuna")
    space = {"learning_rate": Range(1e-3, 1e-1, log=True), "layers": [[5], [6]]}
    out = tmp_path / "s"
    first = study(job, space, out, search=Search("optuna", trials=2), **dask)
    more = study(job, space, out, search=Search("optuna", trials=3), **dask)
    assert more.entries[:2] == first.entries
    assert more.count("finished") == 3
    assert all(1e-3 <= entry.setting["learning_rate"] <= 1e-1 for entry in more.entries)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"make": 3}, "study.make: must be a function"),
        ({"make": lambda **_: 3}, "study: learning_rate 0.01, layers 5: study.make: must return"),
        ({"space": {}}, "space: must hold options to try"),
        ({"space": {"learning_rate": 0.1}}, "space.learning_rate: must be a list of values"),
        ({"space": {"learning_rate": []}}, "space.learning_rate: needs a value"),
        ({"space": {"learning_rate": [1, 1]}}, "space.learning_rate: has a value twice"),
        ({"space": {"learning_rate": Range(1, 2)}}, "space.learning_rate: a grid needs values"),
        ({"space": {"learning_rate": [-1.0], "layers": [[5]]}}, "learning_rate: must be positive"),
        ({"seeds": 0}, "seeds: must be at least 1"),
        ({"seeds": "3"}, "study.seeds: must be"),
        ({"seeds": [1, 1]}, "seeds: has a seed twice"),
        ({"search": "random"}, "trials: random needs a number of settings"),
        ({"search": "best"}, "Search.method"),
        ({"on": "cloud"}, "study.on: must be"),
        ({"workers": 0}, "study.workers: must be at least 1"),
        ({"scheduler": "tcp://x:1"}, "scheduler: needs workers of dask"),
    ],
)
def test_bad_input_is_said_in_a_line_before_anything_runs(tmp_path, options, words):
    given = {"make": job, "space": SPACE, **options}
    with pytest.raises(ValidationError) as caught:
        study(given.pop("make"), given.pop("space"), tmp_path / "s", **given)
    assert words in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValidationError, match="--out: holds other files"):
        study(job, SPACE, tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"
