"""Test Processes: feed their ports series, see what they answer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import Count, Patience, checked, plain_array
from lava_dyads.choices import PlayedOn, Unread
from lava_dyads.errors import ModelError, invalid, nearest
from lava_dyads.runtime import DyadRunConfig, InProcessSession, LavaSession, Session
from lava_dyads.runtime.lava_internals.discovery import discover
from lava_dyads.testing.series import Played, assert_same
from lava_dyads.testing.streams import (
    IntegerPlayer,
    Player,
    PyIntegerPlayerModel,
    PyPlayerModel,
    PyRecorderModel,
    Recorder,
    refuse_unread,
)
from lava_dyads.testing.strict import make_strict, strict_in_children, verdict


@checked
def play(
    process: AbstractProcess | Callable[[], AbstractProcess],
    inputs: Mapping[str, ArrayLike] | None = None,
    *,
    outputs: Iterable[str] = (),
    watch: Iterable[str] = (),
    steps: Count | None = None,
    run_cfg: Any = None,
    timeout: Patience = 20.0,
    runtime: PlayedOn = "lava",
    atol: float = 0.0,
    rtol: float = 0.0,
    unread: Unread = "fail",
) -> Played:
    """Run a Process, or a graph of connected ones, between sources and sinks, safely.

    Parameters
    ----------
    process : AbstractProcess, or a callable that makes one
        Any synchronous Process, of this library or not, that has not run. Of a graph any of its
        Processes. A callable (a class, a lambda) is what ``runtime="both"`` needs: Lava runs a
        Process only once.
    inputs : mapping of port name to series
        Series of shape (steps, shape of the port); a port not named hears nothing. Integers are
        delivered as integers, which is what fixed-point models hear. Ports of another Process of
        the graph are named 'process.port', here and below.
    outputs : iterable of port names
        What to record.
    watch : iterable of Var names
        What to read after every time step.
    steps : int or None
        None: as many as the longest series has.
    run_cfg : RunConfig or None
        None: :class:`~lava_dyads.runtime.DyadRunConfig`, which takes floating-point models where
        there are several.
    timeout : float
        Seconds for one step; a deadlock is noticed within a quarter of it.
    runtime : str
        ``lava`` (its own: OS processes), ``in-process`` (fast), or ``both``: on one after the
        other, and what they answer has to be the same.
    atol, rtol : float
        How far the runtimes may lie apart; see :func:`assert_same`.
    unread : str
        ``fail`` where messages have not been read at the end, or ``allow``. On Lava's own runtime
        those that were played are looked at, in-process all.

    Returns
    -------
    Played

    Raises
    ------
    ValidationError
        If a port or Var is unknown, a series has the wrong shape or numbers that the port's type
        does not hold, the Process has run; if an output sends more than one message in a time
        step, or numbers that its type does not hold; if messages are not read.
    DifferenceError
        If the runtimes differ: the first step, port and entry.
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
    if runtime != "both":
        made = process if isinstance(process, AbstractProcess) else process()
        return _Play(made, inputs or {}, list(outputs), list(watch), steps).run(
            runtime, run_cfg, timeout, unread == "fail"
        )
    if isinstance(process, AbstractProcess):
        limit = "runtime 'both' needs a callable that makes the Process: Lava runs one only once"
        invalid("play", limit, process.name, "lambda: LIF(shape=(2,))")
    outputs, watch = list(outputs), list(watch)
    lavas, ours = (
        _Play(process(), inputs or {}, outputs, watch, steps).run(
            kind, run_cfg, timeout, unread == "fail"
        )
        for kind in ("lava", "in-process")
    )
    assert_same(lavas, ours, atol=atol, rtol=rtol, names=("lava", "in-process"))
    return ours


class _OnlyModel(DyadRunConfig):
    """As DyadRunConfig; takes the only model of a Process whatever its tag is."""

    def select(self, proc: AbstractProcess, proc_models: list[Any]) -> Any:
        """Return the ProcessModel of a Process."""
        return proc_models[0] if len(proc_models) == 1 else super().select(proc, proc_models)


