"""Tables as text: values with commas, semicolons, tabs or spaces between."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lava_dyads.data.contents import MISSING, Column, How, Table, of_texts
from lava_dyads.errors import DataError, message
from lava_dyads.files import read_whole

NAME = "delimited"
SUFFIXES = (".csv", ".tsv", ".txt")
SUMMARY = "a table of text (CSV)"

_DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "spaces"}
_LOOKED_AT = 20
"""Lines that say what stands between fields."""

_BLOCK = 1000
"""Lines whose texts are held at a time."""

Line = tuple[int, list[str]]


def read(path: Path, how: How) -> Table:
    """Return the table of a file.

    Fields are separated by the first of tab, semicolon, comma and space that is in the first line
    and as often in those below; lines that begin with # are passed over. The first line is a
    header, with ``auto``, if none of its fields is a number, or a text stands over a number, or it
    counts its columns from 0 or 1, as pandas does for arrays (three columns or more).
    """
    return parse_bytes(str(path), read_whole(path), how.header)


def parse_bytes(what: str, content: bytes, header: str = "auto") -> Table:
    """Return the table of a text in UTF-8.

    Raises
    ------
    DataError
        If it is something else.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "to save it as UTF-8"
        raise DataError(f"{what}: is no text in UTF-8 ({error.reason}). Try: {hint}") from error
    return parse(what, text, header)


def parse(what: str, text: str, header: str = "auto") -> Table:
    """Return the table of a text.

    Raises
    ------
    DataError
        If it has no rows, or a line more or fewer fields than the first.
    """
    mark = _delimiter(text)
    begin = list(islice(_lines(text, mark), 2))
    if not begin:
        raise DataError(message(what, "holds no rows", "nothing", "a row per line"))
    named = header == "yes" or (header == "auto" and _is_header([row for _, row in begin]))
    first = begin[0][1]
    names = _names(first) if named else tuple(str(k) for k in range(len(first)))

    def rows() -> Iterator[Line]:
        return islice(_lines(text, mark), 1 if named else 0, None)

    reader = _Reader(what, names, "_" in text)
    # Whether a column holds texts is plain from its first lines, or else all is read once more.
    texts = reader.texts(islice(rows(), _BLOCK), set())
    while (more := texts | reader.texts(rows(), texts)) != texts:
        texts = more
    lines = np.concatenate(reader.lines) if reader.lines else np.zeros(0, np.int64)
    if not len(lines):
        hint = "--header no"
        raise DataError(message(what, "holds a header and no rows", ", ".join(names), hint))
    columns = tuple(reader.column(k) for k in range(len(names)))
    width = len(names)
    words = "the first line taken as names" if named else "no line of names"
    apart = f", {_DELIMITERS[mark]} between" if width > 1 else ""
    size = f"{len(lines)} row{'s' * (len(lines) > 1)} of {width} column{'s' * (width > 1)}"
    return Table(what, columns, len(lines), f"{size}{apart}, {words}", named, lines)


class _Reader:
    """The columns of a table, block by block."""

    def __init__(self, what: str, names: tuple[str, ...], underscores: bool) -> None:
        self.what, self.names = what, names
        self._number = _careful if underscores else float
        self.lines: list[Any] = []
        self._parts: list[list[Any]] = []

    def texts(self, rows: Iterator[Line], known: set[int]) -> set[int]:
        """Read rows; return the columns with texts beside those that are known to have some."""
        found: set[int] = set()
        self.lines, self._parts = [], [[] for _ in self.names]
        while block := list(islice(rows, _BLOCK)):
            for line, row in block:
                if len(row) != len(self.names):
                    limit = f"needs {len(self.names)} fields, as the first line has"
                    hint = "as many fields in every line"
                    where = f"{self.what}, line {line}"
                    raise DataError(message(where, limit, len(row), hint))
            self.lines.append(np.array([line for line, _ in block], np.int64))
            for k, fields in enumerate(zip(*(row for _, row in block), strict=True)):
                if k in known:
                    self._parts[k] += map(_text, fields)
                elif k not in found and not self._numbers(k, fields):
                    found.add(k)
        return found

    def _numbers(self, k: int, fields: Sequence[str]) -> bool:
        """Take the numbers of a column; tell whether they are some."""
        try:
            made = list(map(self._number, fields))
        except ValueError:
            try:
                made = [
                    np.nan if field.strip().lower() in MISSING else self._number(field)
                    for field in fields
                ]
            except ValueError:
                return False
        self._parts[k].append(np.array(made, np.float64))
        return True

    def column(self, k: int) -> Column:
        """Return a column."""
        parts = self._parts[k]
        if parts and isinstance(parts[0], np.ndarray):
            return Column(self.names[k], np.concatenate(parts))
        return of_texts(self.names[k], parts)


def _delimiter(text: str) -> str:
    """Return what stands between fields: the first that is as often in every line."""
    lines = io.StringIO(text, newline="")
    first = next((line for line in lines if _counts(line)), "")
    marks = [mark for mark in _DELIMITERS if mark in first.strip(" \r\n")]
    for mark in marks:
        with contextlib.suppress(csv.Error):  # it is within quotes
            widths = {len(row) for _, row in islice(_lines(text, mark, strict=True), _LOOKED_AT)}
            if len(widths) == 1 and widths != {1}:
                return mark
    return marks[0] if marks else ","


def _lines(text: str, mark: str, strict: bool = False) -> Iterator[Line]:
    """Yield number and fields of the lines that count."""
    lines: Any = io.StringIO(text, newline="")
    if mark == " ":
        lines = (line.strip(" \r\n") + "\n" for line in lines)
    found = csv.reader(lines, delimiter=mark, skipinitialspace=mark != "\t", strict=strict)
    for row in found:
        if row and _counts(row[0], row):
            yield found.line_num, row


def _names(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a header, each once: a second a is a.1, as with pandas."""
    names: list[str] = []
    taken: set[str] = set()
    for field in fields:
        name, k = field.strip(), 0
        while (f"{name}.{k}" if k else name) in taken:
            k += 1
        names.append(f"{name}.{k}" if k else name)
        taken.add(names[-1])
    return tuple(names)


def _counts(line: str, row: Sequence[str] = ("",)) -> bool:
    """Tell whether a line is one of the table: neither empty nor a comment."""
    return (bool(line.strip()) or len(row) > 1) and not line.lstrip().startswith("#")


def _text(field: str) -> str | None:
    made = field.strip()
    return None if made.lower() in MISSING else made


def _careful(field: str) -> float:
    """Return a number, without the underscores that Python takes in one."""
    if "_" in field:
        raise ValueError(field)
    return float(field)


def _is_number(field: str) -> bool:
    try:
        _careful(field)
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
