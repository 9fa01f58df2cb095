"""``lava-dyads predict``."""

from __future__ import annotations

import csv
import io
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from tyro.conf import Positional, arg

from lava_dyads.array_types import Array
from lava_dyads.choices import Runtime
from lava_dyads.cli.common import (
    OK,
    ExecutionOptions,
    print_json,
    progress_console,
)
from lava_dyads.data.rows import read_rows
from lava_dyads.errors import one_line
from lava_dyads.files import check_writable, write_atomically
from lava_dyads.training import Checkpoint
from lava_dyads.training.files import checkpoint_file
from lava_dyads.training.prediction import Predictor


@dataclass(frozen=True, kw_only=True)
class Predict(ExecutionOptions):
    """Predict the classes of the rows in a file by a trained network, as CSV or JSON.

    For example: lava-dyads predict runs/demo rows.csv --proba --out classes.csv. FILE holds a row
    per sample, in the units of the training data and without labels: a table (.csv, .tsv, .txt,
    with or without a line of names), .npy, or .npz with an array x. Rows are numbered from 0.
    """

    checkpoint: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory, or a checkpoint.npz."""
    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """New rows."""
    out: Path | None = None
    """File for the CSV; default: standard output."""
    proba: bool = False
    """The probability of every class too (p_0, p_1 ...), of networks trained with cross-entropy."""
    decision: bool = False
    """The outputs themselves too (o_0, o_1 ...)."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first line of a table holds names."""
    any_range: bool = False
    """Take values far from those of the training data, which are taken for other units."""
    batch_size: int = 32
    """Samples side by side."""
    runtime: Runtime | None = None
    """Lava's own runtime, Lava's processes in one OS process, or the numpy reference engine.
    Default: the reference engine, but for a granularity or a clock that it has not."""
    json: bool = False
    """Print one JSON object instead of CSV."""

    def run(self) -> int:
        """Predict; return the exit code."""
        path = checkpoint_file(self.checkpoint)
        checkpoint = Checkpoint.load(path)
        out = None if self.out is None else check_writable("--out", self.out)
        rows = read_rows(self.file, self.header)
        progress_console().print(f"{self.file}: {rows.taken}", markup=False, soft_wrap=True)
        request = self.request()
        data = checkpoint.data(path.parent) if request.precision == "loihi2" else None
        predictor = checkpoint.predictor(request, data, self.batch_size, self.any_range)
        predictor.what = str(self.file)
        if self.proba:
            predictor.check_probabilities()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            found = self._found(predictor, rows)
        for warning in told:
            print(f"warning: {one_line(str(warning.message))}", file=sys.stderr)
        text = "" if self.json and out is None else _csv(found)
        if out is not None:
            write_atomically(out, text)
        if self.json:
            print_json(self._result(predictor, found))
        elif out is None:
            sys.stdout.write(text)
        return OK

    def _found(self, predictor: Predictor, rows: object) -> dict[str, Array]:
        """Return the columns of the result; the network is shown the rows once."""
        outputs = predictor.decision(rows)
        found: dict[str, Any] = {"prediction": predictor.said_by(outputs)}
        if self.proba:
            found["p"] = predictor.probabilities_of(outputs)
        if self.decision:
            found["o"] = outputs
        return found

    def _result(self, predictor: Predictor, found: dict[str, Array]) -> dict[str, Any]:
        names = {"prediction": "predictions", "p": "probabilities", "o": "outputs"}
        return {
            "checkpoint": str(self.checkpoint),
            "file": str(self.file),
            "rows": len(found["prediction"]),
            **asdict(predictor.execution),
            **{names[name]: values.tolist() for name, values in found.items()},
        }


def _csv(found: dict[str, Array]) -> str:
    """Return columns as CSV, numbers in the shortest way that says them exactly."""
    names, columns = ["row"], [np.arange(len(found["prediction"])).tolist()]
    for name, values in found.items():
        several = values.ndim > 1
        names += [f"{name}_{k}" for k in range(values.shape[1])] if several else [name]
        columns += values.T.tolist() if several else [values.tolist()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()
