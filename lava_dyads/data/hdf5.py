"""HDF5 files of others: what they claim is looked at before memory is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lava_dyads.errors import DyadsError, ValidationError
from lava_dyads.files import EXPANSION, SMALL, AnyPath, as_path, reason
from lava_dyads.optional import imported


@contextmanager
def opened_hdf5(what: str, path: AnyPath, try_: str) -> Iterator[Any]:
    """Open a file for reading; whatever turns out to be wrong with it is an error of one line.

    Parameters
    ----------
    what : str
        What it should be, for messages.
    path : str or path
    try_ : str
        What to try.

    Raises
    ------
    ValidationError
        If it cannot be read, also inside the block, or claims more than a file of its size holds.
    """
    h5py, path = import_h5py(), as_path(what, path)
    try:
        with h5py.File(path, "r") as file:
            most = max(SMALL, EXPANSION * path.stat().st_size)
            file.visititems(lambda name, item: _check(name, item, most))
            yield file
    except DyadsError:
        raise
    except Exception as error:  # HDF5 has many ways to say that a file is damaged
        text = f"{what} {path}: cannot be read as one ({reason(error)}). Try: {try_}"
        raise ValidationError(text) from error


def _check(name: str, item: Any, most: int) -> None:
    # A data set that was never written to takes no place in the file.
    size = getattr(item, "nbytes", 0)
    if size > most:
        raise ValueError(f"{name} claims {size} bytes")


def import_h5py() -> Any:
    """Return the package h5py."""
    return imported("h5py", "HDF5 files", "export")
