"""Lava's own unit tests pass in-process where they pass on Lava; minutes, hence slow."""

import pytest
from lavas_own.compare import modules, outcomes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

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
@pytest.mark.parametrize("module", [name for name in modules() if "tutorials" not in name])
def test_what_passes_on_lava_passes_in_process(module):
    ours, said = outcomes(module, in_process=True)
    failed = {name for name, outcome in ours.items() if outcome == "failed"}
    failed = {name for name in failed if not name.endswith(tuple(OF_LAVAS_INTERNALS))}
    if failed or not ours:
        lavas, _ = outcomes(module, in_process=False)
        worse = {name for name in lavas if lavas[name] == "passed"} & (failed or set(lavas))
        assert not worse, said
