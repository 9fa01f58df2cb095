"""A command that is told to end does so: once, in a line, whoever drops or hides the signal."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from lava_dyads import cli
from lava_dyads.cli import main
from lava_dyads.cli.ending import Ending
from lava_dyads.interrupts import ENDING

LAVA = ["--granularity", "layer", "--runtime", "lava", "--layers", "8", "--out"]


@pytest.fixture(autouse=True)
def handlers():
    """Begin as a program does; a shell's background job would ignore Ctrl-C."""
    before = {number: signal.getsignal(number) for number in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def command(monkeypatch):
    """Let a function be the command 'info'."""

    def be(run):
        parsed = type("Parsed", (), {"run": staticmethod(run)})
        monkeypatch.setattr(cli, "_parse", lambda name, words: parsed)

    return be


@pytest.mark.parametrize("number", ENDING, ids=lambda n: signal.Signals(n).name)
def test_every_signal_that_asks_to_end_is_one_line_and_the_code_of_shells(command, number, capsys):
    command(lambda: signal.raise_signal(number))
    before = signal.getsignal(number)
    assert main(["info"]) == 128 + number
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_ignored_and_what_others_handle_theirs(command):
    seen = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    signal.signal(signal.SIGTERM, lambda *_: seen.append("told"))

    def run():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        return 0

    command(run)
    assert main(["info"]) == 0
    assert seen == ["told"]


class Grave:
    """Python drops what is raised in here."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):
            pass


@pytest.mark.timeout(20)
def test_an_interrupt_that_a_destructor_drops_comes_again(command, capsys):
    def run():
        Grave()
        time.sleep(15)

    command(run)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "interrupted\n"  # no 'Exception ignored in'


@pytest.mark.timeout(20)
def test_an_interrupt_that_somebody_swallows_comes_again(command, capsys):
    def run():
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(15)
        except:  # noqa: E722 (as some libraries do while they are imported)
            pass
        time.sleep(15)

    command(run)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_an_interrupt_that_somebody_turns_into_an_error_is_still_one(command, capsys):
    def run():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("numpy.core.multiarray failed to import") from None

    command(run)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_commands_run_in_other_threads_too(command):
    codes = []
    command(lambda: 0)
    thread = threading.Thread(target=lambda: codes.append(main(["info"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_nothing_is_left_of_it(command):
    command(lambda: signal.raise_signal(signal.SIGINT))
    hook = sys.unraisablehook
    assert main(["info"]) == 130
    assert sys.unraisablehook is hook
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    with Ending():
        pass


@pytest.mark.timeout(60)
def test_a_command_that_does_not_let_go_is_left(tmp_path):
    script = """
import signal, sys, time
from lava_dyads import cli
from lava_dyads.__main__ import run
class Stubborn:
    @staticmethod
    def run():
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass
cli._parse = lambda name, words: Stubborn
sys.argv[1:] = ["info"]
print("ready", flush=True)
sys.exit(run())
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        child.stdout.readline()
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=20)
    finally:
        child.kill()
    assert (child.returncode, errors) == (130, b"interrupted\n")


def start(folder, *flags):
    """Start a training on Lava's runtime in a session of its own; return it with a run begun."""
    folder.parent.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    rows = folder.parent / "few.npz"
    np.savez(rows, x=generator.random((60, 8)), labels=np.arange(60) % 3)
    child = subprocess.Popen(
        [sys.executable, "-m", "lava_dyads", "train", str(rows), *LAVA, str(folder), *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (folder / "state.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return child


def gone(session, seconds=10):
    """Tell whether nothing of a session is left after some seconds."""
    deadline = time.monotonic() + seconds
    while left := members(session):
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return True


def members(session):
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


@pytest.mark.sampled(2)
@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_a_training_on_lava_whose_parent_alone_is_ended_leaves_nothing_and_resumes(
    tmp_path, number
):
    child = start(tmp_path / "run", "--epochs", "1", "--checkpoint-every", "5")
    try:
        names = {line.split()[-1] for line in maps(child.pid) if "/dev/shm/psm_" in line}
        assert names
        child.send_signal(number)
        _, errors = child.communicate(timeout=20)
        assert gone(child.pid) is True
        assert not [name for name in names if os.path.exists(name)]
    finally:
        child.kill()
    if number == signal.SIGTERM:
        assert child.returncode == 143
        *notes, last = filter(None, errors.splitlines())  # a bar ends with an empty one
        assert last.startswith("interrupted; to go on: "), errors
        told = ("starting Lava: ", "target: ", str(tmp_path))
        assert [line for line in notes if not line.startswith(told)] == []
    assert main(["train", "--resume", str(tmp_path / "run"), "--json"]) == 0


def maps(pid):
    with open(f"/proc/{pid}/maps") as file:
        return file.read().splitlines()


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(3600)
def test_commands_that_are_interrupted_at_random_moments_leave_nothing():
    study = pytest.importorskip("benchmarks.interrupts")
    assert study.run(times=40, jobs=2, seconds=60) == 0
