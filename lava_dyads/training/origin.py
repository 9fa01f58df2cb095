"""The data that a network was trained on: where they are, and whether they are still the same.

A network that is measured on data that have changed since shows the accuracy of samples it has
learned: the test part is another one then. So a run keeps a checksum, and where its file was, seen
from the root and from the run: either may move without the other, or both together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lava_dyads.data import Dataset, Reading, available, read_as
from lava_dyads.data.reading import AS_IT_IS
from lava_dyads.errors import CheckpointError, DataChangedError, DataError, message
from lava_dyads.files import AnyPath


def remembered(
    name: AnyPath, checksum: int, folder: AnyPath, reading: Reading = AS_IT_IS
) -> dict[str, Any]:
    """Return the description of a run's data, to be written as JSON.

    Parameters
    ----------
    name : str or path
        The name or the file that ``load`` was asked for.
    checksum : int
        Of the data.
    folder : str or path
        Of the run.
    reading : Reading
        How the file was read.
    """
    kept: dict[str, Any] = {"checksum": checksum}
    if reading != AS_IT_IS:
        kept["reading"] = replace(reading, test=_absolute(reading.test)).as_dict()
    if _is_file(str(name)):
        path = Path(name).absolute()
        kept["file"] = str(path)
        try:
            kept["from_run"] = os.path.relpath(path, Path(folder).absolute())
        except ValueError:  # another drive, on Windows
            kept["from_run"] = str(path)
    return {"dataset": str(name), "data": kept}


def recalled(kept: Mapping[str, Any], folder: AnyPath, way: str = "--dataset FILE") -> Dataset:
    """Return the data of a run: the file of its name, or where that was, if it is the same.

    Parameters
    ----------
    kept : mapping
        What :func:`remembered` returned; without a checksum nothing is compared.
    folder : str or path
        Of the run, where it is now.
    way : str
        How to name the file where it is now, for the message of an error.

    Raises
    ------
    CheckpointError
        If it names no data set.
    DataError
        If there is none, naming where it looked.
    DataChangedError
        If there are only others.
    """
    name = kept.get("dataset")
    if not isinstance(name, str) or not name:
        raise CheckpointError("the run names no data set. Try: --dataset NAME")
    reading = reading_of(kept)
    if not _is_file(name):
        data = read_as(name, reading)
        check_unchanged(kept, data, name)
        return data
    failure: DataError | None = None
    places = _places(name, kept.get("data"), Path(folder))
    for place in places:
        if place.exists():
            try:
                data = read_as(place, reading)
                check_unchanged(kept, data, str(place))
                return data
            except DataError as error:
                failure = failure or error
    if failure:
        raise failure
    others = "".join(f", nor is there {place}" for place in places[1:])
    raise DataError(message("data set", f"no such file{others}", name, f"{way}, where it is now"))


def check_unchanged(kept: Mapping[str, Any], data: Dataset, what: str = "") -> None:
    """Raise where data are not those that a run has kept a checksum of.

    Raises
    ------
    DataChangedError
        If their checksums differ.
    """
    checksum = _checksum(kept)
    if checksum is not None and checksum != data.checksum:
        raise DataChangedError(
            message(
                f"data {what or data.name}",
                f"have changed since the training, when their checksum was {checksum}",
                data.checksum,
                "the data as they were, or --dataset FILE for data that it has not seen",
            )
        )


def _is_file(name: str) -> bool:
    """Tell whether data have the name of a file, and not of a built-in set."""
    return bool(name) and name not in available()


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def reading_of(kept: Mapping[str, Any]) -> Reading:
    """Return how the data of a run were read."""
    held = kept.get("data")
    known = held.get("reading") if isinstance(held, Mapping) else None
    return Reading.from_dict(known) if isinstance(known, Mapping) else AS_IT_IS


def units_of(kept: Mapping[str, Any]) -> str:
    """Return how the values of a run's data were scaled, where that is known; else nothing."""
    module = available().get(str(kept.get("dataset")))
    return f"{module.NAME}: {module.UNITS}" if module else ""


def is_same(kept: Mapping[str, Any], data: Dataset) -> bool:
    """Tell whether data are those of a run; True where it has kept no checksum."""
    return _checksum(kept) in (None, data.checksum)


def _checksum(kept: Mapping[str, Any]) -> object:
    held = kept.get("data")
    return held.get("checksum") if isinstance(held, Mapping) else None


def _places(name: str, held: object, folder: Path) -> list[Path]:
    """Return the places where the file of a run may be, each once."""
    places = [Path(name)]
    if isinstance(held, Mapping):
        for key, start in (("file", Path()), ("from_run", folder)):
            place = held.get(key)
            if isinstance(place, str) and place and "\0" not in place:
                places.append(Path(os.path.normpath(start / place)))
    there = {os.path.abspath(place): place for place in reversed(places)}
    return list(reversed(there.values()))
