"""The digits of scikit-learn: 1,797 grey images of 8 x 8 pixels, ten classes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from lava_dyads.data.dataset import Dataset, State

NAME = "digits"
SUMMARY = "1,797 handwritten digits, 8 x 8 pixels, ten classes (ships with scikit-learn)"

CHECKSUM = "7696c07daa6d85010f8268703ab8b067"
"""MD5 of the images and labels as bytes, one after the other."""


class Packaged:
    """A data set that comes with a package that is installed anyway."""

    def state(self) -> State:
        """Verify the images."""
        from sklearn import __version__

        data = load()
        content = (data.x * 16).astype("u1").tobytes() + data.labels.astype("u1").tobytes()
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        where = f"scikit-learn {__version__}"
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
    from sklearn.datasets import load_digits

    raw = load_digits()
    return Dataset(NAME, raw.data / 16.0, raw.target)