class _Play:
    """One performance: a graph of Processes with its players and recorders."""

    def __init__(
        self,
        process: AbstractProcess,
        inputs: Mapping[str, ArrayLike],
        outputs: list[str],
        watch: list[str],
        steps: int | None,
    ) -> None:
        if not isinstance(process, AbstractProcess):
            invalid("play", "needs a Process, or a callable that makes one", process)
        self.process = process
        graph = discover(process)
        used = [p.name for p in graph if p.is_compiled or p.runtime is not None]
        if used:
            invalid("play", "the Process must not have run before", used[0], "a new one")
        self.series = numbers(process, inputs)
        self.vars = {name: member_of(process, graph, "Var", name) for name in watch}
        recorded = {name: member_of(process, graph, "output port", name) for name in outputs}
        played = {name: member_of(process, graph, "input port", name) for name in self.series}
        check_series(process, played, self.series)
        self.steps = steps or max((len(s) for s in self.series.values()), default=1)
        self.models: dict[AbstractProcess, Any] = {}
        self.players: dict[str, Player] = {}
        for name, port in played.items():
            if port.in_connections:
                heard = port.in_connections[0]
                limit = "must not be connected to play on it"
                invalid(f"play({process.name}).{name}", limit, f"{heard.process.name}.{heard.name}")
            whole = self.series[name].dtype.kind == "i"
            who = f"{port.process.name}.{port.name}"
            made = IntegerPlayer if whole else Player
            player = made(self.series[name], f"player of {name}", who)
            player.out.connect(port)
            self.players[name] = player
            self.models[player] = PyIntegerPlayerModel if whole else PyPlayerModel
        self.recorders: dict[str, Recorder] = {}
        for name, port in recorded.items():
            who = f"{port.process.name}.{port.name}"
            recorder = Recorder(port.shape, self.steps, f"recorder of {name}", who)
            port.connect(recorder.inp)
            self.recorders[name] = recorder
            self.models[recorder] = PyRecorderModel

    def run(self, runtime: str, run_cfg: Any, timeout: float, read_all: bool) -> Played:
        """Run it and return what was answered."""
        seen: dict[str, list[AnyArray]] = {name: [] for name in self.vars}
        for player in self.players.values():
            player.proc_params.overwrite("last", self.steps if read_all else 0)
        with self._opened(runtime, run_cfg, timeout) as session:
            self._check_types()
            try:
                for _ in range(self.steps if seen else 1):
                    session.run(1 if seen else self.steps)
                    for name, rows in seen.items():
                        rows.append(_value(self.vars[name]))
            except ModelError as error:
                found = verdict(error)
                if found is error:
                    error.messages = self._last_messages(error.step)
                    raise
                raise found from None
            if read_all and isinstance(session, InProcessSession):
                self._check_read(session)
        heard = {name: _as_sent(recorder) for name, recorder in self.recorders.items()}
        return Played(heard, {name: np.array(rows) for name, rows in seen.items()})

    def _opened(self, runtime: str, run_cfg: Any, timeout: float) -> Session:
        config = _OnlyModel() if run_cfg is None else copy.copy(run_cfg)
        # Named by instance, Lava's own run configurations need not search this folder for models.
        if hasattr(config, "exception_proc_model_map"):
            known = config.exception_proc_model_map = copy.copy(config.exception_proc_model_map)
            known.update(self.models)
        if runtime == "in-process":
            session = InProcessSession(self.process, config, timeout=timeout)
            make_strict(session.runtime.nodes)
            return session
        with strict_in_children():
            return LavaSession(self.process, config, timeout=timeout, idle_timeout=timeout / 4)

    def _last_messages(self, step: int | None) -> list[str]:
        """Return what was played and recorded last, up to a time step."""
        if step is None:
            return []
        last = []
        for name, series in self.series.items():
            if step <= len(series):
                last.append(f"{name} heard {shown_array(series[step - 1])} in step {step}")
        for name, recorder in self.recorders.items():
            rows = recorder.heard[:step].reshape(min(step, self.steps), -1)
            if len(said := np.flatnonzero(~np.isnan(rows).any(1))):
                row = recorder.heard[said[-1]]
                last.append(f"{name} said {shown_array(row)} in step {said[-1] + 1}")
        return last

    def _check_types(self) -> None:
        """Refuse numbers that the type of the port which hears them does not hold."""
        for name, player in self.players.items():
            series = self.series[name]
            for port in player.out.get_dst_ports():
                kind = _type_of(port)
                if kind is None or kind.kind not in "iu" or series.dtype.kind == "i":
                    continue
                odd = np.argwhere(series != np.trunc(series))
                if len(odd):
                    step = int(odd[0][0])
                    limit = f"in step {step + 1} it is played a number that is no {kind}"
                    hint = "integers, or a floating-point model: select_tag='floating_pt'"
                    who = f"{port.process.name}.{port.name}"
                    invalid(who, limit, series[tuple(odd[0])], hint)

    def _check_read(self, session: InProcessSession) -> None:
        """Refuse messages that nobody has read."""
        for channel in session.runtime._engine.channels:
            left = len(channel) if hasattr(channel, "probe") else 0
            if left:
                refuse_unread(channel.target, channel.source, left, self.steps)


def shown_array(values: AnyArray) -> str:
    """Return an array on one line, its middle left out where it is long."""
    return np.array2string(values, threshold=10, max_line_width=10**6).replace("\n", "")


def member_of(process: AbstractProcess, graph: list[AbstractProcess], kind: str, name: str) -> Any:
    """Return a port or Var by its name: of the Process, or as 'process.name' of one beside it."""
    who, _, own = name.rpartition(".")
    owners = [p for p in graph if p.name == who] if who else [process]
    if len(owners) != 1:
        names = [p.name for p in graph]
        limit = "must name one Process of the graph"
        invalid(f"play({process.name}).{name}", limit, who, nearest(who, names))
    members = getattr(owners[0], _MEMBERS[kind]).member_names
    if own not in members:
        invalid(f"play({owners[0].name})", f"unknown {kind}", own, nearest(own, members))
    return getattr(owners[0], own)


_MEMBERS = {"input port": "in_ports", "output port": "out_ports", "Var": "vars"}


def check_series(
    process: AbstractProcess, ports: Mapping[str, Any], series: Mapping[str, AnyArray]
) -> None:
    """Raise where a series has another shape than its port."""
    for name, values in series.items():
        shape = ports[name].shape
        if values.shape[1:] != shape:
            limit = f"the series must have shape (steps, {', '.join(map(str, shape))})"
            invalid(f"play({process.name}).{name}", limit, values.shape)


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


def _type_of(port: Any) -> np.dtype[Any] | None:
    """Return the element type of a port in the model that runs; None if that does not say."""
    declared = getattr(port.process.model_class, port.name, None)
    return None if declared is None else np.dtype(declared.d_type)


def _as_sent(recorder: Recorder) -> AnyArray:
    """Return a copy of what was recorded in the type in which it was sent."""
    sources = recorder.inp.get_src_ports()  # in a Process of Processes those of its parts
    kinds = [kind for source in sources if (kind := _type_of(source)) is not None]
    sent = np.result_type(*kinds) if kinds else np.dtype(float)
    complete = not np.isnan(recorder.heard).any()  # else a model has ended the run early
    return recorder.heard.astype(sent if sent.kind in "iu" and complete else float)
