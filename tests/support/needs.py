"""What a test needs and a machine may lack: then it is skipped by name."""

import importlib.util

import pytest

HAS_LAVA = importlib.util.find_spec("lava") is not None
NEEDS_LAVA = pytest.mark.skipif(not HAS_LAVA, reason="needs lava")


def skip_for_lack_of_lava(error):
    """Skip the test of a command that asked for Lava, where there is none, before all else."""
    if not HAS_LAVA and "needs Lava, which is not installed" in error:
        pytest.skip("needs lava")
