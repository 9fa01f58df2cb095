"""However a program ends or forgets a session, nothing runs on and nothing crashes."""

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from faulty.process import ring
from lava.magma.core.run_conditions import RunContinuous, RunSteps

from lava_dyads import Dyad, InProcessSession, LavaSession
from lava_dyads.errors import LavaRuntimeError, ValidationError

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]

# One interpreter imports Lava and forks a child per program; each child ends as interpreters do.
HARNESS = """
import gc, os, sys, threading, time
sys.path.insert(0, {support!r})
from faulty.process import Faulty, ring
from lava.magma.core.run_conditions import RunContinuous, RunSteps
from lava_dyads import Dyad, InProcessSession, LavaSession
from lava_dyads.runtime import DyadRunConfig

def network():
    return ring("none", "none")[0]

programs = {programs!r}
for name, program in programs.items():
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.setsid()
        exec(program, globals())
        sys.exit(7)
    deadline = time.monotonic() + 15
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(.02)
    if not ended[0]:
        os.killpg(child, 9)
        os.waitpid(child, 0)
    print(name, os.waitstatus_to_exitcode(ended[1]) if ended[0] else "hangs", child, flush=True)
"""

FORGETFUL = {
    "out of scope": "def f(): LavaSession(network()).run(2)\nf()",
    "kept": "session = LavaSession(network()); session.run(2)",
    "never run": "session = LavaSession(network())",
    "an exception before stop": "session = LavaSession(network())\ntry: 1 / 0\nexcept: pass",
    "deleted and collected": "s = LavaSession(network()); s.run(2); del s; gc.collect()",
    "in a circle": "c = [LavaSession(network())]; c.append(c); c[0].run(2); del c",
    "two, one forgotten": (
        "a, b = LavaSession(network()), LavaSession(network()); a.run(1); b.stop()"
    ),
    "in a thread": (
        "t = threading.Thread(target=lambda: LavaSession(network()).run(2)); t.start(); t.join()"
    ),
    "kept by a daemon thread at work": (
        "s = LavaSession(network())\n"
        "threading.Thread(target=s.run, args=(10**9,), daemon=True).start()\n"
        "time.sleep(.3)\nsys.stderr = open(os.devnull, 'w')"
    ),
    "in a forked child": (
        "s = LavaSession(network()); s.run(2)\n"
        "child = os.fork()\n"
        "if not child: sys.exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert s.run(2) == 2"
    ),
    "collected in a forked child": (
        "s = LavaSession(network()); s.run(2)\n"
        "child = os.fork()\n"
        "if not child: del s; gc.collect(); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "assert s.run(2) == 2; s.stop()"
    ),
    "a Process that runs by itself": "n = network(); n.run(RunSteps(2), DyadRunConfig())",
    "one that runs on": "n = network(); n.run(RunContinuous(), DyadRunConfig())",
    "a dyad by itself": "d = Dyad((2,)); d.run(RunSteps(2), DyadRunConfig())",
    "in-process": "s = InProcessSession(network()); s.run(2)",
    "in-process, out of scope": "def f(): InProcessSession(network()).run(2)\nf()",
}


def outcomes(programs):
    """Run programs; return what became of each, and the ids of their sessions."""
    support = str(Path(__file__).parents[1] / "support")
    script = HARNESS.format(support=support, programs=programs)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240
    )
    rows = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    return {name: outcome for name, outcome, _ in rows}, [int(s) for *_, s in rows], done.stderr


def members(sessions):
    return [p.pid for p in psutil.process_iter() if _session(p.pid) in sessions]


