"""Rows as tables: for a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


def text(value: Any) -> str:
    """Return a cell."""
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def markdown(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    cells = [[text(row.get(c)).replace("|", "\\|") for c in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], compact: bool = False
) -> Table:
    """Return rows as a table for a terminal; a number stands on one line."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0)) if compact else Table()
    for column in columns:
        number = all("±" in text(row.get(column)) or not text(row.get(column)) for row in rows)
        made.add_column(column, overflow="fold", no_wrap=bool(rows) and number)
    for row in rows:
        made.add_row(*(text(row.get(column)) for column in columns))
    return made
