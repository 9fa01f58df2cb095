"""The state of a run: all that its further course depends on, to go on to the same bits.

Weights, biases, feedback, the optimisers' registers and every other register and counter; where
in which epoch it is; the generators of the order of samples, of noise, of latencies and faults;
the metrics of the epochs before. A run that goes on from it ends with the weights of one that
was never interrupted, bit by bit, on the same machine with as many threads: OpenBLAS adds up in
another order with another kernel or another number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import Natural, NotNegative, check_fields, checked, entries
from lava_dyads.elements import Element
from lava_dyads.elements.stacked_populations import OWN
from lava_dyads.errors import CheckpointError, invalid, message, shown
from lava_dyads.files import AnyPath, ArrayFile, as_path, opened_arrays, reason, write_arrays
from lava_dyads.native.blas import library
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.metrics import Epoch
from lava_dyads.training.reference import Backend

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
        """Return the difference to the machine that made the state, in words; empty: none."""
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
    """Return the first place where two nested values differ, and both; None: nowhere.

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


def made_for(
    spec: NetworkSpec,
    config: TrainingConfig,
    numbers: Arithmetic,
    checksum: int,
    records: Mapping[str, Any],
    preparation: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the settings that have to be the same where a run goes on, as plain values.

    ``records``: further dataclasses by name, or None. ``preparation``: of the inputs, before it is
    learnt.
    """
    found = {
        "spec": spec.as_dict(),
        "training": asdict(config),
        **{name: record and asdict(record) for name, record in records.items()},
        "arithmetic": repr(vars(numbers)),
        "data": {"checksum": checksum, **preparation},
    }
    made: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return made


def machine() -> dict[str, Any]:
    """Return the settings on which the last bits of a product depend."""
    # A set: numpy and scipy may have one each, and scipy comes later.
    blas = {
        f"{entry['internal_api']} {entry.get('architecture')}, {entry['num_threads']} threads"
        for entry in threadpool_info()
        if entry["user_api"] == "blas" and entry["internal_api"] != "mkl"
    }
    helped = library() if find_spec("numba") else ""  # what threads multiply with, if any help
    return {"numpy": np.__version__, "BLAS": "; ".join(sorted(blas)), "numba": helped}


PROGRESS: dict[str, Any] = {
    "position": Natural,
    "pass_seconds": NotNegative,
    "train_seconds": NotNegative,
    "epochs": list[Epoch],
    "order": dict[str, Any],
    "noise": list[dict[str, Any]],
    "backend": dict[str, Any],
}
"""What a state knows of where in a run it was made."""


def progress_of(state: RunState, epochs: int | None, samples: int) -> dict[str, Any]:
    """Return the progress of a state.

    Parameters
    ----------
    state : RunState
    epochs : int or None
        Most epochs that there can be; None: any number.
    samples : int
        Shown in an epoch.

    Raises
    ------
    CheckpointError
        If an entry is missing or of another kind, or it lies beyond the run.
    """
    progress = entries(state.progress, "state: progress", PROGRESS, error=CheckpointError)
    done = len(progress["epochs"])
    if progress["position"] > samples or (epochs is not None and done > epochs):
        got = progress["position"], done
        many = "epochs" if epochs is None else f"{epochs} epochs"
        limit = f"must lie within {many} of {samples} samples"
        raise CheckpointError(message("state: position", limit, got, "another state"))
    return progress


def check_registers(held: Mapping[str, AnyArray], kept: Mapping[str, AnyArray]) -> None:
    """Raise where the arrays of a state are not what a network has place for.

    Raises
    ------
    CheckpointError
        Naming the first.
    """
    for name in dict.fromkeys((*held, *kept)):
        there = [f"{a[name].dtype} {a[name].shape}" if name in a else None for a in (held, kept)]
        why = f"should be {there[0]}, not {there[1]}" if there[0] != there[1] else ""
        if not why and name.endswith(("updates", "counts")) and (kept[name] < 0).any():
            why = "should be at least 0"
        if why:
            raise CheckpointError(f"state: {name} {why}. Try: another state")


def registers(elements: Sequence[Element]) -> dict[str, AnyArray]:
    """Return every register once, those that neurons of a layer have apart in one array."""
    found: dict[str, Any] = {}
    for name, element, register, part in _places(elements):
        if part is None:
            found[name] = element.memory[register]
        else:
            found.setdefault(name, []).append(element.memory[register])
    return {name: np.array(v) if isinstance(v, list) else v for name, v in found.items()}


def put_back(elements: Sequence[Element], arrays: Mapping[str, AnyArray]) -> None:
    """Set all registers to what :func:`registers` has returned elsewhere."""
    for name, element, register, part in _places(elements):
        value = arrays[name]
        element.memory[register][...] = value if part is None else value[part]


def set_generators(
    generators: Sequence[np.random.Generator], states: Sequence[dict[str, Any]]
) -> None:
    """Let generators draw what others would have drawn next.

    Raises
    ------
    CheckpointError
        If a state is that of none.
    """
    try:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state
    except Exception as error:  # each reads what it has written, and trusts it
        raise _unreadable(error) from error


def set_backend(backend: Backend, state: dict[str, Any]) -> None:
    """Let a backend go on from where another was.

    Raises
    ------
    CheckpointError
        If it cannot read that.
    """
    try:
        backend.restore(state)
    except Exception as error:  # as above
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> CheckpointError:
    why = f"its generators cannot be read ({reason(error)})"
    return CheckpointError(f"state: {why}. Try: another state")


def why_inexact(execution: Execution, noise: float) -> str:
    """Return why a resumed run may differ in its bits from one in one go; empty: it does not."""
    if execution.runtime != "lava":
        return ""
    if execution.clock == "async":
        return "on Lava's own runtime messages take real time, no two asynchronous runs agree"
    if noise:
        return "on Lava's own runtime noise is drawn in OS processes, where it begins anew"
    return ""


def _places(elements: Sequence[Element]) -> Iterator[tuple[str, Element, str, int | None]]:
    """Yield name, owner and register of all there is to keep; and the part it is of a name."""
    seen: set[int] = set()
    for i, element in enumerate(elements):
        for register, value in element.memory.items():
            if id(value) not in seen:  # a network's are those of its elements
                seen.add(id(value))
                yield f"{i}.{register}", element, register, None
        for k, part in enumerate(element.parts):  # the rest are views on those of the layer
            for register in OWN:
                yield f"{i}.parts.{register}", part, register, k
