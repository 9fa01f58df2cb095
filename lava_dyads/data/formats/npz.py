"""Archives of arrays (.npz): samples under one of the usual names, and what is to be learned."""

from __future__ import annotations

from pathlib import Path

from lava_dyads.data.contents import Arrays, How
from lava_dyads.data.formats.named_arrays import samples_of
from lava_dyads.files import opened_arrays

NAME = "npz"
SUFFIXES = (".npz",)
SUMMARY = ".npz with arrays x and labels"


def read(path: Path, how: How) -> Arrays:
    """Return the arrays of a file."""
    with opened_arrays(path) as file:
        return samples_of(str(path), file.names, file.__getitem__, "numpy.savez(path, x=rows)")
