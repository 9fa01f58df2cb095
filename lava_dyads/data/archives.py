"""Sets of event files that are published as ZIP archives: fetched, verified, unpacked."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lava_dyads.data.binning import Binning
from lava_dyads.data.dataset import Dataset, State
from lava_dyads.data.download import download, of_disk, unwritable
from lava_dyads.data.event_sets import load_events
from lava_dyads.errors import DataError, message
from lava_dyads.files import EXPANSION, reason, write_atomically

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Archive:
    """A ZIP archive.

    Attributes
    ----------
    url, md5 : str
        Where it is published, and the MD5 that was published with it.
    """

    url: str
    md5: str


@dataclass(frozen=True)
class ArchivedEvents:
    """A set of event files in the user's cache.

    An archive is used only if its MD5 is the published one; it is unpacked whole or not at all, and
    a list of its files with their sizes is kept, by which :meth:`state` finds out what is missing.

    Parameters
    ----------
    name : str
    archives : tuple of Archive
    hint : str
        How else to get it.
    """

    name: str
    archives: tuple[Archive, ...]
    hint: str

    @property
    def folder(self) -> Path:
        """Where the files are, or will be."""
        root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(root).expanduser() / "lava_dyads" / self.name

    def load(self, binning: Binning) -> Dataset:
        """Return the recordings as sequences of frames; fetch what is missing.

        Raises
        ------
        DataError
            If it cannot be fetched or read.
        """
        self.get()
        return load_events(self.folder, binning)

    def state(self) -> State:
        """Compare the files there are with the list of what was unpacked; fetch nothing."""
        missing = [a for a in self.archives if not self._list(a).is_file()]
        if len(missing) == len(self.archives):
            return State("absent", problem=f"not found in {self.folder}")
        wrong = [problem for a in self.archives if (problem := self._problem(a))]
        if wrong:
            return State("damaged", problem=f"data {self.name}: {wrong[0]}. Try: lava-dyads data "
                         f"get {self.name}")  # fmt: skip
        return State("ready", str(self.folder))

    def get(self, on_progress: Progress | None = None) -> State:
        """Fetch and unpack what is missing or damaged.

        Raises
        ------
        DataError
            If that fails; a second try goes on where the first one ended.
        """
        for archive in self.archives:
            if self._problem(archive):
                self._fetch(archive, on_progress or (lambda text: None))
        return self.state()

    def _list(self, archive: Archive) -> Path:
        return self.folder / f".{archive.md5}.json"

    def _problem(self, archive: Archive) -> str:
        """Return what is wrong with the files of an archive; empty: nothing."""
        try:
            held = json.loads(self._list(archive).read_bytes())
            for name, size in held.items():
                path = self.folder / name
                if not path.is_file() or path.stat().st_size != size:
                    return f"{path} is missing, or not as it was unpacked"
        except FileNotFoundError:
            return f"the files of {archive.url} are missing"
        except (OSError, ValueError, AttributeError) as error:
            return f"{self._list(archive)} cannot be read ({reason(error)})"
        return ""

    def _fetch(self, archive: Archive, on_progress: Progress) -> None:
        part = self.folder / f".{archive.md5}.zip.part"
        try:
            content = download(archive.url, part, on_progress)
        except (OSError, EOFError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and of_disk(error, self.folder):
                raise unwritable(self.name, self.folder, error) from error
            what = f"data {self.name}: not found in {self.folder}, and not fetched"
            raise DataError(f"{what} ({reason(error)}). Try: {self.hint}") from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != archive.md5:
            part.unlink()  # so that the next try begins anew
            what = f"data {self.name}: {archive.url} is not the published file: its MD5"
            raise DataError(message(what, f"must be {archive.md5}", found, self.hint))
        on_progress(f"unpacking {len(content):,} bytes")
        try:
            sizes = self._unpack(content)
            write_atomically(self._list(archive), json.dumps(sizes))
        except OSError as error:
            raise unwritable(self.name, self.folder, error) from error
        part.unlink()

    def _unpack(self, content: bytes) -> dict[str, int]:
        """Write the files of an archive; return their sizes."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [m for m in archive.infolist() if not m.is_dir()]
                if sum(m.file_size for m in members) > EXPANSION * len(content):
                    raise ValueError(f"unpacks to over {EXPANSION} times its size")
                for member in members:
                    inner = PurePosixPath(member.filename)
                    if inner.is_absolute() or ".." in inner.parts:
                        raise ValueError(f"holds a file outside, {member.filename}")
                    path = self.folder / inner
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member) as source, path.open("wb") as file:
                        shutil.copyfileobj(source, file)
        except (ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            what = f"data {self.name}: its archive cannot be unpacked ({reason(error)})"
            raise DataError(f"{what}. Try: {self.hint}") from error
        return {m.filename: m.file_size for m in members}
