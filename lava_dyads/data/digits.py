"""The digits of scikit-learn: 1,797 grey images of 8 x 8 pixels, ten classes."""

from __future__ import annotations

from lava_dyads.data.dataset import Dataset

NAME = "digits"
SUMMARY = "1,797 handwritten digits, 8 x 8 pixels, ten classes (ships with scikit-learn)"


def load() -> Dataset:
    """Return the images scaled to 0 .. 1."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    return Dataset(NAME, raw.data / 16.0, raw.target)
