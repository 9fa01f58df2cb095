"""Data sets of event files: a folder per class, or the HDF5 files of SHD and SSC.

FOLDER/CLASS/file, or FOLDER/train/CLASS/file and FOLDER/test/CLASS/file; or NAME_train.h5 and
NAME_test.h5 in a folder, or such a file alone. A sample is a sequence of frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lava_dyads.data.binning import Binning
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.event_formats import is_event_file, read_recording
from lava_dyads.data.event_formats.shd import CHANNELS, Words, is_shd, read_words
from lava_dyads.data.events import Events
from lava_dyads.errors import DataError, message
from lava_dyads.files import AnyPath, as_path
from lava_dyads.memory import check_memory

PARTS = ("train", "test")
"""Folders of data with a test part of their own, in whatever letters."""

Sensor = tuple[int, int]


def is_event_set(path: AnyPath) -> bool:
    """Tell whether a folder holds event files by class, or files of spikes; or a file is one."""
    path = as_path("events", path)
    try:
        if path.is_file():
            return is_shd(path)
        return path.is_dir() and bool(_spikes(path) or _classes(path))
    except OSError:
        return False


def load_events(
    path: AnyPath, binning: Binning | None = None, sensor: Sensor | None = None, sort: bool = False
) -> Dataset:
    """Return event files as sequences of frames.

    Parameters
    ----------
    path : str or path
        See the module.
    binning : Binning or None
        How events become frames; None: its defaults.
    sensor : (rows, columns) or None
        Of the camera, where its files do not say it.
    sort : bool
        Put events in order whose times go back, instead of refusing the file.

    Raises
    ------
    DataError
        If there are none, one cannot be read, or they are of cameras of several sizes.
    """
    path, binning = as_path("events", path), binning or Binning()
    if path.is_file() or _spikes(path):
        return _of_spikes(path, binning)
    train, test = _classes(path), _classes(path, "test")
    if not train:
        limit = "holds no event files by class"
        raise DataError(message(f"events {path}", limit, "none", f"{path}/CLASS/1.aedat"))
    names = sorted({*train, *test})
    files = [(file, k) for part in (train, test) for k, n in enumerate(names)
             for file in part.get(n, ())]  # fmt: skip
    frames: list[NDArray[np.float32]] = []
    common: Sensor | None = None
    for file, _ in files:
        recording = read_recording(file, sensor, sort)
        if recording.sensor is None:
            limit, hint = "does not say rows and columns of its sensor", "--sensor 180,240"
            raise DataError(message(f"events {file}", limit, "nothing", hint))
        common = common or recording.sensor
        if recording.sensor != common:
            limit = f"must be of the same sensor as the others, {common}"
            raise DataError(message(f"events {file}", limit, recording.sensor, "one folder each"))
        frames.append(binning.frames(recording.events, common))
        if len(frames) == 1:
            check_memory(f"events {path}", 12.0 * len(files) * frames[0].size, "a larger --shrink")
    labels = np.array([label for _, label in files])
    made = sequences(path.name, frames, labels, tuple(names))
    first = sum(map(len, train.values())) if test else None
    return replace(made, official_training_rows=first)


def sequences(
    name: str,
    frames: Iterable[NDArray[np.float32]],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...] = (),
) -> Dataset:
    """Return sequences of frames, each (bins, ...), as a data set; shorter ones hold their last.

    Examples
    --------
    >>> short, long = np.ones((1, 2)), np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> data = sequences("two", [short, long], np.array([0, 1]))
    >>> data.frames, data.x.tolist()
    (2, [[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    """
    each = [np.asarray(f).reshape(len(f), -1) for f in frames]
    most = max(map(len, each))
    x = np.empty((len(each), most, each[0].shape[1]))
    for row, shown in zip(x, each, strict=True):
        row[: len(shown)] = shown
        row[len(shown) :] = shown[-1]
    return Dataset(name, x.reshape(len(x), -1), labels, class_names=class_names, frames=most)


def of_recordings(
    name: str,
    recordings: Iterable[Events],
    labels: NDArray[np.int64],
    sensor: Sensor,
    binning: Binning | None = None,
    class_names: tuple[str, ...] = (),
) -> Dataset:
    """Return recordings that are in memory as sequences of frames."""
    binning = binning or Binning()
    frames = [binning.frames(events, sensor) for events in recordings]
    return sequences(name, frames, labels, class_names)


def _of_spikes(path: Path, binning: Binning) -> Dataset:
    files = [path] if path.is_file() else _spikes(path)
    words = [read_words(file) for file in files]
    names = words[0].names
    labels = np.concatenate([part.labels for part in words])
    # One polarity: the other would be nothing but zeros.
    frames = [binning.frames(e, (1, CHANNELS))[:, :1] for part in words for e in part.events]
    made = sequences(path.stem, frames, labels, names if _fits(names, words) else ())
    return replace(made, official_training_rows=len(words[0].labels) if len(words) > 1 else None)


def _fits(names: tuple[str, ...], words: list[Words]) -> bool:
    return len(names) > max(int(part.labels.max()) for part in words)


def _spikes(folder: Path) -> list[Path]:
    """Return the training file, and the test file, of spikes in a folder."""
    found = [sorted(folder.glob(f"*_{part}.h5")) for part in PARTS]
    return [files[0] for files in found if files] if found[0] else []


def _classes(folder: Path, part: str = "train") -> dict[str, list[Path]]:
    """Return the event files of each class in one part of a folder; all, if it has no parts."""
    parts = {f.name.lower(): f for f in folder.iterdir() if f.is_dir()}
    if all(name in parts for name in PARTS):
        folder = parts[part]
    elif part != "train":
        return {}
    made: dict[str, list[Path]] = {}
    for inner in sorted(f for f in folder.iterdir() if f.is_dir() and f.name[0] != "."):
        files = sorted(f for f in inner.iterdir() if f.is_file() and is_event_file(f))
        if files:
            made[inner.name] = files
    return made
