"""Adds to the wheel what pyproject.toml has no word for: a file that interpreters read at start.

Its line executes lava_dyads/lava_compat.py, without importing lava_dyads: what it repairs has to
be repaired before the first ``import lava``. Where lava_dyads is gone, it does nothing.
"""

import os

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


setup(cmdclass={"build_py": BuildWithHook})
