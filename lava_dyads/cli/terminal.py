"""What a terminal may lack: width, letters, or anybody who reads."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator

NARROWEST = 60
"""Columns: in fewer, numbers of a table would be cut in two."""


@contextlib.contextmanager
def any_terminal() -> Iterator[None]:
    """Print to any terminal inside the block, and leave the streams as they were.

    Letters that it lacks are written as their numbers, what is printed to a closed stream is
    dropped, and one that is too narrow is written beyond its edge.
    """
    with contextlib.ExitStack() as undo:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # closed before the program began
                nobody = undo.enter_context(open(os.devnull, "w", encoding="utf-8"))
                undo.callback(setattr, sys, name, None)
                setattr(sys, name, nobody)
            elif hasattr(stream, "reconfigure"):
                undo.callback(_letters, stream, stream.errors)
                stream.reconfigure(errors="backslashreplace")
        asked = os.environ.get("COLUMNS", "")
        width = int(asked) if asked.isdecimal() else shutil.get_terminal_size().columns
        if width < NARROWEST:
            undo.callback(_environment, "COLUMNS", os.environ.get("COLUMNS"))
            os.environ["COLUMNS"] = str(NARROWEST)
        yield


def nobody_reads() -> None:
    """Let nothing more be written to standard output, whose reader has gone."""
    with contextlib.suppress(OSError, ValueError):
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, sys.stdout.fileno())
        os.close(nobody)


def _letters(stream: object, errors: str | None) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.reconfigure(errors=errors)  # type: ignore[attr-defined]


def _environment(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
