"""Checkpoints and run directories, written atomically."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lava_dyads.errors import CheckpointError, ValidationError, invalid
from lava_dyads.files import write_atomically
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules._types import Array

FORMAT = "lava_dyads checkpoint 1"
MARKER = "config.json"
"""File that makes a folder a run directory."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained network: its specification, its weights and where it was trained.

    Attributes
    ----------
    spec : NetworkSpec
    weights, biases : lists of arrays (n_out, n_in), (n,)
    meta : dict
        Data set name, split seed, test share, epochs.
    feedback : list of arrays (n_out, n_in) or None per layer, or None
        Feedback weights, where they are separate. None: none are.
    """

    spec: NetworkSpec
    weights: list[Array]
    biases: list[Array]
    meta: dict[str, Any]
    feedback: list[Array | None] | None = None

    def save(self, path: Path) -> None:
        """Write an .npz file atomically."""
        header = {"format": FORMAT, "spec": self.spec.as_dict(), "meta": self.meta}
        arrays = {f"weights_{k}": w for k, w in enumerate(self.weights, 1)}
        arrays |= {f"biases_{k}": b for k, b in enumerate(self.biases, 1)}
        arrays |= {
            f"feedback_{k}": b for k, b in enumerate(self.feedback or [], 1) if b is not None
        }
        buffer = io.BytesIO()
        np.savez(buffer, header=np.array(json.dumps(header)), **arrays)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read one back.

        Raises
        ------
        CheckpointError
            If the file is missing, unreadable, not a checkpoint of this library, or its arrays
            do not fit its specification.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                if header.get("format") != FORMAT:
                    raise CheckpointError(
                        f"checkpoint {path}: its format is {header.get('format')!r}, this "
                        f"version reads {FORMAT!r}"
                    )
                spec = NetworkSpec.from_dict(header["spec"])
                ks = range(1, spec.depth + 1)
                weights = [file[f"weights_{k}"] for k in ks]
                populations = sum(v.activation is not None for v in spec.vertices)
                biases = [file[f"biases_{k}"] for k in range(1, populations + 1)]
                there = [b is not None for b in spec.initial_feedback()]
                back = [file[f"feedback_{k}"] if there[k - 1] else None for k in ks]
        except CheckpointError:
            raise
        except FileNotFoundError as error:
            raise CheckpointError(f"checkpoint {path}: no such file") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError,
                zipfile.BadZipFile) as error:  # fmt: skip
            hint = "Try: the checkpoint.npz that 'lava-dyads train' wrote"
            detail = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CheckpointError(
                f"checkpoint {path}: not a checkpoint of lava_dyads ({detail}). {hint}"
            ) from error
        shapes = [op.shape for op in spec.ops]
        widths = [(v.biases,) for v in spec.vertices if v.activation]
        for kind, arrays, expected in (
            ("weights", weights, shapes), ("biases", biases, widths), ("feedback", back, shapes)
        ):  # fmt: skip
            for k, (array, shape) in enumerate(zip(arrays, expected, strict=True), 1):
                if array is not None:
                    _check(path, f"{kind}_{k}", array, shape)
        return cls(spec, weights, biases, header.get("meta", {}), back)


def _check(path: Path, name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.dtype.kind != "f":
        raise CheckpointError(
            f"checkpoint {path}: {name} should be real numbers, whatever precision they learnt in "
            f"(got {array.dtype}). Try: integers times their unit, as float64"
        )
    if array.shape != shape or not np.all(np.isfinite(array)):
        raise CheckpointError(
            f"checkpoint {path}: {name} should be finite and have shape {shape} (got {array.shape})"
        )


class RunDirectory:
    """The folder of one run: config.json, metrics.jsonl, result.json, checkpoint.npz, plots.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Replace the files of an earlier run in it.

    Raises
    ------
    ValidationError
        If it holds another run, or is a file, or cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            invalid("--out", "must be a folder", str(path))
        if (path / MARKER).exists() and not overwrite:
            invalid("--out", "holds another run", str(path), "another folder, or --overwrite")
        if path.is_dir() and any(path.iterdir()) and not (path / MARKER).exists():
            invalid("--out", "holds other files", str(path), "an empty or a new folder")
        self._metrics: list[str] = []

    def begin(self, config: Mapping[str, Any]) -> None:
        """Create the folder and write the configuration."""
        try:
            for name in ("metrics.jsonl", "result.json", "checkpoint.npz", "learning_curve.png"):
                (self.path / name).unlink(missing_ok=True)
            write_atomically(self.path / MARKER, json.dumps(config, indent=2) + "\n")
        except OSError as error:
            raise ValidationError(f"--out: {self.path} cannot be written ({error})") from error

    def add_metrics(self, entry: Mapping[str, float]) -> None:
        """Add one line to metrics.jsonl."""
        self._metrics.append(json.dumps(entry))
        write_atomically(self.path / "metrics.jsonl", "\n".join(self._metrics) + "\n")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json, the last file of a complete run."""
        write_atomically(self.path / "result.json", json.dumps(result, indent=2) + "\n")