def _session(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.timeout(300)  # 16 programs, one after the other
def test_a_forgotten_session_does_not_keep_its_program_from_ending():
    ended, sessions, errors = outcomes(FORGETFUL)
    assert ended == dict.fromkeys(FORGETFUL, "7")
    assert "Traceback" not in errors
    deadline = time.monotonic() + 5
    while members(sessions) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not members(sessions)


@pytest.mark.parametrize("who", ["first", "second"])
def test_a_process_that_is_stopped_within_the_block_stops_the_session(who):
    first, second = ring("none", "none")
    with LavaSession(first) as session:
        session.run(2)
        {"first": first, "second": second}[who].stop()
        assert not session.alive
        with pytest.raises(LavaRuntimeError, match="has been stopped"):
            session.run(2)
        for later in (first.stop, second.stop, first.pause, second.wait, session.stop):
            later()  # nothing is left to end
    assert session.steps_done == 2


def test_a_process_that_runs_waits_and_pauses_within_the_block_does_so_in_the_session():
    first, second = ring("none", "none")
    with LavaSession(first) as session:
        session.run(2)
        second.run(RunSteps(3))
        assert session.steps_done == 5
        second.wait()
        first.pause()
        session.run(1)
        assert session.steps_done == 6
        np.testing.assert_array_equal(second.last.get(), [6, 6])


def test_a_run_that_does_not_block_is_left_to_lava_and_not_run_over():
    first, second = ring("none", "none")
    with LavaSession(first) as session:
        first.run(RunSteps(2, blocking=False))
        first.wait()
        first.run(RunContinuous())
        with pytest.raises(LavaRuntimeError, match="it runs already"):
            session.run(1)
        first.pause()
        assert second.last.get()[0] >= 2
        with pytest.raises(LavaRuntimeError, match=r"after Process\.pause"):
            session.run(1)


def test_a_second_run_from_another_thread_is_refused():
    refused = []

    def intrude():
        try:
            session.run(1)
        except LavaRuntimeError as error:
            refused.append(str(error))

    def poll():
        if not refused:
            other = threading.Thread(target=intrude)
            other.start()
            other.join()

    with LavaSession(ring("none", "none")[0]) as session:
        assert session.run(50, poll) == 50
    assert "it runs already" in refused[0]


@pytest.mark.parametrize("by", ["a poll callback", "another thread", "its Process"])
def test_a_session_that_is_stopped_while_it_runs_says_so(by):
    first, _ = ring("none", "none")
    session = LavaSession(first)
    polls = []

    def poll():
        polls.append(1)
        if len(polls) == 3 and by == "a poll callback":
            session.stop()
        if len(polls) == 3 and by == "its Process":
            first.stop()

    if by == "another thread":
        threading.Timer(0.3, session.stop).start()
    begin = time.monotonic()
    with pytest.raises(LavaRuntimeError, match="has been stopped"):
        session.run(10**9, poll)
    assert time.monotonic() - begin < 8
    assert not session.alive


def test_a_second_session_on_the_same_process_is_refused_and_leaves_the_first_alone():
    first, second = ring("none", "none")
    with LavaSession(first) as session:
        session.run(2)
        for process in (first, second):
            with pytest.raises(LavaRuntimeError, match="has run already"):
                LavaSession(process)
        assert session.run(2) == 2
    with pytest.raises(LavaRuntimeError, match="has run already"):
        LavaSession(first)


def test_a_process_that_is_collected_within_the_block_does_not_end_it():
    first, second = ring("none", "none")
    with LavaSession(first) as session:
        del first, second
        gc.collect()
        assert session.run(2) == 2


def test_a_session_outlives_the_thread_that_has_opened_it():
    opened = []
    thread = threading.Thread(target=lambda: opened.append(LavaSession(ring("none", "none")[0])))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with opened[0] as session:
        assert session.run(5) == 5


@pytest.mark.parametrize("session", [LavaSession, InProcessSession])
def test_a_number_of_steps_is_a_whole_number(session):
    process = Dyad((2,))
    with session(process) as running:
        for steps in (2.5, 2.0, "3", True, np.True_, None, 0, -1, np.int64(0), [1], float("nan")):
            with pytest.raises(ValidationError, match=r"\.run: needs a whole number of steps"):
                running.run(steps)
        assert running.run(np.int64(2)) == running.run(np.uint8(2)) == 2
        assert running.steps_done == 4
