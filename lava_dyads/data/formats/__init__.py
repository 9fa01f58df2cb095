"""Formats of files that data are read from: one file each, with NAME, SUFFIXES, SUMMARY and read.

``read(path, how)`` returns a ``Table`` or ``Arrays``; a format of folders has
``fits(path)`` beside, which tells whether a folder is one of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

from lava_dyads.data.contents import Arrays, How, Table
from lava_dyads.errors import DataError, DyadsError, message
from lava_dyads.files import AnyPath, as_path, reason

__all__ = ["formats", "is_file_name", "read", "suffixes"]


@cache
def formats() -> dict[str, ModuleType]:
    """Return the formats by name."""
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def suffixes() -> tuple[str, ...]:
    """Return how the names of files end that are read."""
    return tuple(suffix for module in formats().values() for suffix in module.SUFFIXES)


def is_file_name(path: Path) -> bool:
    """Tell whether a name is that of a file or a folder, and not that of a data set."""
    try:
        return path.suffix.lower() in suffixes() or len(path.parts) > 1 or path.exists()
    except OSError:  # a name that is too long
        return True


def read(path: AnyPath, how: How | None = None, what: str = "data") -> Table | Arrays:
    """Return what a file or a folder holds.

    Parameters
    ----------
    path : str or path
    how : How or None
    what : str
        What messages call it before it is known to be there.

    Raises
    ------
    DataError
        If it is missing, of another kind, damaged, or holds something else; with the line and the
        column, or the name of the array.
    """
    path = as_path(what, path)
    module = _format(path, what)
    try:
        return module.read(path, how or How())  # type: ignore[no-any-return]
    except DyadsError:
        raise
    except FileNotFoundError as error:
        raise DataError(message(what, "no such file", str(path), "its path")) from error
    except Exception as error:  # other libraries have many ways to say that a file is damaged
        text = f"{path}: cannot be read as {module.SUMMARY} ({reason(error)})"
        raise DataError(f"{text}. Try: another file") from error


def _format(path: Path, what: str) -> ModuleType:
    """Return the format of a file or a folder."""
    known = formats().values()
    try:
        if path.is_dir():
            for module in known:
                if hasattr(module, "fits") and module.fits(path):
                    return module
            folders = [module.SUMMARY for module in known if hasattr(module, "fits")]
            hint = " or ".join(folders)
            raise DataError(message(what, "is a folder of none of the kinds read", str(path), hint))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Try: another file") from error
    for module in known:
        if path.suffix.lower() in module.SUFFIXES:
            return module
    limit = f"must end in {_list(suffixes())}, or be a folder"
    raise DataError(message(what, limit, str(path), "rows.csv"))


def _list(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
