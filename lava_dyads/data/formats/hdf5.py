"""HDF5 files, by h5py (extra ``export``): samples under one of the usual names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.data.contents import Arrays, How
from lava_dyads.data.formats.named_arrays import samples_of
from lava_dyads.data.hdf5 import opened_hdf5
from lava_dyads.files import opened
from lava_dyads.memory import check_memory

NAME = "hdf5"
SUFFIXES = (".h5", ".hdf5")
SUMMARY = "an HDF5 file of arrays"


def read(path: Path, how: How) -> Arrays:
    """Return the arrays of a file."""
    with opened(path):  # a device is none
        pass
    with opened_hdf5("data", path, "a file with data sets x and labels") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)

        def get(name: str) -> AnyArray:
            item: Any = file[name]
            check_memory(f"{path}: {name}", float(item.nbytes), "fewer samples")
            made = np.asarray(item[()])
            if made.dtype.kind == "O":  # texts, of any length
                texts = np.array([_text(v) for v in made.ravel().tolist()], object)
                made = texts.reshape(made.shape)
            return made

        return samples_of(str(path), names, get, "file['x'], file['labels'] = rows, classes")


def _text(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
