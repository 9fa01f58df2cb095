"""What pytest gets with lava_dyads: fixtures for Processes, failures that begin with the cause.

Options ``--lava-runtime`` and ``--update-golden``, the marker ``lava``, and the fixtures
``lava_runtime``, ``no_leftovers`` and ``golden``; see docs/testing.md.
"""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import (
    ExceptionChainRepr,
    ReprEntryNative,
    ReprFileLocation,
    ReprTraceback,
)

from lava_dyads.errors import DyadsError, ModelError

if TYPE_CHECKING:
    from lava_dyads.runtime import Session
    from lava_dyads.testing import Played

RUNTIMES = ("lava", "in-process")
_LONGEST = 24
"""Lines of a failure, before the line of pytest's own that follows."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what ``pytest --help`` lists under lava_dyads."""
    group = parser.getgroup("lava_dyads", "Lava Processes")
    group.addoption(
        "--lava-runtime",
        choices=(*RUNTIMES, "both"),
        default="both",
        help="where tests with the fixture lava_runtime run: on Lava's own runtime (OS "
        "processes), in this OS process, or once on each (default)",
    )
    group.addoption(
        "--update-golden",
        action="store_true",
        help="write golden files anew instead of comparing with them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; tell the kit about golden files."""
    config.addinivalue_line("markers", "lava: runs on Lava's own runtime")
    if config.getoption("--update-golden"):
        os.environ["LAVA_DYADS_UPDATE_GOLDEN"] = "1"
        config.add_cleanup(_compare_again)


def _compare_again() -> None:
    os.environ.pop("LAVA_DYADS_UPDATE_GOLDEN", None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever takes ``lava_runtime`` once for every runtime that was asked for."""
    if "lava_runtime" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--lava-runtime")
    names = RUNTIMES if chosen == "both" else (chosen,)
    marks = {"lava": [pytest.mark.lava]}
    parameters = [pytest.param(name, marks=marks.get(name, [])) for name in names]
    metafunc.parametrize("lava_runtime", parameters, indirect=True)


@dataclass(frozen=True)
class LavaRuntime:
    """The runtime on which a test is to run.

    Attributes
    ----------
    name : str
        ``lava`` or ``in-process``.
    """

    name: str

    def play(self, process: Any, inputs: Any = None, **options: Any) -> Played:
        """Call :func:`lava_dyads.testing.play` on this runtime."""
        from lava_dyads.testing import play

        return play(process, inputs, runtime=self.name, **options)  # type: ignore[arg-type]

    def session(self, process: Any, run_cfg: Any = None, **options: Any) -> Session:
        """Open a session on this runtime, with a time limit of 60 s for a step."""
        from lava_dyads.runtime import InProcessSession, LavaSession

        options.setdefault("timeout", 60.0)
        made = LavaSession if self.name == "lava" else InProcessSession
        return made(process, run_cfg, **options)


@pytest.fixture
def lava_runtime(request: pytest.FixtureRequest) -> LavaRuntime:
    """Return a runtime with ``play`` and ``session``; the test runs once for each of them."""
    return LavaRuntime(request.param)


@pytest.fixture
def no_leftovers() -> Iterator[None]:
    """Fail if the test leaves OS processes, threads that are not daemons or log handlers."""
    from lava_dyads.testing import no_leftovers

    with no_leftovers():
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a comparison with a file: ``golden(played)``, in the folder golden beside the test.

    The file has the name of the test, whatever the runtime, and of ``name`` where a test has
    several; ``atol`` and ``rtol`` as in :func:`lava_dyads.testing.assert_same`.
    """
    from lava_dyads.testing import assert_golden

    node = re.sub(r"\[(lava|in-process)\]$|(lava|in-process)-|-(lava|in-process)", "",
                  request.node.name)  # fmt: skip
    safe = re.sub(r"[^\w.-]+", "_", node).strip("_")

    def compare(played: Played, name: str = "", *, atol: float = 0.0, rtol: float = 0.0) -> None:
        folder = request.path.parent / "golden"
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
        file = f"{request.path.stem}-{safe}{'-' + name if name else ''}.npz"
        assert_golden(played, folder / file, atol=atol, rtol=rtol)

    return compare


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Let failures of this library's kind begin with the cause; all of it by ``-vv``."""
    outcome: Any = yield
    report = outcome.get_result()
    found = call.excinfo
    if not (report.failed and found and isinstance(found.value, DyadsError)):
        return
    if item.config.get_verbosity() >= 2 or item.config.getoption("fulltrace", False):
        return
    text = short_failure(found.value, found.traceback)
    crash = report.longrepr.reprcrash if hasattr(report.longrepr, "reprcrash") else None
    place = ReprFileLocation(
        str(getattr(crash, "path", item.path)),
        int(getattr(crash, "lineno", 0)),
        f"{type(found.value).__name__}: {text[0]}",
    )
    entry = ReprTraceback([ReprEntryNative([f"{line}\n" for line in text])], None, style="native")
    report.longrepr = ExceptionChainRepr([(entry, place, None)])


def short_failure(error: DyadsError, trace: Any) -> list[str]:
    """Return a failure as a few lines: the cause, the last messages, the lines of the user's own.

    Parameters
    ----------
    error : DyadsError
    trace : iterable of entries
        With ``path`` and ``lineno`` (0-based), outermost first.
    """
    first, *rest = str(error).splitlines() or [type(error).__name__]
    lines = [first]
    if isinstance(error, ModelError):
        lines += [f"  last messages: {text}" for text in error.messages]
        rest = _own_frames(rest)
    lines += rest
    own = [e for e in trace if not _is_machinery(str(e.path))]
    for at in own[-3:]:
        lines += _shown(str(at.path), at.lineno + 1)
    if len(lines) > _LONGEST:
        lines = [*lines[: _LONGEST - 6], "  ...", *lines[-5:]]
    return [*lines, "  (the whole trace: pytest -vv)"]


def _own_frames(trace: list[str]) -> list[str]:
    """Return those lines of a traceback that are of the model's own code."""
    lines, keeps = [], False
    for line in trace:
        frame = re.match(r'^  File "(.*)", line \d+', line)
        if frame:
            keeps = not _is_machinery(frame[1])
        elif not line.startswith("    "):
            keeps = False
        if keeps and set(line.strip()) - set("~^"):
            lines.append(line)
    return lines


def _shown(path: str, line: int) -> list[str]:
    code = linecache.getline(path, line).strip()
    return [f'  File "{path}", line {line}', *([f"    {code}"] if code else [])]


_HERE = str(Path(__file__).parent) + os.sep
_STANDARD = str(Path(os.__file__).parent) + os.sep


def _is_machinery(path: str) -> bool:
    return path.startswith((_HERE, _STANDARD)) or f"{os.sep}site-packages{os.sep}" in path
