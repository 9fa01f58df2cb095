"""A time limit for what runs in a thread of this OS process."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lava_dyads.errors import HangError


class _Overtime(BaseException):
    """Raised inside of what takes too long; not an Exception, which models may catch."""


@contextmanager
def time_limit(
    seconds: float | None, progress: Callable[[], int | None], who: Callable[[], str]
) -> Iterator[None]:
    """Raise inside of the block, wherever it is, when it makes no progress.

    Python code is interrupted at its next instruction; a call into C code when it returns.

    Parameters
    ----------
    seconds : float or None
        Longest time without progress; None: no limit.
    progress : callable
        Returns a number that changes; None while there is nothing to wait for.
    who : callable
        Says who is at work, for the message.

    Raises
    ------
    HangError
        Who was at work, and at which line.
    """
    if seconds is None:
        yield
        return
    done, victim, found = threading.Event(), threading.get_ident(), ""

    def watch() -> None:
        nonlocal found
        last, since = progress(), time.monotonic()
        while not done.wait(seconds / 20):
            now = progress()
            if now is None or now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > seconds:
                found = f"{who()} {_place(victim)}"
                _raise_in(victim, _Overtime)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
        if found:  # a model has caught what was raised inside of it, whatever it was
            raise _Overtime
    except _Overtime:
        raise HangError(
            f"a time step took more than {seconds:g} s: {found}. "
            "Try: a larger timeout if the model is that slow"
        ) from None
    finally:
        done.set()
        watcher.join()
        _raise_in(victim, None)  # what has not arrived yet


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )


def _place(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "is nowhere"
    code = frame.f_code
    return f"is in {code.co_name} ({Path(code.co_filename).name}:{frame.f_lineno})"
