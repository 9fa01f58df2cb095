"""How much memory there is, asked before it is taken: an error in the place of a killed program."""

from __future__ import annotations

import contextlib

import psutil

from lava_dyads.errors import invalid

_GIB = 2.0**30


def free_bytes() -> float:
    """Return the bytes that this program can still take: the machine's, or up to its own limit."""
    free = float(psutil.virtual_memory().available)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # Linux and macOS have it

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            free = min(free, limit - float(psutil.Process().memory_info().vms))
    return max(0.0, free)


def check_memory(what: str, needed: float, hint: str) -> None:
    """Raise where something needs more memory than there is.

    Parameters
    ----------
    what : str
        The owner and the argument, for the message.
    needed : float
        Bytes that it takes at least.
    hint : str
        What the user can do instead.

    Raises
    ------
    ValidationError
        With both numbers.
    """
    if needed < 1 << 24:  # not worth a look
        return
    free = free_bytes()
    if needed > free:
        limit = f"needs at least {needed / _GIB:.3g} GiB of memory, {free / _GIB:.3g} GiB are free"
        invalid(what, limit, f"{needed:.3g} bytes", hint)
