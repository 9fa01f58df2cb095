"""Arrays as .npy: rows of numbers, the last one of each what is to be learned; or images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lava_dyads.data.contents import Arrays, How
from lava_dyads.files import opened, reason

NAME = "npy"
SUFFIXES = (".npy",)
SUMMARY = "an array (.npy)"


def read(path: Path, how: How) -> Arrays:
    """Return an array that is read as it is used: a damaged head asks for no memory."""
    with opened(path):  # a device is none
        pass
    try:
        x = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except OSError:
        raise
    except Exception as error:  # numpy raises what its parser of heads does
        raise ValueError(reason(error)) from error
    return Arrays(str(path), x, None, f"array {x.shape} of {x.dtype}")
