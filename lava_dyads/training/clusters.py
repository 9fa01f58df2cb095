"""Workers of Dask: those of a cluster that is there, or of one on this machine."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from lava_dyads.errors import invalid
from lava_dyads.files import reason
from lava_dyads.optional import imported

PATIENCE = 60.0
"""Seconds in which a worker has to appear."""

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def for_workers() -> Iterator[None]:
    """Let processes that begin in this block have one BLAS thread, and leave Ctrl-C to this one.

    A terminal tells all processes of a program that it is to end: this one ends the others. Here
    it arrives at the end of the block.
    """
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    masked = hasattr(signal, "pthread_sigmask")  # not on Windows
    if masked:
        resource_tracker.ensure_running()  # where it begins in the block, it unblocks Ctrl-C
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masked else None
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if mask is not None:  # last: Ctrl-C may be waiting
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def connected(scheduler: str, count: int, what: str) -> tuple[Any, Any]:
    """Return a client of Dask, and the cluster on this machine that was begun for it, or None.

    Parameters
    ----------
    scheduler : str
        Address of a cluster; empty: one on this machine.
    count : int
        Workers of that.
    what : str
        What needs it, in the plural.

    Raises
    ------
    ValidationError
        If it cannot be reached, or has no worker.
    UnsupportedError
        If Dask is not installed.
    """
    dask = imported("distributed", what, "cluster")
    cluster = None
    if not scheduler:
        with for_workers():
            cluster = dask.LocalCluster(
                n_workers=count, threads_per_worker=1, dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
    client = None
    try:
        client = dask.Client(cluster or scheduler, timeout=10)
        client.wait_for_workers(1, timeout=PATIENCE)
    except BaseException as error:
        close(client, cluster)
        if isinstance(error, (OSError, ValueError, dask.TimeoutError)):
            limit = f"cannot be reached, or has no worker ({reason(error)})"
            invalid("--scheduler", limit, scheduler, "tcp://HOST:8786, and dask worker there")
        raise
    return client, cluster


def close(client: Any, cluster: Any) -> None:
    """End what :func:`connected` has begun."""
    if client is not None:
        client.close()
    if cluster is not None:
        cluster.close()
