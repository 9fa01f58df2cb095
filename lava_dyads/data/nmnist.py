"""N-MNIST: the digits of MNIST before an event camera that moves, 70,000 recordings."""

from __future__ import annotations

from lava_dyads.data.archives import Archive, ArchivedEvents
from lava_dyads.data.binning import Binning
from lava_dyads.data.dataset import Dataset

NAME = "nmnist"
SUMMARY = "70,000 digits before an event camera that moves, 34 x 34 pixels, ten classes, over time"
UNITS = "events of a pixel up to a frame, divided by 4, at most 1"

BINNING = Binning(bins=6, shrink=2)
"""Frames of 2 x 17 x 17: two for each of the three saccades."""

_FOLDER = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files"

SOURCE = ArchivedEvents(
    NAME,
    (
        Archive(f"{_FOLDER}/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
                "20959b8e626244a1b502305a9e6e2031"),
        Archive(f"{_FOLDER}/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
                "69ca8762b2fe404d9b9bad1103e97832"),
    ),
    "unpack Train.zip and Test.zip of N-MNIST in a folder, then lava-dyads train FOLDER --bins 6",
)  # fmt: skip


def load(binning: Binning = BINNING) -> Dataset:
    """Return the recordings as sequences of frames, with the official test part."""
    return SOURCE.load(binning)
