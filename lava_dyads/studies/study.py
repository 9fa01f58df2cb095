"""A study: every setting with every seed, in parallel, recorded, resumable."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from filelock import FileLock, Timeout

from lava_dyads.checks import Count, checked
from lava_dyads.data import Dataset
from lava_dyads.errors import CheckpointError, ValidationError, invalid, message
from lava_dyads.files import AnyPath, as_path, check_writable, plain, remove_parts, write_atomically
from lava_dyads.studies.job import Job, Outcome, Task
from lava_dyads.studies.optuna_way import OptunaWay
from lava_dyads.studies.results import DATA, RUNS, STUDY, Entry, StudyResults, as_json
from lava_dyads.studies.shared import share
from lava_dyads.studies.space import Listed, Search, Setting, Way, listed, space_of, text_of
from lava_dyads.studies.workers import DaskWorkers, Processes, Workers, cores
from lava_dyads.training.environment import environment
from lava_dyads.training.stopping import lower_is_better

On: TypeAlias = Literal["processes", "dask"]
Make: TypeAlias = Callable[..., Job]

LOCK = ".lock"
SAVED_SECONDS = 2.0
"""Time between two writings of the table."""


class Watcher:
    """Is told how a study goes. Every method may be left as it is, which does nothing."""

    def on_begin(self, jobs: int, done: int) -> None:
        """Learn how many jobs there are, as far as that is known, and how many are done."""

    def on_note(self, text: str) -> None:
        """Take a line for people, each once."""

    def on_job(self, results: StudyResults, entry: Entry) -> None:
        """Learn that a job has ended."""

    def on_end(self) -> None:
        """Learn that there is nothing more to come."""


@checked
def study(
    make: Make,
    space: Mapping[str, Any],
    out: AnyPath,
    *,
    seeds: int | Sequence[int] = 1,
    search: str | Search = "grid",
    metric: str = "",
    on: On = "processes",
    workers: Count | None = None,
    scheduler: str = "",
    overwrite: bool = False,
    watcher: Watcher | None = None,
) -> StudyResults:
    """Carry out a study, or the rest of one that was interrupted.

    In a script it is called under ``if __name__ == "__main__":``, since workers import the script.

    Parameters
    ----------
    make : callable
        Returns the :class:`Job` of a setting and a seed: called with what ``space`` names, and
        ``seed``.
    space : mapping
        What is tried: for each option a list of values, or a :class:`Range`.
    out : str or path
        Folder of the study: study.json, results.csv, and a run directory per job. One that holds
        the same study goes on; it may have got further values, seeds and trials.
    seeds : int, or sequence of int
        How many, from 0 on, or which.
    search : str or Search
        ``grid``, or a :class:`Search`.
    metric : str
        Of the results, by which settings are compared; empty: the score of the validation part, or
        else of the test part.
    on : str
        ``processes`` of this machine, or workers of ``dask`` (extra ``cluster``).
    workers : int or None
        How many; None: as many as cores.
    scheduler : str
        Address of a Dask cluster; empty: one on this machine.
    overwrite : bool
        Remove what another study has left in the folder.
    watcher : Watcher or None

    Returns
    -------
    StudyResults

    Raises
    ------
    ValidationError
        If a setting makes no job, before anything runs, or the folder holds another study.

    Examples
    --------
    >>> def job(learning_rate, seed):
    ...     spec = NetworkSpec((64, 16, 10), seed=seed)
    ...     config = TrainingConfig(epochs=5, learning_rate=learning_rate, seed=seed)
    ...     return Job(spec, "digits", config)
    >>> study(job, {"learning_rate": [0.001, 0.01]}, "studies/rate", seeds=3)  # doctest: +SKIP
    """
    if not callable(make):
        invalid("study.make", "must be a function of a setting and a seed", make, "def job(seed):")
    if isinstance(search, str):
        search = Search(search)  # type: ignore[arg-type]
    if scheduler and on != "dask":
        invalid("scheduler", "needs workers of dask", on, 'on="dask"')
    folder = as_path("--out", out)
    plan = _Plan(make, space_of(space), search, seeds_of(seeds))
    with _claimed(folder, overwrite):
        made = _Study(folder, plan, metric, watcher or Watcher())
        made.prepare()
        staff: Workers
        if on == "dask" or scheduler:
            staff = DaskWorkers(workers, scheduler, str(folder.absolute()))
        else:
            most = len(made.waiting) if search.method != "optuna" else cores()
            staff = Processes(max(1, min(workers or cores(), most)), made.watcher.on_note)
        return made.carry_out(staff)


def seeds_of(seeds: Any) -> tuple[int, ...]:
    """Return seeds: of a number those from 0 on.

    Raises
    ------
    ValidationError
        If there are none, or one is no seed.
    """
    hint = "3, or [0, 1, 2]"
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            invalid("seeds", "must be at least 1", seeds, hint)
        return tuple(range(seeds))
    whole = isinstance(seeds, Sequence | range) and not isinstance(seeds, str)
    if not whole or not seeds or not all(type(s) is int and s >= 0 for s in seeds):
        invalid("seeds", "must be a number, or whole numbers from 0 on", seeds, hint)
    if len(set(seeds)) < len(seeds):
        invalid("seeds", "has a seed twice", seeds, hint)
    return tuple(seeds)


@contextlib.contextmanager
def _claimed(folder: Path, overwrite: bool) -> Iterator[None]:
    """Keep other studies out of a folder, whose files of an earlier one go if they are to."""
    check_writable("--out", folder.absolute().parent / "study") if not folder.exists() else None
    if folder.exists() and not folder.is_dir():
        invalid("--out", "must be a folder", str(folder), "another folder")
    there = (folder / STUDY).is_file()
    others = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    if not there and [name for name in others if name not in (LOCK, DATA)]:
        invalid("--out", "holds other files", str(folder), "an empty or a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        text = message("--out", "another study is writing to it", str(folder), "another folder")
        raise CheckpointError(text) from error
    try:
        remove_parts(folder)
        if overwrite:
            for name in (RUNS, DATA):
                shutil.rmtree(folder / name, ignore_errors=True)
            for path in (STUDY, "results.csv", "results.parquet"):
                (folder / path).unlink(missing_ok=True)
        yield
    finally:
        shutil.rmtree(folder / DATA, ignore_errors=True)
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        lock.release()
        with contextlib.suppress(OSError):  # it holds something, as a rule
            folder.rmdir()


@dataclass(frozen=True)
class _Plan:
    """What is to be done, checked."""

    make: Make
    space: Mapping[str, Any]
    search: Search
    seeds: tuple[int, ...]
    data: dict[str, Dataset] = field(default_factory=dict)

    def jobs(self, setting: Setting) -> list[tuple[Entry, Job]]:
        """Return the jobs of a setting, settled."""
        made = []
        for seed in self.seeds:
            try:
                job = self.make(**setting, seed=seed)
                if not isinstance(job, Job):
                    invalid("study.make", "must return a Job", job, "Job(spec, data, config)")
                job = job.settled(self.data)
            except ValidationError as error:
                named = ", ".join(f"{k} {text_of(v)}" for k, v in setting.items())
                raise type(error)(f"study: {named}: {error}") from error
            made.append((Entry(_name(setting, seed, job), plain(setting), seed), job))
        return made


def _name(setting: Setting, seed: int, job: Job) -> str:
    """Return the name of a job's folder: readable, and not that of another job."""
    words = "_".join(f"{name}-{text_of(value)}" for name, value in setting.items())
    return f"{re.sub(r'[^A-Za-z0-9.,=+-]+', '_', words)[:80]}_seed-{seed}_{job.key}"


