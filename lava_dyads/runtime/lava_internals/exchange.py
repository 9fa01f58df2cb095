"""Values of Vars between a session and its OS processes: in one piece, of any type.

Lava relays a value number by number (some 20 us each), and waits for ever where it does not know
its type. Here a file without a name carries it; Lava's messages only say that it is there.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import threading
import time
from typing import Any

from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND, enum_to_np

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import HangError, LavaRuntimeError
from lava_dyads.processes.base import ElementProcess
from lava_dyads.runtime.failures import as_step_of, text_of
from lava_dyads.runtime.values import read, write

_ALL = -1
"""Stands for all Vars of a Process, where Lava names one."""
_DONE = -1234
"""The answer of a model; Lava's service takes it for the number of entries that follow: none."""


class Exchange:
    """The file, and what Vars there are; a child of a fork has a copy, and the same file.

    Parameters
    ----------
    models : dict of Process to str
        Those with a ProcessModel, with the names of both for messages.
    """

    def __init__(self, models: dict[AbstractProcess, str]) -> None:
        self.models = models
        self.vars = {var.id: var for process in models for var in process.vars.members}
        self.labels = {process.id: label for process, label in models.items()}
        self.lock = threading.Lock()
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed in close)

    def put(self, content: Any) -> None:
        """Let it be what the other side takes; an error in place of what cannot be sent."""
        try:
            data = pickle.dumps(content)
        except Exception as error:
            data = pickle.dumps(LavaRuntimeError(f"it cannot leave its OS process: {error}"))
        view, place = memoryview(data), 0
        os.ftruncate(self._file.fileno(), 0)
        while place < len(view):
            place += os.pwrite(self._file.fileno(), view[place:], place)

    def take(self) -> Any:
        """Return the answer of the other side; raise it if it is an error."""
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as whole:  # which reads on to the end
            content = pickle.load(whole)
        if isinstance(content, Exception):
            raise content
        return content

    def close(self) -> None:
        """Close the file, which ends it."""
        self._file.close()

    # --- in the OS process of a model

    def serve(self) -> None:
        """Answer in this OS process, a child of a fork, what the session asks of a model."""

        def get(model: Any) -> None:
            var_id = int(model.service_to_process.recv()[0])
            with _reported(self):
                if var_id == _ALL:
                    self.put({i: getattr(model, n) for i, n in model.var_id_to_var_map.items()})
                else:
                    self.put(getattr(model, model.var_id_to_var_map[var_id]))
            model.process_to_service.send(enum_to_np(_DONE))

        def set_(model: Any) -> None:
            var_id = int(model.service_to_process.recv()[0])
            model.service_to_process.recv()  # the number of entries that follow: none
            with _reported(self):
                write(self.vars[var_id], model, *self.take())
                self.put(None)
            model.process_to_service.send(enum_to_np(_DONE))

        build = PyProcessBuilder.build

        def named(builder: Any) -> Any:
            try:
                return build(builder)
            except BaseException as error:
                reported = portable(error)
                if not isinstance(reported, Exception):  # Lava's start looks at no other
                    reported = RuntimeError(f"{type(error).__name__}: {text_of(error)}")
                reported.label = self.labels[builder._model_id]  # type: ignore[attr-defined]
                raise reported from error

        AbstractPyProcessModel._get_var, AbstractPyProcessModel._set_var = get, set_
        PyProcessBuilder.build = named


@contextlib.contextmanager
def _reported(exchange: Exchange) -> Any:
    """Report an error to the other side instead of ending the model."""
    try:
        yield
    except Exception as error:
        exchange.put(portable(error))


def portable(error: BaseException) -> BaseException:
    """Return an error as it can be sent to another OS process."""
    try:
        pickle.loads(pickle.dumps(error))
        str(error)
    except Exception:
        return as_step_of(error, RuntimeError(f"{type(error).__name__}: {text_of(error)}"))
    return error


# --- in the OS process of the session


