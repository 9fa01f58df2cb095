"""``lava-dyads study``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tyro.conf import Positional, arg

from lava_dyads.checks import check_fields
from lava_dyads.cli.common import FAILED, OK, console, print_json, progress_console
from lava_dyads.cli.config_file import OWN, named_options, sizes_of
from lava_dyads.cli.study_show import print_settings, told
from lava_dyads.cli.train import Train
from lava_dyads.data import Dataset, Reading, read_as
from lava_dyads.errors import ValidationError, invalid, nearest
from lava_dyads.files import read_whole, reason
from lava_dyads.networks.node_graph import toml_tables
from lava_dyads.studies import Job, Range, Search, StudyResults, study
from lava_dyads.studies.results import FAILED as FAILED_JOB
from lava_dyads.studies.results import Entry
from lava_dyads.studies.space import Setting, space_of
from lava_dyads.studies.study import On, Watcher

KEYS = ("seeds", "search", "trials", "search_seed", "metric", "out", "train", "space")
"""What a study's file may hold."""

NOT_TRIED = (*OWN, "seed", "log", "report", "profile")
"""Options of train that a study has no use for."""


@dataclass(frozen=True, kw_only=True)
class StudyCommand:
    """Train with every setting of a study and every seed, in parallel; compare the settings.

    FILE is TOML: seeds, search (grid, random, optuna), trials; options of train that stay in
    [train], those that are tried in [space], as lists or ranges. The same command goes on with a
    study that was interrupted; lava-dyads study show OUT shows it, docs/studies.md has examples.
    """

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """The study, a .toml file."""
    out: Path | None = None
    """Folder of the study; default: the one that FILE names, or studies/NAME."""
    workers: int | None = None
    """How many runs at a time; default: as many as cores."""
    on: On = "processes"
    """Processes of this machine, or workers of Dask (extra cluster)."""
    scheduler: str = ""
    """Address of a Dask cluster whose workers see the folder; default: a cluster on this
    machine."""
    overwrite: bool = False
    """Remove what another study has left in the folder."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Carry it out; return the exit code."""
        plan = StudyFile.read(self.file)
        out = self.out or plan.out or Path("studies") / self.file.stem
        bar = _Bar()
        try:
            found = study(
                plan.job,
                plan.space,
                out,
                seeds=plan.seeds,
                search=plan.search,
                metric=plan.metric,
                on="dask" if self.scheduler else self.on,
                workers=self.workers,
                scheduler=self.scheduler,
                overwrite=self.overwrite,
                watcher=bar,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt("to go on: the same command") from None
        if self.json:
            print_json(told(found, found.settings()))
        else:
            print_settings(found, found.settings())
            console().print(f"written: {out}/results.csv")
        return FAILED if found.count(FAILED_JOB) else OK


@dataclass(frozen=True)
class StudyFile:
    """What a study's file says."""

    fixed: dict[str, Any]
    space: dict[str, list[Any] | Range]
    seeds: Any
    search: Search
    metric: str
    out: Path | None
    data: dict[tuple[str, Reading], Dataset] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path) -> StudyFile:
        """Read a file.

        Raises
        ------
        ValidationError
            If it cannot be read, or says what a study does not know.
        """
        try:
            held = toml_tables(read_whole(path).decode())
        except (OSError, ValueError, RecursionError) as error:
            why = f"study: {path} cannot be read ({reason(error)})"
            raise ValidationError(f"{why}. Try: a .toml file, docs/studies.md") from error
        for name in held:
            if name not in KEYS:
                hint = f"{nearest(name, KEYS)}; options of train belong into [train] or [space]"
                invalid(f"study: {path}", "unknown key", name, hint)
        known = {f.name for f in fields(Train)}
        tables: dict[str, dict[str, Any]] = {}
        for table in ("train", "space"):
            given = held.get(table, {})
            if not isinstance(given, Mapping):
                invalid(f"study: {path}", f"[{table}] must be a table", given, f"[{table}]")
            tables[table] = named_options(given, known, f"study: [{table}]", path)
            for name in tables[table]:
                if name in NOT_TRIED:
                    hint = "seeds = 3" if name == "seed" else "to leave it out"
                    limit = f"{path} names an option that a study has its own of, or none"
                    invalid(f"study: [{table}]", limit, name, hint)
        space = space_of(tables["space"])
        if isinstance(space.get("layers"), list):
            space["layers"] = [sizes_of(sizes) for sizes in space["layers"]]  # type: ignore[union-attr]
        if "dataset" not in tables["train"] and "dataset" not in space:
            hint = 'dataset = "digits" in [train]'
            invalid(f"study: {path}", "names no data set", sorted(tables["train"]), hint)
        for name in tables["train"].keys() & space.keys():
            invalid(f"study: {path}", "is both in [train] and in [space]", name, "one of them")
        method = held.get("search", "grid")
        search = Search(method, held.get("trials"), held.get("search_seed", 0))
        metric, out = held.get("metric", ""), held.get("out")
        for name, text in (("metric", metric), ("out", out or "")):
            if not isinstance(text, str):
                invalid(f"study: {path}: {name}", "must be a text", text, f'{name} = "..."')
        made = cls(tables["train"], space, held.get("seeds", 1), search, metric,
                   Path(out) if out else None)  # fmt: skip
        return made

    def job(self, seed: int, **setting: Any) -> Job:
        """Return the job of a setting and a seed."""
        train = self.train({**setting, "seed": seed})
        reading = train.reading()
        key = train.dataset, reading
        data = self.data[key] = self.data.get(key) or read_as(train.dataset, reading)
        return train.job(data)[0]

    def train(self, setting: Setting) -> Train:
        """Return the command that would do the same as a job."""
        made = Train(**{**self.fixed, **setting})
        check_fields(made, "train.")
        return made


class _Bar(Watcher):
    """A bar over all jobs, on standard error."""

    def __init__(self) -> None:
        self._console = progress_console()
        columns = (
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[best]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True)

    def on_begin(self, jobs: int, done: int) -> None:
        """Draw it."""
        self._task = self._bar.add_task("", total=jobs, completed=done, best="")
        self._done, self._jobs = done, jobs
        if done:
            self.on_note(f"goes on: {done} of {jobs} runs are done")
        if self._console.is_terminal:
            self._bar.start()

    def on_note(self, text: str) -> None:
        """Print the line."""
        self._console.print(text, soft_wrap=True)

    def on_job(self, results: StudyResults, entry: Entry) -> None:
        """Let it grow."""
        self._done += 1
        best = results.best
        words = "" if best is None else f"best {results.metric.replace('_', ' ')} {best.mean:.4f}"
        self._bar.update(self._task, completed=self._done, best=words)
        if not self._console.is_terminal:
            self._console.print(f"run {self._done}/{self._jobs}: {entry.name}, {words}",
                                soft_wrap=True)  # fmt: skip

    def on_end(self) -> None:
        """Take it away."""
        self._bar.stop()
