"""``lava-dyads data list | get | verify``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Annotated

from rich.table import Table
from tyro.conf import Positional, arg

from lava_dyads.cli.common import FAILED, OK, console, print_json, working
from lava_dyads.data import available
from lava_dyads.errors import DataError, message, nearest

Names = Positional[Annotated[tuple[str, ...], arg(metavar="DATASET ...")]]


@dataclass(frozen=True, kw_only=True)
class DataList:
    """List the data sets: what they are, and whether they are on this machine."""

    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Print; return the exit code."""
        _print(_chosen(()), self.json)
        return OK


@dataclass(frozen=True, kw_only=True)
class DataGet:
    """Fetch data sets into the user's cache, verified by checksum.

    What is there is kept; what is damaged in the cache is fetched anew; a download that broke off
    goes on where it ended if the server permits.
    """

    datasets: Names
    """Names."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Fetch; return the exit code."""
        modules = _chosen(self.datasets)
        for name, module in modules.items():
            with working(name) as report:
                module.SOURCE.get(report)
        _print(modules, self.json)
        return OK


@dataclass(frozen=True, kw_only=True)
class DataVerify:
    """Compare the files of data sets with their published checksums; fetch nothing.

    Exit code 1 if one is damaged, or absent although it was named.
    """

    datasets: Names = ()
    """Names; all by default."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run(self) -> int:
        """Verify; return the exit code."""
        bad = {"damaged", "absent"} if self.datasets else {"damaged"}
        found = _print(_chosen(self.datasets), self.json)
        return FAILED if found & bad else OK


def _chosen(names: tuple[str, ...]) -> dict[str, ModuleType]:
    known = available()
    for name in names:
        if name not in known:
            raise DataError(message("data set", "unknown name", name, nearest(name, known)))
    return {name: known[name] for name in names or known}


def _print(modules: dict[str, ModuleType], as_json: bool) -> set[str]:
    """Print the state of data sets; return the statuses there are."""
    states = {name: module.SOURCE.state() for name, module in modules.items()}
    if as_json:
        rows = {
            name: {"summary": modules[name].SUMMARY, **asdict(state)}
            for name, state in states.items()
        }
        print_json({"data": rows})
    else:
        table = Table(title="data sets", title_justify="left")
        for column in ("name", "what", "status", "where"):
            table.add_column(column)
        for name, state in states.items():
            table.add_row(name, modules[name].SUMMARY, state.status, state.where)
        console().print(table)
        for state in states.values():
            if state.problem:
                console().print(state.problem)
    return {state.status for state in states.values()}
