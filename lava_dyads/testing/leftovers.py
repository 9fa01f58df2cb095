"""Fail where a block of code leaves something running."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from lava.magma.core.process.process import AbstractProcess

from lava_dyads.processes.base import own_logging


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
