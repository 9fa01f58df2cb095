"""LavaSession: whatever goes wrong ends in a named error and leaves nothing behind."""

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from bouncer.process import Bouncer
from faulty.process import ring

from lava_dyads import DualPropagationAdjoint, Dyad, LavaSession
from lava_dyads.errors import (
    DeadlockError,
    HangError,
    LavaRuntimeError,
    ModelError,
    ValidationError,
)

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]


def test_a_healthy_ring_counts_its_steps_over_several_runs():
    first, second = ring("none", "none")
    with LavaSession(first) as session:
        session.run(5)
        session.run(7)
        assert session.steps_done == 12
        # Each hop adds one per step: after n steps the last message heard is n.
        np.testing.assert_array_equal(second.last.get(), [12, 12])


@pytest.mark.parametrize("fault", ["raise", "unpicklable", "die"])
def test_an_exception_in_a_model_arrives_with_its_name_within_seconds(fault):
    # The consumer is blocked in recv() when its producer dies: Lava itself would hang.
    first, _ = ring("none", fault)
    begin = time.monotonic()
    with pytest.raises(ModelError) as caught, LavaSession(first) as session:
        session.run(100)
    assert time.monotonic() - begin < 10
    assert f"faulty ({fault}) (PyFaultyModel)" in str(caught.value)
    if fault == "raise":
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert "one over nothing" in str(caught.value)
        assert 'models.py", line' in str(caught.value)
    if fault == "die":
        assert "exit code 7" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "text"), [("init", "wrong from the start"), ("die at start", "exit code 3")]
)
def test_a_model_that_fails_while_it_starts_is_reported(fault, text):
    first, _ = ring("none", fault)
    with pytest.raises(ModelError, match=text) as caught:
        LavaSession(first)
    assert f"faulty ({fault}) (PyFaultyModel)" in str(caught.value)
    with pytest.raises(LavaRuntimeError, match="lost"):
        first.last.get()


def test_a_deadlock_ends_in_an_error_that_says_where_each_model_waits():
    first, _ = ring("wait first", "wait first")
    with pytest.raises(DeadlockError) as caught, LavaSession(first, idle_timeout=1.5) as session:
        session.run(10)
    assert str(caught.value).count("self.last[:] = self.inp.recv()") == 2


def test_a_hang_ends_in_an_error_that_says_where():
    first, _ = ring("none", "spin")
    with pytest.raises(HangError) as caught, LavaSession(first, timeout=1) as session:
        session.run(10)
    assert "misbehave (models.py" in str(caught.value)


def test_a_stopped_session_says_so_instead_of_crashing():
    dyad = Dyad((2,))
    session = LavaSession(dyad)
    session.run(1)
    session.stop()
    session.stop()
    assert not session.alive
    with pytest.raises(LavaRuntimeError, match="has been stopped"):
        session.run(1)


def test_a_second_network_runs_in_the_same_interpreter_and_beside_the_first():
    a, b = Dyad((1,), bias=1.0), Dyad((1,), bias=2.0)
    with LavaSession(a) as first, LavaSession(b) as second:
        first.run(2)
        second.run(2)
        first.run(1)
    with LavaSession(Dyad((1,))) as third:
        third.run(1)
    assert (a.read("s_plus"), b.read("s_plus")) == (1.0, 2.0)


def test_the_users_logging_is_left_alone():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with LavaSession(Dyad((1,))) as session:
        session.run(1)
    assert root.handlers == handlers
    assert root.level == level


def test_vars_read_at_once_are_what_lava_reads_one_by_one():
    dyad = Dyad((3,), bias=[0.1, -0.2, 0.3], rule=DualPropagationAdjoint(alpha=0.5))
    with LavaSession(dyad) as session:
        session.run(1)
        np.testing.assert_array_equal(dyad.s_plus.get(), dyad.read("s_plus"))
        dyad.bias.set(np.array([1.0, 2.0, 3.0]))
        np.testing.assert_array_equal(dyad.read("bias"), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["timeout", "idle_timeout"])
def test_limits_must_be_positive(name):
    with pytest.raises(ValidationError, match=f"LavaSession.{name}: must be positive"):
        LavaSession(Dyad((1,)), **{name: 0})


def test_too_many_processes_for_the_open_files_are_refused_before_anything_starts():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    processes = ring(*["none"] * 12)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + 120, hard))
        with pytest.raises(ValidationError, match=r"12 ProcessModels need about .* Try: ulimit -n"):
            LavaSession(processes[0])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # With just what the message asks for it runs.
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + 165, hard))
        with LavaSession(ring(*["none"] * 12)[0]) as session:
            session.run(2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_asynchronous_graph_runs_once_per_run():
    bouncer = Bouncer(times=5)
    bouncer.out.connect(bouncer.inp)
    with LavaSession(bouncer) as session:
        session.run(3)
        assert bouncer.heard.get() == [5]
        assert bouncer.runs.get() == [1]


def test_an_asynchronous_model_that_waits_for_ever_is_a_deadlock():
    bouncer = Bouncer(times=0)
    bouncer.out.connect(bouncer.inp)
    with (
        pytest.raises(DeadlockError, match=r"self\.inp\.recv"),
        LavaSession(bouncer, idle_timeout=1.5) as session,
    ):
        session.run(3)


SCRIPT = """
import sys
sys.path.insert(0, {support!r})
from bouncer.process import Bouncer
from faulty.process import Faulty
from lava_dyads import LavaSession
a, b = Faulty("none"), Faulty("none")
a.out.connect(b.inp); b.out.connect(a.inp)
session = LavaSession(a)
session.run(1)
print("ready", flush=True)
sys.stdin.readline()  # not before the test has seen the family
{rest}
"""


@pytest.fixture
def start():
    """Start a script that has a Lava network running, and end it whatever happens."""
    support, children = str(Path(__file__).parents[1] / "support"), []

    def run(rest):
        child = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(support=support, rest=rest)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell's background job ignores Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        children.append(child)
        assert child.stdout.readline() == "ready\n"
        family = psutil.Process(child.pid).children(recursive=True)
        assert len(family) >= 3  # two models and a runtime service at least
        child.stdin.write("go\n")
        child.stdin.flush()
        return child, family

    yield run
    for child in children:
        child.kill()


def gone(family):
    _, alive = psutil.wait_procs(family, timeout=8)
    return not alive


def test_ctrl_c_leaves_no_process_behind(start):
    child, family = start("session.run(10**9)")
    time.sleep(0.5)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, errors = child.communicate(timeout=20)
    assert gone(family)
    assert errors.count("KeyboardInterrupt") == 1  # the user's, none from the children


def test_a_script_that_forgets_to_stop_ends_all_the_same(start):
    child, family = start("")
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert gone(family)


def test_children_die_with_a_parent_that_is_killed(start):
    child, family = start("session.run(10**9)")
    child.kill()
    child.communicate(timeout=20)
    assert gone(family)
