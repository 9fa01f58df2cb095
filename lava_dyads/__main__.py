"""The program ``lava-dyads``, which is also ``python -m lava_dyads``."""

import atexit
import contextlib
import os
import signal
import sys

_SIGNALS = 128  # a shell's exit code of what a signal ends is this and its number
_PATIENCE = 2


def run() -> int:
    """Run the command line as a whole program; return the exit code."""
    code = 0

    def leave() -> None:
        """Leave out the interpreter's own end, which takes its time, after a signal."""
        if code > _SIGNALS:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            os._exit(code)

    atexit.register(leave)  # before all others, so that it comes last
    try:
        from lava_dyads.cli import main

        code = main()
    except KeyboardInterrupt:  # before the command has begun
        print("interrupted", file=sys.stderr)
        code = _SIGNALS + signal.SIGINT
    # What comes now has nothing to say, least of all a traceback from the interpreter's end.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN if code > _SIGNALS else signal.SIG_DFL)
    if code > _SIGNALS and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: leave())  # nor does it wait for anybody
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    return code


if __name__ == "__main__":
    sys.exit(run())
