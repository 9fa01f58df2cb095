"""SHD: the digits of two languages, spoken, as spikes of a model of the inner ear."""

from __future__ import annotations

from lava_dyads.data.archives import Archive, ArchivedEvents
from lava_dyads.data.binning import Binning
from lava_dyads.data.dataset import Dataset

NAME = "shd"
SUMMARY = "10,420 spoken digits as spikes of 700 channels, twenty classes, over time (h5py)"
UNITS = "spikes of ten channels up to a frame, divided by 16, at most 1"

BINNING = Binning(bins=20, shrink=10, peak=16)
"""Frames of 70 channels."""

SOURCE = ArchivedEvents(
    NAME,
    (
        Archive("https://zenkelab.org/datasets/shd_train.h5.zip",
                "f3252aeb598ac776c1b526422d90eecb"),
        Archive("https://zenkelab.org/datasets/shd_test.h5.zip",
                "1503a5064faa34311c398fb0a1ed0a6f"),
    ),
    "shd_train.h5 and shd_test.h5 in a folder, then lava-dyads train FOLDER --bins 20 --shrink 10",
)  # fmt: skip


def load(binning: Binning = BINNING) -> Dataset:
    """Return the words as sequences of frames, with the official test part."""
    return SOURCE.load(binning)
