"""A pytest plugin: inside every test the in-process runtime stands in for Lava's."""

import pytest

from lava_dyads.runtime import InProcessRuntime, in_process

made = 0


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    original = InProcessRuntime.__init__

    def counting(self, *arguments, **options):
        global made
        made += 1
        original(self, *arguments, **options)

    monkeypatch.setattr(InProcessRuntime, "__init__", counting)
    with in_process():
        yield


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"in-process runtimes made: {made}")
