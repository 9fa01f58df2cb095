"""What a study has measured: a row per job, and settings compared over their seeds."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lava_dyads.errors import CheckpointError, invalid, message, nearest
from lava_dyads.files import AnyPath, as_path, reason, write_atomically
from lava_dyads.optional import imported
from lava_dyads.studies.comparison import SettingResult, compared
from lava_dyads.studies.space import Setting, text_of
from lava_dyads.tables import Tabular
from lava_dyads.training.files import RESULT
from lava_dyads.training.metrics import SCORES

STUDY, RUNS, DATA, TABLE = "study.json", "runs", "data", "results.csv"
"""Files and folders of a study."""

FINISHED, FAILED, LEFT = "finished", "failed", "unfinished"
"""States of a job."""


@dataclass(frozen=True)
class Entry:
    """A job of a study on the disk.

    Attributes
    ----------
    name : str
        Of its run directory.
    setting : dict
        What is tried.
    seed : int
    why : str
        Why it has failed; empty: it has not.
    """

    name: str
    setting: Setting
    seed: int
    why: str = ""


@dataclass(frozen=True)
class StudyResults(Tabular):
    """The results of a study; a table, a row per job.

    Attributes
    ----------
    folder : Path
    entries : list of Entry
        All its jobs.
    results : dict
        What result.json holds, by the name of the job.
    asked : str
        The metric that the study is about; empty: what :attr:`metric` says.
    """

    folder: Path
    entries: list[Entry]
    results: dict[str, dict[str, Any]] = field(repr=False)
    asked: str = ""

    @classmethod
    def read(cls, folder: AnyPath) -> StudyResults:
        """Read what there is so far.

        Raises
        ------
        CheckpointError
            If the folder holds no study, or it is damaged.
        """
        folder = as_path("study", folder)
        if not (folder / STUDY).is_file():
            hint = "the --out of lava-dyads study"
            raise CheckpointError(message("study", "holds no study", str(folder), hint))
        try:
            held = json.loads((folder / STUDY).read_text(encoding="utf-8"))
            entries = [Entry(**entry) for entry in held["jobs"]]
            results = {}
            for entry in entries:
                path = folder / RUNS / entry.name / RESULT
                if path.is_file():
                    results[entry.name] = dict(json.loads(path.read_text(encoding="utf-8")))
            return cls(folder, entries, results, str(held.get("metric", "")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            why = f"cannot be read ({reason(error)})"
            text = message("study", why, str(folder), "lava-dyads study FILE --overwrite")
            raise CheckpointError(text) from error

    @property
    def options(self) -> list[str]:
        """The names of what is tried."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.setting))

    @property
    def metric(self) -> str:
        """By which settings are compared: what was asked for, or the score of the validation part.

        Where there is no such part it is that of the test part, which then chooses, too, and is
        too good for the setting that it has chosen.
        """
        if self.asked:
            return self.asked
        known = next(iter(self.results.values()), {})
        names = [f"{part}_{score}" for part in ("validation", "test", "train") for score in SCORES]
        return next((name for name in names if name in known), "test_accuracy")

    def state(self, entry: Entry) -> str:
        """Return how far a job is."""
        return FINISHED if entry.name in self.results else FAILED if entry.why else LEFT

    def count(self, state: str) -> int:
        """Return how many jobs are in a state."""
        return sum(self.state(entry) == state for entry in self.entries)

    def records(self) -> list[dict[str, object]]:
        """Return a row per job: what is tried, seed, state, results, folder."""
        tried = self.options
        measured = dict.fromkeys(
            name
            for result in self.results.values()
            for name, value in result.items()
            if isinstance(value, int | float | str | bool | None) and name not in (*tried, "seed")
        )
        rows: list[dict[str, object]] = []
        for entry in self.entries:
            result = self.results.get(entry.name, {})
            rows.append({
                **{name: _cell(entry.setting.get(name)) for name in tried},
                "seed": entry.seed,
                "state": self.state(entry),
                **{name: result.get(name) for name in measured},
                "why": entry.why,
                "run": f"{RUNS}/{entry.name}",
            })  # fmt: skip
        return rows

    def settings(self, metric: str = "", against: int | None = None) -> list[SettingResult]:
        """Return the settings, best first, each compared with one of them.

        Parameters
        ----------
        metric : str
            Of the results; empty: :attr:`metric`.
        against : int or None
            Number of the setting with which the others are compared; None: the best one.

        Raises
        ------
        ValidationError
            If there is no such metric, or no such setting.
        """
        metric = metric or self.metric
        self._check(metric)
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries:
            groups.setdefault(json.dumps(entry.setting, sort_keys=True), []).append(entry)
        made = []
        for number, members in enumerate(groups.values(), 1):
            there = {e.seed: self.results[e.name] for e in members if e.name in self.results}
            values = {seed: result[metric] for seed, result in there.items()
                      if _number(result.get(metric))}  # fmt: skip
            names = {name for result in there.values() for name in result}
            columns = {name: [r[name] for r in there.values() if _number(r.get(name))]
                       for name in names}  # fmt: skip
            others = {name: sum(column) / len(column) for name, column in columns.items() if column}
            made.append(
                SettingResult(number, members[0].setting, metric, len(members), values, others)
            )
        return compared(made, against)

    @property
    def best(self) -> SettingResult | None:
        """The best setting; None: no job is finished."""
        found = self.settings()
        return found[0] if found and found[0].values else None

    def _check(self, metric: str) -> None:
        known = {k for result in self.results.values() for k, v in result.items() if _number(v)}
        if self.results and metric not in known:
            invalid("--metric", "no run has measured it", metric, nearest(metric, sorted(known)))

    def save(self) -> list[Path]:
        """Write the table of all jobs, as CSV and, where pyarrow is installed, as Parquet."""
        rows = self.records()
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        path = self.folder / TABLE
        write_atomically(path, buffer.getvalue())
        made = [path]
        if find_spec("pyarrow") is not None and rows:
            arrow, parquet = (imported(name, "Parquet files", "tables")
                              for name in ("pyarrow", "pyarrow.parquet"))  # fmt: skip
            sink = arrow.BufferOutputStream()
            columns = {name: _column([row[name] for row in rows]) for name in rows[0]}
            parquet.write_table(arrow.table(columns), sink)
            made.append(path.with_suffix(".parquet"))
            write_atomically(made[-1], sink.getvalue().to_pybytes())
        return made


def _cell(value: object) -> object:
    """Return a value for a table: numbers and texts as they are."""
    return value if isinstance(value, int | float | str | None) else text_of(value)


def _column(values: Sequence[object]) -> list[object]:
    """Return a column of one kind."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) > 1:
        return [None if value is None else float(value) for value in values]  # type: ignore[arg-type]
    return list(values) if len(kinds) <= 1 else [text_of(value) for value in values]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def as_json(entries: Sequence[Entry], about: Mapping[str, Any]) -> str:
    """Return the text of study.json."""
    jobs = [{"name": e.name, "setting": e.setting, "seed": e.seed, "why": e.why} for e in entries]
    return json.dumps({**about, "jobs": jobs}, indent=1) + "\n"
