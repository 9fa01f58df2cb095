"""However a model fails, a named error says who, in time, and the next network runs."""

import time

import pytest
from failing.models import DIES, RAISES, WAYS
from failing.process import pair

from lava_dyads import InProcessSession, LavaSession
from lava_dyads.errors import DeadlockError, HangError, LavaRuntimeError, ModelError

LIMIT = 1.0
PLACES = ("constructor", "run_spk", "run_post_mgmt")
SESSIONS = {
    "lava": lambda process: LavaSession(process, timeout=LIMIT, idle_timeout=LIMIT),
    "in-process": lambda process: InProcessSession(process, timeout=LIMIT),
}
# One name, so that a day's sample need not have every way.
ROWS = [
    pytest.param(f"{way}, {place}", id=f"{way}, {place}") for way in WAYS for place in PLACES if way
]


def outcome(runtime, way, place):
    """Run a network that fails; return the error and the seconds that it took."""
    begin = time.monotonic()
    try:
        with SESSIONS[runtime](pair(way, place)) as session:
            session.run(5)
    except LavaRuntimeError as error:
        return error, time.monotonic() - begin
    return None, time.monotonic() - begin


def check(runtime, row):
    way, place = row.split(", ")
    error, seconds = outcome(runtime, way, place)
    assert error is not None, "ran on"
    head = str(error).partition("\n")[0] if isinstance(error, ModelError) else str(error)
    assert "failing (PyFailingModel)" in head
    if way in RAISES or way in DIES:
        assert isinstance(error, ModelError)
        assert error.label == "failing (PyFailingModel)"
    else:
        assert isinstance(error, HangError | DeadlockError)
        assert ".py:" in str(error)
    if way in RAISES and place == "run_spk":
        assert error.step == 2
    begin = time.monotonic()
    with SESSIONS[runtime](pair("", "run_spk")) as session:
        assert session.run(3) == 3
    # On a busy machine the start of what is well takes its time, too.
    assert seconds < LIMIT + 2 + 3 * (time.monotonic() - begin)


def test_there_are_117_rows():
    assert len(ROWS) == 117


@pytest.mark.timeout(60)
@pytest.mark.sampled(12)
@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].split(", ")[0] not in DIES])
def test_in_process_it_ends_in_a_named_error(row):
    check("in-process", row)


@pytest.mark.lava
@pytest.mark.timeout(60)
@pytest.mark.sampled(12)
@pytest.mark.parametrize("row", ROWS)
def test_on_lavas_runtime_it_ends_in_a_named_error(row):
    check("lava", row)
