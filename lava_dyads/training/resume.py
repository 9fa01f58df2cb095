"""The state of a run: all that its further course depends on, to go on to the same bits.

Weights, biases, feedback, the optimisers' registers and every other register and counter; where
in which epoch it is; the generators of the order of samples, of noise, of latencies and faults;
the metrics of the epochs before. A run that goes on from it ends with the weights of one that
was never interrupted, bit by bit, on the same machine with as many threads: OpenBLAS adds up in
another order with another kernel or another number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import Natural, NotNegative, check_fields, checked, entries
from lava_dyads.errors import CheckpointError, invalid, shown
from lava_dyads.files import AnyPath, ArrayFile, as_path, opened_arrays, write_arrays
from lava_dyads.native.blas import library

FORMAT = "lava_dyads run state 1"

PIECES = 64
"""Parts of an epoch after which it looks whether a number of seconds has passed."""


@dataclass(frozen=True)
class Interval:
    """How often the state is kept within an epoch; always at its end.

    Parameters
    ----------
    batches : int
        After so many weight updates; 0: not within an epoch.
    seconds : float
        Once so much time has passed; 0: not within an epoch.

    Raises
    ------
    ValidationError
        If one is negative, or both are given.
    """

    batches: Natural = 0
    seconds: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.batches and self.seconds:
            invalid("Interval", "needs batches or seconds", (self.batches, self.seconds))

    @classmethod
    @checked
    def parse(cls, text: str) -> Interval:
        """Read ``epoch``, a number of batches (``200``) or of seconds (``30s``).

        Examples
        --------
        >>> Interval.parse("200"), Interval.parse("1.5s").seconds
        (Interval(batches=200, seconds=0.0), 1.5)
        """
        try:
            if text == "epoch":
                return cls()
            if text.endswith("s"):
                return cls(seconds=_positive(float(text[:-1])))
            return cls(batches=_positive(int(text)))
        except ValueError:
            limit = "must be epoch, a number of batches or of seconds"
            invalid("--checkpoint-every", limit, text, "epoch, 200 or 30s")

    def rows(self, epoch: int, batch_size: int) -> int:
        """Return the samples to show at a time, whole batches."""
        if self.batches:
            return self.batches * batch_size
        if self.seconds:
            return max(1, -(-epoch // (PIECES * batch_size))) * batch_size
        return max(1, epoch)


def _positive(value: Any) -> Any:
    if not 0 < value < np.inf:
        raise ValueError(value)
    return value


@dataclass(frozen=True)
class RunState:
    """What :meth:`Trainer.state` returns and :meth:`Trainer.restore` takes.

    Attributes
    ----------
    made_for : dict
        Specification, training, execution, transport, checksum of the data: what has to be the
        same where it goes on.
    progress : dict
        Position, generators, metrics so far.
    arrays : dict of str to array
        Registers by 'element.register'.
    machine : dict
        What the last bits of products depend on.
    """

    made_for: dict[str, Any]
    progress: dict[str, Any]
    arrays: dict[str, AnyArray]
    machine: dict[str, Any]

    def save(self, path: AnyPath) -> None:
        """Write it atomically; what was there before stays until the new one is whole."""
        names = ("made_for", "progress", "machine")
        header = {"format": FORMAT, **{name: getattr(self, name) for name in names}}
        write_arrays(path, json.dumps(header), self.arrays)

    @classmethod
    def load(cls, path: AnyPath) -> RunState:
        """Read one back.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged or something else.
        """
        path = as_path("state", path)
        table = Mapping[str, Any]
        kinds = {"made_for": table, "progress": table, "machine": table}
        try:
            with opened_arrays(path) as file:
                header = read_header(file, FORMAT, kinds)
                arrays = {name: file[name] for name in file.names if name != "header"}
                for name, array in arrays.items():
                    if array.dtype.kind == "f" and not np.isfinite(array).all():
                        raise ValueError(f"{name} is not finite, so the run had diverged")
                return cls(header["made_for"], header["progress"], arrays, header["machine"])
        except FileNotFoundError as error:
            hint = "Try: the state.npz of a run that was interrupted"
            raise CheckpointError(f"state {path}: no such file. {hint}") from error
        except (OSError, ValueError) as error:
            hint = "Try: state.previous.npz beside it, or a new run"
            raise CheckpointError(f"state {path}: is damaged ({error}). {hint}") from error

    def check(self, made_for: Mapping[str, Any]) -> None:
        """Raise unless it belongs to the same run.

        Raises
        ------
        CheckpointError
            Naming the first difference.
        """
        found = difference(self.made_for, made_for)
        if found:
            name, held, got = found
            raise CheckpointError(
                f"state: {name} was {shown(held)} (got {shown(got)}). "
                "Try: the options the run began with"
            )

    @property
    def other_machine(self) -> str:
        """Return what is not as it was where the state was made, in words; empty: nothing."""
        found = difference(self.machine, machine())
        return f"{found[0]} was {found[1]} (now {found[2]})" if found else ""


def read_header(file: ArrayFile, format_: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header of a file of ours, with its entries as what they should be.

    Parameters
    ----------
    file : ArrayFile
    format_ : str
        What it says of itself.
    kinds : mapping of str to annotation
        Entries that have to be there.

    Raises
    ------
    ValueError
        If it has none, or that of something else.
    """
    header = entries(file.json("header"), "header", {})
    if header.get("format") != format_:
        got = shown(header.get("format"))
        raise ValueError(f"its format is {got}, this version reads {format_!r}")
    return entries(header, "header", kinds)


def difference(old: Any, new: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Return where two nested values first differ, and both; None: nowhere.

    Examples
    --------
    >>> difference({"a": {"b": 1}}, {"a": {"b": 2}})
    ('a.b', 1, 2)
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{name}.{key}" if name else str(key)
            found = difference(old.get(key), new.get(key), inner)
            if found:
                return found
        return None
    return None if old == new else (name, old, new)


def machine() -> dict[str, Any]:
    """Return what the last bits of a product depend on."""
    # A set: numpy and scipy may have one each, and scipy comes later.
    blas = {
        f"{entry['internal_api']} {entry.get('architecture')}, {entry['num_threads']} threads"
        for entry in threadpool_info()
        if entry["user_api"] == "blas" and entry["internal_api"] != "mkl"
    }
    helped = library() if find_spec("numba") else ""  # what threads multiply with, if any help
    return {"numpy": np.__version__, "BLAS": "; ".join(sorted(blas)), "numba": helped}
