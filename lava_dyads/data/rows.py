"""Rows of numbers without labels, from files: CSV and other tables, .npy and .npz."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.errors import DataError, message
from lava_dyads.files import AnyPath, as_path, opened_arrays, read_whole, reason

TABLES, ARRAYS = (".csv", ".tsv", ".txt"), (".npy", ".npz")
"""How the names of files end that are read."""

HEADERS = ("auto", "yes", "no")

_DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "spaces"}
_BLOCK = 1000
"""Lines whose texts are held at a time."""


@dataclass(frozen=True)
class Rows:
    """Rows of a file; ``to_numpy`` and ``columns`` are those of a frame.

    Attributes
    ----------
    x : array
        Of whatever shape the file has.
    columns : tuple of str, or None
        Names of the columns, where the file has some.
    taken : str
        How the file was read, in words.
    """

    x: NDArray[Any]
    columns: tuple[str, ...] | None
    taken: str

    def to_numpy(self) -> NDArray[Any]:
        """Return the rows."""
        return self.x


def read_rows(path: AnyPath, header: str = "auto") -> Rows:
    """Return the rows of a file.

    Tables are separated by the first of tab, semicolon and comma that is in their first line, or
    else by spaces; lines that begin with # are passed over. The first line is a header, with
    ``auto``, if none of its fields is a number, or a text stands over a number, or it counts its
    columns from 0 or 1, as pandas does for arrays (three columns or more).

    Parameters
    ----------
    path : str or path
        Ends in .csv, .tsv, .txt, .npy or .npz (an array ``x`` or ``X``).
    header : str
        ``auto``, ``yes`` or ``no``.

    Raises
    ------
    DataError
        If it is missing, of another kind, or holds something else; with the line and the column.
    """
    path = as_path("file", path)
    kind = path.suffix.lower()
    if kind not in (*TABLES, *ARRAYS):
        hint = "lava-dyads predict RUN rows.csv"
        limit = f"must end in {', '.join((*TABLES, *ARRAYS))}"
        raise DataError(message("FILE", limit, str(path), hint))
    try:
        if kind == ".npy":
            x = _mapped(path)
            return Rows(x, None, f"array {x.shape} of {x.dtype}")
        if kind == ".npz":
            return _archived(path)
        return _table(str(path), read_whole(path).decode("utf-8-sig"), header)
    except DataError:
        raise
    except FileNotFoundError as error:
        hint = "a file of rows, .csv or .npy"
        raise DataError(message("FILE", "no such file", str(path), hint)) from error
    except (OSError, ValueError, csv.Error) as error:
        hint = "numpy.save(path, rows)" if kind == ".npy" else "another file"
        raise DataError(f"{path}: cannot be read ({reason(error)}). Try: {hint}") from error


def _mapped(path: Path) -> NDArray[Any]:
    """Return an array that is read as it is used: a damaged head asks for no memory."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except OSError:
        raise
    except Exception as error:  # numpy raises what its parser of heads does
        raise ValueError(reason(error)) from error


def _archived(path: Path) -> Rows:
    with opened_arrays(path) as file:
        for name in ("x", "X"):
            if name in file.names:
                x = file[name]
                return Rows(x, None, f"{name}, array {x.shape} of {x.dtype}")
        held = ", ".join(file.names[:12]) or "nothing"
    raise DataError(message(f"{path}", "needs an array x or X", held, "numpy.savez(path, x=rows)"))


def _table(path: str, text: str, header: str) -> Rows:
    lines = io.StringIO(text, newline="")
    first = next((line for line in lines if _counts(line)), "")
    mark = next((mark for mark in _DELIMITERS if mark in first.strip(" \r\n")), ",")
    lines.seek(0)
    options: dict[str, Any] = {"delimiter": mark, "skipinitialspace": mark != "\t"}
    found = csv.reader((line.strip(" \r\n") + "\n" if mark == " " else line for line in lines),
                       **options)  # fmt: skip
    numbered = ((found.line_num, row) for row in found if row and _counts(row[0], row))
    begin = list(islice(numbered, 2))
    if not begin:
        raise DataError(message(path, "holds no rows", "nothing", "a row per line"))
    named = header == "yes" or (header == "auto" and _is_header([row for _, row in begin]))
    width = len(begin[0][1])
    names = tuple(name.strip() for name in begin[0][1]) if named else None
    blocks: list[NDArray[np.float64]] = []
    pending = begin[1:] if named else begin
    while pending:
        block = np.empty((len(pending), width))
        for k, (line, row) in enumerate(pending):
            block[k] = _row(path, line, row, width, names)
        blocks.append(block)
        pending = list(islice(numbered, _BLOCK))
    if not blocks:
        raise DataError(
            message(path, "holds a header and no rows", ", ".join(names or ()), "--header no")
        )
    x = np.concatenate(blocks)
    how = "the first line taken as names" if named else "no line of names"
    apart = f", {_DELIMITERS[mark]} between" if width > 1 else ""
    size = f"{len(x)} row{'s' * (len(x) > 1)} of {width} column{'s' * (width > 1)}"
    return Rows(x, names, f"{size}{apart}, {how}")


def _counts(line: str, row: Sequence[str] = ("",)) -> bool:
    """Tell whether a line is one of the table: neither empty nor a comment."""
    return (bool(line.strip()) or len(row) > 1) and not line.lstrip().startswith("#")


def _row(
    path: str, line: int, row: list[str], width: int, names: tuple[str, ...] | None
) -> list[float]:
    """Return the numbers of a line."""
    if len(row) != width:
        limit = f"needs {width} fields, as the first line has"
        hint = "as many fields in every line"
        raise DataError(message(f"{path}, line {line}", limit, len(row), hint))
    try:
        return list(map(float, row))
    except ValueError:
        column = next(k for k, field in enumerate(row) if not _is_number(field))
    where = f"{path}, line {line}, column {repr(names[column]) if names else column}"
    if not row[column].strip():
        raise DataError(message(where, "is missing", row[column], "a number in every field"))
    hint = "columns of numbers only"
    if len(names or ()) == 0 and line == 1:
        hint += ", or --header yes"
    raise DataError(message(where, "must be a number", row[column], hint))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _is_header(rows: list[list[str]]) -> bool:
    """Tell whether the first of two rows is a header."""
    first, below = rows[0], rows[-1]
    numbers = [_is_number(field) for field in first]
    if not any(numbers):
        return any(field.strip() for field in first)
    if all(numbers):
        counted = [[str(k + start) for k in range(len(first))] for start in (0, 1)]
        return len(first) > 2 and [field.strip() for field in first] in counted
    return any(
        field.strip() and not number and _is_number(under)
        for field, number, under in zip(first, numbers, below, strict=False)
    )
