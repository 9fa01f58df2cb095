"""How a file is read as a data set, where that is not plain from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from lava_dyads.checks import Count, Natural, check_fields, taken_fields
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
from lava_dyads.data.binning import Binning
from lava_dyads.data.contents import How
from lava_dyads.errors import invalid

EVENTS = ("bins", "window", "bin_by", "shrink", "events", "per_bin", "peak", "sensor")
"""Options on how events become frames."""

LARGEST_SIDE = 1 << 14
"""Pixels of a picture's side."""


@dataclass(frozen=True)
class Reading:
    """How a file is read, see :func:`lava_dyads.load`."""

    target: tuple[str, ...] = ()
    task: Task | Auto = "auto"
    ignore: tuple[str, ...] = ()
    missing: Missing = "error"
    scaling: InputScaling | Auto = "auto"
    test: str = ""
    group: str = ""
    split: str = ""
    header: Header = "auto"
    image_size: tuple[int, ...] = ()
    channels: Channels = 0
    bins: Count | None = None
    window: Natural | None = None
    bin_by: BinEdges | None = None
    shrink: Count | None = None
    events: EventValues | None = None
    per_bin: bool = False
    peak: Count | None = None
    sensor: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "load.")
        if self.split and self.split != "time" and not self.split.startswith("time:"):
            invalid("split", "unknown name", self.split, "time, or time:COLUMN")
        if self.image_size:
            size = self.image_size * 2 if len(self.image_size) == 1 else self.image_size
            if len(size) != 2 or not all(0 < n <= LARGEST_SIDE for n in size):
                invalid("image_size", "must be height and width", self.image_size, "28,28")
            object.__setattr__(self, "image_size", size)
        if self.sensor and not (
            len(self.sensor) == 2 and all(0 < n < 1 << 15 for n in self.sensor)
        ):
            invalid("sensor", "must be rows and columns", self.sensor, "180,240")
        if self.split and self.group:
            invalid("split", "is by time or by group, not both", self.split, "one of them")

    @property
    def how(self) -> How:
        """What the readers of files ask for."""
        return How(self.header, self.image_size, self.channels)

    def binning(self, usual: Binning) -> Binning:
        """Return how events become frames, where nothing is said as usual."""
        said: dict[str, Any] = {
            "bins": self.bins,
            "window": self.window,
            "edges": self.bin_by,
            "shrink": self.shrink,
            "values": self.events,
            "peak": self.peak,
            "accumulate": False if self.per_bin else None,
        }
        return replace(usual, **{name: value for name, value in said.items() if value is not None})

    def as_dict(self) -> dict[str, Any]:
        """Return what is not as by default, as what JSON knows."""
        default = Reading()
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value != getattr(default, name)
        }

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> Reading:
        """Return what :meth:`as_dict` has described; what is not known is passed over.

        Raises
        ------
        ValidationError
            If a value is of another kind.
        """
        known = {f.name: held[f.name] for f in fields(cls) if f.name in held}
        return cls(**taken_fields(cls, known, "data: "))


AS_IT_IS = Reading()
"""Nothing has been said."""
