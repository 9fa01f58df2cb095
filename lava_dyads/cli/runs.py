"""``lava-dyads runs``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, console, print_json
from lava_dyads.cli.tabulating import markdown, table, text
from lava_dyads.errors import invalid
from lava_dyads.training.listing import RunRecord, differences, find_runs


@dataclass(frozen=True, kw_only=True)
class Runs:
    """List the runs in folders, or the options and results in which some runs differ.

    For example: lava-dyads runs runs --markdown, or lava-dyads runs runs/a runs/b --compare.
    """

    folders: Positional[Annotated[tuple[Path, ...], arg(metavar="[FOLDER ...]")]] = (Path("runs"),)
    """Folders that hold runs, or runs; default: runs."""
    compare: bool = False
    """Show only what the runs differ in: options, versions, results."""
    csv: bool = False
    """Print CSV."""
    markdown: bool = False
    """Print a table in Markdown."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """List; return the exit code."""
        if self.csv + self.markdown + self.json > 1:
            invalid("--csv", "one form at a time", "several", "one of --csv, --markdown, --json")
        found = find_runs(self.folders)
        if self.compare and len(found) < 2:
            got = [str(record.folder) for record in found]
            invalid("--compare", "needs two runs or more", got, "lava-dyads runs RUN RUN --compare")
        rows = differences(found) if self.compare else [record.row() for record in found]
        if self.json:
            print_json({"differences" if self.compare else "runs": rows})
        elif self.csv:
            writer = csv.DictWriter(sys.stdout, _columns(found, self.compare), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        elif self.markdown:
            print(markdown(_columns(found, self.compare), rows))
        else:
            shown = rows if self.compare else [_short(row) for row in rows]
            names = _columns(found, True) if self.compare else list(_SHORT)
            console().print(table(names, shown))
        return OK


def _columns(found: Sequence[RunRecord], compare: bool) -> list[str]:
    if compare:
        return ["setting", *(str(record.folder) for record in found)]
    return list(RunRecord(Path(), {}, {}, []).row())


_SHORT = ("run", "dataset", "layers", "rule", "seed", "epochs", "test", "state")
"""What there is place for on a terminal."""


def _short(row: dict[str, Any]) -> dict[str, Any]:
    score = f"{row['score']} {text(row['test'])}"
    return {**row, "test": score.strip()}
