"""The OS processes of a run on Lava's own runtime: are they well, where are they, end them.

Lava's runtime forks one OS process ("actor") per ProcessModel, one per runtime service and one
for its shared memory. It offers no way to see whether they are well, nor to end them when they
are not; this module does.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import psutil
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.compiler.exceptions import ProcessAlreadyCompiled
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND, MGMT_RESPONSE, enum_equal
from threadpoolctl import threadpool_limits

from lava_dyads.array_types import IntArray
from lava_dyads.errors import HangError, LavaRuntimeError, ModelError, invalid
from lava_dyads.interrupts import held_back
from lava_dyads.native import registry
from lava_dyads.processes.base import ElementProcess, own_logging, shared
from lava_dyads.runtime.lava_internals.children import DUMP_SIGNAL, children_of_lava
from lava_dyads.runtime.lava_internals.discovery import assign, forget
from lava_dyads.runtime.lava_internals.exchange import Ended, Exchange
from lava_dyads.runtime.lava_internals.shared_memory import IN_PROCESS, state
from lava_dyads.runtime.lava_internals.supervised import SupervisedRuntime

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


@dataclass
class Actor:
    """One OS process of a Lava run.

    Attributes
    ----------
    label : str
        Process name and ProcessModel class, or the runtime service.
    ended : int
        How often it has been found without an error and without life.
    """

    label: str
    system: Any
    ended: int = 0

    @property
    def pid(self) -> int | None:
        """OS process id; None once it is closed."""
        with contextlib.suppress(ValueError):
            return self.system.pid  # type: ignore[no-any-return]
        return None

    @property
    def exitcode(self) -> int | None:
        """Exit code; None while it lives."""
        with contextlib.suppress(ValueError):
            return self.system.exitcode  # type: ignore[no-any-return]
        return None

    def failure(self) -> tuple[BaseException | None, str] | None:
        """Return the exception and the traceback; None if it runs or ended without one."""
        with contextlib.suppress(OSError, EOFError, ValueError):
            if self.system.exception:
                error, trace = self.system.exception
                return error, trace
        code = self.exitcode
        if code == 0:  # in a run; one that is asked for ends it within a moment
            self.ended += 1
        if code or self.ended > 2:
            return None, f"the OS process ended with {_ending(code or 0)}"
        return None


def _ending(code: int) -> str:
    """Say how an OS process ended, and what can be done about it."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
    hint = ""
    if name == "SIGBUS":
        hint = f": the shared memory is full; {state()}. Try: make room there, or {IN_PROCESS}"
    elif name == "SIGKILL":
        hint = ": somebody has killed it. Try: more memory, if the system was short of it"
    return f"exit code {code} ({name}){hint}"


