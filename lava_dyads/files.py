"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import json
import math
import os
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lava_dyads.errors import DyadsError, UnwritableError, invalid
from lava_dyads.memory import check_memory

AnyPath: TypeAlias = str | os.PathLike[str]
"""What names a file or a folder: a text, a pathlib.Path, or whatever else is a path."""

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of a disk that cannot take more: full, over quota, past a limit, read-only, broken."""

NAMED = (
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG,
    errno.ELOOP, errno.EEXIST, errno.EINVAL, errno.EBUSY,
)  # fmt: skip
"""Errors of a file that somebody has named: another name helps."""

SMALL, EXPANSION = 1 << 27, 100
"""Bytes that any file may unpack to, and how many times its size a larger one may."""

LONGEST_NAME = 255
"""Bytes of the name of a file or of a folder; no usual file system has room for more."""


def as_path(what: str, path: AnyPath, try_: str = "") -> Path:
    """Return a path, whatever names it.

    Parameters
    ----------
    what : str
        What the path is for, as the message of an error begins.
    path : str or path
    try_ : str
        What else there is, for the message.

    Raises
    ------
    ValidationError
        If it is something else, empty, or no file can have such a name.
    """
    try:
        found = os.fspath(path)
    except Exception:  # of an object that only looks like a path
        found = None
    if not isinstance(found, str):
        invalid(what, "must be a path", path, "a text or a pathlib.Path")
    if not found or "\0" in found:
        invalid(what, "must name a file or a folder", found, try_)
    made = Path(found)
    try:
        long = max((len(os.fsencode(part)) for part in made.parts), default=0) > LONGEST_NAME
    except UnicodeEncodeError:
        invalid(what, "has a letter that no file's name can have", found, try_ or "another name")
    if long:
        limit = f"must have at most {LONGEST_NAME} bytes in a name"
        invalid(what, limit, found, try_ or "a shorter name")
    return made


@contextmanager
def opened(path: AnyPath) -> Iterator[IO[bytes]]:
    """Open a file to read it.

    Raises
    ------
    OSError
        If it cannot be read, or is a device: some never end.
    """
    with Path(path).open("rb") as file:
        if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is a device", str(path))
        yield file


def read_whole(path: AnyPath) -> bytes:
    """Return the content of a file that :func:`opened` opens."""
    with opened(path) as file:
        return file.read()


def unzipped(packed: bytes) -> bytes:
    """Return the unpacked bytes of gzip.

    Raises
    ------
    ValueError
        If that has no place in a file of this size.
    EOFError, OSError, zlib.error
        If they are damaged.
    """
    most = max(SMALL, EXPANSION * len(packed))
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        made = file.read(most + 1)
    if len(made) > most:
        raise ValueError(f"unpacks to more than {most} bytes")
    return made


class ArrayFile:
    """The arrays of an open .npz file; each is looked at before memory is asked for."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = [name.removesuffix(".npy") for name in archive.namelist()]

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array.

        Raises
        ------
        ValueError
            If it holds objects, or more or less than its head says, or has no place in a file
            of this size.
        """
        entry = self._archive.getinfo(f"{name}.npy")
        with self._archive.open(entry) as member:
            shape, dtype = _head(member)
            head = member.tell()
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{name} holds objects of Python, which are not read")
        if entry.file_size != head + size:
            held = f"{entry.file_size - head} bytes"
            raise ValueError(f"{name} should have shape {shape} of {dtype}, and holds {held}")
        if size > max(SMALL, EXPANSION * entry.compress_size):
            raise ValueError(f"{name} unpacks to {size} bytes, over {EXPANSION} times its size")
        with self._archive.open(entry) as member:
            made: NDArray[Any] = _NPY.read_array(member, allow_pickle=False)
        return made

    def json(self, name: str) -> Any:
        """Return the value of a JSON text among the arrays.

        Raises
        ------
        ValueError
            If it is no text, or no JSON.
        """
        text = self[name]
        if text.shape or text.dtype.kind != "U":
            raise ValueError(f"{name} is no text")
        return json.loads(text.item())


def _head(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array from its head."""
    version = _NPY.read_magic(member)
    if version not in _HEADS:
        raise ValueError(f"its version of .npy is {version}")
    shape, _, dtype = _HEADS[version](member)
    if not all(n >= 0 for n in shape):
        raise ValueError(f"an array cannot have shape {shape}")
    return shape, dtype


