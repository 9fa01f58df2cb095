import contextlib
import datetime
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

OPTIONAL = (
    "brian2", "build", "cloudpickle", "distributed", "grimp", "h5py", "hypothesis", "importlinter",
    "ipykernel", "jax", "lava", "mypy", "nbclient", "nbformat", "nir", "numba", "pip",
    "pytest_timeout", "twine",
)  # fmt: skip
"""What tests need beside the package and pytest; where it is missing, they are skipped by name."""

# What tests draw anew every day: the head of a report says it, and setting it repeats a day.
SEED_VARIABLE = "LAVA_DYADS_TEST_SEED"
os.environ.setdefault(SEED_VARIABLE, f"{datetime.date.today():%Y%m%d}")

# Threads of OpenBLAS that wait for the next product wait busily. Products of tests are small, and
# the other cores have workers of their own; what shares products is ours (lava_dyads/native).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A busy machine is no fault of an example.
with contextlib.suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("shared machine", deadline=None)
    settings.load_profile("shared machine")

# Processes that tests need are packages in here; see tests/support/faulty.
sys.path.insert(0, str(Path(__file__).parent / "support"))

from sampling import dimensions, sample_of_the_day  # noqa: E402


def pytest_report_header(config):
    seed = f"{SEED_VARIABLE}={os.environ[SEED_VARIABLE]}"
    if config.getoption("--all"):
        return f"{seed}; all cases of the tests marked sampled"
    return f"{seed} draws the samples of this day; --all runs all cases of the tests marked sampled"


@pytest.hookimpl(trylast=True)  # after -k and -m
def pytest_collection_modifyitems(config, items):
    """Leave to other days what the day's sample of a test marked ``sampled`` does not hold.

    What takes longest comes first, so that no worker is left alone with it at the end.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    if config.getoption("--all"):
        return
    matrices = {}
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark and "group" in mark.kwargs:
            group = f"{item.nodeid.partition('::')[0]}::{mark.kwargs['group']}"
            matrices.setdefault(group, []).append(item)
        elif mark and hasattr(item, "callspec"):
            matrices.setdefault(item.nodeid.partition("[")[0], []).append(item)
    others = set()
    for name, cases in matrices.items():
        one_in = cases[0].get_closest_marker("sampled").args[0]
        found = [
            dimensions(case.callspec.params) if hasattr(case, "callspec") else {"name": case.nodeid}
            for case in cases
        ]
        today = sample_of_the_day(found, one_in, f"{os.environ[SEED_VARIABLE]} {name}")
        others |= {case for i, case in enumerate(cases) if i not in today}
    if others:
        config.hook.pytest_deselected(items=[item for item in items if item in others])
        items[:] = [item for item in items if item not in others]


_compiling = []


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """Compile the event loop beside the workers, where that has not been done on this machine.

    The first worker that needs it would compile it, and be larger by 200 MB from then on, whose
    page tables every fork copies; meanwhile the others would wait for it.
    """
    if importlib.util.find_spec("numba"):
        program = "from lava_dyads.native.registry import event_loop; event_loop()"
        _compiling.append(
            subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
        )


def pytest_sessionfinish(session):
    while _compiling:
        _compiling[-1].kill()
        _compiling.pop().wait()


@pytest.fixture(autouse=True)
def _leave_nothing_behind(request):
    """Every test that runs Lava must leave no OS process and no log handler behind."""
    if request.node.get_closest_marker("lava") is None:
        yield
        return
    from lava_dyads.testing import no_leftovers

    with no_leftovers():
        yield


def _missing(error):
    """Return what is not installed, if an error comes from that."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        name = (getattr(error, "name", "") or "") if isinstance(error, ImportError) else ""
        name = "lava" if type(error).__name__ == "MissingLavaError" else name.partition(".")[0]
        if name in OPTIONAL and importlib.util.find_spec(name) is None:
            return name
        error = error.__cause__ or error.__context__
    return None


LONG = tuple(
    f"tests/{part}"
    for part in ("runtime/test_lavas_own", "tutorials", "typing", "platforms", "loihi")
)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    report = outcome.get_result()
    call = getattr(report, "call", None)
    name = _missing(call.excinfo.value) if call is not None and call.excinfo else None
    if name:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: needs {name}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    name = _missing(call.excinfo.value) if call.excinfo else None
    if report.failed and name:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: needs {name}")


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="all cases of the tests marked sampled")
    if importlib.util.find_spec("pytest_timeout") is None:
        parser.addini("timeout", "seconds, if pytest-timeout is there")


def pytest_configure(config):
    if importlib.util.find_spec("pytest_timeout") is None:
        config.addinivalue_line("markers", "timeout(seconds): for pytest-timeout")
