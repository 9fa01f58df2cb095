"""Run one of Lava's test modules in an OS process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import lava.magma

SITE = Path(next(iter(lava.magma.__path__))).parents[1]
HOME = SITE / "tests" / "lava"
SUPPORT = Path(__file__).parents[1]


def modules():
    """Return the paths of Lava's test modules, as text, relative to their folder."""
    return sorted(str(path.relative_to(HOME)) for path in HOME.rglob("test_*.py"))


def outcomes(module, in_process, seconds=240.0):
    """Return the outcome of each test of a module, by name, and what was printed.

    A test that did not end within the time is a 'timeout'; what the tests leave running is
    ended with them.
    """
    plugin = ["-p", "lavas_own.plugin"] if in_process else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable, "-m", "pytest", str(HOME / module), "-q", "-n0", "-c", os.devnull,
            "--rootdir", str(SITE), "-p", "no:cacheprovider", "-p", "no:randomly",
            "--timeout=60", "--timeout-method=signal", f"--junitxml={report}", *plugin,
        ]  # fmt: skip
        paths = [str(SUPPORT), os.environ.get("PYTHONPATH", "")]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "MPLBACKEND": "agg"}
        with open(Path(folder) / "out", "w+") as out:
            child = subprocess.Popen(
                command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True
            )
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(seconds)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            out.seek(0)
            text = out.read()
        if not report.exists():
            return {}, text
        cases = ElementTree.parse(report).iter("testcase")
        return {f"{c.get('classname')}::{c.get('name')}": _outcome(c) for c in cases}, text


def _outcome(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"
