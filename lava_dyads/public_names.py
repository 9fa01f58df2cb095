"""Which names ``lava_dyads`` has, and where they stand: read from its stub, which has the list."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from typing import Any


def _homes() -> dict[str, str]:
    stub = ast.parse(pkgutil.get_data("lava_dyads", "__init__.pyi") or b"")
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {name.name: str(node.module) for node in imports for name in node.names}


HOME_OF = _homes()
"""The module of every public name."""


def value_of(name: str) -> Any:
    """Import a public name from its home; ``__all__`` is the list of them.

    Raises
    ------
    AttributeError
        If there is none of this name.
    """
    if name == "__all__":
        return sorted(HOME_OF)
    if name not in HOME_OF:
        raise AttributeError(f"module 'lava_dyads' has no attribute {name!r}")
    return getattr(importlib.import_module(HOME_OF[name]), name)
