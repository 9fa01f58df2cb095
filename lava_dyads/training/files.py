"""Checkpoints and run directories, written atomically."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import check_fields, entries, real_array
from lava_dyads.choices import TASKS
from lava_dyads.data import read_as
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.preparation import NOTHING, Preparation
from lava_dyads.data.scaling import Scaling
from lava_dyads.data.schema import Schema
from lava_dyads.errors import CheckpointError, ValidationError, invalid, message
from lava_dyads.files import (
    PART,
    AnyPath,
    ArrayFile,
    as_path,
    is_part,
    opened_arrays,
    reason,
    remove_parts,
    sync_folder,
    write_arrays,
    write_atomically,
)
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.binary import FLOAT, binary_weights
from lava_dyads.training.meta import META, described, plain_reading, schema_of, split_of
from lava_dyads.training.origin import recalled, units_of
from lava_dyads.training.prediction import Predicting, Predictor, calibrated_numbers, settled
from lava_dyads.training.resume import RunState, read_header

if TYPE_CHECKING:
    from lava_dyads.training.trainer import Trainer

FORMAT = "lava_dyads checkpoint 1"
MARKER = "config.json"
"""File that makes a folder a run directory."""

LOCK = ".lock"
"""File of a run directory that is locked by the process that writes to it."""


@dataclass(frozen=True)
class Checkpoint(Predicting):
    """A trained network: its specification, its weights and where it was trained.

    It is shown new rows by ``predict``, ``predict_proba``, ``decision`` and ``transform``.

    Attributes
    ----------
    spec : NetworkSpec
    weights, biases : lists of arrays (n_out, n_in), (n,)
    meta : dict
        Data set and its checksum, split seed, test share, epochs.
    feedback : list of arrays (n_out, n_in) or None per layer, or None
        Feedback weights, where they are separate. None: none are.
    """

    spec: NetworkSpec
    weights: list[Array]
    biases: list[Array]
    meta: dict[str, Any]
    feedback: list[Array | None] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        named: dict[str, Sequence[Array | None]] = {
            "weights": self.weights,
            "biases": self.biases,
            "feedback": self.feedback or [],
        }
        for kind, arrays in named.items():
            for k, array in enumerate(arrays, 1):
                if array is not None:
                    real_array(array, f"Checkpoint.{kind}[{k - 1}]")

    def shown(self) -> Checkpoint:
        """Return the network as it is evaluated: binary weights as numbers."""
        if self.spec.weight_format == FLOAT:
            return self
        weights = [binary_weights(theta) for theta in self.weights]
        return replace(self, spec=replace(self.spec, weight_format=FLOAT), weights=weights)

    @classmethod
    def of(cls, trainer: Trainer, dataset: AnyPath, folder: AnyPath = "") -> Checkpoint:
        """Return a trainer's present weights, and what is needed to find its data again.

        Parameters
        ----------
        trainer : Trainer
        dataset : str or path
            What ``load`` was asked for.
        folder : str or path
            Where the checkpoint will be; by default here.
        """
        meta = described(trainer, dataset, folder or Path())
        return cls(trainer.spec, *trainer.stored(), meta, trainer.network.feedback())

    def data(self, folder: AnyPath = "") -> Dataset:
        """Return the data it was trained on, if they are still the same.

        Parameters
        ----------
        folder : str or path
            Where the checkpoint is now: a relative path is looked for from here and from there.

        Raises
        ------
        CheckpointError
            If it names none.
        DataError
            If they are missing or, a :class:`DataChangedError`, have changed.
        """
        return replace(recalled(self.meta, folder or Path()), preparation=self.preparation)

    def other_data(self, source: AnyPath) -> Dataset:
        """Return other data, with rows and classes like those it was trained on.

        Parameters
        ----------
        source : str or path
            As of :func:`~lava_dyads.load`.

        Raises
        ------
        DataError
            If they are missing, or others.
        """
        return replace(
            read_as(source, plain_reading(self.meta), self.schema), preparation=self.preparation
        )

    @property
    def preparation(self) -> Preparation:
        """How values become what the network is shown, as it was learnt on the training part."""
        held = self.meta.get("preparation")
        return NOTHING if held is None else Preparation.from_dict(held)

    @property
    def schema(self) -> Schema:
        """What rows have to be, and the names of classes."""
        return schema_of(self.meta)

    @property
    def split(self) -> dict[str, Any]:
        """What decided on the parts of the training data, as :meth:`Dataset.parts` takes it."""
        return split_of(self.meta)

    def predictor(
        self,
        execution: Execution | None = None,
        data: Dataset | None = None,
        batch_size: int = 32,
        any_range: bool = False,
    ) -> Predictor:
        """Return the network, to be shown new rows.

        Parameters
        ----------
        execution : Execution or None
            How it is run; None: in floating point, by the reference engine.
        data : Dataset or None
            What it was trained on, which calibrates precision loihi2; None: :meth:`data`.
        batch_size : int
            Samples side by side.
        any_range : bool
            Take values far from those of the training data, which are taken for other units.

        Raises
        ------
        UnsupportedError
            If the network cannot be run so.
        DataError
            If it has to be calibrated, and its data are missing or have changed.
        """
        shown = self.shown() if execution and execution.precision == "loihi2" else self
        execution = settled(shown.spec, execution or Execution())
        parameters, numbers = (shown.weights, shown.biases), None
        if execution.precision == "loihi2":
            data = replace(data or self.data(), preparation=self.preparation)
            rows, back = data.parts(**self.split)[0], self.feedback
            scaling = self.target_scaling
            numbers = calibrated_numbers(shown.spec, parameters, back, data, rows, scaling)
        seen = self.meta.get("input_range")
        return Predictor(
            shown.spec,
            parameters,
            self.feedback,
            execution=execution,
            arithmetic=numbers,
            batch_size=batch_size,
            seen=None if any_range or seen is None else (seen[0], seen[1]),
            units=units_of(self.meta),
            task=self.meta.get("task", TASKS[0]),
            target_scaling=self.target_scaling,
            preparation=self.preparation,
            schema=self.schema,
        )

    @property
    def target_scaling(self) -> Scaling | None:
        """How real values were scaled in training."""
        held = self.meta.get("target_scaling")
        return None if held is None else Scaling.from_dict(held)

    def save(self, path: AnyPath) -> None:
        """Write an .npz file atomically."""
        header = {"format": FORMAT, "spec": self.spec.as_dict(), "meta": self.meta}
        arrays = {f"weights_{k}": w for k, w in enumerate(self.weights, 1)}
        arrays |= {f"biases_{k}": b for k, b in enumerate(self.biases, 1)}
        arrays |= {
            f"feedback_{k}": b for k, b in enumerate(self.feedback or [], 1) if b is not None
        }
        write_arrays(path, json.dumps(header), arrays)

    @classmethod
    def load(cls, path: AnyPath) -> Checkpoint:
        """Read one back: a file, or that of a run directory.

        Raises
        ------
        CheckpointError
            If the file is missing, unreadable, not a checkpoint of this library, or its arrays
            do not fit its specification.
        """
        path = checkpoint_file(path)
        try:
            with opened_arrays(path) as file:
                header = read_header(file, FORMAT, {"spec": Mapping[str, Any]})
                meta = entries(header.get("meta", {}), "meta", {}, META)
                spec = NetworkSpec.from_dict(header["spec"])
                names = [f"weights_{k}" for k in range(1, spec.depth + 1)]
                weights = [
                    _real(file, name, op.shape) for name, op in zip(names, spec.ops, strict=True)
                ]
                populations = [v for v in spec.vertices if v.activation]
                biases = [
                    _real(file, f"biases_{k}", (v.biases,)) for k, v in enumerate(populations, 1)
                ]
                back = [
                    _real(file, f"feedback_{k}", op.shape) if apart else None
                    for k, (op, apart) in enumerate(
                        zip(spec.ops, spec.separate_feedback, strict=True), 1
                    )
                ]
        except FileNotFoundError as error:
            hint = "Try: the checkpoint.npz that 'lava-dyads train' wrote"
            raise CheckpointError(f"checkpoint {path}: no such file. {hint}") from error
        except (OSError, ValueError) as error:
            hint = "Try: the checkpoint.npz that 'lava-dyads train' wrote"
            raise CheckpointError(
                f"checkpoint {path}: not a checkpoint of lava_dyads ({error}). {hint}"
            ) from error
        return cls(spec, weights, biases, meta, back)


def checkpoint_file(path: AnyPath) -> Path:
    """Return the checkpoint of a run directory, or the file itself."""
    path = as_path("checkpoint", path)
    try:
        return path / "checkpoint.npz" if path.is_dir() else path
    except OSError:  # a name that is too long: reading it says so
        return path


def _real(file: ArrayFile, name: str, shape: tuple[int, ...]) -> Array:
    """Return parameters from a checkpoint."""
    array = file[name]
    if array.dtype.kind != "f":
        limit = f"{name} should be real numbers, whatever precision they learnt in"
        hint = "integers times their unit, as float64"
        raise ValueError(f"{limit} (got {array.dtype}). Try: {hint}")
    if array.shape != shape or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} should be finite and have shape {shape} (got {array.shape})")
    return array


class RunDirectory:
    """The folder of one run.

    config.json, metrics.jsonl, result.json, checkpoint.npz, plots; while it lasts state.npz and,
    from before that, state.previous.npz, from which it can go on.

    Parameters
    ----------
    path : str or path
    overwrite : bool
        Replace the files of an earlier run in it.

    Raises
    ------
    ValidationError
        If it holds another run, or is a file, or cannot be written.
    """

    def __init__(self, path: AnyPath, overwrite: bool = False) -> None:
        self.path = path = as_path("--out", path)
        self._metrics: list[str] = []
        if path.exists() and not path.is_dir():
            invalid("--out", "must be a folder", str(path))
        if (path / MARKER).exists() and not overwrite:
            hint = "another folder, --overwrite, or --resume if it was interrupted"
            invalid("--out", "holds another run", str(path), hint)
        mine = (path / MARKER).exists() or not path.is_dir()
        if not mine and any(not is_part(file) for file in path.iterdir()):
            invalid("--out", "holds other files", str(path), "an empty or a new folder")

    @classmethod
    def reopen(cls, path: AnyPath) -> RunDirectory:
        """Return the folder of a run that was interrupted.

        Raises
        ------
        CheckpointError
            If there is none in it, or one that is finished.
        """
        path = as_path("--resume", path)
        if not (path / MARKER).is_file():
            text = message("--resume", "holds no run", str(path), "the --out of the run")
            raise CheckpointError(text)
        if (path / RESULT).is_file():
            hint = f"lava-dyads eval {path}"
            text = message("--resume", "the run is finished, nothing to resume", str(path), hint)
            raise CheckpointError(text)
        return cls(path, overwrite=True)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes out of the folder inside the block, after :meth:`begin`.

        The claim ends with the process, whatever ends it.

        Raises
        ------
        CheckpointError
            If another process has claimed it.
        """
        from filelock import FileLock, Timeout  # only runs that are kept need it

        lock = FileLock(self.path / LOCK, blocking=False)
        with self.writing():
            try:
                lock.acquire()
            except Timeout as error:
                limit, hint = "another process is writing to it", "another folder, or later"
                raise CheckpointError(message("--out", limit, str(self.path), hint)) from error
        try:
            with self.writing():
                remove_parts(self.path)
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows keeps a file that is open
                (self.path / LOCK).unlink()
            lock.release()

    @property
    def config(self) -> dict[str, Any]:
        """What config.json holds.

        Raises
        ------
        CheckpointError
            If it cannot be read.
        """
        try:
            held = json.loads((self.path / MARKER).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            why = f"cannot be read ({reason(error)})"
            raise CheckpointError(f"{self.path / MARKER}: {why}. Try: a new run") from error
        return entries(held, f"{self.path / MARKER}", {}, {"dataset": str}, CheckpointError)

    @property
    def state(self) -> RunState | None:
        """The last state, or the one before if that is damaged; None if none was kept.

        Raises
        ------
        CheckpointError
            If all there are are damaged.
        """
        failure: CheckpointError | None = None
        for name in (STATE, PREVIOUS):
            if (self.path / name).exists():
                try:
                    return RunState.load(self.path / name)
                except CheckpointError as error:
                    failure = failure or error
        if failure:
            raise failure
        return None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Create the folder and write the configuration."""
        with self.writing():
            for name in _WRITTEN:
                (self.path / name).unlink(missing_ok=True)
            remove_parts(self.path)
            write_atomically(self.path / MARKER, json.dumps(config, indent=2) + "\n")

    def keep(self, state: RunState) -> None:
        """Write a state; the one before stays beside it."""
        newest, made = self.path / STATE, self.path / f".{STATE}{PART}"
        with self.writing():
            state.save(made)
            if newest.exists():
                os.replace(newest, self.path / PREVIOUS)
            os.replace(made, newest)
            sync_folder(self.path)

    def add_metrics(self, *entries: Mapping[str, float]) -> None:
        """Add lines to metrics.jsonl."""
        self._metrics += [json.dumps(entry) for entry in entries]
        with self.writing():
            text = "".join(f"{line}\n" for line in self._metrics)
            write_atomically(self.path / "metrics.jsonl", text)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json, the last file of a complete run; its states are no longer needed."""
        with self.writing():
            write_atomically(self.path / RESULT, json.dumps(result, indent=2) + "\n")
            for name in (STATE, PREVIOUS, BEST_STATE):
                (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn errors of the disk into one line that says how to go on."""
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            kept = any((self.path / name).exists() for name in (STATE, PREVIOUS))
            hint = f". Try: make room, then lava-dyads train --resume {self.path}" if kept else ""
            text = f"--out: {self.path} cannot be written ({why}){hint}"
            raise ValidationError(text) from error


RESULT, STATE, PREVIOUS = "result.json", "state.npz", "state.previous.npz"
BEST_STATE = "best.state.npz"
"""The state of the best epoch, while a run that goes back to it lasts."""

_WRITTEN = (
    "metrics.jsonl", RESULT, "checkpoint.npz", "best.npz", STATE, PREVIOUS, BEST_STATE,
    "learning_curve.png", "report.html", "metrics.csv",
)  # fmt: skip
