"""``lava-dyads report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, console, print_json
from lava_dyads.reports import report


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the page of a run, one file of HTML: curve, confusion, errors, costs, what was run."""

    path: Positional[Annotated[Path, arg(metavar="RUN")]]
    """Run directory."""
    out: Path | None = None
    """File to write; default: report.html in the run directory."""
    json: bool = False
    """Print one JSON object instead of the name of the file."""

    def run(self) -> int:
        """Write it; return the exit code."""
        made = report(self.path, self.out)
        if self.json:
            print_json({"run": str(self.path), "report": str(made)})
        else:
            console().print(str(made))
        return OK
