"""A command that is told to end does so, within seconds and with one line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import TracebackType
from typing import Any

from lava_dyads.interrupts import ENDING, holding

_AGAIN = 1.5
_RAISES = 2


class Ending:
    """Make Ctrl-C, SIGTERM and SIGHUP end a block as KeyboardInterrupt, for certain.

    What a handler raises can be lost: Python drops it in hooks and destructors, and libraries
    that are being imported take it for an error of theirs. So it is raised again until the block
    has ended; what does not let go then is left behind. OS processes of a run on Lava die with
    their parent, and files replace others only when they are whole.

    Signals that somebody else handles or that are ignored, as under nohup, stay as they are.

    Attributes
    ----------
    number : int
        The signal that has arrived; 0: none.
    """

    number = 0
    over = False
    """Whether it has been caught, so that there is nothing to raise again."""

    def __enter__(self) -> Ending:
        self._before: dict[int, Any] = {}
        self._raised = 0
        self._hook = sys.unraisablehook
        if threading.current_thread() is threading.main_thread():
            sys.unraisablehook = self._dropped
            for number in ENDING:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._arrive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over = True
        self._alarm(0)
        sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def code(self) -> int:
        """The exit code of what a signal has ended, as a shell has it."""
        return 128 + (self.number or signal.SIGINT)

    def _arrive(self, number: int, frame: Any) -> None:
        self.number = self.number or number
        self._alarm(_AGAIN)
        raise KeyboardInterrupt

    def _remind(self, number: int, frame: Any) -> None:
        self._raised += 1
        if self._raised > _RAISES:
            with contextlib.suppress(OSError):
                os.write(2, b"interrupted\n")
            os._exit(self.code)
        if not (self.over or holding()):
            raise KeyboardInterrupt

    def _dropped(self, lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._alarm(0.01)
        else:
            self._hook(lost)

    def _alarm(self, seconds: float) -> None:
        """Have it raised again after some time and then regularly; 0: no more."""
        if hasattr(signal, "setitimer") and self._before:
            if seconds and signal.SIGALRM not in self._before:
                self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._remind)
            signal.setitimer(signal.ITIMER_REAL, seconds, seconds and _AGAIN)
