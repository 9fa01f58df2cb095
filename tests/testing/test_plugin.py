"""The pytest plugin in a project of somebody's own: fixtures, options, failures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from lava_dyads.errors import ValidationError
from lava_dyads.testing.strategies import messages

pytestmark = pytest.mark.timeout(100)
SUPPORT = Path(__file__).parents[1] / "support"

FAILING = f"""
import sys
sys.path.insert(0, {str(SUPPORT)!r})
import numpy as np
from chatter.process import Chatter
from failing.process import Failing

HEARD = np.arange(6.0).reshape(3, 2)

def test_raises(lava_runtime):
    lava_runtime.play(Failing("value error"), {{"inp": [[1.], [2.], [3.]]}}, outputs=["out"])

def test_speaks_twice(lava_runtime):
    lava_runtime.play(Chatter((1, 2, 1)), {{"inp": HEARD}}, outputs=["out"])

def test_waits(lava_runtime):
    with lava_runtime.session(Failing("sleeps"), timeout=1) as session:
        session.run(3)

def test_golden(lava_runtime, golden):
    golden(lava_runtime.play(Chatter((1, 1, 1)), {{"inp": HEARD}}, outputs=["out"]))

def test_passes(no_leftovers):
    pass
"""


def run(folder, *options, code=0):
    """Run pytest in a folder, in an interpreter of its own; return what it prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def failures(said):
    """Return the lines of every failure by the name of its test."""
    parts = re.split(r"^_{3,} (.*?) _{3,}$", said.partition("= short test summary")[0], flags=re.M)
    shown = [re.sub(r"^\[gw0\].*\n", "", text.strip()).splitlines() for text in parts[2::2]]
    return dict(zip(parts[1::2], shown, strict=True))


@pytest.mark.lava
def test_failures_begin_with_the_cause_and_are_short(tmp_path):
    (tmp_path / "test_failing.py").write_text(FAILING)
    said = failures(run(tmp_path, "-W", "ignore", "-n", "1", code=1))
    assert len(said) == 8
    assert all(len(lines) <= 25 for lines in said.values()), said
    for runtime in ("lava", "in-process"):
        raised = said[f"test_raises[{runtime}]"]
        assert raised[0] == (
            "failing (PyFailingModel) raised ValueError in time step 2 (throw, models.py:44): wrong"
        )
        assert raised[1] == "  last messages: inp heard [2.] in step 2"
        assert any("models.py" in line for line in raised[2:])
        assert any("test_failing.py" in line for line in raised[2:])
        twice = said[f"test_speaks_twice[{runtime}]"]
        assert twice[0].startswith("chatter.out: must send one message per time step")
        assert said[f"test_golden[{runtime}]"][0].endswith("LAVA_DYADS_UPDATE_GOLDEN=1")
        assert any(
            "failing (PyFailingModel)" in line for line in said[f"test_waits[{runtime}]"][:3]
        )


def test_golden_files_are_written_and_compared_and_the_whole_trace_shown(tmp_path):
    (tmp_path / "test_failing.py").write_text(FAILING)
    options = ("--lava-runtime", "in-process", "-W", "ignore")
    run(tmp_path, *options, "-k", "golden", "--update-golden")
    assert [f.name for f in (tmp_path / "golden").iterdir()] == ["test_failing-test_golden.npz"]
    whole = run(tmp_path, *options, "-k", "golden or raises", "-vvv", code=1)
    assert "1 failed, 1 passed" in whole
    assert "testing/play.py:" in whole


@given(messages((2, 3), bits=5, signed=True, steps=(2, 4)), messages((1,), limit=2.0))
@settings(max_examples=30, deadline=None)
def test_series_are_what_a_port_can_hear(whole, real):
    assert whole.shape[1:] == (2, 3)
    assert 2 <= len(whole) <= 4
    assert whole.dtype.kind == "i"
    assert whole.min() >= -16
    assert whole.max() <= 15
    assert real.dtype == float
    assert abs(real).max() <= 2


@pytest.mark.parametrize("wrong", [{"bits": 0}, {"bits": 40}, {"steps": (3, 1)}])
def test_series_that_no_port_hears_are_refused(wrong):
    with pytest.raises(ValidationError, match="messages"):
        messages((1,), **wrong)
