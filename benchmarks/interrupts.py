"""Ctrl-C at random moments: what still runs, what is left, can the run go on.

Starts commands in sessions of their own, sends signals to them at random moments from the start
of the interpreter on, to the parent alone and, as a terminal does, to the whole group, once or
twice, several commands at a time. Then counts by session: OS processes after 5 and 10 seconds,
names in /dev/shm that nobody maps, tracebacks, exit codes, run folders that are not whole.
Other programs may leave names there too; on Linux the study can have a folder of its own:
unshare -m sh -c 'mount -t tmpfs none /dev/shm && exec python -m benchmarks.interrupts'

    python -m benchmarks.interrupts --times 200 --seed 3
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from lava_dyads.errors import DyadsError
from lava_dyads.training import Checkpoint
from lava_dyads.training.files import RunDirectory

ROOT = Path(__file__).parents[1]
SHARED_MEMORY = Path("/dev/shm")
OPTIONS = "--granularity layer --runtime lava --layers 16 --epochs 1"
COMMANDS = {
    "check equivalence": "{python} -m lava_dyads check equivalence --json",
    "train": "{python} -m lava_dyads train few.npz {options} --out {out}",
    "demo": "make -s -C {root} demo DEMO_ARGS=train~{folder}/few.npz~{words}~--out~{out}",
    "demo, all digits": "make -s -C {root} demo",
    "sessions": "{python} -c {sessions}",
}
"""The demo of few rows has the beginning and the end of a run closer together."""

SESSIONS = """
from lava_dyads import Dyad, LavaSession
for _ in range(200):
    lower, upper = Dyad((2,), bias=1.0), Dyad((2,))
    lower.mean_out.connect(upper.basal_in)
    with LavaSession(lower) as session:
        session.run(2)
"""
"""A program of a user's own, which starts and ends OS processes most of the time."""
SOON, LATE = 5.0, 10.0
Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Trial:
    """One command and when it is told to end, by what, how often, and who hears of it."""

    command: str
    signal: signal.Signals
    to_group: bool
    moment: float
    second: float | None


@dataclass
class Outcome:
    """What came of it."""

    trial: Trial
    code: int | None = None
    seconds: float = 0.0
    """Until no OS process of the session was left."""
    faults: list[str] = field(default_factory=list)
    errors: str = ""


def draw(generator: random.Random, durations: dict[str, float], signals: list[str]) -> Trial:
    """Draw a trial; every second moment is early, where imports and OS processes begin."""
    command = generator.choice(list(durations))
    return Trial(
        command,
        signal.Signals[generator.choice(signals)],
        # make waits for its recipe and does not pass Ctrl-C on: a terminal sends it to both.
        command.startswith("demo") or generator.random() < 0.5,
        generator.uniform(0, durations[command] / generator.choice([1, 4])),
        generator.choice([None, None, generator.uniform(0, 1.5)]),
    )


