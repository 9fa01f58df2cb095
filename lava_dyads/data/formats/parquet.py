"""Parquet files, by pyarrow (extra ``tables``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava_dyads.data.contents import Column, How, Table
from lava_dyads.data.frames import arrow_column
from lava_dyads.errors import DataError, message
from lava_dyads.files import opened
from lava_dyads.memory import check_memory
from lava_dyads.optional import imported

NAME = "parquet"
SUFFIXES = (".parquet", ".pq")
SUMMARY = "a Parquet file"


def read(path: Path, how: How) -> Table:
    """Return the table of a file; pandas' index is no column of it."""
    parquet, types = (
        imported(f"pyarrow.{name}", "Parquet files", "tables") for name in ("parquet", "types")
    )
    with opened(path):  # a device is none
        pass
    file: Any = parquet.ParquetFile(path)
    rows, width = file.metadata.num_rows, file.metadata.num_columns
    check_memory(str(path), 8.0 * rows * width, "fewer rows or columns")
    table = file.read()
    table = table.drop_columns([n for n in table.column_names if n.startswith("__index_level_")])
    if not table.num_rows or not table.num_columns:
        size = f"{table.num_rows} rows of {table.num_columns} columns"
        raise DataError(message(str(path), "holds no rows", size, "a row per sample"))
    columns: tuple[Column, ...] = tuple(
        arrow_column(name, table.column(k), types) for k, name in enumerate(table.column_names)
    )
    size = f"{table.num_rows} rows of {table.num_columns} columns"
    return Table(str(path), columns, table.num_rows, size)
