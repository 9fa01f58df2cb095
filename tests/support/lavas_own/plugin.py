"""A pytest plugin: what the tests run, they run on the in-process runtime."""

import pytest

from lava_dyads.runtime.in_process_session import in_process


@pytest.fixture(autouse=True, scope="session")
def _everything_in_process():
    with in_process():
        yield
