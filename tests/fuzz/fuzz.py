"""Spoil inputs of every kind, and look for what is neither taken nor refused in one line.

    python tests/fuzz/fuzz.py --inputs 40000                  another seed each day
    python tests/fuzz/fuzz.py --inputs 40000 --seed 7         the same inputs again
    python tests/fuzz/fuzz.py --only checkpoint --seed 7 --first 12 --inputs 1      one input

Each kind of input (``targets.py``) is tried in an OS process of its own that may take 2 GiB more
than it has after its imports, and 20 seconds of its processor for an input (or, where it waits,
200 by the clock: a busy machine is no hang). Right is: the input is taken, or refused
by a ``DyadsError`` of one line; on the command line by exit code 1 or 2 and one line. All else is a
fault: another exception, an error about memory for a small file, a hang, the end of the process,
nonsense that is taken.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

ROOM = 2 << 30
"""Bytes that an input may take."""

PATIENCE, WAITING = 20.0, 200.0
"""Seconds for an input: of the worker's processor, and by the clock."""


def main() -> int:
    """Run; return 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=datetime.date.today().toordinal())
    parser.add_argument("--only", default="")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        return work(given.only, given.seed, given.first, given.inputs)
    from targets import SHARES

    names = [given.only] if given.only else list(SHARES)
    whole = sum(SHARES[name] for name in names)
    print(f"seed {given.seed}")
    faults = 0
    for name in names:
        count = max(1, round(given.inputs * SHARES[name] / whole))
        faults += report(name, given.seed, run(name, given.seed, given.first, count))
    print(f"{faults} faults")
    return int(faults > 0)


def run(name: str, seed: int, first: int, count: int) -> list[dict[str, Any]]:
    """Try inputs first .. first + count - 1 of a target; return what came of each."""
    found: list[dict[str, Any]] = []
    at, end = first, first + count
    while at < end:
        options = ("--only", name, "--seed", seed, "--first", at, "--inputs", end - at)
        command = [sys.executable, __file__, "--worker", *map(str, options)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
            results = listen(worker)
            found += results
            if results and results[-1]["n"] < 0:  # it has not come as far as the first input
                return found
            at = (results[-1]["n"] if results else at) + 1
    return found


def listen(worker: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """Return the results of a worker; the last one is its end where it hangs or dies."""
    assert worker.stdout
    assert worker.stderr
    results: list[dict[str, Any]] = []
    begun, pending = -1, b""
    os.set_blocking(worker.stdout.fileno(), False)
    os.set_blocking(worker.stderr.fileno(), False)
    said = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(worker.stdout, selectors.EVENT_READ)
        waiting.register(worker.stderr, selectors.EVENT_READ)
        own = psutil.Process(worker.pid)
        since, spent, open_ = time.monotonic(), 0.0, 2
        while open_:
            ready = waiting.select(1.0)
            waited, busy = time.monotonic() - since, seconds(own) - spent
            patience = PATIENCE if begun >= 0 else WAITING  # imports
            if not ready and (busy > patience or waited > WAITING):
                worker.kill()
                text = f"{busy:.0f} s of its processor, {waited:.0f} s by the clock"
                results.append({"n": begun, "fault": "hang", "where": "", "text": text})
                return results
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    waiting.unregister(key.fileobj)
                    open_ -= 1
                elif key.fileobj is worker.stderr:
                    said = (said + data)[-4000:]
                else:
                    since, spent = time.monotonic(), seconds(own)
                    *lines, pending = (pending + data).split(b"\n")
                    for line in lines:
                        entry = json.loads(line)
                        begun = entry["n"]
                        if "begun" not in entry:
                            results.append(entry)
    code = worker.wait()
    if code:
        last = said.decode(errors="replace").strip().splitlines()
        text = f"exit code {code}: {' | '.join(last[-3:])}"
        results.append({"n": begun, "fault": "died", "where": "", "text": text})
    return results


def seconds(process: psutil.Process) -> float:
    """Return the seconds of processor that a worker has taken; 0 if it has ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def work(name: str, seed: int, first: int, count: int) -> int:
    """Try the inputs in this process; say before and after each how it went."""
    import targets

    out = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        attempt = targets.TARGETS[name](Path(folder))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for n in range(first, first + count):
            print(json.dumps({"n": n, "begun": True}), file=out)
            entry = judged(attempt, random.Random(f"{seed} {name} {n}"), name)
            print(json.dumps({"n": n, **entry}), file=out)
    return 0


def judged(attempt: Any, rng: random.Random, name: str) -> dict[str, Any]:
    """Try one input; return how it went."""
    import targets

    from lava_dyads.errors import DyadsError, ModelError

    try:
        with contextlib.redirect_stdout(sys.stdout):
            attempt(rng)
    except targets.NonsenseError as nonsense:
        return fault("nonsense", nonsense)
    except DyadsError as error:
        if memory(error) and name in targets.FILES:
            return fault("allocation", error)
        one_line = isinstance(error, ModelError) or str(error).isprintable()  # with its traceback
        if not one_line or len(str(error)) > 3000:
            return fault("not one line", error)
        return {"refused": str(error)[:300]}
    except (Exception, SystemExit) as error:
        return fault(type(error).__name__, error)
    return {"taken": True}


def memory(error: BaseException | None) -> bool:
    """Tell whether memory was behind an error."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, MemoryError):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def fault(kind: str, error: BaseException) -> dict[str, Any]:
    """Return what to report of an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "lava_dyads" in f.filename]
    frame = (ours or frames)[-1]
    try:
        text = str(error)
    except Exception:
        text = "?"
    name = frame.filename.rpartition("lava_dyads/")[2]
    return {"fault": kind, "where": f"{name}:{frame.lineno} {frame.name}", "text": text[:300]}


def report(name: str, seed: int, results: list[dict[str, Any]]) -> int:
    """Print what came of a target; return the number of faults."""
    faults = [entry for entry in results if "fault" in entry]
    taken = sum("taken" in entry for entry in results)
    refused = [entry["refused"] for entry in results if "refused" in entry]
    bare = sum("Try: " not in text for text in refused)
    print(
        f"{name}: {len(results)} inputs, {taken} taken, {len(refused)} refused "
        f"({bare} without a hint), {len(faults)} faults",
        flush=True,
    )
    kinds = Counter((entry["fault"], entry["where"]) for entry in faults)
    for (kind, where), count in kinds.most_common():
        first = next(e for e in faults if (e["fault"], e["where"]) == (kind, where))
        again = f"--only {name} --seed {seed} --first {first['n']} --inputs 1"
        print(f"  {count} x {kind} at {where}: {first['text'][:160]!r}   ({again})", flush=True)
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
