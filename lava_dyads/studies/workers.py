"""Who carries out jobs: processes of this machine, or workers of Dask."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol

from lava_dyads.errors import LavaRuntimeError, UnsupportedError, invalid, message
from lava_dyads.files import reason
from lava_dyads.optional import imported
from lava_dyads.studies.job import Outcome, Task, carry_out
from lava_dyads.training.clusters import close, connected, for_workers

TRIES = 3
"""Workers that may end over a job before it counts as failed."""

_READY = "ready"


class Workers(Protocol):
    """Somebody who takes some jobs at a time."""

    @property
    def free(self) -> int:
        """How many jobs could begin now."""

    @property
    def busy(self) -> int:
        """How many are being done."""

    def submit(self, task: Task) -> None:
        """Begin a job; only where somebody is free."""

    def outcome(self) -> Outcome:
        """Wait for a job to end; only where somebody is busy."""

    def __enter__(self) -> Workers: ...

    def __exit__(self, *error: Any) -> None: ...


def cores() -> int:
    """Return the processors that this program may use."""
    import joblib

    return int(joblib.cpu_count())


class _Worker:
    """A process of this machine that does a job after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # No daemon: Lava's runtime has children.
        self.process = context.Process(target=_serve, args=(theirs,), name="lava_dyads study")
        with for_workers():
            self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.ready = False

    def end(self) -> None:
        """End it, whatever it does."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


class Processes:
    """Processes of this machine, each with one BLAS thread.

    Whoever is ended from outside is replaced, and its job goes on from its last state.

    Parameters
    ----------
    count : int
        How many.
    told : callable
        Told of replaced workers.
    """

    def __init__(self, count: int, told: Callable[[str], None] = lambda line: None) -> None:
        _check_main()
        self._told = told
        self._tries: dict[str, int] = {}
        self._done: deque[Outcome] = deque()
        self._workers: list[_Worker] = []
        self._count = count

    def __enter__(self) -> Processes:
        try:
            for _ in range(self._count):
                self._workers.append(_Worker())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    @property
    def free(self) -> int:
        """How many jobs could begin now."""
        return sum(worker.task is None for worker in self._workers)

    @property
    def busy(self) -> int:
        """How many are being done."""
        return len(self._done) + sum(worker.task is not None for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [worker.process.pid or 0 for worker in self._workers]

    def submit(self, task: Task) -> None:
        """Begin a job."""
        worker = next(worker for worker in self._workers if worker.task is None)
        worker.task = task
        if worker.ready:
            self._send(worker)

    def outcome(self) -> Outcome:
        """Wait for a job to end."""
        while not self._done:
            ends = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(ends)):
                assert isinstance(pipe, Connection)
                self._hear(ends[pipe])
        return self._done.popleft()

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        if said == _READY:
            worker.ready = True
            if worker.task:
                self._send(worker)
        else:
            worker.task = None
            self._done.append(said)

    def _send(self, worker: _Worker) -> None:
        try:
            worker.pipe.send(worker.task)
        except OSError:  # it has ended; hearing it finds out
            return

    def _replace(self, lost: _Worker) -> None:
        lost.process.join()
        task, code = lost.task, lost.process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        lost.end()
        if not lost.ready and code >= 0:
            text = message("study", "a worker ended before its first job", how,
                           "if __name__ == '__main__': around what a script does")  # fmt: skip
            raise LavaRuntimeError(text)
        self._workers[self._workers.index(lost)] = new = _Worker()
        if task is None:
            return
        tries = self._tries[task.name] = self._tries.get(task.name, 0) + 1
        if tries < TRIES:
            self._told(f"a worker was ended ({how}): {task.name} goes on in another one")
            new.task = task
        else:
            why = f"its worker was ended {tries} times ({how}): out of memory?"
            self._done.append(Outcome(task.name, why=why, again=True))


def _check_main() -> None:
    """Raise where a worker, which imports the program anew, is about to begin workers itself."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        hint = "if __name__ == '__main__': around what the script does"
        invalid("study", "was called while a worker imports the program", __name__, hint)


def _serve(pipe: Connection) -> None:
    """Do jobs until there are no more; in a process of its own."""
    for name in ("SIGINT", "SIGHUP"):  # the terminal's signals are for the parent
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    try:
        pipe.send(_READY)
        while True:
            pipe.send(carry_out(pipe.recv()))
    except (EOFError, OSError):  # the parent has closed it, or ended
        return


def _end_with(sentinel: int) -> None:
    """End this process with its parent: whoever goes on with the study finds nobody at work."""
    wait([sentinel])
    os._exit(1)


class DaskWorkers:
    """Workers of a Dask cluster that is there, or of one on this machine.

    Parameters
    ----------
    count : int or None
        Workers of the cluster on this machine; None: a core each.
    scheduler : str
        Address of a cluster; empty: one on this machine is begun, and ended afterwards.
    folder : str
        What all workers have to see.
    """

    def __init__(self, count: int | None, scheduler: str, folder: str) -> None:
        self._count, self._scheduler, self._folder = count or cores(), scheduler, folder
        self._names: dict[Any, str] = {}

    def __enter__(self) -> DaskWorkers:
        self._dask = imported("distributed", "studies on Dask", "cluster")
        self.client, self._cluster = connected(self._scheduler, self._count, "studies on Dask")
        try:
            self._look_around()
        except BaseException:
            close(self.client, self._cluster)
            raise
        self._running = self._dask.as_completed([])
        return self

    def _look_around(self) -> None:
        """Raise where a worker does not see the study's folder."""
        for worker, sees in self.client.run(os.path.isdir, self._folder).items():
            if not sees:
                line = message("--out", f"worker {worker} does not see the folder", self._folder,
                               "a folder that all machines share")  # fmt: skip
                raise UnsupportedError(line)

    def __exit__(self, *error: Any) -> None:
        close(self.client, self._cluster)

    @property
    def free(self) -> int:
        """How many jobs could begin now."""
        threads = sum(int(n) for n in self.client.nthreads().values())
        return max(1, threads) - self.busy

    @property
    def busy(self) -> int:
        """How many are being done."""
        return len(self._names)

    def submit(self, task: Task) -> None:
        """Begin a job; the scheduler begins it again where a worker ends over it."""
        future = self.client.submit(carry_out, task, pure=False, retries=0)
        self._names[future.key] = task.name
        self._running.add(future)

    def outcome(self) -> Outcome:
        """Wait for a job to end."""
        future = next(self._running)
        name = self._names.pop(future.key)
        if future.status == "finished":
            found: Outcome = future.result()
            return found
        error = future.exception()
        killed = isinstance(error, self._dask.KilledWorker)
        why = "its workers were ended again and again" if killed else reason(error)
        return Outcome(name, why=why, again=True)
