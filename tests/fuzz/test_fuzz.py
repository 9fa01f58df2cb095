"""Spoilt inputs are taken or refused in one line: a sample of them with the seed of the day."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import NEEDS_LAVA

FUZZ = Path(__file__).with_name("fuzz.py")
SEED = os.environ["LAVA_DYADS_TEST_SEED"]


PYTHON = pytest.param("python", marks=NEEDS_LAVA)  # Processes are among its constructors


@pytest.mark.sampled(2)  # each in an interpreter of its own
@pytest.mark.parametrize("target", ["graph", "checkpoint", "state", PYTHON])
def test_a_sample_of_spoilt_inputs_of_the_day(target):
    spec = importlib.util.spec_from_file_location("fuzz", FUZZ)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    # It says how to try an input again.
    assert fuzz.report(target, int(SEED), fuzz.run(target, int(SEED), 0, 15)) == 0


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_forty_thousand_spoilt_inputs_of_the_day():
    command = [sys.executable, str(FUZZ), "--seed", SEED, "--inputs", "40000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)  # the seed, and how to try an input again
    assert done.returncode == 0, done.stdout
