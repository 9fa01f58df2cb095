"""Data sets. One file each, with NAME, SUMMARY and load(); a path to an .npz file works too."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from lava_dyads.data.dataset import Dataset
from lava_dyads.errors import DataError, message, nearest
from lava_dyads.files import AnyPath, as_path, opened_arrays

__all__ = ["Dataset", "available", "load"]


def available() -> dict[str, ModuleType]:
    """Return the built-in data sets by name."""
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def load(name: AnyPath) -> Dataset:
    """Return a data set by name, or from an .npz file with arrays ``x`` and ``labels``.

    Parameters
    ----------
    name : str or path
        ``digits``, ``mnist``, ``fashion-mnist``, or a path that ends in .npz.

    Raises
    ------
    DataError
        If it is unknown (the nearest names are suggested), missing or malformed.
    """
    known = available()
    path = as_path("data set", name, ", ".join(known))
    if path.suffix == ".npz":
        return _from_file(path)
    name = str(path)
    if name not in known:
        hint = f"{nearest(name, known)}, or a path to an .npz file with arrays x and labels"
        raise DataError(message("data set", "unknown name", name, hint))
    return known[name].load()  # type: ignore[no-any-return]


def _from_file(path: Path) -> Dataset:
    try:
        with opened_arrays(path) as file:
            return Dataset(path.stem, file["x"], file["labels"])
    except FileNotFoundError as error:
        raise DataError(message("data set", "no such file", str(path))) from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        hint = "numpy.savez(path, x=..., labels=...)"
        what = f"data set {path}: cannot be read as .npz with arrays x and labels"
        raise DataError(f"{what} ({error}). Try: {hint}") from error
