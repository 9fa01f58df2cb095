"""Kernels compiled by numba where it is installed (extra ``fast``): one pass over the memory.

They are the loops of the optimisers' equations, and are tested against them. Without numba the
optimisers take a dozen passes of numpy, four times slower for Adam.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.starts import starting

if TYPE_CHECKING:
    from lava_dyads.native.thread_pool import ThreadTeam

_LOG = logging.getLogger(__name__)
Kernel = Callable[..., None]

WORTH = 1 << 14
"""Weights from which on a kernel is shared: a step of theirs takes some 5 us."""


class _Active(threading.local):
    """The threads that help this one, see :func:`lava_dyads.native.thread_pool.thread_team`."""

    team: ThreadTeam | None = None


active = _Active()


def kernel(name: str, weights: int = 0) -> Kernel | None:
    """Return a compiled kernel by name, ``adam`` for one; None without numba.

    With a team at work it is the form that its threads share, if there are enough weights;
    ``descent`` (product and step in one) is None without a team.
    """
    if weights >= WORTH and active.team and name in active.team.kernels:
        return active.team.kernels[name]
    return _alone(name)


def overlap() -> AbstractContextManager[None]:
    """Let a team begin with the steps of weights in here, see :meth:`ThreadTeam.overlap`."""
    return active.team.overlap() if active.team else nullcontext()


def load() -> None:
    """Make compiled code ready, so that OS processes forked from here on need not."""
    if find_spec("numba") is not None:
        kernels()


@cache
def event_loop() -> Any:
    """Return the loop of asynchronous networks, ``native.events.loop``; None without numba.

    It is compiled once per machine, for half a minute or so; who comes meanwhile waits for it.
    """
    if find_spec("numba") is None:
        return None
    from filelock import FileLock

    begin = time.perf_counter()
    word = "compiling the event loop, once per machine: half a minute, more on a busy one"
    with starting(word, patience=4.0):
        from lava_dyads.native.events import loop  # imports numba

        name = f"lava_dyads-{getattr(os, 'getuid', int)()}-{loop.VERSION}.lock"
        with suppress(OSError), FileLock(Path(tempfile.gettempdir()) / name):
            loop.compile_ahead()
        loop.compile_ahead()  # at once, but where no lock could be had
    _LOG.info("compiled event loop: ready after %.1f s", time.perf_counter() - begin)
    return loop


def spiking_steps() -> Any:
    """Return the steps of spiking presentations, ``native.spiking``; None without numba."""
    if find_spec("numba") is None:
        return None
    with starting(_IMPORT, patience=5.0):
        from lava_dyads.native import spiking

        _watch_numba()
    return spiking


@cache
def kernels() -> Any:
    """Return the module of the kernels, where there is numba, after a first call.

    The import takes half a second, the first call whatever it is another half.
    """
    with starting(_IMPORT, patience=5.0):
        from lava_dyads.native import kernels

        _watch_numba()
        kernels.descend(np.zeros(1), np.zeros(1), np.zeros(1))
    return kernels


_IMPORT = "importing numba"


@cache
def _watch_numba() -> None:
    """Let whoever waits for numba to compile something hear of it."""
    from numba.core import event

    class Compiling(event.Listener):  # type: ignore[misc]
        """Turns numba's events into starts, each in the thread that compiles."""

        def __init__(self) -> None:
            self._open = threading.local()

        def on_start(self, event: Any) -> None:
            begun = ExitStack()
            begun.enter_context(starting("compiling loops by numba, once per machine: seconds"))
            self._open.starts = [*getattr(self._open, "starts", []), begun]

        def on_end(self, event: Any) -> None:
            self._open.starts.pop().close()

    event.register("numba:compile", Compiling())


@cache
def _alone(name: str) -> Kernel | None:
    if find_spec("numba") is None:
        return None
    compiled: Any = getattr(kernels(), name, None)
    return compiled  # type: ignore[no-any-return]
