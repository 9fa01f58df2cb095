"""Environments made in a second: fresh ones that borrow the packages of the one that runs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("lava_dyads", "lava_dyads-*", "__editable__*", "__pycache__", "*.pth")
LAVA = ("lava", "lava_nc-*", "tests")
PIP = ("pip", "pip-*")


class Environment:
    """A virtual environment without what is left out of the one that runs the tests."""

    def __init__(self, folder, without):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        purelib = sysconfig.get_path("purelib", vars={"base": str(folder)})
        self.packages = Path(purelib)
        for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for entry in Path(source).iterdir():
                here = self.packages / entry.name
                if not here.exists() and not any(entry.match(pattern) for pattern in without):
                    here.symlink_to(entry)

    def run(self, *arguments, code=0, **environment):
        """Run its Python from within the environment; return standard output and error."""
        settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        outcome = subprocess.run(
            [self.python, *arguments],
            cwd=self.packages.parents[2],
            env={**settings, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert outcome.returncode == code, outcome.stderr
        return outcome.stdout, outcome.stderr

    def execute(self, source, *options):
        """Run a piece of code that must not complain; return what it prints."""
        out, complaint = self.run(*options, "-c", textwrap.dedent(source))
        assert complaint == ""
        return out


def build_wheel(folder):
    """Build the wheel from a copy of the sources, which stay as they are; return its path."""
    if not (ROOT / "lava_dyads").exists():
        pytest.skip("needs the sources, too")
    source = folder / "source"
    shutil.copytree(
        ROOT / "lava_dyads", source / "lava_dyads", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, source], check=True, capture_output=True)
    return next(folder.glob("*.whl"))
