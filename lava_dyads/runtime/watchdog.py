"""A time limit for what runs in a thread of this OS process."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lava_dyads.errors import HangError
from lava_dyads.runtime.failures import Passing

_ALARM: Any = getattr(signal, "SIGRTMIN", None)
"""Ends waits in C code of the main thread; None where the system has no such signal."""
_AGAIN = 0.05
"""Seconds until what a model has caught is raised again."""


class _Overtime(Passing):
    """Raised inside of what takes too long; not an Exception, which models may catch."""


@contextmanager
def time_limit(
    seconds: float | None, progress: Callable[[], object], who: Callable[[], str]
) -> Iterator[None]:
    """Raise inside of the block, wherever it is, when it makes no progress.

    Python code is interrupted at its next instruction, again and again where it catches that. In
    the main thread a wait in C code (sleep, lock, pipe, OS process) is ended by a signal; in
    other threads, and where C code computes, the error comes when it returns.

    Parameters
    ----------
    seconds : float or None
        Longest time without progress; None: no limit.
    progress : callable
        Returns something that changes; None while there is nothing to wait for.
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
    watch = _Watch(seconds, progress, who)
    with _answering(watch.ring if watch.by_signal else None):
        watcher = threading.Thread(target=watch.run, daemon=True)
        watcher.start()
        try:
            yield
            if watch.found:  # a model has caught what was raised inside of it, whatever it was
                raise _Overtime
        except _Overtime:
            raise HangError(
                f"a time step took more than {seconds:g} s: {watch.found}. "
                "Try: a larger timeout if the model is that slow"
            ) from None
        finally:
            watch.end()
            watcher.join()
            _raise_in(watch.victim, None)  # what has not arrived yet


class _Watch:
    """Looks at one thread from another, and raises in it when it makes no progress.

    Attributes
    ----------
    found : str
        Who makes none, and where; empty while all is well.
    """

    def __init__(
        self, seconds: float, progress: Callable[[], object], who: Callable[[], str]
    ) -> None:
        self.seconds, self.progress, self.who = seconds, progress, who
        self.victim, self.found = threading.get_ident(), ""
        main = threading.current_thread() is threading.main_thread()
        self.by_signal = _ALARM is not None and main
        self._done, self._rings, self._traced = threading.Event(), 0, sys.gettrace()

    def run(self) -> None:
        """Watch; called in a thread of its own."""
        last, since = self.progress(), time.monotonic()
        while not self._done.wait(self.seconds / 20):
            now = self.progress()
            if now is None or now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > self.seconds:
                self.found = f"{self.who()} {_place(self.victim)}"
                break
        while self.found and not self._done.is_set():
            if self.by_signal:
                signal.pthread_kill(self.victim, _ALARM)
            elif not _is_ours(sys._current_frames().get(self.victim)):
                _raise_in(self.victim, _Overtime)
            self._done.wait(_AGAIN)

    def ring(self, number: int, frame: FrameType | None) -> None:
        """Answer the signal, in the thread that is watched."""
        # Our own code, which puts things in order behind a model, is not parted.
        if self._done.is_set() or _is_ours(frame):
            return
        self._rings += 1
        if self._rings > 1:  # caught: raise at every line, also at those that no `try` is around
            sys.settrace(_raise_at_lines)
            while frame is not None and not _is_ours(frame):
                frame.f_trace, frame = _raise_at_lines, frame.f_back
        raise _Overtime

    def end(self) -> None:
        """Raise no more."""
        self._done.set()
        if self._rings > 1:
            sys.settrace(self._traced)


@contextmanager
def _answering(handler: Any) -> Iterator[None]:
    """Let a handler answer the signal inside the block; None: nothing does."""
    if handler is None:
        yield
        return
    before = signal.signal(_ALARM, handler)
    try:
        yield
    finally:
        # One that is still on its way would end the program by default.
        signal.signal(_ALARM, signal.SIG_IGN if before == signal.SIG_DFL else before)


def _raise_at_lines(frame: FrameType, event: str, argument: object) -> Any:
    if event == "line" and not _is_ours(frame):
        raise _Overtime
    return _raise_at_lines


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )


_OURS = str(Path(__file__).parent) + os.sep


def _is_ours(frame: FrameType | None) -> bool:
    return frame is None or frame.f_code.co_filename.startswith(_OURS)


def _place(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "is nowhere"
    code = frame.f_code
    return f"is in {code.co_name} ({Path(code.co_filename).name}:{frame.f_lineno})"
