"""What the documentation claims is there, works as printed."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from needs import NEEDS_LAVA

import lava_dyads

ROOT = Path(__file__).parents[2]


def modules_with_examples():
    """Yield the modules whose sources show a prompt."""
    for found in pkgutil.walk_packages(lava_dyads.__path__, "lava_dyads."):
        source = found.module_finder.find_spec(found.name, None).origin
        if ">>> " in Path(source).read_text("utf-8"):
            yield found.name


MODULES = list(modules_with_examples())

EXTRAS = {"lava_dyads.native.kernels": "numba", "lava_dyads.spiking.brian2_twin": "brian2"}
"""What examples need that is not there on every machine."""

SOURCES = pytest.mark.skipif(not (ROOT / "lava_dyads").exists(), reason="needs the sources, too")


@pytest.mark.lava
@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    module = importlib.import_module(name)
    outcome = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


def test_every_public_name_is_documented():
    for name in lava_dyads.__all__:
        text = inspect.getdoc(getattr(lava_dyads, name))
        assert text, name
        assert len(text) > 20, name


def test_rules_and_help_do_not_pay_for_lava():
    code = (
        "import sys, lava_dyads.executors.build, lava_dyads.cli; assert 'lava' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@NEEDS_LAVA
def test_models_are_found_whoever_imports_the_process():
    code = """
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava_dyads.processes import Dyad
dyad = Dyad((1,), bias=2.0)
dyad.run(RunSteps(1), Loihi2SimCfg(select_tag="floating_pt"))
assert dyad.s_plus.get() == [2.0]
dyad.stop()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif(not (ROOT / "models").exists(), reason="needs a clone: links at the top")
def test_the_links_at_the_top_lead_into_the_package():
    for name in ("processes", "models"):
        assert (ROOT / name).resolve() == ROOT / "lava_dyads" / name


def test_the_table_of_equations_names_functions_and_tests_that_exist():
    text = (ROOT / "docs" / "equations.md").read_text()
    for name in re.findall(r"`((?:rules|spiking)\.[\w.]+)`", text):
        thing, parts = lava_dyads, name.split(".")
        for i, part in enumerate(parts):
            try:
                importlib.import_module("lava_dyads." + ".".join(parts[: i + 1]))
            except ModuleNotFoundError:
                assert hasattr(thing, part), name
            thing = getattr(thing, part)
    tests = re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", text)
    assert len(tests) > 10
    for path, test in tests:
        path = path or "tests/executors/test_step.py"
        assert f"def {test}(" in (ROOT / path).read_text(), test


@SOURCES
def test_links_in_the_documents_lead_somewhere():
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            if "://" not in target:
                assert (document.parent / target).exists(), (document.name, target)


@pytest.mark.parametrize(
    "path",
    [p for p in (ROOT / "docs").glob("*.md") if ">>>" in p.read_text()],
    ids=lambda p: p.stem,
)
def test_the_examples_in_the_documents_run(path):
    if "lava_dyads.testing" in path.read_text():
        pytest.importorskip("lava")
    outcome = doctest.testfile(
        str(path), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_readme_commands_exist():
    text = (ROOT / "README.md").read_text()
    from lava_dyads.cli import COMMANDS

    used = re.findall(r"^\.venv/bin/lava-dyads (.+)$", text, re.MULTILINE)
    assert used
    for line in used:
        assert any(line.startswith(name) for name in COMMANDS), line
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile


@SOURCES
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_each_addition_of_contributing_is_one_file_and_a_test(tmp_path):
    """Apply the printed diffs to a copy, and run what they add."""
    pytest.importorskip("hypothesis")
    text = (ROOT / "CONTRIBUTING.md").read_text()
    diffs = re.findall(r"```diff\n(.*?)```", text, re.DOTALL)
    for diff in diffs:  # a file of the package each, and tests
        assert len(re.findall(r"^\+\+\+ b/lava_dyads/", diff, re.MULTILINE)) == 1
    (tmp_path / "all.diff").write_text("".join(diffs))
    for folder in ("lava_dyads", "tests"):  # with what is compiled: it is as old as its source
        shutil.copytree(ROOT / folder, tmp_path / folder)
    subprocess.run(["git", "apply", "-v", "all.diff"], cwd=tmp_path, check=True, timeout=30)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode"]
    tests = ("executors/test_step.py", "executors/test_executors.py", "executors/test_strict.py",
             "executors/test_array_sweep.py", "rules/test_lion.py",
             "rules/test_gated.py", "rules/test_absolute.py")  # fmt: skip
    some = "(gated and not strict) or lion or absolute or test_strict"
    some += " or (strict and sgd and f8 and chain)"
    command += ["importlib", *(f"tests/{name}" for name in tests), "-k", some]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"[1-9]\d* passed", run.stdout)
