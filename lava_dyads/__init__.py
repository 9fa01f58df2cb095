"""Networks whose every neuron is a dyad, on Intel Lava.

The names below are loaded when they are first used: ``import lava_dyads.rules`` and the help
of the command line do not pay for Lava. ``__init__.pyi`` says which they are and where they stand.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from typing import Any

from lava_dyads import lava_compat as lava_compat  # repairs Lava before anything imports it

__version__ = "0.1.0"


def _homes() -> dict[str, str]:
    """Return the module of every public name: the imports of the stub, which has the one list."""
    stub = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {name.name: str(node.module) for node in imports for name in node.names}


_HOME_OF = _homes()

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lava_dyads' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