class LavaRun:
    """A Lava runtime, with a hold on its OS processes.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the graph.
    dump : file
        Where actors write their stacks on request.
    session : weak reference
        To whoever is asked when a Process of the graph is told to run or to stop.
    """

    def __init__(
        self, process: AbstractProcess, dump: IO[bytes], session: weakref.ref[Any]
    ) -> None:
        self.process = process
        self.processes: list[AbstractProcess] = []
        self.dump = dump
        self.actors: list[Actor] = []
        self.runtime: Any = None
        self.asynchronous = False
        self.owner = os.getpid()
        """A forked OS process has a copy of the run, but must not end what is not its own."""
        self._session = session
        self._lock = threading.RLock()  # nobody listens to a channel while it is unmapped
        self._heard = threading.Event()
        self._at_work: set[Any] = set()
        """Ports of the runtime services that have not ended the present run."""
        self._pausing = False
        self._exchange: Exchange | None = None
        self._last: dict[int, Any] | None = None
        self._released = threading.Event()
        self._late: Any = None
        """The error of a model that took too long to start."""
        self.asked_at: IntArray = shared(np.zeros(1, np.int64))
        """Time step in which a model last asked for a pause or a stop."""

    def start(self, run_cfg: Any, compile_config: dict[str, Any] | None, timeout: float) -> None:
        """Compile the graph and start its OS processes; after an error, ``kill``.

        Raises
        ------
        HangError
            If nothing has moved for ``timeout`` seconds.
        """
        with own_logging():
            try:
                executable = self.process.compile(run_cfg, compile_config)
            except ProcessAlreadyCompiled:
                raise LavaRuntimeError(
                    f"LavaSession: {self.process.name} or a Process connected with it has run "
                    "already. Try: build the Processes anew; Lava cannot compile one twice"
                ) from None
            self.processes = list(executable.proc_builders)
            models = [b.proc_model for b in executable.proc_builders.values()]
            self.asynchronous = any(m.implements_protocol is AsyncProtocol for m in models)
            _check_open_files(len(models), len(executable.channel_builders))
            try:
                with _allowed_children():
                    _from_a_thread_that_lasts(self._released, self._start, executable, timeout)
            except OSError as error:
                if error.errno != errno.ENOSPC or error.filename:
                    raise
                raise LavaRuntimeError(
                    f"LavaSession: no room for semaphores; {state()}. "
                    f"Try: make room there, or {IN_PROCESS}"
                ) from error

    def _start(self, executable: Any, timeout: float) -> None:
        who = {
            p: f"{p.name} ({b.proc_model.__name__})"
            for p, b in executable.proc_builders.items()
            if isinstance(b, PyProcessBuilder)
        }
        models = list(who.values())
        if any(isinstance(process, ElementProcess) for process in who):
            registry.load()  # a second here, or in each of them
        exchange = self._exchange = Exchange(who)
        runtime = self.runtime = SupervisedRuntime(executable, self._session, exchange)
        for process in (self.process, *self.processes):
            assign(process, runtime)
        watch = threading.Event()
        arguments = (models, watch, timeout)
        watcher = threading.Thread(target=self._watch_start, args=arguments, daemon=True)
        # One BLAS thread per actor: they would fight for the cores otherwise.
        with children_of_lava(self.dump, self.asked_at, exchange), threadpool_limits(1):
            watcher.start()
            try:
                with _quiet_stdout():
                    runtime.initialize()
            finally:
                watch.set()
                watcher.join()
        if self._late is not None:
            raise self._late
        actors = runtime._messaging_infrastructure.actors
        labels = models + ["runtime service"] * (len(actors) - len(models))
        self.actors = [Actor(n, a) for n, a in zip(labels, actors, strict=True)]

    def _watch_start(self, models: list[str], done: threading.Event, timeout: float) -> None:
        """Answer for actors that die or stay where they start: Lava would wait for ever."""
        runtime, answered, last, since = self.runtime, set[int](), None, time.monotonic()
        while not done.wait(min(0.2, timeout / 5)):
            infrastructure = runtime._messaging_infrastructure
            actors = list(infrastructure.actors) if infrastructure else []
            queues = getattr(runtime, "exception_q", ())  # deleted at the end of the start
            silent = [i for i, queue in enumerate(queues) if queue.empty() and i < len(actors)]
            if (len(actors), silent) != last:
                last, since = (len(actors), silent), time.monotonic()
            if time.monotonic() - since > timeout:
                # It may go on when it is asked where it is, and say that all is well.
                asked = [Actor(*pair) for pair in zip(models[:20], actors, strict=False)]
                self._late = error = self._hanging(asked, timeout)
                for i in silent:
                    queues[i].put(error)
                return
            for i in silent:
                if i in answered or actors[i].exitcode is None:
                    continue
                answered.add(i)
                name = models[i] if i < len(models) else "a runtime service"
                how = _ending(actors[i].exitcode)
                died: Any = ModelError(f"{name} died while it started, {how}", name)
                died.trace = ""
                queues[i].put(died)

    def _hanging(self, actors: list[Actor], timeout: float) -> Any:
        """Return the error of a start that makes no progress: who is still at it, and where."""
        places = [(actor.label, self._place(actor)) for actor in actors]
        at_it = [place for place in places if place[1] != _WAITING] or places
        where = ", ".join(f"{who} is in {place}" for who, place in at_it)
        hint = "Try: a larger timeout if the models are that slow"
        error: Any = HangError(f"LavaSession: not started after {timeout:g} s: {where}. {hint}")
        error.trace = ""
        return error

    @property
    def alive(self) -> bool:
        """Whether it can still run."""
        return self.runtime is not None and not self.runtime.dead

    def begin(self, steps: int) -> None:
        """Start a number of steps; :meth:`listen` tells when they are done."""
        self.asked_at[:] = 0
        self._at_work, self._pausing = set(self.runtime.service_to_runtime), False
        for port in self._at_work:
            port.observer = self._heard.set  # Process.wait takes it off
        self.runtime.begin(steps)

    def listen(self, seconds: float) -> bool:
        """Wait for news from the runtime services; tell whether the present run has ended.

        It ends as well where a model has asked for a pause or a stop. Lava's own answer to such
        a model fails in the last step of a run, where the runtime service says both that it has
        been asked and that it is done.
        """
        self._heard.wait(seconds)
        self._heard.clear()
        with self._lock:
            for port in list(self._at_work):
                while self.alive and port in self._at_work and port.probe():
                    self._receive(port, port.recv())
            if self.alive:
                self.runtime._is_running = bool(self._at_work)
        return not self._at_work

    def _receive(self, port: Any, word: Any) -> None:
        if enum_equal(word, MGMT_RESPONSE.REQ_STOP):
            self._at_work.clear()
            self.runtime._is_started = False
        elif enum_equal(word, MGMT_RESPONSE.REQ_PAUSE):
            if not self._pausing:
                self._at_work, self._pausing = set(self.runtime.service_to_runtime), True
                for service in self.runtime.runtime_to_service:
                    service.send(MGMT_COMMAND.PAUSE)
        elif enum_equal(word, MGMT_RESPONSE.PAUSED if self._pausing else MGMT_RESPONSE.DONE):
            self._at_work.discard(port)

    def failures(self) -> list[tuple[Actor, BaseException | None, str]]:
        """Return the actors that failed, each with the error and its traceback; models first."""
        found = [(a, *f) for a in self.actors if (f := a.failure())]
        return sorted(found, key=lambda item: item[0].label == "runtime service")

    def busy_time(self) -> tuple[float, bool]:
        """Return CPU seconds used by all actors, and whether one of them wants the CPU now."""
        seconds, running = 0.0, False
        for actor in self.actors:
            if actor.pid is None:
                continue
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(actor.pid)
                times = process.cpu_times()
                seconds += times.user + times.system
                running |= process.status() in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)
        return seconds, running

    def stacks(self) -> list[tuple[str, str]]:
        """Ask every model where it is; return labels and innermost lines outside Lava."""
        models = [a for a in self.actors if a.label != "runtime service" and a.pid is not None]
        return [(actor.label, self._place(actor)) for actor in models]

    def _place(self, actor: Actor) -> str:
        """Ask an actor where it is; return its innermost line outside Lava."""
        begin = os.fstat(self.dump.fileno()).st_size
        if actor.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(actor.pid, DUMP_SIGNAL)
        for _ in range(100):
            time.sleep(0.01)
            if os.fstat(self.dump.fileno()).st_size > begin:
                break
        time.sleep(0.02)
        self.dump.seek(begin)
        return _innermost(self.dump.read().decode(errors="replace"))

    def keep_values(self, limit: float) -> None:
        """Read the Vars of all models, which :meth:`kill` ends; within a time, or not at all."""
        with contextlib.suppress(Exception):
            self._last = self.runtime.last_values(limit)

    def kill(self) -> None:
        """End exactly the OS processes of this run, and release what they held."""
        with self._lock, held_back():
            if self.alive:
                self.runtime.dead = True
                infrastructure = self.runtime._messaging_infrastructure
                if infrastructure and self.owner == os.getpid():
                    with contextlib.suppress(Exception):
                        self.runtime.join()  # ends the threads of its ports
                    _end(infrastructure)
            self.release()

    def release(self) -> None:
        """Cut the Processes loose, so that nothing of Lava touches a dead runtime again."""
        self._released.set()
        if self.runtime is None:
            return  # they may belong to another session
        self.runtime._is_started = self.runtime._is_running = False
        self.runtime._is_initialized = False
        ended = Ended(self._exchange.vars if self._exchange else {}, self._last)
        for process in (self.process, *self.processes):
            assign(process, ended)
        if self._exchange:
            self._exchange.close()
        forget((self.process, *self.processes))


