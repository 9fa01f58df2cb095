"""A study of 72 runs on digits: by one worker, two, two of which one is killed, two processes."""

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from lava_dyads import Checkpoint, Execution, NetworkSpec, TrainingConfig
from lava_dyads.array_types import Array
from lava_dyads.studies import Job, StudyResults, study
from lava_dyads.studies.results import Entry
from lava_dyads.studies.study import Watcher

SPACE = {
    "rate": [0.0005, 0.001, 0.003, 0.01],
    "layers": [[64], [128], [64, 64]],
    "batch": [32, 64],
}
REFERENCE = Execution("network", runtime="reference")


def job(rate: float, layers: list[int], batch: int, seed: int) -> Job:
    """Return one of 72 trainings."""
    spec = NetworkSpec((64, *layers, 10), seed=seed)
    config = TrainingConfig(epochs=EPOCHS, learning_rate=rate, batch_size=batch, seed=seed)
    return Job(spec, "digits", config, REFERENCE)


EPOCHS = 12


class Killer(Watcher):
    """Kills a worker of Dask with signal 9 once half of the jobs are done."""

    killed = jobs = 0

    def on_job(self, results: StudyResults, entry: Entry) -> None:
        """Count, and kill."""
        self.jobs += 1
        if self.jobs == len(results.entries) // 2:
            workers = [p for p in psutil.Process().children(recursive=True)
                       if "spawn_main" in " ".join(p.cmdline())]  # fmt: skip
            os.kill(workers[0].pid, signal.SIGKILL)
            self.killed = workers[0].pid


def run() -> dict[str, float]:
    """Print seconds of wall time, and whether all weights are equal; return the seconds."""
    found, weights = {}, {}
    killer = Killer()
    ways = {
        "one worker": {"workers": 1, "on": "dask"},
        "two workers": {"workers": 2, "on": "dask"},
        "two workers, one killed": {"workers": 2, "on": "dask", "watcher": killer},
        "two processes": {"workers": 2},
    }
    table = Table(title="72 runs on digits", title_justify="left")
    for column in ("", "seconds", "of half of one worker's", "finished", "weights"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in ways.items():
            begun = time.perf_counter()
            made = study(job, SPACE, Path(folder, name.replace(" ", "-")), seeds=3, **options)
            found[name] = time.perf_counter() - begun
            weights[name] = learnt(made)
            same = all(map(np.array_equal, weights[name], weights["one worker"]))
            share = 2 * found[name] / found["one worker"]
            table.add_row(name, f"{found[name]:.1f}", f"{share:.2f}",
                          f"{made.count('finished')} of {len(made.entries)}",
                          "equal" if same else "DIFFERENT")  # fmt: skip
            Console(stderr=True).print(name, found[name])
    assert killer.killed
    Console().print(table)
    return found


def learnt(made: StudyResults) -> list[Array]:
    """Return all weights of all runs."""
    names = sorted(entry.name for entry in made.entries)
    return [w for name in names for w in Checkpoint.load(made.folder / "runs" / name).weights]
