"""Kernels compiled by numba where it is installed (extra ``fast``): one pass over the memory.

They are the loops of the optimisers' equations, and are tested against them. Without numba the
optimisers take a dozen passes of numpy, four times slower for Adam.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lava_dyads.native.thread_pool import Crew

Kernel = Callable[..., None]

WORTH = 1 << 14
"""Weights from which on a kernel is shared: a step of theirs takes some 5 us."""


class _Present(threading.local):
    """Who helps a thread, see :func:`lava_dyads.native.thread_pool.crew`."""

    crew: Crew | None = None


present = _Present()


def kernel(name: str, weights: int = 0) -> Kernel | None:
    """Return a compiled kernel by name, ``adam`` for one; None without numba.

    With a crew at work it is the form that its threads share, if there are enough weights;
    ``descent`` (product and step in one) is None without a crew.
    """
    if weights >= WORTH and present.crew and name in present.crew.kernels:
        return present.crew.kernels[name]
    return _alone(name)


def later() -> AbstractContextManager[None]:
    """Let a crew's threads begin with the steps of weights in here, see :meth:`Crew.later`."""
    return present.crew.later() if present.crew else nullcontext()


def load() -> None:
    """Make compiled code ready, so that OS processes forked from here on need not.

    The import takes half a second, the first call whatever it is another half.
    """
    descend = _alone("descend")
    if descend:
        descend(np.zeros(1), np.zeros(1), np.zeros(1))


@cache
def _alone(name: str) -> Kernel | None:
    if find_spec("numba") is None:
        return None
    from lava_dyads.native import kernels  # imports numba: half a second

    compiled: Any = getattr(kernels, name, None)
    return compiled  # type: ignore[no-any-return]
