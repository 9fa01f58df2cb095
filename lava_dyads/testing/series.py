"""Series that a Process answered: spikes, comparisons, golden files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import DataError, DifferenceError, invalid, nearest
from lava_dyads.files import AnyPath, as_path, opened_arrays, write_atomically

UPDATE_GOLDEN = "LAVA_DYADS_UPDATE_GOLDEN"
"""Environment variable: golden files are written anew; ``pytest --update-golden`` sets it."""


@dataclass(frozen=True)
class Played:
    """What a Process answered.

    Attributes
    ----------
    outputs : dict of str to array, shape (steps, shape of the port)
        What each output port sent in each time step.
    vars : dict of str to array, shape (steps, shape of the Var)
        The value of each watched Var after each time step.
    """

    outputs: dict[str, AnyArray]
    vars: dict[str, AnyArray]

    def spikes(self, port: str) -> dict[int | tuple[int, ...], list[int]]:
        """Return the time steps, from 1, in which each entry of an output was not 0.

        Entries that never were are left out; of a port with one axis they are plain numbers.

        Examples
        --------
        >>> Played({"s_out": np.array([[0, 1], [1, 1]])}, {}).spikes("s_out")
        {1: [1, 2], 0: [2]}
        """
        if port not in self.outputs:
            invalid("Played.spikes", "not recorded", port, nearest(port, list(self.outputs)))
        found: dict[int | tuple[int, ...], list[int]] = {}
        for step, *entry in np.argwhere(self.outputs[port] != 0).tolist():
            found.setdefault(entry[0] if len(entry) == 1 else tuple(entry), []).append(step + 1)
        return found

    def save(self, path: AnyPath) -> None:
        """Write all series into an .npz file."""
        series: dict[str, Any] = {f"out {name}": s for name, s in self.outputs.items()}
        series |= {f"var {name}": s for name, s in self.vars.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **series)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: AnyPath) -> Played:
        """Read what :meth:`save` has written.

        Raises
        ------
        DataError
            If the file is missing or holds something else.
        """
        path = as_path("golden file", path)
        try:
            with opened_arrays(path) as file:
                series = {name: file[name] for name in file.names}
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            hint = f"Try: pytest --update-golden, or {UPDATE_GOLDEN}=1"
            raise DataError(f"{path}: not a readable golden file ({why}). {hint}") from error
        kinds = [
            {n[4:]: s for n, s in series.items() if n.startswith(kind)} for kind in ("out ", "var ")
        ]
        return cls(*kinds)


def assert_same(
    first: Played | Mapping[str, AnyArray],
    second: Played | Mapping[str, AnyArray],
    *,
    atol: float = 0.0,
    rtol: float = 0.0,
    names: tuple[str, str] = ("the first", "the second"),
) -> None:
    """Fail at the first difference between two sets of series.

    Parameters
    ----------
    first, second : Played, or mapping of names to arrays of shape (steps, ...)
    atol, rtol : float
        Two numbers a, b are the same where abs(a - b) <= atol + rtol abs(b); NaN is NaN. By
        default they have to be equal to the bit, but for the sign of zero.
    names : (str, str)
        Who they are, for the message.

    Raises
    ------
    DifferenceError
        Naming the step, the port or Var and the entry: the earliest step decides.

    Examples
    --------
    >>> a, b = {"s_out": np.zeros((3, 2))}, {"s_out": np.eye(3)[:, 1:]}
    >>> assert_same(a, b)
    Traceback (most recent call last):
    ...
    lava_dyads.errors.DifferenceError: s_out differs first in step 2, entry 0: the first has 0.0, the second 1.0 (2 of 6 numbers differ)
    """  # noqa: E501
    ours, theirs = _flat(first), _flat(second)
    if ours.keys() != theirs.keys():
        only = sorted(ours.keys() ^ theirs.keys())
        raise DifferenceError(f"{', '.join(only)}: recorded in one of {' and '.join(names)} only")
    found: tuple[int, str] | None = None
    for name, series in ours.items():
        other = theirs[name]
        if series.shape != other.shape:
            what = f"{names[0]} has shape {series.shape}, {names[1]} {other.shape}"
            raise DifferenceError(f"{name}: {what}")
        wrong = ~_close(series, other, atol, rtol)
        if not wrong.any():
            continue
        step, *entry = np.argwhere(wrong)[0].tolist()
        if found is not None and found[0] <= step:
            continue
        place = (step, *entry)
        which = entry[0] if len(entry) == 1 else tuple(entry)
        found = (
            step,
            f"{name} differs first in step {step + 1}, entry {which}: {names[0]} has "
            f"{series[place]}, {names[1]} {other[place]} "
            f"({np.count_nonzero(wrong)} of {wrong.size} numbers differ)",
        )
    if found is not None:
        raise DifferenceError(found[1])


def assert_golden(played: Played, path: AnyPath, *, atol: float = 0.0, rtol: float = 0.0) -> None:
    """Fail where series differ from those that a file holds.

    With the environment variable LAVA_DYADS_UPDATE_GOLDEN set, or ``pytest --update-golden``, the
    file is written anew instead; look at what changed before you commit it.

    Raises
    ------
    DifferenceError
        As :func:`assert_same`.
    DataError
        If there is no such file.
    """
    if os.environ.get(UPDATE_GOLDEN):
        played.save(path)
        return
    assert_same(played, Played.load(path), atol=atol, rtol=rtol, names=("now it", f"{path}"))


def _flat(series: Played | Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    if isinstance(series, Played):
        return {**series.outputs, **series.vars}
    return {name: np.asarray(values) for name, values in series.items()}


def _close(a: AnyArray, b: AnyArray, atol: float, rtol: float) -> AnyArray:
    if a.dtype.kind in "OSU" or b.dtype.kind in "OSU":
        return np.asarray(a == b)
    same: AnyArray = np.asarray(a == b) | ((a != a) & (b != b))
    if not (atol or rtol):
        return same
    with np.errstate(invalid="ignore"):
        return np.asarray(same | (abs(a - b) <= atol + rtol * abs(b)))
