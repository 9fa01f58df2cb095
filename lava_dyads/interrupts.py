"""Ctrl-C and requests to end: hold them back where Python would lose them.

Python runs the handler of a signal between any two instructions of the main thread. What the
handler raises is dropped, with a note on standard error at best, in the hooks around a fork, in
``__del__`` and in callbacks of weak references; and it may part what belongs together, as the
start of an OS process and the note that there is one.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# SIGHUP is unknown to Windows.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals by which a terminal or a system asks a program to end."""


_blocks = 0


def holding() -> bool:
    """Tell whether signals are held back now."""
    return _blocks > 0


class _Held:
    """A handler that notes a signal and leaves it to the handler before, later."""

    def __init__(self, before: Callable[..., Any]) -> None:
        self.before = before
        self.arrived = False
        self.holding = True

    def __call__(self, number: int, frame: Any) -> None:
        if self.holding:
            self.arrived = True
        else:  # another signal has broken off the return of the handlers
            self.before(number, frame)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold signals that ask to end back until the end of the block.

    Only what has a handler in Python: a signal that ends the process at once still does. Nothing
    happens outside the main thread, where no handler is ever run.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if Ctrl-C has come meanwhile; or what other handlers raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _blocks
    held: dict[int, _Held] = {}
    for number in ENDING:
        if callable(before := signal.getsignal(number)):
            held[number] = _Held(before)
    _blocks += 1
    try:
        for number, handler in held.items():
            signal.signal(number, handler)
        yield
    finally:
        _blocks -= 1
        for handler in held.values():
            handler.holding = False
        for number, handler in held.items():
            signal.signal(number, handler.before)
        for number, handler in held.items():
            if handler.arrived:
                signal.raise_signal(number)
