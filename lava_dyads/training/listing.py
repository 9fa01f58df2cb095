"""Runs on the disk: which there are, what they differ in, and the same once more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_dyads.errors import CheckpointError, invalid
from lava_dyads.executors.latency import Latency
from lava_dyads.executors.transport import Faults, Transport
from lava_dyads.files import AnyPath, as_path
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.files import MARKER, RESULT, Checkpoint, RunDirectory
from lava_dyads.training.loggers.common import flat
from lava_dyads.training.metrics import SCORES
from lava_dyads.training.origin import recalled
from lava_dyads.training.replicas.config import Replicas
from lava_dyads.training.reporting import Reporter, RunResult
from lava_dyads.training.run import RunOptions, run
from lava_dyads.training.stopping import EarlyStopping

DEEPEST = 3
"""Folders below the one that is named in which runs are looked for."""

PLACE = ("environment", "data", "options")
"""What config.json says of where a run was made, and what says the same again."""


@dataclass(frozen=True)
class RunRecord:
    """A run on the disk.

    Attributes
    ----------
    folder : Path
    config, result : dict
        What config.json and result.json hold; no result where it is unfinished.
    epochs : list of dict
        What metrics.jsonl holds.
    """

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]
    epochs: list[dict[str, float]]

    @classmethod
    def read(cls, path: AnyPath) -> RunRecord:
        """Read the record of a run.

        Raises
        ------
        CheckpointError
            If there is none in the folder, or it is damaged.
        """
        path = as_path("run", path)
        if not (path / MARKER).is_file():
            hint = "the --out of a run, or lava-dyads runs, which lists them"
            raise CheckpointError(f"run {path}: holds no run. Try: {hint}")
        config = RunDirectory(path, overwrite=True).config
        result, epochs = {}, []
        try:
            if (path / RESULT).is_file():
                result = dict(json.loads((path / RESULT).read_text(encoding="utf-8")))
            if (path / "metrics.jsonl").is_file():
                text = (path / "metrics.jsonl").read_text(encoding="utf-8")
                epochs = [dict(json.loads(line)) for line in text.splitlines()]
        except (OSError, ValueError, TypeError, RecursionError) as error:
            why = f"cannot be read ({error})"
            raise CheckpointError(f"run {path}: {why}. Try: a new run") from error
        return cls(path, config, result, epochs)

    @property
    def score(self) -> tuple[str, float] | None:
        """Name and value of the test part's score."""
        last = self.result or (self.epochs[-1] if self.epochs else {})
        names = [f"test_{name}" for name in SCORES]
        return next(((name, last[name]) for name in names if name in last), None)

    def row(self) -> dict[str, Any]:
        """Return what a list of runs says of it."""
        rule = self.config.get("spec", {}).get("rule", {})
        name, value = self.score or ("", None)
        environment = self.config.get("environment") or {}
        return {
            "run": str(self.folder),
            "dataset": self.result.get("dataset") or self.config.get("dataset") or "(object)",
            "layers": "-".join(map(str, self.config.get("spec", {}).get("layers") or ())),
            "rule": rule.get("name", "") if isinstance(rule, Mapping) else str(rule),
            "seed": self.config.get("training", {}).get("seed"),
            "epochs": len(self.epochs),
            "score": name.removeprefix("test_"),
            "test": value,
            "train_seconds": self.result.get("train_seconds"),
            "state": "finished" if self.result else "unfinished",
            "started": environment.get("started", ""),
        }


def find_runs(folders: Iterable[AnyPath]) -> list[RunRecord]:
    """Return the runs in some folders and in those below them, by name.

    Raises
    ------
    ValidationError
        If there is no such folder.
    """
    found: dict[Path, RunRecord] = {}
    for folder in folders:
        root = as_path("runs", folder)
        if not root.is_dir():
            invalid("runs", "there is no such folder", str(root), "a folder that holds runs")
        patterns = ["/".join(["*"] * depth + [MARKER]) for depth in range(DEEPEST + 1)]
        for path in sorted(p for pattern in patterns for p in root.glob(pattern)):
            try:
                found.setdefault(path.parent, RunRecord.read(path.parent))
            except CheckpointError:  # a config.json of something else
                continue
    return [found[path] for path in sorted(found)]


