"""``lava-dyads install-lava``: works where Lava, and whatever needs it, is missing."""

from __future__ import annotations

import compileall
import importlib
import importlib.util
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from textwrap import shorten

from lava_dyads.errors import DyadsError
from lava_dyads.lava_compat import INSTALL_LAVA, LAVA

_PACKAGE, _, _RELEASE = LAVA.partition("==")


@dataclass(frozen=True, kw_only=True)
class InstallLava:
    """Install Lava 0.10.0 into this environment, by uv or pip; nothing else is changed."""

    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Install what is missing; return the exit code."""
        found = _installed()
        command = [] if found == _RELEASE else _install()
        report = {
            "lava": _RELEASE,
            "before": found,
            "installed": bool(command),
            "by": "pip" if "--ignore-requires-python" in command else "uv" if command else None,
            "command": shlex.join(command) or None,
            "python": sys.executable,
        }
        if self.json:
            print(json.dumps(report))
        elif command:
            print(f"Lava {_RELEASE} is installed for {sys.executable} ({report['command']})")
        else:
            print(f"Lava {_RELEASE} is there already for {sys.executable}")
        return 0


def _installed() -> str | None:
    """Return the release of Lava in this environment."""
    importlib.invalidate_caches()
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return None


def _commands() -> list[list[str]]:
    """Return the commands that could install it, uv's first: it is quicker, and needs no pip."""
    commands = []
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv:
        commands.append([uv, "pip", "install", "--python", sys.executable, "--no-deps", LAVA])
    if importlib.util.find_spec("pip") is not None:
        # Without --no-deps, the flag would count for Lava's needs, too, and bring too new ones.
        flags = ["--ignore-requires-python", "--no-deps"]
        commands.append([sys.executable, "-m", "pip", "install", *flags, LAVA])
    return commands


def _install() -> list[str]:
    """Install it; return the command that did it."""
    commands = _commands()
    if not commands:
        raise DyadsError(
            f"{INSTALL_LAVA}: needs uv or pip, and {sys.executable} has neither. "
            "Try: python -m ensurepip, or install uv, then again"
        )
    complaints = []
    for command in commands:
        outcome = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
        if outcome.returncode == 0 and _installed() == _RELEASE:
            _compile()
            return command
        lines = [line.strip(" ×╰─▶│") for line in outcome.stderr.splitlines()]
        reason = "; ".join(line for line in lines if line) or f"exit code {outcome.returncode}"
        complaints.append(f"{shlex.join(command)}: {shorten(reason, 300)}")
    raise DyadsError(
        f"{INSTALL_LAVA}: {LAVA} could not be installed ({' | '.join(complaints)}). "
        "Try: again where a package index can be reached"
    )


def _compile() -> None:
    """Compile it now: its slips of the pen would be told at its first import, by Python 3.12."""
    spec = importlib.util.find_spec("lava")
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for folder in (spec and spec.submodule_search_locations) or ():
            compileall.compile_dir(folder, quiet=2)
