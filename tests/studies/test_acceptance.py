"""A study of 72 runs on two workers of Dask, of which one is killed in the middle."""

import os
import signal

import numpy as np
import psutil
import pytest

from lava_dyads import Checkpoint, Execution, NetworkSpec, TrainingConfig
from lava_dyads.studies import Job, study
from lava_dyads.studies.study import Watcher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SPACE = {"rate": [0.0005, 0.001, 0.003, 0.01], "layers": [[8], [16], [8, 8]], "batch": [32, 64]}


def job(rate, layers, batch, seed):
    spec = NetworkSpec((64, *layers, 10), seed=seed)
    config = TrainingConfig(epochs=4, learning_rate=rate, batch_size=batch, seed=seed)
    return Job(spec, "digits", config, Execution("network", runtime="reference"))


class Killer(Watcher):
    jobs = killed = 0

    def on_job(self, results, entry):
        self.jobs += 1
        if self.jobs == 36:
            workers = [p for p in psutil.Process().children(recursive=True)
                       if "spawn_main" in " ".join(p.cmdline())]  # fmt: skip
            os.kill(workers[0].pid, signal.SIGKILL)
            self.killed = workers[0].pid


@pytest.mark.parametrize("on", ["dask", "processes"])
def test_72_runs_are_those_of_a_study_in_which_nobody_was_killed(tmp_path, on):
    killer = Killer()
    ours = study(job, SPACE, tmp_path / "a", seeds=3, workers=2, on=on, watcher=killer)
    theirs = study(job, SPACE, tmp_path / "b", seeds=3, workers=2)
    assert killer.killed
    assert ours.count("finished") == theirs.count("finished") == 72
    for entry in ours.entries:
        one, other = (Checkpoint.load(made.folder / "runs" / entry.name) for made in (ours, theirs))
        assert all(map(np.array_equal, one.weights, other.weights))
