"""A job of a study: a training, apart from where it is carried out and kept."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from lava_dyads.checks import check_fields
from lava_dyads.data import Dataset, load
from lava_dyads.errors import DyadsError, one_line
from lava_dyads.files import plain, reason
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.studies.shared import shared
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.files import LOCK, MARKER, RESULT
from lava_dyads.training.listing import RunRecord
from lava_dyads.training.reporting import Reporter
from lava_dyads.training.run import run

NOT_OF_ITSELF = ("options", "reporters", "out", "overwrite", "resume")
"""Options of a run that change nothing of what is learnt."""

PATIENCE = 60.0
"""Seconds for which a job waits for a worker of an earlier try that has not ended yet."""


@dataclass(frozen=True)
class Job:
    """A training as a value: it can be sent to any worker.

    Parameters
    ----------
    spec : NetworkSpec
    data : Dataset, str or path
    config : TrainingConfig
    execution : Execution
    run : mapping
        Further options of :func:`lava_dyads.run`, ``{"stopping": EarlyStopping()}`` for one.

    Examples
    --------
    >>> job = Job(NetworkSpec((64, 16, 10), seed=1), "digits", TrainingConfig(epochs=2, seed=1))
    >>> len(job.settled().key)
    8
    """

    spec: NetworkSpec
    data: Any
    config: TrainingConfig = field(default_factory=TrainingConfig)
    execution: Execution = field(default_factory=Execution)
    run: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)

    def settled(self, held: dict[str, Dataset] | None = None) -> Job:
        """Return the job with its data and with an execution in which nothing is open.

        ``held``: data sets by name, to be read once.
        """
        held = {} if held is None else held
        data = self.data
        if not isinstance(data, Dataset):
            data = held[str(data)] = held.get(str(data)) or load(data)
        return replace(self, data=data, execution=self.spec.choose(self.execution)[0])

    @cached_property
    def key(self) -> str:
        """Eight letters that another job does not have."""
        run_ = {k: asdict(v) if is_dataclass(v) and not isinstance(v, type) else v
                for k, v in self.run.items() if k not in NOT_OF_ITSELF}  # fmt: skip
        record = {
            "spec": self.spec.as_dict(),
            "config": asdict(self.config),
            "execution": asdict(self.execution),
            "run": {k: v for k, v in run_.items() if v not in (None, "")},
            "data": _checksum(self.data),
        }
        text = json.dumps(plain(record), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _checksum(data: Dataset) -> int:
    """Return the checksum of data, which is kept with them: settings have their data in common."""
    found: int | None = data.__dict__.get("_kept_checksum")
    if found is None:
        found = data.checksum
        object.__setattr__(data, "_kept_checksum", found)
    return found


@dataclass(frozen=True)
class Task:
    """A job on its way to a worker.

    Attributes
    ----------
    name : str
        Of its folder.
    job : Job
        Without its data.
    data, folder : str
        The file that :func:`~lava_dyads.studies.shared.share` has written, and the run directory.
    """

    name: str
    job: Job
    data: str
    folder: str


@dataclass(frozen=True)
class Outcome:
    """What has become of a job.

    Attributes
    ----------
    name : str
    result : dict
        What result.json holds; empty: it has failed.
    why : str
        Why it has failed.
    again : bool
        Whether that is no fault of its own, and it can be tried again.
    notes : tuple of str
        Lines for people.
    """

    name: str
    result: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    again: bool = False
    notes: tuple[str, ...] = ()


class _Notes(Reporter):
    """Keeps the lines for people."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_note(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)


def carry_out(task: Task) -> Outcome:
    """Do a job, or the rest of one that somebody has begun; with one BLAS thread."""
    notes = _Notes()
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1, "blas"):
        warnings.simplefilter("always", UserWarning)
        try:
            result, why = _result(task, notes), ""
        except DyadsError as error:
            result, why = {}, str(error)
        except Exception as error:  # one job's failure must not end the others
            result, why = {}, one_line(reason(error))
    said = [f"warning: {one_line(str(w.message))}" for w in caught if w.category is UserWarning]
    return Outcome(task.name, result, why, notes=tuple(dict.fromkeys((*said, *notes.lines))))


def _result(task: Task, notes: _Notes) -> dict[str, Any]:
    folder, job = Path(task.folder), task.job
    if (folder / MARKER).is_file():
        _wait_for(folder)
        if (folder / RESULT).is_file():  # whoever had begun it has ended it meanwhile
            return RunRecord.read(folder).result
    begun = (folder / MARKER).is_file()
    options: dict[str, Any] = {**job.run, "reporters": [notes]}
    options |= {"resume": folder} if begun else {"out": folder, "overwrite": True}
    return run(job.spec, shared(task.data), job.config, job.execution, **options).table


def _wait_for(folder: Path) -> None:
    """Wait until no other process writes to a run directory, or patience ends."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:  # the run will say so
        return
    lock.release()
