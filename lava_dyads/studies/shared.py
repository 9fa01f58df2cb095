"""Data of a study: written once, and mapped into the memory of all workers of a machine."""

from __future__ import annotations

import functools
import io
from dataclasses import fields
from pathlib import Path

import numpy as np

from lava_dyads.data import Dataset
from lava_dyads.files import write_atomically


def share(data: Dataset, path: Path) -> Path:
    """Write a data set into a file that :func:`shared` maps; one that is there is left.

    The file holds pickled objects: it is for workers of the program that has written it.
    """
    if not path.is_file():
        import joblib

        buffer = io.BytesIO()
        joblib.dump(data, buffer)
        with buffer.getbuffer() as content:
            write_atomically(path, content)
    return path


@functools.lru_cache(maxsize=4)
def shared(path: str) -> Dataset:
    """Return the data of a file; their arrays are read-only pages of it, and no copies."""
    import joblib

    data: Dataset = joblib.load(path, mmap_mode="r")
    for f in fields(data):
        value = getattr(data, f.name)
        if isinstance(value, np.memmap):  # a plain view: what is made of it has no file behind it
            object.__setattr__(data, f.name, value.view(np.ndarray))
    return data
