"""``lava-dyads reproduce``."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.cli.common import FAILED, OK, console, print_json, working
from lava_dyads.errors import invalid, nearest
from lava_dyads.experiments.papers import STUDIES, Study
from lava_dyads.files import plain, write_atomically


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """Measure a figure of a paper again: numbers, drawing, and what agrees with the paper.

    Without a name it lists the figures. Writes NAME.json and NAME.png into --out. Exit code 1 if
    something does not agree.
    """

    name: Positional[Annotated[str, arg(metavar="NAME")]] = ""
    """Figure; empty: list them."""
    full: bool = False
    """The paper's size instead of a short one."""
    seed: int = 0
    """Of networks and data."""
    out: Path = Path("runs/reproduce")
    """Folder of the numbers and the drawing."""
    no_save: bool = False
    """Write no files."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Measure, write, print; return the exit code."""
        if not self.name:
            return self._list()
        if self.name not in STUDIES:
            invalid("figure", "unknown name", self.name, nearest(self.name, STUDIES))
        if self.seed < 0:
            invalid("--seed", "must be at least 0", self.seed, "0")
        study = STUDIES[self.name]
        files = [self.out / f"{self.name}.{kind}" for kind in ("json", "png")]
        if not self.no_save:
            self._make_folder()
        with working() as report:
            numbers = study.measure(full=self.full, seed=self.seed, report=report)
        result = study.result(numbers, full=self.full, seed=self.seed)
        if not self.no_save:
            self._write(study, result, *files)
        if self.json:
            print_json(result)
        else:
            self._print(study, result, [] if self.no_save else files)
        return OK if result["agrees"] else FAILED

    def _make_folder(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if os.access(self.out, os.W_OK):
                return
            reason = "is not writable"
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
        invalid("--out", f"the folder cannot be used: {reason}", str(self.out), "--no-save")

    def _list(self) -> int:
        if self.json:
            print_json({"figures": {n: [s.shows, s.paper] for n, s in STUDIES.items()}})
            return OK
        table = Table("name", "shows", "paper", title="figures", title_justify="left")
        for name, study in STUDIES.items():
            table.add_row(name, study.shows, study.paper)
        console().print(table)
        return OK

    def _write(self, study: Study, result: dict[str, Any], numbers: Path, picture: Path) -> None:
        from lava_dyads.plots.canvas import canvas, save

        text = json.dumps(plain(result), indent=1, allow_nan=False) + "\n"
        write_atomically(numbers, text.encode())
        figure = canvas(*study.size)
        study.draw(result["numbers"], figure)
        save(figure, picture)

    def _print(self, study: Study, result: dict[str, Any], files: list[Path]) -> None:
        out = console()
        rows = study.rows(result["numbers"])
        title = f"{study.name}: {study.shows}"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        names = list(dict.fromkeys(name for row in rows for name in row))
        for name in names:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*(str(row.get(name, "")) for name in names))
        out.print(table)
        out.print(study.paper)
        for finding in result["findings"]:
            word = "agrees    " if finding["agrees"] else "DISAGREES "
            out.print(f"{word} {finding['claim']}: {finding['measured']}")
        for file in files:
            out.print(f"written: {file}")
