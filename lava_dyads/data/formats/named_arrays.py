"""Files that hold arrays by name: which of them are samples, and what is to be learned of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.data.contents import Arrays
from lava_dyads.errors import DataError, message

SAMPLES = ("x", "X", "data", "images", "features")
TARGETS = ("labels", "y", "Y", "target", "targets", "label", "classes")
"""Names that are looked for, the first that is there."""

PARTS = ("x_train", "y_train", "x_test", "y_test")
"""Names of data with a test part of their own."""


def samples_of(
    what: str, names: Sequence[str], get: Callable[[str], AnyArray], hint: str
) -> Arrays:
    """Return the samples of a file.

    Parameters
    ----------
    what : str
        The file, for messages.
    names : list of str
        Arrays that it holds.
    get : callable
        Returns an array by its name.
    hint : str
        How to write such a file, for messages.

    Raises
    ------
    DataError
        If none of the names is a usual one of samples, saying what is there.
    """
    by_name = {name.lower(): name for name in reversed(names)}
    if all(part in by_name for part in PARTS):
        return _parts(what, [get(by_name[part]) for part in PARTS])
    sample = _first(names, SAMPLES)
    if sample is None:
        held = ", ".join(names[:12]) or "nothing"
        raise DataError(message(what, "needs an array x or X, or data or images", held, hint))
    target = _first(names, TARGETS)
    x = get(sample)
    y = None if target is None else get(target)
    taken = f"{sample}, array {x.shape} of {x.dtype}"
    if y is not None:
        taken += f"; {target}, array {y.shape} of {y.dtype}"
    return Arrays(
        what,
        x,
        y,
        taken,
        class_names=_texts(names, get, ("class_names", "target_names")),
        feature_names=_texts(names, get, ("feature_names",)),
    )


def _parts(what: str, arrays: list[AnyArray]) -> Arrays:
    x, y, test_x, test_y = arrays
    if x.shape[1:] != test_x.shape[1:] or y.shape[1:] != test_y.shape[1:]:
        limit = "training and test part must have samples of one shape"
        raise DataError(message(what, limit, (x.shape, test_x.shape), "the same features in both"))
    taken = f"x_train, array {x.shape} of {x.dtype}, with {len(test_x)} more to test"
    return Arrays(what, np.concatenate([x, test_x]), np.concatenate([y, test_y]), taken, len(x))


def _first(names: Iterable[str], usual: Sequence[str]) -> str | None:
    there = list(names)
    return next((name for name in usual if name in there), None)


def _texts(
    names: Sequence[str], get: Callable[[str], Any], usual: Sequence[str]
) -> tuple[str, ...]:
    """Return names that a file has for its classes or features; empty: none."""
    found = _first(names, usual)
    if found is None:
        return ()
    made = np.asarray(get(found))
    if made.ndim != 1 or made.dtype.kind not in "SUO":
        return ()
    return tuple(t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in made)
