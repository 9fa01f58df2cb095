"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from lava_dyads.errors import DyadsError, invalid

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of a disk that cannot take more: full, over quota, past a limit, read-only, broken."""

_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, MemoryError,
    OverflowError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise about a file that is damaged or something else."""


@contextmanager
def opened_arrays(path: Path) -> Iterator[NpzFile]:
    """Open an .npz file; whatever turns out to be wrong with it is a ValueError of one line.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, or no such file; inside the block, too.
    """
    try:
        # numpy leaves a file open that is no whole archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (DyadsError, FileNotFoundError):
        raise
    except _UNREADABLE as error:
        detail = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(detail) from error


def check_writable(what: str, path: Path) -> None:
    """Raise where a file could not be written at the end of a long run.

    Raises
    ------
    ValidationError
        If the path is a folder, or its folder is missing or not writable.
    """
    if path.is_dir():
        invalid(what, "is a folder", str(path), f"{path / 'a file'}")
    if not path.parent.is_dir():
        invalid(what, "its folder does not exist", str(path), f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        invalid(what, "its folder is not writable", str(path), "another folder")


def write_atomically(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part.

    What it replaces is there until then, also where the program is killed in between or the
    machine loses its power: the new one is on the disk before it takes the name.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: its files are nobody else's, and a result may be read like any new file.
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        with made.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of the files in a folder on the disk, where the system can do that."""
    with contextlib.suppress(OSError):  # Windows opens no folder, some file systems sync none
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_arrays(path: Path, header: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file atomically, with a text beside the arrays."""
    # By way of the memory: numpy's archive complains once more where the disk has failed it.
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array(header), **arrays)
    # Released at once, whatever happens: a buffer that outlives its memory crashes Python 3.12.
    with buffer.getbuffer() as content:
        write_atomically(path, content)


PART = ".part"
"""How the names of files end that are being written."""


def is_part(path: Path) -> bool:
    """Tell whether a file is what a killed program has left half-written."""
    return path.name.startswith(".") and path.suffix == PART


def remove_parts(folder: Path) -> None:
    """Remove what killed programs have left half-written in a folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if is_part(path):
            path.unlink(missing_ok=True)
