"""Where and with what a run was made."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import subprocess
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("lava_dyads", "numpy", "scipy", "numba", "lava-nc", "jax")
"""What results may depend on."""


def environment() -> dict[str, Any]:
    """Return versions, revision, command line and machine, for config.json."""
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(_words()),
        "folder": os.getcwd(),
        "python": platform.python_version(),
        "versions": versions(),
        "revision": revision(),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        },
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that are there."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def revision() -> str | None:
    """Return the commit of a checkout of lava_dyads, with a + where files have been changed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "-s", "-uno")
    except (OSError, subprocess.SubprocessError):  # no git, or not its own checkout
        return None
    return f"{commit}+" if changed else commit


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    return run.stdout.strip()


def _words() -> list[str]:
    """Return the command line, the program by its name alone."""
    first = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    name = "lava-dyads" if first in ("__main__.py", "lava-dyads") else first
    return [name, *sys.argv[1:]]


def _processor() -> str:
    """Return the name of the processor, as far as the system says it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
