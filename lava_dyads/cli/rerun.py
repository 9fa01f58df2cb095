"""``lava-dyads rerun``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from lava_dyads.cli.common import FAILED, OK, console, print_json, progress_console, result_table
from lava_dyads.training.listing import rerun
from lava_dyads.training.progress import ProgressBar


@dataclass(frozen=True, kw_only=True)
class RerunCommand:
    """Do a finished run again from its record, and say whether its weights are equal.

    The exit code is 1 where they are not, as on another machine, where products may be added up in
    another order.
    """

    path: Positional[Annotated[Path, arg(metavar="RUN")]]
    """Run directory."""
    out: Path | None = None
    """Run directory of the second run; default: it leaves none."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Do it; return the exit code."""
        found = rerun(self.path, self.out, [ProgressBar(progress_console())])
        told = {
            "run": str(self.path),
            "equal": found.equal,
            "largest_difference": found.distance,
            **{k: v for k, v in found.result.table.items() if k.startswith(("test_", "train_"))},
        }
        if self.json:
            print_json(told)
        else:
            console().print(result_table(f"{self.path}, once more", told))
        return OK if found.equal else FAILED
