"""Lava's own unit tests pass in-process where they pass on Lava; all of them take minutes."""

import os
import re
import subprocess
import sys

import pytest
from lavas_own.compare import HOME, SUPPORT, modules, outcomes

UNCHANGED = [
    {
        "proc/lif": 21,
        "proc/dense": 62,
        "proc/monitor": 13,
        "magma/runtime/test_async_protocol.py": 4,
    },
    {"proc/io": 45},  # most of the time asleep: they wait for each other
]
"""What passes as it stands in one interpreter, and how many tests there are at least."""


@pytest.mark.sampled(2)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("parts", UNCHANGED, ids=" ".join)
def test_a_choice_of_them_passes_unchanged_with_this_runtime_in_the_place_of_lavas(parts):
    command = [sys.executable, "-m", "pytest", "-v", "-p", "stand_in", "-p", "no:cacheprovider"]
    command += ["--rootdir", HOME.parent, "-W", "ignore", *(HOME / name for name in parts)]
    here = os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])])
    environment = {**os.environ, "PYTHONPATH": here}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout[-3000:]
    for name, least in parts.items():
        assert len(re.findall(rf"lava/{name}\S* PASSED", run.stdout)) >= least, name
    assert int(re.search(r"runtimes made: (\d+)", run.stdout).group(1)) > 25


OF_LAVAS_INTERNALS = {
    "test_process.TestProcess::test_create_runtime": "asks for Lava's own class Runtime",
    "test_context_manager.TestContextManager"
    "::test_context_manager_stops_process_runsteps_nonblocking": "looks at Runtime._is_running "
    "at once after a start: 200 steps are done by then",
    **{
        f"test_exception_handling.TestExceptionHandling::test_{n}_pm": "asks for the class "
        "RuntimeError itself and for the number of failed OS processes; ours is a ModelError with "
        "the name of the Process, and there is one OS process"
        for n in ("one", "two", "three")
    },
}
"""Tests that fail in-process although they pass on Lava, by the ends of their names."""


# The tutorials are notebooks that the wheel does not have.
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", [name for name in modules() if "tutorials" not in name])
def test_what_passes_on_lava_passes_in_process(module):
    ours, said = outcomes(module, in_process=True)
    failed = {name for name, outcome in ours.items() if outcome == "failed"}
    failed = {name for name in failed if not name.endswith(tuple(OF_LAVAS_INTERNALS))}
    if failed or not ours:
        lavas, _ = outcomes(module, in_process=False)
        worse = {name for name in lavas if lavas[name] == "passed"} & (failed or set(lavas))
        assert not worse, said
