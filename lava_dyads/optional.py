"""Packages that only an extra brings, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from lava_dyads.errors import UnsupportedError


def imported(name: str, what: str, extra: str) -> Any:
    """Return a package, or a module of one.

    Parameters
    ----------
    name : str
        As in ``import name``.
    what : str
        What needs it, in the plural, for the message.
    extra : str
        What brings it: ``pip install 'lava_dyads[extra]'``.

    Raises
    ------
    UnsupportedError
        With that command, if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        line = f"{what} need the package {package}, which is not installed"
        raise UnsupportedError(f"{line}. Try: pip install 'lava_dyads[{extra}]'") from None
