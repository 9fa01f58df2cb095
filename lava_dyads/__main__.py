"""The program ``lava-dyads``, which is also ``python -m lava_dyads``."""

import os
import signal
import sys

_SIGNALS = 128  # a shell's exit code of what a signal ends is this and its number


def run() -> int:
    """Run the command line as a whole program; return the exit code."""
    try:
        from lava_dyads.cli import main

        code = main()
    except KeyboardInterrupt:  # before the command has begun
        print("interrupted", file=sys.stderr)
        code = _SIGNALS + signal.SIGINT
    # What comes now has nothing to say, least of all a traceback from the interpreter's end.
    ended_by_signal = code > _SIGNALS
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN if ended_by_signal else signal.SIG_DFL)
    if ended_by_signal and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
        signal.setitimer(signal.ITIMER_REAL, 2)  # nor may it wait for what does not let go
    return code


if __name__ == "__main__":
    sys.exit(run())