@contextlib.contextmanager
def _allowed_children() -> Iterator[None]:
    """Let a worker of a pool or of dask, which is a daemonic process, have children of its own.

    Python forbids it, since they would outlive a worker that is ended. Ours die with their parent.
    """
    config: dict[str, Any] = getattr(multiprocessing.current_process(), "_config", {})
    daemonic = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemonic is not None:
            config["daemon"] = daemonic


def _from_a_thread_that_lasts(over: threading.Event, call: Callable[..., None], *args: Any) -> None:
    """Make a call in a thread that lives until ``over`` is set, or in the main one.

    The system ends a child with the *thread* that has forked it, and a worker's thread may be gone
    before the session that it has opened.
    """
    if threading.current_thread() is threading.main_thread():
        call(*args)
        return
    done, failure = threading.Event(), []

    def work() -> None:
        try:
            call(*args)
        except BaseException as error:
            failure.append(error)
        finally:
            done.set()
        over.wait()

    threading.Thread(target=work, name="lava_dyads: parent of Lava's", daemon=True).start()
    done.wait()
    if failure:
        raise failure[0]


def _end(infrastructure: Any) -> None:
    """End the OS processes of a runtime, and remove its shared memory."""
    theirs = []
    for actor in infrastructure.actors:
        with contextlib.suppress(ValueError, psutil.Error):  # closed, or gone
            theirs += psutil.Process(actor.pid).children(recursive=True)
        with contextlib.suppress(ValueError):
            actor.kill()
    for process in theirs:  # that a model has started
        with contextlib.suppress(psutil.Error):
            process.kill()
    for actor in infrastructure.actors:
        with contextlib.suppress(ValueError):
            # The plain join of the base class: Lava's own closes pipes we still read.
            multiprocessing.Process.join(actor, 5)
    infrastructure.actors.clear()
    with contextlib.suppress(Exception):
        infrastructure.smm.shutdown()


