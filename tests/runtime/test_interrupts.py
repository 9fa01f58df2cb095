"""Ctrl-C and its like are neither lost nor fall between things that belong together."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from faulty.process import ring

from lava_dyads import LavaSession
from lava_dyads.interrupts import ENDING, held_back, holding
from lava_dyads.testing import no_leftovers


class ToldError(Exception):
    """What a program's own handler raises."""


def tell(number, frame):
    raise ToldError(signal.Signals(number).name)


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def number(request):
    """A signal that a handler in Python answers."""
    before = signal.signal(request.param, tell)
    yield request.param
    signal.signal(request.param, before)


def test_what_comes_within_the_block_is_raised_at_its_end(number):
    done = []
    with pytest.raises(ToldError, match=number.name):  # noqa: PT012
        with held_back():
            assert holding()
            signal.raise_signal(number)
            done.append("all of it")
        done.append("not this")
    assert done == ["all of it"]
    assert not holding()
    assert signal.getsignal(number) is tell


def test_it_is_raised_at_the_end_of_the_outermost_block(number):
    done = []
    with pytest.raises(ToldError), held_back():  # noqa: PT012
        with held_back():
            signal.raise_signal(number)
        done.append("the rest of the outer one")
        signal.raise_signal(number)  # a second one says nothing new
    assert done == ["the rest of the outer one"]


def test_nothing_is_raised_where_nothing_has_come(number):
    with held_back():
        pass
    with pytest.raises(ZeroDivisionError), held_back():
        1 / 0  # noqa: B018
    assert signal.getsignal(number) is tell


def test_two_signals_leave_the_handlers_as_they_were(monkeypatch):
    before = {number: signal.signal(number, tell) for number in ENDING}
    try:
        with pytest.raises(ToldError), held_back():  # noqa: PT012
            for number in ENDING:
                signal.raise_signal(number)
        assert all(signal.getsignal(number) is tell for number in ENDING)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_without_a_handler_in_python_are_left_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_hold_nothing_back_and_do_not_fail():
    handlers = []

    def work():
        with held_back():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


# --- OS processes. What a handler raises in the hooks around a fork is dropped by Python.

_forks = {"seen": 0, "at": 0, "before": False}


def _interrupt(before):
    if _forks["at"] and before == _forks["before"]:
        _forks["seen"] += 1
        if _forks["seen"] == _forks["at"]:
            os.kill(os.getpid(), signal.SIGINT)


os.register_at_fork(before=lambda: _interrupt(True), after_in_parent=lambda: _interrupt(False))


@pytest.fixture
def at_fork():
    """Send Ctrl-C around a certain fork."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def set_to(fork, before):
        _forks.update(seen=0, at=fork, before=before)

    yield set_to
    _forks["at"] = 0
    signal.signal(signal.SIGINT, handler)


@pytest.mark.lava
@pytest.mark.timeout(60)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_ctrl_c_around_any_fork_of_a_start_arrives_and_leaves_nothing(at_fork, before):
    # One for shared memory, two models, one runtime service.
    for fork in (1, 2, 3, 4):
        at_fork(fork, before)
        with no_leftovers(), pytest.raises(KeyboardInterrupt):
            LavaSession(ring("none", "none")[0])
        assert _forks["seen"] == fork  # it did not go on
    at_fork(5, before)
    with LavaSession(ring("none", "none")[0]) as session:
        assert session.run(2) == 2


@pytest.mark.lava
@pytest.mark.timeout(60)
def test_ctrl_c_while_a_session_ends_does_not_keep_it_from_ending(at_fork, monkeypatch):
    session = LavaSession(ring("none", "none")[0])
    actor = session._run.actors[0].system
    kill = actor.kill

    def interrupted_kill():
        os.kill(os.getpid(), signal.SIGINT)
        kill()

    monkeypatch.setattr(actor, "kill", interrupted_kill)
    children = psutil.Process().children(recursive=True)
    with pytest.raises(KeyboardInterrupt):
        session.stop(kill=True)
    assert not session.alive
    _, left = psutil.wait_procs([c for c in children if c.is_running()], timeout=5)
    assert all("resource_tracker" in " ".join(c.cmdline()) for c in left)


@pytest.mark.lava
@pytest.mark.timeout(60)
def test_ctrl_c_while_models_are_built_need_not_wait_for_them(at_fork):
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        LavaSession(ring("none", "slow start")[0])


NETWORK = """
import sys, time
sys.path.insert(0, {support!r})
from faulty.process import ring
from lava_dyads import LavaSession
session = LavaSession(ring("none", "none")[0])
print("ready", flush=True)
time.sleep(60)
"""


def started():
    """Start a program with a session open; return it and the shared memory that it maps."""
    script = NETWORK.format(support=str(Path(__file__).parents[1] / "support"))
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    assert child.stdout.readline() == "ready\n"
    maps = Path(f"/proc/{child.pid}/maps").read_text().splitlines()
    return child, {Path(line.split()[-1]) for line in maps if "/dev/shm/psm_" in line}


def vanish(paths, seconds=8):
    deadline = time.monotonic() + seconds
    while any(p.exists() for p in paths) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(p.exists() for p in paths)


@pytest.mark.lava
@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_to_the_whole_group_leaves_no_shared_memory(number):
    # A terminal that closes tells everybody, also who would have to clean up.
    child, rings = started()
    try:
        assert rings
        family = psutil.Process(child.pid).children(recursive=True)
        os.killpg(child.pid, number)
        assert child.wait(20) == -number
        _, left = psutil.wait_procs(family, timeout=8)
        assert not left
        assert vanish(rings)
    finally:
        child.kill()


@pytest.mark.lava
@pytest.mark.timeout(60)
def test_shared_memory_goes_with_the_session_where_its_manager_was_killed():
    session = LavaSession(ring("none", "none")[0])
    memory = session._run.runtime._messaging_infrastructure.smm
    rings = [Path("/dev/shm", ring._name.lstrip("/")) for ring in memory._shared_memory_handles]
    assert all(path.exists() for path in rings)
    os.kill(memory._manager._process.pid, signal.SIGKILL)
    session.stop()
    assert not any(path.exists() for path in rings)
