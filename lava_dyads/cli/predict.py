"""``lava-dyads predict``."""

from __future__ import annotations

import csv
import io
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tyro.conf import Positional, arg

from lava_dyads.array_types import Array
from lava_dyads.choices import Header, Precision, Runtime
from lava_dyads.cli.common import (
    OK,
    ExecutionOptions,
    print_json,
    progress_console,
)
from lava_dyads.data.contents import Arrays, How, Table
from lava_dyads.data.formats import read
from lava_dyads.data.formats.delimited import parse_bytes
from lava_dyads.data.outcome import listed
from lava_dyads.data.schema import Schema
from lava_dyads.errors import one_line
from lava_dyads.files import check_writable, write_atomically
from lava_dyads.training import Checkpoint
from lava_dyads.training.files import checkpoint_file
from lava_dyads.training.new_rows import held
from lava_dyads.training.prediction import Predictor


@dataclass(frozen=True, kw_only=True)
class Predict(ExecutionOptions):
    """Predict the classes of the rows in a file by a trained network, as CSV or JSON.

    For example: lava-dyads predict runs/demo rows.csv --proba --out classes.csv. FILE holds a row
    per sample, in the units of the training data: a table (.csv, .tsv, .txt, .parquet, with or
    without names), .npy, .npz or .h5 with an array x, a folder of pictures, or - for a table on
    standard input. Columns are found by their names, and others passed over. Rows are numbered
    from 0.
    """

    checkpoint: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory, or a checkpoint.npz."""
    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """New rows; -: standard input."""
    out: Path | None = None
    """File for the CSV; default: standard output."""
    proba: bool = False
    """The probability of every class too (p_NAME), of networks trained with cross-entropy."""
    decision: bool = False
    """The outputs themselves too (o_NAME)."""
    numbers: bool = False
    """Classes by their numbers, from 0, in the place of their names."""
    header: Header = "auto"
    """Whether the first line of a table holds names."""
    any_range: bool = False
    """Take values far from those of the training data, which are taken for other units."""
    precision: Precision | None = None  # type: ignore[assignment]
    """Floating point or Loihi 2 integers. Default: what the network learned in."""
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
        precision = self.precision or checkpoint.meta.get("precision", "float")
        rows = self._read(checkpoint.schema)
        request = replace(self, precision=precision).request()
        data = checkpoint.data(path.parent) if precision == "loihi2" else None
        predictor = checkpoint.predictor(request, data, self.batch_size, self.any_range)
        predictor.what = str(self.file)
        if self.numbers:
            predictor.schema = replace(predictor.schema, class_names=())
        if self.proba:
            predictor.check_probabilities()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            found = self._found(predictor, rows)
        for warning in told:
            print(f"warning: {one_line(str(warning.message))}", file=sys.stderr)
        text = "" if self.json and out is None else _csv(found, _outputs(checkpoint))
        if out is not None:
            write_atomically(out, text)
        if self.json:
            print_json(self._result(predictor, found))
        elif out is None:
            sys.stdout.write(text)
        return OK

    def _read(self, schema: Schema) -> object:
        """Return the rows, and say how they were read."""
        if str(self.file) == "-":
            said: Table | Arrays = parse_bytes(
                "standard input", sys.stdin.buffer.read(), self.header
            )
        else:
            image = schema.image
            said = read(self.file, How(self.header, image[1:], image[0] if image else 0), "FILE")
        told = [f"{said.what}: {said.taken}"]
        if isinstance(said, Table) and schema.named and said.named:
            used = {feature.name for feature in schema.features}
            others = [repr(name) for name in said.names if name not in used]
            told += [f"not among the inputs: {listed(others)}"] if others else []
        for line in told:
            progress_console().print(line, markup=False, soft_wrap=True)
        return held(said, schema)

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


def _outputs(checkpoint: Checkpoint) -> Sequence[str]:
    """Return the names of the outputs: of classes, labels or values; else none."""
    names = checkpoint.schema.class_names or checkpoint.meta.get("output_names", ())
    return tuple(names)


def _csv(found: dict[str, Array], outputs: Sequence[str] = ()) -> str:
    """Return columns as CSV, numbers in the shortest way that says them exactly."""
    names, columns = ["row"], [np.arange(len(found["prediction"])).tolist()]
    for name, values in found.items():
        several = values.ndim > 1
        whose = outputs or range(values.shape[-1])
        names += [f"{name}_{which}" for which in whose] if several else [name]
        columns += values.T.tolist() if several else [values.tolist()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()
