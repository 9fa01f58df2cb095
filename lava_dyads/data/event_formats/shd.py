"""The HDF5 files of SHD and SSC: spoken words as the spikes of 700 channels of a cochlea.

Arrays ``spikes/times`` (seconds) and ``spikes/units`` (0 .. 699), of which each entry is the array
of one word, and ``labels``; the names of the classes in ``extra/keys``, where they are there.

Source: Cramer, Stradmann, Schemmel, Zenke, *The Heidelberg spiking data sets for the systematic
evaluation of spiking neural networks*, IEEE Trans. Neural Netw. Learn. Syst. 33, 2744 (2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.events import EVENT, Events
from lava_dyads.data.hdf5 import opened_hdf5
from lava_dyads.errors import DataError, DyadsError, message
from lava_dyads.files import AnyPath, as_path

CHANNELS = 700
TRY = "a file of SHD or SSC, fetched again"
LONGEST = 3600.0
"""Seconds; a word takes one or two."""


@dataclass(frozen=True)
class Words:
    """The samples of a file.

    Attributes
    ----------
    events : list of structured arrays ``EVENT``
        Column x is the channel; row 0, polarity 1.
    labels : int array
    names : tuple of str
        Of the classes; empty: the file has none.
    """

    events: list[Events]
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def is_shd(path: AnyPath) -> bool:
    """Tell whether a file is HDF5 and has spikes."""
    path = as_path("spikes", path)
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    try:
        with opened_hdf5("spikes", path, TRY) as file:
            return "spikes" in file
    except DyadsError:
        return False


def read_words(path: AnyPath) -> Words:
    """Return the words of a file.

    Raises
    ------
    DataError
        If it cannot be read, has other arrays, or a spike outside the channels or of no time; with
        sample and spike.
    """
    path = as_path("spikes", path)
    try:
        with opened_hdf5("spikes", path, TRY) as file:
            return _words(file, f"spikes {path}")
    except DataError:
        raise
    except DyadsError as error:
        raise DataError(str(error)) from error


def _words(file: Any, what: str) -> Words:
    missing = [n for n in ("spikes/times", "spikes/units", "labels") if n not in file]
    if missing:
        raise DataError(message(what, "must have spikes/times, spikes/units, labels",
                                f"no {missing[0]}", TRY))  # fmt: skip
    times, units, labels = file["spikes/times"][()], file["spikes/units"][()], file["labels"][()]
    if not len(labels):
        raise DataError(message(what, "is empty, it must hold words", "0 labels", TRY))
    if not len(times) == len(units) == len(labels) or labels.dtype.kind not in "iu":
        limit = "must have as many times and units as labels, and whole numbers as labels"
        raise DataError(message(what, limit, (len(times), len(units), len(labels)), TRY))
    keys = file["extra/keys"][()] if "extra/keys" in file else ()
    names = tuple(k.decode() if isinstance(k, bytes) else str(k) for k in keys)
    return Words(list(_each(times, units, what)), labels.astype(np.int64), names)


def _each(times: Any, units: Any, what: str) -> Iterator[Events]:
    for number, (time, unit) in enumerate(zip(times, units, strict=True)):
        if len(time) != len(unit) or not len(time):
            limit = f"sample {number}: must have spikes, as many times as units"
            raise DataError(message(what, limit, (len(time), len(unit)), TRY))
        seconds, channel = np.asarray(time, np.float64), np.asarray(unit).astype(np.int64)
        good = (seconds >= 0) & (seconds < LONGEST) & (channel >= 0) & (channel < CHANNELS)
        if not good.all():
            spike = int((~good).argmax())
            limit = f"sample {number}, spike {spike}: time must lie in 0 .. {LONGEST:g} s and"
            got = f"{seconds[spike]:g} s, {channel[spike]}"
            raise DataError(message(what, f"{limit} unit in 0 .. {CHANNELS - 1}", got, TRY))
        events = np.zeros(len(seconds), EVENT)
        events["t"], events["x"], events["polarity"] = np.rint(seconds * 1e6), channel, 1
        if (np.diff(seconds) < 0).any():
            events = events[np.argsort(seconds, kind="stable")]
        yield events
