"""Results that are tables: shown as such by notebooks, and made into frames of pandas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lava_dyads.optional import imported

if TYPE_CHECKING:
    import pandas

LONGEST = 40
"""Rows that a notebook shows; of more, the first and the last ones."""


class Tabular(ABC):
    """Something with rows, each of the same columns."""

    @abstractmethod
    def records(self) -> list[dict[str, object]]:
        """Return the rows, each by the names of the columns."""

    def to_frame(self) -> pandas.DataFrame:
        """Return the table as a frame of pandas (extra ``tables``).

        Raises
        ------
        UnsupportedError
            If pandas is not installed.
        """
        frames = imported("pandas", "to_frame: frames", "tables")
        made: pandas.DataFrame = frames.DataFrame(self.records())
        return made

    def _repr_html_(self) -> str | None:
        """Return the table for a notebook; of a single row its columns stand below each other."""
        rows = self.records()
        if len(rows) == 1:
            return _html((), [(f"<b>{escape(k)}</b>", _shown(v)) for k, v in rows[0].items()])
        cells = [tuple(map(_shown, row.values())) for row in rows]
        names = tuple(rows[0]) if rows else ()
        if len(cells) > LONGEST:
            half = LONGEST // 2
            cells = [*cells[:half], ("...",) * len(names), *cells[-half:]]
        return _html(names, cells)


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "<br>".join(map(_shown, value))
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))


def _html(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in cells]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
