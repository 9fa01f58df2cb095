"""Of a matrix marked ``sampled`` every day runs a part, in which every value occurs."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from sampling import dimensions, sample_of_the_day

CASES = [
    dimensions({"rule": rule, "loss": loss, "sizes": (lanes, dtype)})
    for rule, loss, lanes, dtype in itertools.product("abcdef", "xyz", (1, 5), ("f4", "f8"))
]


@pytest.mark.parametrize("seed", "abcdefgh")
def test_every_value_occurs_whatever_the_day_and_pairs_come_before_repetitions(seed):
    drawn = sample_of_the_day(CASES, 4, seed)
    assert drawn == sample_of_the_day(CASES, 4, seed)
    assert len(drawn) == len(set(drawn)) == len(CASES) / 4
    for name in CASES[0]:
        assert {CASES[i][name] for i in drawn} == {case[name] for case in CASES}
    rules_with_losses = {(CASES[i]["rule", 0], CASES[i]["loss", 0]) for i in drawn}
    assert len(rules_with_losses) > 0.8 * 6 * 3
    assert len(sample_of_the_day(CASES, 1000, seed)) >= 6  # as many as there are rules


def test_other_days_draw_other_cases_and_all_of_them_in_the_end():
    days = [set(sample_of_the_day(CASES, 4, str(day))) for day in range(50)]
    assert set.union(*days) == set(range(len(CASES)))


def test_what_differs_in_every_case_need_not_occur():
    numbered = [case | {("name", 0): i} for i, case in enumerate(CASES)]
    assert len(sample_of_the_day(numbered, 4, "0")) == len(CASES) / 4


MATRIX = """
import pytest

@pytest.mark.sampled(4)
@pytest.mark.parametrize("b", range(4))
@pytest.mark.parametrize("a", [[0], {1}, None, 3])
def test_matrix(a, b): pass

@pytest.mark.parametrize("b", range(4))
def test_whole(b): pass
"""


@pytest.mark.parametrize(("options", "number"), [([], 4 + 4), (["--all"], 16 + 4)])
def test_the_marker_draws_and_the_option_all_does_not(tmp_path, options, number):
    tests = Path(__file__).parents[1]
    (tmp_path / "conftest.py").write_text((tests / "conftest.py").read_text())
    (tmp_path / "support").symlink_to(tests / "support")
    (tmp_path / "test_matrix.py").write_text(MATRIX)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert f"{number} passed" in done.stdout, done.stdout
