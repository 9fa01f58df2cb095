"""Whether the channels of a run on Lava's runtime fit into the shared memory of the machine.

Every channel is a ring of slots in a file of /dev/shm, whose pages are taken when they are first
written to: where there are none, the system ends the OS process that writes (SIGBUS).
"""

from __future__ import annotations

import mmap
import os

from lava_dyads.errors import invalid

FOLDER = "/dev/shm"
IN_PROCESS = "runtime in-process, which needs none"
_PAGES_OF_A_QUEUE = 4  # its locks; measured: 3


def check_fits(rings: list[int], slots: int, actors: int) -> None:
    """Refuse channels that need more shared memory than is free.

    Parameters
    ----------
    rings : list of int
        Bytes of each.
    slots : int
        Messages that each holds (``pypy_channel_size``).
    actors : int
        OS processes to come; each has a queue for its errors.

    Raises
    ------
    ValidationError
        What they need, what there is and what to try.
    """

    def needed(slots_then: int) -> int:
        pages = sum(-(-size * slots_then // (slots * mmap.PAGESIZE)) for size in rings)
        return (pages + _PAGES_OF_A_QUEUE * actors) * mmap.PAGESIZE

    free = _sizes()[0]
    if needed(slots) > free:
        fewer = next((n for n in range(slots - 1, 0, -1) if needed(n) <= free), 0)
        hints = [f"compile_config={{'pypy_channel_size': {fewer}}}"] if fewer else []
        hints += ["a larger one (docker run --shm-size)", IN_PROCESS]
        limit = f"{len(rings)} channels of {slots} messages need {_megabytes(needed(slots))}"
        limit += f" of shared memory; {state()}"
        invalid("LavaSession", limit, slots, ", ".join(hints))


def state() -> str:
    """Say how large the shared memory is and how much of it is free."""
    free, size = _sizes()
    return f"{FOLDER} has {_megabytes(free)} free of {_megabytes(size)}"


def _sizes() -> tuple[float, float]:
    """Return free bytes and all; without limit where the system has no such folder."""
    try:
        found = os.statvfs(FOLDER)
    except (OSError, AttributeError):
        return float("inf"), float("inf")
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.1f} MB"
