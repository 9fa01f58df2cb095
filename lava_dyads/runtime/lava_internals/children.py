"""What OS processes of Lava's runtime do first: die with their parent, tell where they are."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import IO, Any

from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

from lava_dyads.array_types import IntArray
from lava_dyads.interrupts import ENDING
from lava_dyads.runtime.failures import note_step
from lava_dyads.runtime.lava_internals.exchange import Exchange, portable

_PR_SET_PDEATHSIG = 1
# Windows has none; nor does anything here run there, but it is imported with the rest.
DUMP_SIGNAL = getattr(signal, "SIGUSR2", signal.SIGTERM)


@dataclass
class _Forking:
    """What a child of Lava's needs to know of its parent."""

    dump: IO[bytes]
    asked_at: IntArray
    exchange: Exchange
    parent: int
    by_main_thread: bool
    mask: Any


_forking = threading.local()


@contextlib.contextmanager
def children_of_lava(dump: IO[bytes], asked_at: IntArray, exchange: Exchange) -> Iterator[None]:
    """Set the OS processes up that are forked inside: see :func:`_after_fork`."""
    by_main_thread = threading.current_thread() is threading.main_thread()
    # The tracker of shared memory has to outlive us: by itself it ignores Ctrl-C and SIGTERM, and
    # lifts their block here when it starts; a terminal that closes tells the whole group.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _forking.now = _Forking(dump, asked_at, exchange, os.getpid(), by_main_thread, mask)
    try:
        yield
    finally:
        _forking.now = None


def _after_fork() -> None:
    """Make a child die with its parent, leave Ctrl-C to the parent, and tell its stack."""
    now = getattr(_forking, "now", None)
    if now is None:
        return
    _forking.now = None
    for number in ENDING:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, now.mask)
    faulthandler.register(DUMP_SIGNAL, file=now.dump, all_threads=True)
    SystemProcess.run = _run_and_report
    _note_requests(now.asked_at)
    now.exchange.serve()
    if sys.platform == "linux" and now.by_main_thread:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != now.parent:  # it has died meanwhile
            os._exit(1)
    else:
        # Linux takes the thread that forks for the parent, and it may end before its program.
        threading.Thread(target=_end_with, args=(now.parent,), daemon=True).start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _note_requests(asked_at: IntArray) -> None:
    """Let a model that asks for a pause or a stop note when: Lava's runtime does not tell."""
    handle = PyLoihiProcessModel._handle_pause_or_stop_req

    def noted(model: Any) -> None:
        asked_at[0] = model.time_step
        handle(model)

    PyLoihiProcessModel._handle_pause_or_stop_req = noted


def _run_and_report(actor: Any) -> None:
    """Run an actor; report an exception even if it cannot be sent to another process."""
    try:
        multiprocessing.Process.run(actor)
        actor._cconn.send(None)
    except BaseException as error:  # Ctrl-C does not reach it
        trace = traceback.format_exc()
        note_step(error)
        actor._cconn.send((portable(error), trace))
