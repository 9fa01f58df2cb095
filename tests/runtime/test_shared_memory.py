"""A small /dev/shm: said before the start, with sizes and what to try, and what to try works."""

import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from faulty.process import ring

from lava_dyads import LavaSession
from lava_dyads.errors import ModelError, ValidationError
from lava_dyads.runtime.lava_internals import os_processes, shared_memory
from lava_dyads.runtime.lava_internals.shared_memory import check_fits

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]
PAGE = mmap.PAGESIZE


@pytest.fixture
def memory(monkeypatch):
    """Let the machine have so many free pages of shared memory."""

    def set_to(pages):
        found = SimpleNamespace(f_bavail=pages, f_blocks=2 * pages, f_frsize=PAGE)
        monkeypatch.setattr(os, "statvfs", lambda path: found)

    return set_to


def test_channels_that_fit_are_let_through_and_one_page_less_is_refused(memory):
    rings = [64 * PAGE, 64 * 100, 1]  # 64, 2 (rounded up from 1.6) and 1 pages
    memory(67 + 4 * 3)
    check_fits(rings, 64, 3)
    memory(67 + 4 * 3 - 1)
    with pytest.raises(
        ValidationError, match=r"3 channels of 64 messages need 0\.3 MB.*in-process"
    ):
        check_fits(rings, 64, 3)


def test_what_is_advised_fits(memory):
    rings, slots = [64 * 1000 * k for k in range(1, 12)], 64
    for pages in (30, 200, 700):
        memory(pages)
        with pytest.raises(ValidationError) as caught:
            check_fits(rings, slots, 0)
        fewer = int(re.search(r"pypy_channel_size': (\d+)", str(caught.value)).group(1))
        check_fits([ring // slots * fewer for ring in rings], fewer, 0)
        if fewer + 1 < slots:
            with pytest.raises(ValidationError):
                check_fits([ring // slots * (fewer + 1) for ring in rings], fewer + 1, 0)


def test_without_such_a_folder_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(shared_memory, "FOLDER", "/does/not/exist")
    check_fits([2**60], 64, 1)
    monkeypatch.delattr(os, "statvfs")  # as on Windows
    check_fits([2**60], 64, 1)


def test_a_session_says_so_before_anything_runs(memory):
    memory(10)
    with pytest.raises(ValidationError, match=r"/dev/shm has 0\.0 MB free of 0\.1 MB"):
        LavaSession(ring("none", "none")[0])


def test_memory_that_others_fill_while_it_runs_is_named(monkeypatch):
    monkeypatch.setattr(
        os_processes, "_ending", lambda code: f"{real(-signal.SIGBUS)} after {code}"
    )
    session = LavaSession(ring("none", "die")[0])
    with pytest.raises(ModelError, match=r"\(SIGBUS\): the shared memory is full; /dev/shm has"):
        session.run(10)


real = os_processes._ending

SMALL = """
import re, subprocess
import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava_dyads import LavaSession
from lava_dyads.errors import DyadsError

def said(kilobytes, size=None):
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", "/dev/shm"], check=True)
    source, sink = Source(data=np.ones((400, 1))), Sink(shape=(400,), buffer=1)
    source.s_out.connect(sink.a_in)
    config = size and {"pypy_channel_size": size}
    try:
        numbers = Loihi2SimCfg(select_tag="floating_pt")
        with LavaSession(source, numbers, compile_config=config) as session:
            session.run(200)
        return "runs"
    except DyadsError as error:
        return str(error)

print(said(8))
advice = said(240)
fewer = re.search("Try: compile_config={'pypy_channel_size': (.*)}", advice).group(1)
print(advice, said(240, int(fewer)), said(2000), sep="\\n")
"""


@pytest.mark.timeout(180)
@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_on_a_small_file_system_it_is_as_said():
    mount = f'mount -t tmpfs -o size=8k tmpfs /dev/shm && exec {sys.executable} -c "$0"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    if not done.stdout:
        pytest.skip(f"no file system of its own: {done.stderr.strip()[-200:]}")
    none, few, *others = done.stdout.splitlines()
    assert "no room for semaphores; /dev/shm has 0.0 MB free" in none
    assert "LavaSession" in few
    assert others == ["runs", "runs"]
