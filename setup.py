"""Adds what pyproject.toml has no word for: a file that interpreters read at start, a description.

The line of the file executes lava_dyads/lava_compat.py, without importing lava_dyads: what it
repairs has to be repaired before the first ``import lava``. Where lava_dyads is gone, it does
nothing.
"""

import os
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CODE = """
try:
    from importlib.machinery import SourceFileLoader
    for finder in sys.meta_path:
        spec = finder.find_spec('lava_dyads', None)
        if spec:
            name = 'lava_dyads.lava_compat'
            path = spec.submodule_search_locations[0] + '/lava_compat.py'
            exec(SourceFileLoader(name, path).get_code(name), {'__name__': name})
            break
except Exception:
    pass
"""
# Interpreters execute lines that begin with 'import', one at a time.
LINE = f"import sys; exec({CODE!r}, {{'sys': sys}})\n"


class BuildWithHook(build_py):
    """Build the package and, beside it, lava_dyads.pth."""

    def run(self) -> None:
        """Build, then write the file."""
        super().run()
        target = self._hook()
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(LINE)

    def _hook(self) -> str:
        # An editable wheel holds only what is written into it, not what is built.
        editable = getattr(self, "editable_mode", False)
        home = self.get_finalized_command("install").install_lib if editable else self.build_lib
        return os.path.join(home, "lava_dyads.pth")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what a wheel holds."""
        return [*super().get_outputs(include_bytecode), self._hook()]


def description(text: str, repository: str) -> str:
    """Return the README as a package index shows it: no link leads into the index itself.

    With a repository links and pictures are found there; without one links become the names of
    files in the source distribution, and pictures are left out.
    """

    def elsewhere(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        if repository:
            return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/main/{path})"
        if picture:
            return ""
        return f"`{path}`" if path in words else f"{words} (`{path}`)"

    return re.sub(r"(!?)\[([^]]*)]\((?!https?:|#)([^)]*)\)", elsewhere, text)


def repository() -> str:
    """Return the address that pyproject.toml gives the project, without the slash; or nothing."""
    given = re.search(r'^Repository = "(.*?)/?"', Path("pyproject.toml").read_text("utf-8"), re.M)
    return given[1] if given else ""


setup(
    cmdclass={"build_py": BuildWithHook},
    long_description=description(Path("README.md").read_text("utf-8"), repository()),
    long_description_content_type="text/markdown",
)