_NPY: Any = np.lib.format  # some versions of numpy leave it untyped
_HEADS: dict[Any, Any] = {
    (1, 0): _NPY.read_array_header_1_0,
    (2, 0): _NPY.read_array_header_2_0,
}


@contextmanager
def opened_arrays(path: AnyPath) -> Iterator[ArrayFile]:
    """Open an .npz file; whatever turns out to be wrong with it is a ValueError of one line.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, or no such file; inside the block, too.
    """
    try:
        with opened(as_path("file", path)) as file, zipfile.ZipFile(file) as archive:
            yield ArrayFile(archive)
    except (DyadsError, FileNotFoundError):
        raise
    except Exception as error:  # numpy, zipfile and zlib raise a dozen kinds about damaged files
        raise ValueError(reason(error)) from error


def reason(error: Exception) -> str:
    """Return another library's words on a file, in short."""
    lines = str(error).splitlines()
    if type(error) is ValueError and lines:  # the name says nothing
        return lines[0][:300]
    return f"{type(error).__name__}: {lines[0]}"[:300] if lines else type(error).__name__


def check_writable(what: str, path: AnyPath) -> Path:
    """Return a path; raise where its file could not be written at the end of a long run.

    Raises
    ------
    ValidationError
        If the path is a folder, its name too long, or its folder missing or not writable.
    """
    path = as_path(what, path)
    try:
        if path.is_dir():
            invalid(what, "is a folder", str(path), f"{path / 'a file'}")
        if not path.parent.is_dir():
            invalid(what, "its folder does not exist", str(path), f"mkdir -p {path.parent}")
    except OSError as error:  # a name that is too long, a folder that may not be entered
        invalid(what, f"cannot be written ({error.strerror})", str(path), "another file")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        invalid(what, "its folder is not writable", str(path), "another folder")
    return path


def write_atomically(path: AnyPath, content: bytes | memoryview | str) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part.

    What it replaces is there until then, also where the program is killed in between or the
    machine loses its power: the new one is on the disk before it takes the name.

    Raises
    ------
    OSError
        If it cannot be written; an :class:`UnwritableError` where another name would do.
    """
    path = as_path("file", path)
    data = content.encode() if isinstance(content, str) else content
    # Not tempfile's: its files are nobody else's, and a result may be read like any new file.
    made = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with made.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
    except BaseException as error:
        made.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NAMED:
            raise UnwritableError.of(error, f"{path}") from error
        raise
    sync_folder(path.parent)


def sync_folder(folder: AnyPath) -> None:
    """Put the names of the files in a folder on the disk, where the system can do that."""
    with contextlib.suppress(OSError):  # Windows opens no folder, some file systems sync none
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_arrays(path: AnyPath, header: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file atomically, with a text beside the arrays."""
    path = as_path("file", path)
    # By way of the memory: numpy's archive complains once more where the disk has failed it.
    needed = 1.25 * sum(array.nbytes for array in arrays.values())  # a buffer grows by eighths
    check_memory(f"{path}", needed, "more memory, or a smaller network")
    buffer = io.BytesIO()
    entries: dict[str, Any] = {"header": np.array(header), **arrays}
    np.savez(buffer, **entries)
    # Released at once, whatever happens: a buffer that outlives its memory crashes Python 3.12.
    with buffer.getbuffer() as content:
        write_atomically(path, content)


def plain(value: Any) -> Any:
    """Return a value made of what JSON knows."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


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
