"""Data sets. Built-in ones are a file each, with NAME, SUMMARY and load(); others are read.

They are read from files, folders, frames and arrays, see :func:`load`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

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
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.event_sets import is_event_set, load_events
from lava_dyads.data.formats import is_file_name, suffixes
from lava_dyads.data.preparation import Preparation
from lava_dyads.data.reading import AS_IT_IS, EVENTS, Reading
from lava_dyads.data.schema import Schema
from lava_dyads.data.sources import read_dataset
from lava_dyads.errors import DataError, invalid, message, nearest
from lava_dyads.files import AnyPath, as_path

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Dataset", "Reading", "available", "load", "read_as"]


class EventOptions(TypedDict, total=False):
    """The options of :func:`load` on recordings of events, see there."""

    bins: int
    window: int
    bin_by: BinEdges
    shrink: int
    events: EventValues
    per_bin: bool
    peak: int
    sensor: Sequence[int]


def available() -> dict[str, ModuleType]:
    """Return the built-in data sets by name."""
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def load(
    source: Any,
    target: Any = None,
    *,
    task: Task | Auto = "auto",
    ignore: str | Sequence[str] = (),
    missing: Missing = "error",
    scaling: InputScaling | Auto = "auto",
    test: AnyPath | None = None,
    group: str = "",
    split: str = "",
    header: Header = "auto",
    image_size: int | Sequence[int] = (),
    channels: Channels = 0,
    **events: Unpack[EventOptions],
) -> Dataset:
    """Return a data set: a built-in one by its name, or from a file, a folder, a frame or arrays.

    Files are tables of text (.csv, .tsv, .txt), Parquet, .npy, .npz and HDF5; folders hold pictures
    by class. ``told`` of what is returned says how it was read.

    Parameters
    ----------
    source : str, path, frame of pandas or polars, array, or (x, y)
        ``digits``, ``mnist``, ``fashion-mnist``, or what to read.
    target : str, list of str, or array
        What is to be learned: the column by its name or number, or several; values beside a frame
        or an array; or a file of labels beside an array. None: a column of a usual name (label,
        class, target, y, species), or the last one.
    task : str
        ``classes``, ``values`` (real ones), ``labels`` (several may hold); ``auto``: texts, truth
        values and few different whole numbers are classes, other numbers values.
    ignore : str, or list of str
        Columns that are no inputs.
    missing : str
        What becomes of missing values: ``error``, ``mean`` (that of the column, in the training
        part) or ``drop`` (the row is left out).
    scaling : str
        ``standard``, ``min-max``, ``bytes`` (/ 255) or ``none``, learnt on the training part alone;
        ``auto``: none where all values lie in 0 .. 1, bytes for images, else standard.
    test : path or None
        A file of its own for the test part.
    group : str
        Column whose values are never in both the training and the test part.
    split : str
        ``time``: the test part is the last rows; ``time:COLUMN``: those of the largest values of a
        column. Empty: it is drawn.
    header : str
        Whether the first line of a table holds names: ``auto``, ``yes`` or ``no``.
    image_size : int, or pair of int
        Height and width that pictures are brought to.
    channels : int
        1 (grey) or 3 (colour); 0: as the pictures are.
    bins, window, bin_by, shrink, events, per_bin, peak
        Of recordings of events: how they become frames, ``bins``, ``window``, ``edges``,
        ``shrink``, ``values``, not ``accumulate`` and ``peak`` of ``data.binning.Binning``.
    sensor : pair of int
        Rows and columns of the camera, where its files do not say it.

    Raises
    ------
    DataError
        If it is unknown (the nearest names are suggested), missing or malformed.

    Examples
    --------
    >>> data = load([[0.1, 0.7], [0.3, 0.2], [0.2, 0.6]], ["yes", "no", "yes"])
    >>> data.x.shape, data.labels, data.class_names
    ((3, 2), array([1, 0, 1]), ('no', 'yes'))
    """
    names, values = _target(target, isinstance(source, list | tuple | np.ndarray))
    reading = Reading(
        target=names,
        task=task,
        ignore=(ignore,) if isinstance(ignore, str) else ignore,  # type: ignore[arg-type]
        missing=missing,
        scaling=scaling,
        test="" if test is None else str(as_path("test", test)),
        group=group,
        split=split,
        header=header,
        image_size=(image_size,) if isinstance(image_size, int) else image_size,  # type: ignore[arg-type]
        channels=channels,
        **_known(events),
    )
    return read_as(source, reading, y=values)


def read_as(
    source: Any, reading: Reading = AS_IT_IS, like: Schema | None = None, y: object = None
) -> Dataset:
    """Return a data set as :func:`load` does, or with rows like those that it is given.

    Parameters
    ----------
    source
        As of :func:`load`.
    reading : Reading
    like : Schema or None
        What the rows have to be: those that a network was trained on.
    y : array-like or None
        What is to be learned, beside a frame or an array.
    """
    if not isinstance(source, str) and not hasattr(source, "__fspath__"):
        return read_dataset(source, reading, like, y)
    known = available()
    path = as_path("data set", source, ", ".join(known))
    name = str(path)
    if name in known:
        return replace(_built_in(name, known[name], reading), source=name)
    if is_event_set(path):
        return replace(_recorded(path, reading), source=name)
    _check_none_of_events(reading, f"{name} holds no recordings of events")
    if not is_file_name(path):
        hint = f"{nearest(name, known)}, or a file that ends in {', '.join(suffixes())}"
        raise DataError(message("data set", "unknown name", name, hint))
    return replace(read_dataset(path, reading, like, y), source="" if y is not None else name)


def _built_in(name: str, module: ModuleType, reading: Reading) -> Dataset:
    """Return a built-in set, scaled or binned in another way where that is asked for."""
    usual: Binning | None = getattr(module, "BINNING", None)
    for option, value in reading.as_dict().items():
        if option != "scaling" and not (usual and option in EVENTS and option != "sensor"):
            invalid(option, f"{name} has its own", value, "to leave it out")
    if usual:
        made: Dataset = module.load(reading.binning(usual))
        return replace(made, reading=reading)
    data: Dataset = module.load()
    if reading.scaling in ("auto", "none"):
        return data
    return replace(data, preparation=Preparation(reading.scaling), reading=reading)


def _recorded(path: Path, reading: Reading) -> Dataset:
    """Return the recordings of a folder, or a file of spikes."""
    for option, value in reading.as_dict().items():
        if option not in EVENTS:
            invalid(option, f"{path} holds recordings of events", value, "to leave it out")
    rows_and_columns = (reading.sensor[0], reading.sensor[1]) if reading.sensor else None
    made = load_events(path, reading.binning(Binning()), rows_and_columns)
    return replace(made, reading=reading)


def _check_none_of_events(reading: Reading, limit: str) -> None:
    """Raise where an option on events is given."""
    for option, value in reading.as_dict().items():
        if option in EVENTS:
            invalid(option, limit, value, "a folder of event files by class")


def _known(events: Mapping[str, Any]) -> dict[str, Any]:
    """Return options on events; raise at others."""
    for name, value in events.items():
        if name not in EVENTS:
            invalid(f"load.{name}", "unknown option", value, nearest(name, EVENTS))
    return {name: tuple(value) if name == "sensor" else value for name, value in events.items()}


def _target(target: Any, beside: bool) -> tuple[tuple[str, ...], object]:
    """Return names of columns, or values; ``beside``: of arrays, which have no names."""
    if target is None:
        return (), None
    if isinstance(target, str | int) and not isinstance(target, bool):
        return tuple(name.strip() for name in str(target).split(",")), None
    texts = isinstance(target, list | tuple) and all(isinstance(name, str) for name in target)
    if texts and not beside:
        return tuple(target), None
    if hasattr(target, "__fspath__"):
        return (str(target),), None
    return (), np.asarray(target)
