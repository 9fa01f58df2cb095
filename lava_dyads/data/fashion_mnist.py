"""Fashion-MNIST: 70,000 grey images of 28 x 28 pixels of clothes, 60,000 of them to train."""

from __future__ import annotations

from lava_dyads.data.dataset import Dataset
from lava_dyads.data.idx import IdxSource, register

NAME = "fashion-mnist"
SUMMARY = "70,000 images of clothes, 28 x 28 pixels, ten classes (fetched once, by apt)"
UNITS = "bytes of 0 .. 255, divided by 255"

SOURCE = register(
    IdxSource(
        NAME,
        checksums=(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        folders=("/usr/share/datasets/fashion-mnist",),
        mirror="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        debian="dataset-fashion-mnist",
    )
)


def load() -> Dataset:
    """Return the images scaled to 0 .. 1, with the official test part."""
    return SOURCE.load()
