"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part."""
    data = content.encode() if isinstance(content, str) else content
    with atomically(path) as file:
        file.write(data)


@contextmanager
def atomically(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to that takes its place at the end of the block, if nothing is raised.

    What it replaces is there until then, also where the program is killed in between.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        # mkstemp gives 0600; a result may be read by others like any new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


PART = ".part"
"""How the names of files end that are being written."""


def remove_parts(folder: Path) -> None:
    """Remove what a killed program has left half-written in a folder."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)
