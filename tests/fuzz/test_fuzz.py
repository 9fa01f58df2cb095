"""Spoilt inputs are taken or refused in one line: a sample of them with the seed of the day."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")


def fuzzed(*options):
    seed = os.environ["LAVA_DYADS_TEST_SEED"]
    command = [sys.executable, str(FUZZ), "--seed", seed, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)  # the seed, and how to try an input again
    return done


@pytest.mark.parametrize("target", ["graph", "checkpoint", "state", "python"])
def test_a_sample_of_spoilt_inputs_of_the_day(target):
    done = fuzzed("--only", target, "--inputs", 25)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_forty_thousand_spoilt_inputs_of_the_day():
    done = fuzzed("--inputs", 40_000)
    assert done.returncode == 0, done.stdout
