"""Options on how a file is read as a data set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import arg

from lava_dyads.choices import (
    Auto,
    BinEdges,
    Channels,
    EventValues,
    Header,
    InputScaling,
    Missing,
    Task,
)
from lava_dyads.cli.common import Groups, Sizes
from lava_dyads.data.reading import EVENTS, Reading

Names = Annotated[str, arg(metavar="COLUMN,...")]
"""Columns with commas between."""


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a file, or a folder, is read; docs/data.md."""

    groups: ClassVar[Groups] = {
        "data": ("target", "task", "ignore", "missing", "scaling", "test", "group", "split",
                 "header", "image_size", "channels"),
        "events": EVENTS,
    }  # fmt: skip

    target: Names = ""
    """What is learned, by name or number; several: values. Default: a column label, class, target,
    y or species, else the last one. Of an array also a file of labels."""
    task: Task | Auto = "auto"
    """Auto: texts, truth values and few different whole numbers are classes, other numbers real
    values, several columns of 0 and 1 labels that hold or not."""
    ignore: Names = ""
    """Columns that are no inputs."""
    missing: Missing = "error"
    """Missing values become the mean of their column in the training part, or their row is left
    out."""
    scaling: InputScaling | Auto = "auto"
    """Of inputs, learnt on the training part alone: mean 0 and deviation 1, 0 .. 1, divided by 255.
    Auto: none where all lie in 0 .. 1, bytes for images, else standard."""
    test: Path | None = None
    """A file of its own for the test part."""
    group: Annotated[str, arg(metavar="COLUMN")] = ""
    """Rows with the same value of it are never in both the training and the test part."""
    split: Annotated[str, arg(metavar="time[:COLUMN]")] = ""
    """The test part is the last rows, or those of the largest values of a column. Default: it is
    drawn."""
    header: Header = "auto"
    """Whether the first line of a table holds names."""
    image_size: Sizes = ()
    """Height and width that pictures of a folder are brought to, 28 or 28,28."""
    channels: Channels = 0
    """Pictures become grey (1) or coloured (3); 0: as they are."""

    bins: int | None = None
    """Frames of a recording, bins of time in which its events are counted. Default: 8."""
    window: int | None = None
    """Microseconds of a bin, of which there are then as many as it takes."""
    bin_by: BinEdges | None = None
    """Bins hold as much time, or as many events. Default: time."""
    shrink: int | None = None
    """Pixels of the camera, to the right and down, that become one. Default: 1 (gestures: 2)."""
    events: EventValues | None = None
    """Events are counted, or there is one or not. Default: count."""
    per_bin: bool = False
    """A frame holds the events of its own bin alone, not of all up to it."""
    peak: int | None = None
    """Events of a pixel at which its input is 1; more are cut off. Default: 4 (gestures: 8)."""
    sensor: Sizes = ()
    """Rows and columns of the camera, 180,240, where its files do not say it."""

    def reading(self) -> Reading:
        """Return how files are read."""
        given: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(DataOptions)}
        lists = {name: names_of(given[name]) for name in ("target", "ignore")}
        return Reading(**given | lists | {"test": str(self.test or "")})


def names_of(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas between."""
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()
