"""Fetch a file over the network, in as many tries as it takes."""

from __future__ import annotations

import errno
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from lava_dyads.errors import DataError
from lava_dyads.files import DISK

CHUNK = 1 << 16
"""Bytes that are written at a time, so that what arrived before a failure is kept."""

_FULL = (errno.ENOSPC, errno.EDQUOT)  # a full disk
_NOT_SATISFIABLE = 416


def download(
    url: str, part: Path, on_progress: Callable[[str], None] | None = None, timeout: float = 20.0
) -> bytes:
    """Return the content of a URL; what arrived is kept in ``part`` until it is whole.

    A second try asks for the rest only (HTTP ``Range``); a server that cannot do that sends
    everything again.

    Parameters
    ----------
    url : str
    part : Path
        File of the bytes so far; the caller removes it once it has used the content.
    on_progress : callable or None
        Called with a line on how far it is.
    timeout : float
        Seconds without an answer.

    Raises
    ------
    OSError
        If the server cannot be reached, or the connection ends early (``EOFError``).
    """
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if have and error.code == _NOT_SATISFIABLE:  # nothing left to send, or another file
            part.unlink()
            return download(url, part, on_progress, timeout)
        raise
    with answer:
        resumed = getattr(answer, "status", None) == http.client.PARTIAL_CONTENT
        have = have if resumed else 0
        announced = answer.headers.get("Content-Length")
        whole = have + int(announced) if announced else None
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(CHUNK):
                file.write(block)
                have += len(block)
                if on_progress:
                    on_progress(f"{url}: {have:,} bytes")
    if whole is not None and have < whole:
        raise EOFError(f"{url} ended after {have:,} of {whole:,} bytes; a second try goes on there")
    return part.read_bytes()


def of_disk(error: OSError, folder: Path) -> bool:
    """Tell whether an error comes from the files in a folder and not from the network."""
    return error.errno in DISK or str(error.filename or "").startswith(str(folder))


def unwritable(name: str, folder: Path, error: OSError) -> DataError:
    """Return the error of a data set that cannot be kept: a full disk, or no permission."""
    why = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
    return DataError(
        f"data {name}: {folder} cannot be written ({why}). Try: free some space, or set "
        "XDG_CACHE_HOME to another folder, then again"
    )