def _check_open_files(models: int, channels: int) -> None:
    """Refuse what would run out of file descriptors: Lava would hang in the middle."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    # Measured on Linux: the last child holds 10 per ProcessModel, 2 per channel and 15 more.
    needed = psutil.Process().num_fds() + 10 * models + 2 * channels + 15
    if needed > limit:
        invalid(
            "LavaSession",
            f"{models} ProcessModels need about {needed} open files, the limit is {limit}",
            models,
            f"ulimit -n {2 * needed}, or fewer processes (granularity network)",
        )


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keep Lava's print of a failed start off standard output; the error itself follows."""
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        yield


def _innermost(dump: str) -> str:
    """Return 'function (file:line): code' of the innermost frame of a model's own code."""
    for thread in dump.split("\n\n"):
        if "in target_fn" not in thread:
            continue
        frames = [line.strip() for line in thread.splitlines() if line.strip().startswith("File")]
        for frame in frames:
            path = frame.split('"')[1]
            if any(part in path for part in _MACHINERY):
                continue
            line, _, function = frame.split('"')[2].removeprefix(", line ").partition(" in ")
            code = _code(path, int(line)) if line.isdigit() else "?"  # in between two lines
            return f"{function} ({os.path.basename(path)}:{line}): {code}"
        return _WAITING
    return "did not answer"


_WAITING = "waits for its next command"
_MACHINERY = tuple(
    f"{os.sep}{part}"
    for part in (
        f"lava{os.sep}magma{os.sep}",
        f"lava_internals{os.sep}",
        f"multiprocessing{os.sep}",
        "threading.py",
        "queue.py",
    )
)


def _code(path: str, line: int) -> str:
    import linecache

    return linecache.getline(path, line).strip()