def environment() -> dict[str, str]:
    """Return an environment in which commands are those of this folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def start(command: str, folder: Path, errors: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own."""
    generator = np.random.default_rng(0)
    np.savez(folder / "few.npz", x=generator.random((90, 8)), labels=np.arange(90) % 3)
    places = {"python": sys.executable, "root": ROOT, "folder": folder, "out": folder / "run"}
    options = {"options": OPTIONS, "words": OPTIONS.replace(" ", "~")}
    sessions = SESSIONS.replace(" ", "~").replace("\n", "^")
    words = COMMANDS[command].format(**places, **options, sessions=sessions).split()
    with errors.open("wb") as sink:
        return subprocess.Popen(
            [word.replace("~", " ").replace("^", "\n") for word in words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
            env=environment(),
            start_new_session=True,
            # A shell's background job ignores Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def carry_out(trial: Trial, whole: Weights | None) -> Outcome | None:
    """Carry out a trial; None if the command had ended before its moment.

    ``whole``: the weights of an undisturbed training, for a run to resume to.
    """
    with tempfile.TemporaryDirectory() as made:
        folder, known = Path(made), names()
        child = start(trial.command, folder, folder / "stderr")
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(trial.moment)
                return None
            outcome = Outcome(trial)
            tell = os.killpg if trial.to_group else os.kill
            begin = time.monotonic()
            tell(child.pid, trial.signal)
            if trial.second is not None:
                time.sleep(trial.second)
                with contextlib.suppress(ProcessLookupError):
                    if child.poll() is None:
                        tell(child.pid, trial.signal)
            _watch(outcome, child, begin)
            outcome.errors = (folder / "stderr").read_text(errors="replace")
            outcome.faults += _unclear(outcome)
            outcome.faults += [f"left in /dev/shm: {name}" for name in orphans(known)]
            outcome.faults += not_whole(folder / "run")
            if whole is not None and (folder / "run" / "config.json").is_file():
                outcome.faults += resumed(folder / "run", whole)
            return outcome
        finally:
            for process in session(child.pid):
                with contextlib.suppress(psutil.Error):
                    process.kill()
            child.wait()


def _unclear(outcome: Outcome) -> list[str]:
    """Return what of its last words and its exit code says nothing to its user."""
    command, errors = outcome.trial.command, outcome.errors
    if "Fatal Python error: init_" in errors:
        return []  # the interpreter itself has not begun yet
    found = []
    # A user's own program ends in the traceback of each Ctrl-C that it has received.
    often = 1 if outcome.trial.second is None else 2
    own = command == "sessions" and errors.count("Traceback") <= often
    if ("Traceback" in errors and not own) or "Error:" in errors:
        found.append("a traceback")
    if outcome.code not in (*_codes(outcome.trial), 0, None):
        found.append(f"exit code {outcome.code}")
    return found


def _watch(outcome: Outcome, child: subprocess.Popen[bytes], begin: float) -> None:
    late = False
    while (left := session(child.pid)) or child.poll() is None:
        outcome.seconds = time.monotonic() - begin
        if outcome.seconds > SOON and not late and (late := child.poll() is None):
            outcome.faults.append(f"runs after {SOON:g} s")
        if outcome.seconds > LATE:
            outcome.faults.append(f"{len(left)} OS processes after {LATE:g} s: {_told(left)}")
            return
        time.sleep(0.02)
    outcome.seconds, outcome.code = time.monotonic() - begin, child.returncode


def _told(processes: list[psutil.Process]) -> str:
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"{process.pid} {process.status()} {' '.join(process.cmdline())[-60:]}")
    return "; ".join(lines)


def _codes(trial: Trial) -> tuple[int, ...]:
    """Return exit codes of what a signal ends; as shells have them, and as Python has."""
    # make ends as its recipe, with 2 where that has ended with a code of its own.
    return (128 + trial.signal, -trial.signal, *((2,) if trial.command.startswith("demo") else ()))


def session(leader: int) -> list[psutil.Process]:
    """Return the OS processes of a session that have not ended, adopted ones included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def names() -> set[str]:
    """Return what there is in /dev/shm."""
    return {path.name for path in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()


def orphans(known: set[str]) -> set[str]:
    """Return names in /dev/shm, but for known ones, that no OS process maps."""
    new = names() - known
    for process in psutil.process_iter() if new else ():
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{process.pid}/maps").read_text()
            new = {name for name in new if name not in maps}
    return new & names()


def not_whole(run: Path) -> list[str]:
    """Return what of a run folder cannot be read."""
    if not (run / "config.json").is_file():
        return []
    faults = []
    try:
        json.loads((run / "config.json").read_text())
        if (run / "metrics.jsonl").is_file():
            for line in (run / "metrics.jsonl").read_text().splitlines():
                json.loads(line)
        if (run / "checkpoint.npz").is_file():
            Checkpoint.load(run / "checkpoint.npz")
        if (run / "result.json").is_file():
            json.loads((run / "result.json").read_text())
        else:
            RunDirectory.reopen(run)
    except (DyadsError, ValueError, OSError) as error:
        faults.append(f"the run folder is not whole: {error}")
    return faults


def resumed(run: Path, whole: Weights) -> list[str]:
    """Resume a run; return in what its weights differ from those of an undisturbed one."""
    if not (run / "result.json").is_file():
        command = [sys.executable, "-m", "lava_dyads", "train", "--resume", str(run)]
        options = {"capture_output": True, "text": True, "env": environment()}
        done = subprocess.run(command, **options)
        if done.returncode:
            return [f"cannot be resumed: {done.stderr.strip()}"]
    found = weights(run)
    return [f"other {k} than undisturbed" for k in whole if not np.array_equal(whole[k], found[k])]


def weights(run: Path) -> Weights:
    """Return the arrays of a checkpoint."""
    with np.load(run / "checkpoint.npz") as file:
        return {name: file[name] for name in file.files if name != "header"}


@contextlib.contextmanager
def load(spinners: int) -> Iterator[None]:
    """Keep processors busy inside the block."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(spinners)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def undisturbed(command: str) -> tuple[float, Weights | None]:
    """Return the seconds that a command takes when nobody disturbs it, and what it has learnt."""
    with tempfile.TemporaryDirectory() as made:
        begin, folder = time.monotonic(), Path(made)
        child = start(command, folder, folder / "stderr")
        if child.wait():
            raise RuntimeError((folder / "stderr").read_text())
        run = folder / "run"
        return time.monotonic() - begin, weights(run) if run.is_dir() else None


def study(
    times: int,
    seed: int,
    jobs: int,
    spinners: int,
    commands: list[str],
    signals: list[str],
    seconds: float | None,
    resume: bool,
) -> list[Outcome]:
    """Carry out trials until so many have met a command at work."""
    generator, lock, outcomes = random.Random(seed), threading.Lock(), list[Outcome]()
    with load(spinners), ThreadPoolExecutor(jobs) as pool:
        durations, whole = dict.fromkeys(commands, seconds or 0.0), None
        if seconds is None:
            measured = pool.map(undisturbed, commands)
            durations = {k: v[0] for k, v in zip(commands, measured, strict=True)}
        if resume:
            whole = undisturbed("train")[1]
        print("moments up to:", {k: round(v, 1) for k, v in durations.items()}, flush=True)

        def work() -> None:
            while True:
                with lock:
                    if len(outcomes) >= times:
                        return
                    trial = draw(generator, durations, signals)
                outcome = carry_out(trial, whole)
                with lock:
                    if outcome and len(outcomes) < times:
                        outcomes.append(outcome)
                        _print(len(outcomes), outcome)

        for done in [pool.submit(work) for _ in range(jobs)]:
            done.result()
    return outcomes


def _print(number: int, outcome: Outcome) -> None:
    trial = outcome.trial
    whom = "group" if trial.to_group else "parent"
    twice = "" if trial.second is None else f" and {trial.second:.2f} s later"
    print(
        f"{number:4} {trial.command:18} {trial.signal.name} {whom:6} at {trial.moment:5.1f} s"
        f"{twice:18}: {outcome.seconds:5.2f} s, exit code {outcome.code}"
        f"{''.join(f'; FAULT {fault}' for fault in outcome.faults)}",
        flush=True,
    )
    if outcome.faults:
        print("     | " + "\n     | ".join(outcome.errors.splitlines()[-12:]), flush=True)


def run(
    times: int = 12,
    seed: int | None = None,
    jobs: int = 2,
    spinners: int = 2,
    commands: list[str] = list(COMMANDS),  # noqa: B006
    signals: list[str] = ["SIGINT"],  # noqa: B006
    seconds: float | None = None,
    resume: bool = False,
) -> int:
    """Print every trial and the sums; return the number of trials with a fault."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    print(f"seed {seed}", flush=True)
    outcomes = study(times, seed, jobs, spinners, commands, signals, seconds, resume)
    bad = [o for o in outcomes if o.faults]
    took = sorted(o.seconds for o in outcomes)
    print(f"{len(outcomes)} signals, {len(bad)} with a fault; exit codes", end=" ")
    print(dict(Counter(o.code for o in outcomes)))
    print(f"seconds to the last OS process: median {took[len(took) // 2]:.2f}", end=", ")
    print(f"longest {took[-1]:.2f}")
    return len(bad)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=200)
    options.add_argument("--seed", type=int)
    options.add_argument("--jobs", type=int, default=4)
    options.add_argument("--spinners", type=int, default=2)
    options.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    options.add_argument("--seconds", type=float, help="latest moment; measured otherwise")
    options.add_argument("--resume", action="store_true", help="resume what was interrupted")
    options.add_argument("--signals", nargs="+", default=["SIGINT"])
    sys.exit(1 if run(**vars(options.parse_args())) else 0)
