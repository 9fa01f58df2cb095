"""Test one Process: feed its ports a series, see what it answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import psutil
from lava.magma.core.process.process import AbstractProcess
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import Count, Patience, checked, plain_array
from lava_dyads.errors import ModelError, ValidationError, invalid, nearest
from lava_dyads.processes.base import own_logging
from lava_dyads.runtime import DyadRunConfig, InProcessSession, LavaSession, Session
from lava_dyads.testing.streams import (
    IntegerPlayer,
    Player,
    PyIntegerPlayerModel,
    PyPlayerModel,
    PyRecorderModel,
    Recorder,
)


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


@checked
def play(
    process: AbstractProcess,
    inputs: Mapping[str, ArrayLike] | None = None,
    *,
    outputs: Iterable[str] = (),
    watch: Iterable[str] = (),
    steps: Count | None = None,
    run_cfg: Any = None,
    timeout: Patience = 20.0,
    in_process: bool = False,
) -> Played:
    """Run one Process between a source and a sink, safely.

    Parameters
    ----------
    process : AbstractProcess
        Any synchronous Process, of this library or not, freshly made and not connected.
    inputs : mapping of port name to series
        Series of shape (steps, shape of the port); a port not named hears nothing. Integers are
        delivered as integers, which is what fixed-point models hear.
    outputs : iterable of port names
        What to record.
    watch : iterable of Var names
        What to read after every time step.
    steps : int or None
        None: as many as the longest series has.
    run_cfg : RunConfig or None
        None: :class:`~lava_dyads.runtime.DyadRunConfig`.
    timeout : float
        Seconds for one step; a deadlock is noticed within a quarter of it.
    in_process : bool
        On the in-process runtime (fast) instead of Lava's own.

    Returns
    -------
    Played

    Raises
    ------
    ValidationError
        If a port or Var is unknown, a series has the wrong shape or holds no real numbers, or
        an output sends more than one message in a time step.
    ModelError, DeadlockError, HangError
        See :class:`~lava_dyads.runtime.LavaSession`. No OS process is left behind.

    Examples
    --------
    >>> from lava_dyads import DualPropagationAdjoint, Dyad
    >>> dyad = Dyad((1,), activation="linear", rule=DualPropagationAdjoint(alpha=0.5))
    >>> played = play(dyad, {"basal_in": [[1.0], [0.0]], "apical_in": [[0.0], [0.2]]},
    ...               outputs=["mean_out", "difference_out"], watch=["s_plus"])
    >>> played.outputs["mean_out"].ravel(), played.outputs["difference_out"].ravel()
    (array([1., 0.]), array([0. , 0.2]))
    >>> played.vars["s_plus"].ravel()
    array([1. , 1.1])
    """
    series = numbers(process, inputs or {})
    outputs, watch = list(outputs), list(watch)
    check_ports(process, series, outputs, watch)
    if steps is None:
        steps = max((len(s) for s in series.values()), default=1)
    # Named by instance, Lava's own run configurations need not search this folder for models.
    run_cfg = DyadRunConfig() if run_cfg is None else run_cfg
    models = getattr(run_cfg, "exception_proc_model_map", {})
    for port, values in series.items():
        whole = values.dtype.kind == "i"
        player = (IntegerPlayer if whole else Player)(values, name=f"player of {port}")
        player.out.connect(getattr(process, port))
        models[player] = PyIntegerPlayerModel if whole else PyPlayerModel
    recorders = {}
    for port in outputs:
        own = getattr(process, port)
        who = f"{process.name}.{port}"
        recorders[port] = Recorder(own.shape, steps, f"recorder of {port}", who)
        own.connect(recorders[port].inp)
        models[recorders[port]] = PyRecorderModel
    seen: dict[str, list[AnyArray]] = {name: [] for name in watch}
    opened: Session
    if in_process:
        opened = InProcessSession(process, run_cfg, timeout=timeout)
    else:
        opened = LavaSession(process, run_cfg, timeout=timeout, idle_timeout=timeout / 4)
    try:
        with opened as session:
            for _ in range(steps if watch else 1):
                session.run(1 if watch else steps)
                for name, rows in seen.items():
                    rows.append(_value(getattr(process, name)))
    except ModelError as error:
        if isinstance(error.__cause__, ValidationError):  # a recorder's verdict
            raise error.__cause__ from None
        raise
    heard = {port: _as_sent(recorders[port]) for port in outputs}
    return Played(heard, {name: np.array(rows) for name, rows in seen.items()})


def numbers(process: AbstractProcess, inputs: Mapping[str, ArrayLike]) -> dict[str, AnyArray]:
    """Return series as arrays of int64 where they are integers, else of float64.

    Raises
    ------
    ValidationError
        If one holds something else than real numbers.
    """
    series = {}
    for port, values in inputs.items():
        limit = "the series must hold integers or real numbers"
        array = plain_array(values, f"play({process.name}).{port}", limit=limit)
        if array.dtype.kind not in "biuf":
            invalid(f"play({process.name}).{port}", limit, array.dtype.name)
        series[port] = array.astype(float if array.dtype.kind == "f" else np.int64)
    return series


def _value(var: Any) -> AnyArray:
    value = var.get()
    if issparse(value):
        value = cast(Any, value).toarray()
    return np.array(value) if isinstance(value, str) else np.array(value).reshape(var.shape)


def _as_sent(recorder: Recorder) -> AnyArray:
    """Return a copy of what was recorded in the type in which it was sent."""
    sources = recorder.inp.get_src_ports()  # in a Process of Processes those of its parts
    kinds = [np.dtype(getattr(s.process.model_class, s.name).d_type) for s in sources]
    sent = np.result_type(*kinds) if kinds else np.dtype(float)
    complete = not np.isnan(recorder.heard).any()  # else a model has ended the run early
    return recorder.heard.astype(sent if sent.kind in "iu" and complete else float)


def check_ports(
    process: AbstractProcess,
    series: Mapping[str, AnyArray],
    outputs: list[str],
    watch: Iterable[str] = (),
) -> None:
    """Raise where a port or Var is unknown or a series has the wrong shape."""
    for kind, members, names in (
        ("input port", process.in_ports.member_names, list(series)),
        ("output port", process.out_ports.member_names, outputs),
        ("Var", process.vars.member_names, list(watch)),
    ):
        for name in names:
            if name not in members:
                invalid(f"play({process.name})", f"unknown {kind}", name, nearest(name, members))
    for port, values in series.items():
        shape = getattr(process, port).shape
        if values.shape[1:] != shape:
            limit = f"the series must have shape (steps, {', '.join(map(str, shape))})"
            invalid(f"play({process.name}).{port}", limit, values.shape)


@contextmanager
def no_leftovers(seconds: float = 5.0) -> Iterator[None]:
    """Fail if the block leaves OS processes, threads that are not daemons or log handlers.

    Parameters
    ----------
    seconds : float
        Time that ended processes have to disappear.

    Raises
    ------
    AssertionError
        Naming what was left.

    Examples
    --------
    >>> with no_leftovers():
    ...     pass
    """
    before = _alive()
    handlers = list(logging.getLogger().handlers)
    with _quiet_processes():
        yield
    deadline = time.monotonic() + seconds
    while (left := _alive() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"left behind: {sorted(map(str, left))}"
    assert logging.getLogger().handlers == handlers, "the root logger has other handlers"


@contextmanager
def _quiet_processes() -> Iterator[None]:
    """Let no Process add a handler to the root logger: Lava's do, whoever makes them."""
    make = AbstractProcess.__init__

    def quiet(process: Any, **parameters: Any) -> None:
        with own_logging():
            make(process, **parameters)

    AbstractProcess.__init__ = quiet
    try:
        yield
    finally:
        AbstractProcess.__init__ = make


def _alive() -> set[Any]:
    found: set[Any] = set()
    for child in psutil.Process().children(recursive=True):
        try:
            # multiprocessing's tracker of shared memory stays for the interpreter's whole life.
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.add(child)
        except psutil.Error:
            continue
    return found | {t for t in threading.enumerate() if not t.daemon}
