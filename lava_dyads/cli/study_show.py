"""``lava-dyads study show``."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from lava_dyads.cli.common import OK, console, print_json
from lava_dyads.cli.tabulating import markdown, table
from lava_dyads.errors import invalid
from lava_dyads.plots import study_curves
from lava_dyads.plots.canvas import check_picture
from lava_dyads.studies import StudyResults
from lava_dyads.studies.comparison import PAIRED, WELCH, SettingResult
from lava_dyads.studies.results import FAILED, LEFT
from lava_dyads.studies.space import text_of

WORDS = {
    PAIRED: "a paired t-test over the seeds",
    WELCH: "Welch's t-test",
}


@dataclass(frozen=True, kw_only=True)
class StudyShow:
    """Show the settings of a study, best first: mean and deviation over seeds, and differences.

    p is the probability of a difference to the best setting so large or larger, if there were
    none: by a paired t-test where both have the same seeds, else by Welch's, with Holm's correction
    for as many comparisons as there are.
    """

    folder: Positional[Annotated[Path, arg(metavar="OUT")]]
    """Folder of the study."""
    metric: str = ""
    """Metric of the results to go by; default: that of the study, else the score of the validation
    part, or of the test part where there is none."""
    against: int | None = None
    """Number of the setting with which the others are compared; default: the best one."""
    runs: bool = False
    """Show every run, in the place of settings."""
    plot: Path | None = None
    """Picture to write: .png, .pdf or .svg."""
    x: str = ""
    """Option to the right in the picture; default: the one with the most different numbers."""
    csv: bool = False
    """Print CSV."""
    markdown: bool = False
    """Print a table in Markdown."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Show; return the exit code."""
        if self.csv + self.markdown + self.json > 1:
            invalid("--csv", "one form at a time", "several", "one of --csv, --markdown, --json")
        picture = self.plot and check_picture("--plot", self.plot)
        found = StudyResults.read(self.folder)
        settings = found.settings(self.metric, self.against)
        if picture:
            study_curves(found, self.x, self.metric, picture)
        if self.json:
            print_json({**told(found, settings), **({"runs": found.records()} if self.runs else {}),
                        **({"picture": str(picture)} if picture else {})})  # fmt: skip
            return OK
        rows = found.records() if self.runs else [setting_row(found, one) for one in settings]
        if self.csv:
            writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        elif self.markdown:
            print(markdown(list(rows[0]) if rows else [], rows))
        elif self.runs:
            names = [*found.options, "seed", "state", settings[0].metric, "run"]
            console().print(table(names, rows))
        else:
            print_settings(found, settings)
        if picture:
            console().print(f"written: {picture}")
        return OK


def setting_row(found: StudyResults, one: SettingResult) -> dict[str, Any]:
    """Return a setting as a row of numbers."""
    test = one.metric.replace("validation_", "test_")
    seconds = one.means.get("train_seconds")
    return {
        "setting": one.number,
        **{name: _cell(one.setting.get(name)) for name in found.options},
        "runs": len(one.values),
        one.metric: _none(one.mean),
        "deviation": _none(one.deviation),
        **({test: one.means.get(test)} if test != one.metric else {}),
        "p": one.p,
        "test": one.test,
        "train_seconds": seconds,
    }


def print_settings(found: StudyResults, settings: Sequence[SettingResult]) -> None:
    """Print the settings, and what is to be known of the columns."""
    out = console()
    rows, metric = [], settings[0].metric if settings else found.metric
    for one in settings:
        row = setting_row(found, one)
        spread = row.pop("deviation")
        value = row[metric]
        row[metric] = "" if value is None else f"{value:.4f}"
        row[metric] += "" if spread is None else f" ± {spread:.4f}"
        row["runs"] = f"{len(one.values)}/{one.runs}" if not one.whole else str(one.runs)
        seconds = row.pop("train_seconds")
        row["seconds"] = "" if seconds is None else f"{seconds:.2f}"
        row["p"] = "" if one.p is None else f"{one.p:.2g}"
        row.pop("test")
        others = {k: v for k, v in row.items() if isinstance(v, float) and k.startswith("test_")}
        row |= {name: f"{value:.4f}" for name, value in others.items()}
        # Words break at spaces: a terminal of 80 columns has no place for names of options.
        short = {"setting": "#"}
        rows.append({short.get(k, k.replace("_", " ")): cell for k, cell in row.items()})
    out.print(table(list(rows[0]) if rows else [], rows, compact=True))
    for line in notes(found, settings):
        out.print(line)


def notes(found: StudyResults, settings: Sequence[SettingResult]) -> list[str]:
    """Return what is to be known of a table of settings."""
    lines = []
    if settings and settings[0].values:
        best = settings[0]
        spread = "" if math.isnan(best.deviation) else f" ± {best.deviation:.4f}"
        lines.append(f"best: {best.named()}: {best.metric} {best.mean:.4f}{spread}")
    tests = list(dict.fromkeys(one.test for one in settings if one.test))
    if tests:
        base = next(one.number for one in settings if one.p is None)
        words = " or ".join(WORDS[test] for test in tests)
        many = sum(one.p is not None for one in settings)
        lines.append(f"p: of a difference to setting {base} by chance, {words}, "
                     f"Holm's correction for {many}; ±: standard deviation")  # fmt: skip
    elif any(one.runs < 2 for one in settings):
        lines.append("one seed: no deviation and no p. Try: seeds = 3")
    for state in (FAILED, LEFT):
        if found.count(state):
            lines.append(f"{state}: {found.count(state)} of {len(found.entries)} runs")
    why = next((entry.why for entry in found.entries if entry.why), "")
    if why:
        lines.append(f"the first that failed: {why}")
    if settings and settings[0].metric.startswith("test_") and len(settings) > 1:
        lines.append("note: the best is chosen by the test part, which is then too good for it. "
                     "Try: validation_share = 0.2")  # fmt: skip
    return lines


def told(found: StudyResults, settings: Sequence[SettingResult]) -> dict[str, Any]:
    """Return all of it for JSON."""
    return {
        "study": str(found.folder),
        "metric": settings[0].metric if settings else found.metric,
        "jobs": len(found.entries),
        "failed": found.count(FAILED),
        "unfinished": found.count(LEFT),
        "settings": [
            {**setting_row(found, one), "values": {str(k): v for k, v in one.values.items()}}
            for one in settings
        ],
    }


def _cell(value: object) -> object:
    return value if isinstance(value, int | float | str | None) else text_of(value)


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value