class _Study:
    """A study in its folder."""

    def __init__(self, folder: Path, plan: _Plan, metric: str, watcher: Watcher) -> None:
        self.folder, self.plan, self.metric, self.watcher = folder, plan, metric, watcher
        self.entries: dict[str, Entry] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.waiting: deque[tuple[Entry, Job]] = deque()
        self._open: dict[str, list[str]] = {}  # jobs by setting that are not done
        self._way: Way = Listed([])
        self._said: set[str] = set()
        self._saved = 0.0

    def prepare(self) -> None:
        """Find out what there is to do, and raise where something of it cannot be done."""
        before = StudyResults.read(self.folder) if (self.folder / STUDY).is_file() else None
        if before:
            self.results = before.results
        if self.plan.search.method == "optuna":
            self._prepare_optuna(before)
        else:
            for setting in listed(self.plan.space, self.plan.search):
                self._take(setting)
            for entry in before.entries if before else ():
                if entry.name not in self.entries:
                    self._refuse(entry.name)
        for entry in before.entries if before else ():
            if entry.why and entry.name in self.entries:
                self._end(entry)
        self._write()

    def _refuse(self, name: str) -> None:
        limit = f"holds another study, or one of other data: there is no job {name} in this one"
        hint = "another folder, or --overwrite, which removes its runs"
        invalid("--out", limit, str(self.folder), hint)

    def _prepare_optuna(self, before: StudyResults | None) -> None:
        told: list[tuple[Setting, float | None]] = []
        for setting in _distinct(before.entries if before else ()):
            self._take(setting)
            told.append((setting, self._reached(setting)))
        for entry in before.entries if before else ():
            if entry.name not in self.entries:
                self._refuse(entry.name)
        self._way = OptunaWay(self.plan.space, self.plan.search, told)
        if not told:
            self._ask()  # what is wrong with the options is said before anybody works

    def _take(self, setting: Setting) -> bool:
        """Take a setting in; tell whether it has jobs that are not done."""
        left = []
        for entry, job in self.plan.jobs(setting):
            if entry.name in self.entries:  # drawn twice
                continue
            self.entries[entry.name] = entry
            if entry.name not in self.results:
                self.waiting.append((entry, job))
                left.append(entry.name)
        self._open[_words(setting)] = left
        return bool(left)

    def _ask(self) -> bool:
        """Take in a further setting; tell whether there was one."""
        setting = self._way.ask()
        if setting is None:
            return False
        if not self._take(setting):
            self._way.tell(setting, self._reached(setting))
        self._write()
        return True

    def carry_out(self, workers: Workers) -> StudyResults:
        """Do what is left, and return all there is."""
        done = len(self.results)
        trials = self.plan.search.trials if self.plan.search.method == "optuna" else None
        self.watcher.on_begin((trials or 0) * len(self.plan.seeds) or len(self.entries), done)
        try:
            if self.waiting or self._ask():
                with workers:
                    self._work(workers)
        finally:
            self.watcher.on_end()
            found = self._found()
            found.save()
        return found

    def _work(self, workers: Workers) -> None:
        while True:
            while workers.free and (self.waiting or self._ask()):
                if self.waiting:
                    workers.submit(self._task(*self.waiting.popleft()))
            if not workers.busy:
                return
            self._hear(workers.outcome())

    def _task(self, entry: Entry, job: Job) -> Task:
        data = share(job.data, self.folder / DATA / f"{job.data.name}-{id(job.data)}.joblib")
        folder = (self.folder / RUNS / entry.name).absolute()
        options = {**job.run, "dataset": job.run.get("dataset") or job.data.source}
        sent = replace(job, data="", run=options)
        return Task(entry.name, sent, str(data.absolute()), str(folder))

    def _hear(self, outcome: Outcome) -> None:
        entry = self.entries[outcome.name]
        for line in outcome.notes:
            if line not in self._said:
                self._said.add(line)
                self.watcher.on_note(line)
        if outcome.result:
            self.results[entry.name] = outcome.result
        else:
            # What is no fault of the job is not written down: it is tried again the next time.
            entry = replace(entry, why=outcome.why)
            self.watcher.on_note(f"{entry.name}: {outcome.why}")
        self._end(entry, keep=not outcome.again)
        found = self._found()
        if time.monotonic() - self._saved > SAVED_SECONDS:
            found.save()
            self._saved = time.monotonic()
        self.watcher.on_job(found, entry)

    def _end(self, entry: Entry, keep: bool = True) -> None:
        """Take down that a job is done or has failed."""
        self.entries[entry.name] = entry
        if entry.why:
            self.waiting = deque(pair for pair in self.waiting if pair[0].name != entry.name)
            if keep:
                self._write()
        left = self._open[_words(entry.setting)]
        if entry.name in left:
            left.remove(entry.name)
            if not left:
                self._way.tell(entry.setting, self._reached(entry.setting))

    def _reached(self, setting: Setting) -> float | None:
        """Return the mean of a setting's metric, larger is better; None: a run is missing."""
        metric = self._found().metric
        names = [e.name for e in self.entries.values() if _words(e.setting) == _words(setting)]
        values = [self.results.get(name, {}).get(metric) for name in names]
        numbers = [v for v in values if isinstance(v, int | float)]
        if not numbers or len(numbers) < len(values):
            return None
        return (-1.0 if lower_is_better(metric) else 1.0) * sum(numbers) / len(numbers)

    def _found(self) -> StudyResults:
        return StudyResults(self.folder, list(self.entries.values()), self.results, self.metric)

    def _write(self) -> None:
        space = {k: v if isinstance(v, list) else vars(v) for k, v in self.plan.space.items()}
        about = {"format": "lava_dyads study 1", "metric": self.metric, "space": plain(space),
                 "search": plain(vars(self.plan.search)), "seeds": list(self.plan.seeds),
                 "environment": environment()}  # fmt: skip
        text = as_json(list(self.entries.values()), about)
        write_atomically(self.folder / STUDY, text)


def _words(setting: Setting) -> str:
    return repr(sorted((name, text_of(value)) for name, value in setting.items()))


def _distinct(entries: Sequence[Entry]) -> list[Setting]:
    """Return the settings of jobs, each once."""
    return list({_words(entry.setting): entry.setting for entry in entries}.values())