def ask_value(runtime: Any, exchange: Exchange, var_id: int, idx: Any, limit: float) -> AnyArray:
    """Ask the model of a Var for its value."""
    var = _known(exchange, var_id, "get")
    with exchange.lock:
        _ask(runtime, MGMT_COMMAND.GET_DATA, var.process.id, var_id, limit)
        return read(var, exchange.take(), idx)


def tell_value(
    runtime: Any, exchange: Exchange, var_id: int, value: Any, idx: Any, limit: float
) -> None:
    """Tell the model of a Var its value."""
    var = _known(exchange, var_id, "set")
    with exchange.lock:
        exchange.put((value, idx))
        _ask(runtime, MGMT_COMMAND.SET_DATA, var.process.id, var_id, limit)
        exchange.take()


def last_values(runtime: Any, exchange: Exchange, limit: float) -> dict[int, Any]:
    """Return the values in all models, by the number of the Var; not those in shared memory."""
    held: dict[int, Any] = {}
    end = time.monotonic() + limit
    with exchange.lock:
        for process in exchange.models:
            if not isinstance(process, ElementProcess) and len(list(process.vars.members)):
                _ask(runtime, MGMT_COMMAND.GET_DATA, process.id, _ALL, end - time.monotonic())
                held.update(exchange.take())
    return held


def _known(exchange: Exchange, var_id: int, what: str) -> Any:
    if var_id not in exchange.vars:
        raise LavaRuntimeError(
            f"Var.{what}: no ProcessModel holds it. Try: alias it to a Var of a Process inside"
        )
    return exchange.vars[var_id]


def _ask(runtime: Any, command: Any, process_id: int, var_id: int, limit: float) -> None:
    """Send a command to a model, and wait for its answer."""
    models = runtime._executable.node_configs[0].var_models.values()
    service = next(m.runtime_srv_id for m in models if m.proc_id == process_id)
    port, answers = runtime.runtime_to_service[service], runtime.service_to_runtime[service]
    for word in (command, enum_to_np(process_id), enum_to_np(var_id)):
        port.send(word)
    if command is MGMT_COMMAND.SET_DATA:
        port.send(enum_to_np(0))
    end, pause = time.monotonic() + limit, 5e-5
    while True:
        while answers.probe():
            if answers.recv()[0] == _DONE:
                return
        if any(a.exitcode is not None for a in runtime._messaging_infrastructure.actors):
            raise LavaRuntimeError("Var: an OS process of the session has died")
        if time.monotonic() > end:
            raise HangError(f"Var: its model has not answered within {limit:g} s")
        time.sleep(pause)
        pause = min(2 * pause, 0.002)


class Ended:
    """Stands in for the runtime of a session that is no more.

    Parameters
    ----------
    variables : dict of int to Var
    held : dict of int to object, or None
        What models held last, by the number of the Var; None: nobody knows.
    """

    _is_running = _is_started = _is_initialized = False

    def __init__(self, variables: dict[int, Any], held: dict[int, Any] | None) -> None:
        self._vars, self._held = variables, held

    def get_var(self, var_id: int, idx: Any = None) -> AnyArray:
        """Return the last value of a Var."""
        var = self._vars.get(var_id)
        if var is not None and isinstance(var.process, ElementProcess):
            return read(var, var.process.read(var.name), idx)
        if self._held is None or var_id not in self._held or var is None:
            raise LavaRuntimeError(
                "Var.get: its last value is lost with its OS process, which has been ended. "
                "Try: read it before the session ends, or InProcessSession, where values stay"
            )
        return read(var, self._held[var_id], idx)

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Refuse: nobody would use it."""
        raise stopped("set")

    def start(self, condition: Any) -> None:
        """Refuse: Lava cannot run a Process again."""
        raise stopped("run")

    def wait(self) -> None:
        """Nothing runs."""

    pause = stop = wait


def stopped(what: str) -> LavaRuntimeError:
    """Return the error of whoever asks something of a session that has ended."""
    return LavaRuntimeError(
        f"LavaSession.{what}: the session has been stopped. Try: build the Processes anew "
        "and open a new session; Lava cannot run a stopped Process again"
    )
