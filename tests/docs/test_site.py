"""The site: what ``make docs`` builds, and what it is checked by."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="needs the sources, too")


def checker():
    """Return the program that walks the built pages, as a module."""
    spec = importlib.util.spec_from_file_location("docs_check", ROOT / "docs" / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said():
    """Return every text in the package that may be part of a message."""
    texts = []
    for path in (ROOT / "lava_dyads").rglob("*.py"):
        texts += [n.value for n in ast.walk(ast.parse(path.read_text("utf-8")))
                  if isinstance(n, ast.Constant) and isinstance(n.value, str)]  # fmt: skip
    return texts


def test_the_messages_of_troubleshooting_are_said_by_the_package():
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    headings = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert len(headings) > 20
    texts = said()
    assert [h for h in headings if not any(h in text for text in texts)] == []


PAGES = {
    "index.html": "<meta http-equiv='refresh'>",
    "docs/index.html": "<a href='one.html'>1</a><a href='https://example.org'>elsewhere</a>",
    "docs/one.html": "<a href='two.html#here'>2</a>",
    "docs/two.html": "<p id='here'></p><img src='dyad.svg?v=1'>",
    "docs/dyad.svg": "<svg/>",
}


def site(folder, **changes):
    for name, text in (PAGES | changes).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return checker().Site(folder)


def undescribed(faults):
    return {fault for fault in faults if not fault.endswith("is not described")}


def test_a_site_without_a_fault_has_none_but_that_no_name_is_described(tmp_path):
    faults = set(site(tmp_path).faults())
    assert undescribed(faults) == set()
    assert "lava_dyads.Trainer: is not described" in faults


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"docs/one.html": "<a href='two.html#there'>2</a>"}, "there is no such place"),
        ({"docs/one.html": "<a href='two.html'>2</a><a href='no.html'>3</a>"}, "leads nowhere"),
        ({"docs/one.html": "<script src='https://cdn.example/a.js'></script>"
                           "<a href='two.html'>2</a>"}, "from elsewhere"),
        ({"docs/two.html": "<a href='far.html'>3</a><p id='here'>", "docs/far.html": ""},
         "docs/far.html: not reached in 2 clicks"),
    ],
)  # fmt: skip
def test_a_fault_of_a_page_is_found(tmp_path, changes, fault):
    faults = undescribed(site(tmp_path, **changes).faults())
    assert len(faults) == 1
    assert fault in faults.pop()
