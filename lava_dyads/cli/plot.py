"""``lava-dyads plot``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, console, print_json
from lava_dyads.errors import invalid
from lava_dyads.plots import confusion_matrix, learning_curves, weight_matrices
from lava_dyads.plots.canvas import check_picture
from lava_dyads.reports.errors_made import errors_of
from lava_dyads.training import Checkpoint
from lava_dyads.training.listing import find_runs


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Draw learning curves of runs, or the confusion or the weights of one.

    For example: lava-dyads plot runs/a runs/b --out curves.pdf. Runs that differ in their seeds
    alone are one line, their mean, in a band of one standard deviation.
    """

    folders: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN ...")]]
    """Run directories, or folders that hold some."""
    out: Path = Path("curves.png")
    """Picture to write: .png, .pdf or .svg."""
    kind: Literal["curves", "confusion", "weights"] = "curves"
    """What is drawn."""
    metrics: tuple[str, ...] = ()
    """Metrics of the epochs, a panel each; default: loss and score of the test part."""
    json: bool = False
    """Print one JSON object instead of the name of the file."""

    def run(self) -> int:
        """Draw; return the exit code."""
        path = check_picture("--out", self.out)
        runs = find_runs(self.folders)
        if not runs:
            got = [str(folder) for folder in self.folders]
            invalid("plot", "there is no run in", got, "the --out of a run")
        if self.kind == "curves":
            learning_curves(runs, self.metrics, path)
        elif len(runs) > 1:
            got = [str(record.folder) for record in runs]
            invalid("--kind", f"{self.kind} is of one run", got, "one run directory")
        else:
            checkpoint = Checkpoint.load(runs[0].folder)
            if self.kind == "weights":
                weight_matrices(checkpoint, path)
            else:
                errors = errors_of(checkpoint, checkpoint.data(runs[0].folder))
                if not errors.names:
                    invalid("--kind", "confusion needs classes", str(runs[0].folder), "curves")
                confusion_matrix(errors.confusion, errors.names, path)
        if self.json:
            print_json({"runs": [str(record.folder) for record in runs], "picture": str(path)})
        else:
            console().print(str(path))
        return OK