def differences(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """Return in what runs differ: a row per setting and result, a column per run."""
    runs = list(records)
    tables = []
    for each in runs:
        settings = {k: v for k, v in each.config.items() if k not in PLACE}
        environment = (each.config.get("environment") or {}).get("versions", {})
        results = {f"result.{k}": v for k, v in each.result.items() if k not in ("out", "profile")}
        tables.append({**flat(settings), **flat({"versions": environment}), **results})
    rows = []
    for name in dict.fromkeys(name for table in tables for name in table):
        values = [table.get(name) for table in tables]
        if any(value != values[0] for value in values):
            columns = {str(each.folder): v for each, v in zip(runs, values, strict=True)}
            rows.append({"setting": name, **columns})
    return rows


@dataclass(frozen=True)
class Rerun:
    """A run and the same once more.

    Attributes
    ----------
    result : RunResult
        Of the second one.
    equal : bool
        Whether all weights and biases are the same, bit by bit.
    distance : float
        Largest difference of a weight or bias.
    """

    result: RunResult
    equal: bool
    distance: float


def rerun(
    path: AnyPath, out: AnyPath | None = None, reporters: list[Reporter] | None = None
) -> Rerun:
    """Do a finished run again, and compare the weights.

    Parameters
    ----------
    path : str or path
        Of the run.
    out : str, path or None
        Run directory of the second one; None: none.
    reporters : list of Reporter, or None
        As for :func:`run`.

    Raises
    ------
    CheckpointError
        If there is no finished run, or its record does not say how to do it again.
    DataError
        If its data cannot be found, or have changed.
    """
    record = RunRecord.read(path)
    if not record.result:
        hint = f"lava-dyads train --resume {record.folder}"
        raise CheckpointError(f"run {record.folder}: is not finished. Try: {hint}")
    config = record.config
    try:
        spec = NetworkSpec.from_dict(config["spec"])
        training, execution = TrainingConfig(**config["training"]), Execution(**config["execution"])
        stopping, replicas = config.get("stopping"), config.get("replicas")
        options: RunOptions = {
            "out": out,
            "reporters": reporters,
            "dataset": str(config["dataset"]),
            "transport": _transport(config.get("transport")),
            "stopping": EarlyStopping(**stopping) if stopping else None,
            "keep_best": config.get("keep_best") or "",
            "replicas": Replicas(**replicas) if replicas else None,
            "epochs": config.get("epochs"),
            "options": config.get("options"),
        }
    except (KeyError, TypeError) as error:
        why = f"its config.json is of another version ({error})"
        raise CheckpointError(f"run {record.folder}: {why}. Try: a new run") from error
    first = Checkpoint.load(record.folder)
    data = recalled(config, record.folder)
    result = run(spec, data, training, execution, **options)
    pairs = [
        (one, other)
        for kind in ("weights", "biases")
        for one, other in zip(getattr(first, kind), getattr(result.checkpoint, kind), strict=True)
    ]
    distance = max(float(np.max(np.abs(a - b), initial=0.0)) for a, b in pairs)
    return Rerun(result, all(np.array_equal(a, b) for a, b in pairs), distance)


def _transport(kept: Mapping[str, Any] | None) -> Transport | None:
    """Return a transport from what config.json says of it."""
    if kept is None:
        return None
    latency = kept["latency"]
    if isinstance(latency, Mapping):
        models = {k: Latency(**v) if isinstance(v, Mapping) else v for k, v in latency.items()}
        latency = Latency(**latency) if set(latency) == {"model", "mean"} else models
    return Transport(**{**kept, "latency": latency, "faults": Faults(**kept["faults"])})
