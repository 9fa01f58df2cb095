"""What is published: a source distribution that can be tested, a description without dead links."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("lava_dyads", "tests", "docs", "tutorials", "benchmarks", "scripts", ".ci")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md",
         "CONTRIBUTING.md", "CITATION.cff", "Makefile", "constraints.txt", ".python-version",
         ".gitignore")  # fmt: skip


@pytest.fixture(scope="module")
def description():
    """The function of setup.py that makes the description."""
    source = (ROOT / "setup.py").read_text("utf-8")
    start = source.index("def description(")
    names = {"re": re}
    exec(source[start : source.index("\ndef repository(", start)], names)
    return names["description"]


def test_links_of_the_description_lead_to_the_repository(description):
    home = "https://example.org/dyads"
    text = description("![a](docs/a.svg) [b](docs/b.md) [c](https://c.org) [d](#d)", home)
    assert text == (f"![a]({home}/raw/main/docs/a.svg) [b]({home}/blob/main/docs/b.md) "
                    "[c](https://c.org) [d](#d)")  # fmt: skip


def test_without_a_repository_links_are_names_of_files_that_are_there(description):
    readme = (ROOT / "README.md").read_text("utf-8")
    relative = re.findall(r"\]\((?!https?:|#)([^)]*)\)", readme)
    assert relative
    text = description(readme, "")
    assert re.findall(r"\]\((?!https?:|#)", text) == []
    for path in relative:
        assert (ROOT / path).exists(), path
        assert f"`{path}`" in text or path.endswith(".svg")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The wheel and the source distribution, from a copy of what is there."""
    for package in ("build", "setuptools"):
        pytest.importorskip(package)
    if not (ROOT / "lava_dyads").exists():
        pytest.skip("needs the sources, too")
    folder = tmp_path_factory.mktemp("made")
    source, dist = folder / "source", folder / "dist"
    for name in PARTS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return sorted(dist.iterdir())


def test_the_source_distribution_holds_whatever_is_there_to_test_and_read(made):
    assert [path.suffix for path in made] == [".whl", ".gz"]
    with tarfile.open(made[1]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for part in PARTS:
        for path in (ROOT / part).rglob("*"):
            built = {"__pycache__", "_build"} & {*path.parts} or "docs/api/" in path.as_posix()
            if path.is_file() and not built:
                assert str(path.relative_to(ROOT)) in inside
    assert inside.issuperset(FILES)


def test_an_index_would_take_them(made):
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, made)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
