"""Where replicas are: in this process, or on workers of Dask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lava_dyads.errors import LavaRuntimeError
from lava_dyads.files import reason
from lava_dyads.optional import imported
from lava_dyads.training.clusters import close, connected
from lava_dyads.training.replicas.config import LOCAL
from lava_dyads.training.replicas.member import Member


class LostError(LavaRuntimeError):
    """A replica whose worker has ended."""


Answer = Callable[[], Any]
"""Waits for what a replica answers, and returns it; raises LostError where it is no more."""


class Place(Protocol):
    """Some replicas, by their number."""

    def ask(self, number: int, method: str, *arguments: Any) -> Answer:
        """Ask a replica to do something; all that are asked work at the same time."""

    def close(self) -> None:
        """End them."""


class Here:
    """Replicas in this process: one does its work after the other, when it is asked."""

    def __init__(self, count: int, *made: Any) -> None:
        self.members = [Member(*made) for _ in range(count)]

    def ask(self, number: int, method: str, *arguments: Any) -> Answer:
        """Let a replica do something."""
        found = getattr(self.members[number], method)(*arguments)
        return lambda: found

    def close(self) -> None:
        """End them."""
        for member in self.members:
            member.close()


class OnDask:
    """Replicas as actors of Dask, each on a worker of its own as far as there are some."""

    def __init__(self, scheduler: str, count: int, *made: Any) -> None:
        self._dask = imported("distributed", "replicas on workers", "cluster")
        address = "" if scheduler == LOCAL else scheduler
        self.client, self._cluster = connected(address, count, "replicas on workers")
        self.workers = sorted(self.client.nthreads())
        sent = self.client.scatter(made, hash=False, broadcast=True)
        self._futures = [
            self.client.submit(_member, sent, actor=True, pure=False, allow_other_workers=False,
                               workers=[self.workers[k % len(self.workers)]])
            for k in range(count)
        ]  # fmt: skip
        self._actors = [future.result() for future in self._futures]

    def ask(self, number: int, method: str, *arguments: Any) -> Answer:
        """Ask a replica to do something."""
        try:
            future = getattr(self._actors[number], method)(*arguments)
        except (OSError, ValueError) as error:
            lost = LostError(reason(error))

            def gone() -> Any:
                raise lost

            return gone
        return lambda: self._heard(number, future)

    def _heard(self, number: int, future: Any) -> Any:
        while True:
            try:
                return future.result(timeout=5)
            except self._dask.TimeoutError:
                address = self.workers[number % len(self.workers)]
                if address in self.client.nthreads():
                    continue  # it is at work
                raise LostError(f"worker {address} has ended") from None
            except (OSError, ValueError) as error:
                raise LostError(reason(error)) from error

    def close(self) -> None:
        """End them."""
        self._actors.clear()
        self._futures.clear()
        close(self.client, self._cluster)


def _member(made: tuple[Any, ...]) -> Member:
    """Return a replica in its worker."""
    spec, data, config, execution = made
    return Member(spec, data, config, execution, alone=True)
