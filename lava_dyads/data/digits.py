"""The digits of scikit-learn: 1,797 grey images of 8 x 8 pixels, ten classes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.dataset import Dataset, State

NAME = "digits"
SUMMARY = "1,797 handwritten digits, 8 x 8 pixels, ten classes (ships with scikit-learn)"
UNITS = "pixels of 0 .. 16, divided by 16"

CHECKSUM = "7696c07daa6d85010f8268703ab8b067"
"""MD5 of the images and labels as bytes, one after the other."""


class Packaged:
    """A data set that comes with a package that is installed anyway."""

    def state(self) -> State:
        """Verify the images."""
        data = load()
        content = (data.x * 16).astype("u1").tobytes() + data.classes_of().astype("u1").tobytes()
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        where = f"scikit-learn {version('scikit-learn')}"
        if found != CHECKSUM:
            what = f"data {NAME}: {where}: the MD5 of images and labels must be {CHECKSUM}"
            return State("damaged", problem=f"{what} (got {found}). Try: another scikit-learn")
        return State("ready", where)

    def get(self, on_progress: Callable[[str], None] | None = None) -> State:
        """Nothing to fetch."""
        return self.state()


SOURCE = Packaged()


def load() -> Dataset:
    """Return the images scaled to 0 .. 1."""
    table = _table()
    return Dataset(NAME, table[:, :-1] / 16.0, table[:, -1].astype(np.int64))


def _table() -> NDArray[np.float64]:
    """Return a row per image, its label last: the file alone, where it is as ever.

    To import scikit-learn takes longer than all of Lava.
    """
    found = find_spec("sklearn")
    folders = (found and found.submodule_search_locations) or ()
    for folder in folders:
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    raw = load_digits()
    return np.column_stack([raw.data, raw.target])
