"""What takes seconds before anything is computed, compiling and starting: said, and taken off.

Whoever compiles or starts something wraps it in :func:`starting`. Whoever measures asks a
:class:`Stopwatch`, which stands still meanwhile; whoever talks to people listens (:func:`told`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

PATIENCE = 1.0
"""Seconds after which people are told what they wait for."""

_LOG = logging.getLogger(__name__)
_lock = threading.Lock()


class _Starts:
    """The time in which something starts, in whatever thread; what overlaps counts once."""

    listeners: ClassVar[tuple[Callable[[str], None], ...]] = ()
    said: ClassVar[dict[str, float]] = {}
    depth = 0
    begun = past = 0.0


@contextmanager
def starting(what: str, patience: float = PATIENCE) -> Iterator[None]:
    """Start or compile something in a block; people are told of it if it takes its time.

    Parameters
    ----------
    what : str
        In a line, e.g. ``compiling the event loop: half a minute``.
    patience : float
        Seconds after which it is said.
    """
    with _lock:
        outermost = not _Starts.depth
        if outermost:
            _Starts.begun = time.perf_counter()
        _Starts.depth += 1
    word = threading.Timer(patience, tell, (what,))
    word.daemon = True
    if outermost:
        word.start()
    try:
        yield
    finally:
        word.cancel()
        with _lock:
            _Starts.depth -= 1
            if not _Starts.depth:
                _Starts.past += time.perf_counter() - _Starts.begun


def took(seconds: float) -> None:
    """Note a start that is over, where its seconds are known afterwards only."""
    with _lock:
        if not _Starts.depth:
            _Starts.past += seconds


@contextmanager
def told(listener: Callable[[str], None]) -> Iterator[None]:
    """Let somebody hear in this block what is waited for, in the place of the log."""
    before = _Starts.listeners
    _Starts.listeners = (*before, listener)
    try:
        yield
    finally:
        _Starts.listeners = before


def tell(what: str, level: int = logging.WARNING) -> None:
    """Say what is waited for to whoever listens; nobody: to the log. Not twice in a minute."""
    now = time.monotonic()
    with _lock:
        again = now - _Starts.said.get(what, -60.0) < 60.0
        _Starts.said[what] = now
    if again:
        return
    if not _Starts.listeners:
        _LOG.log(level, "%s", what)
    for listener in _Starts.listeners:
        listener(what)


class Stopwatch:
    """Measures seconds in which nothing was starting, from when it is made."""

    def __init__(self) -> None:
        self._begun = _now()

    def seconds(self) -> float:
        """Return the seconds so far."""
        return max(_now() - self._begun, 1e-9)


def _now() -> float:
    with _lock:
        now = time.perf_counter()
        return now - _Starts.past - (now - _Starts.begun if _Starts.depth else 0.0)
