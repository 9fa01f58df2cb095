import sys
from pathlib import Path

import pytest

# Processes that tests need are packages in here; see tests/support/faulty.
sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture(autouse=True)
def _leave_nothing_behind(request):
    """Every test that runs Lava must leave no OS process and no log handler behind."""
    if request.node.get_closest_marker("lava") is None:
        yield
        return
    from lava_dyads.testing import no_leftovers

    with no_leftovers():
        yield
