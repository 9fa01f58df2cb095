"""Compare the fused dyads with backprop in other frameworks, epoch by epoch in turns."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from lava_dyads.choices import BACKENDS, Backend
from lava_dyads.data import load
from lava_dyads.errors import LavaRuntimeError, UnsupportedError, invalid
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import absent
from lava_dyads.rules.optimisers import optimiser

FOLDER = Path(__file__).parent / "peers"
PEERS = ("numpy", "jax", "torch")
"""Whom the dyads are compared with, all by backprop."""

DYADS, SILENT = "dyads", "dyads, silent samples left out"

SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that make OpenBLAS take older kernels; unset for every contender."""


@dataclass(frozen=True)
class Contender:
    """One contender over its whole run.

    Attributes
    ----------
    name, version, form : str
    seconds, cpu_seconds, test_accuracy : list of float
        Per epoch: training alone on the wall clock, on all cores together, and what it led to.
    samples_per_second : float
        Over the whole run.
    """

    name: str
    version: str
    form: str
    seconds: list[float]
    cpu_seconds: list[float]
    test_accuracy: list[float]
    samples_per_second: float


@dataclass(frozen=True)
class Comparison:
    """What ``bench training`` found.

    Attributes
    ----------
    facts : dict
        Of the machine, the BLAS library and the task.
    contenders : list of Contender
    ratios : dict of str to dict of str to float
        How many times faster each form of the dyads is than each peer: the median over the
        epochs of seconds (peer) / seconds (dyads), turn by turn.
    cpu_ratios : dict of str to dict of str to float
        The same of the processors' time, which other programs on the machine disturb less.
    skipped : dict of str to str
        Peers that did not run, and why.
    """

    facts: dict[str, Any]
    contenders: list[Contender]
    ratios: dict[str, dict[str, float]]
    cpu_ratios: dict[str, dict[str, float]]
    skipped: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class BenchmarkConfig:
    """What all contenders train: the same data, order, initial weights, batch and threads.

    Parameters
    ----------
    dataset : str
    layers : tuple of int
        Sizes of the hidden layers.
    activation : str
        ``relu`` or ``tanh``.
    loss : str
    batch_size, epochs : int
    optimiser : str
        ``adam`` or ``sgd``.
    learning_rate : float or None
        None: the optimiser's own.
    beta : float
        Of the dyads.
    skip_error : float
        Output error below which the dyads leave a sample out; 0: only with every sample.
    threads : int
        Cores that each contender may use.
    samples : int or None
        Training rows; None: all.
    seed : int
        Of initial weights and orders.
    backend : str
        Of the dyads: ``numpy`` or ``jax``.
    """

    dataset: str = "mnist"
    layers: tuple[int, ...] = (512, 512)
    activation: str = "relu"
    loss: str = "cross-entropy"
    batch_size: int = 100
    epochs: int = 5
    optimiser: str = "adam"
    learning_rate: float | None = None
    beta: float = 0.1
    skip_error: float = 0.02
    threads: int = 2
    samples: int | None = None
    seed: int = 0
    backend: Backend = BACKENDS[0]

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            invalid("backend", "unknown choice", self.backend, " or ".join(BACKENDS))
        lack = absent("reference", self.backend)
        if lack:
            raise UnsupportedError(lack)
        for name, known in (("activation", ("relu", "tanh")), ("optimiser", ("adam", "sgd"))):
            if getattr(self, name) not in known:
                invalid(name, "the peers know " + " and ".join(known), getattr(self, name))
        for name in ("batch_size", "epochs", "threads"):
            if getattr(self, name) < 1:
                invalid(name, "must be at least 1", getattr(self, name))
        if self.samples is not None and self.samples < self.batch_size:
            invalid("samples", f"must be at least a batch, {self.batch_size}", self.samples)
        cores = usable_cores()
        if self.threads > cores:
            invalid("threads", f"this process may use {cores} cores", self.threads, str(cores))


def bench_training(
    config: BenchmarkConfig,
    peers: tuple[str, ...] = PEERS,
    interpreters: dict[str, str] | None = None,
    on_turn: Callable[[str], None] | None = None,
) -> Comparison:
    """Let the dyads and the peers train in turns, an epoch each, and compare their seconds.

    Parameters
    ----------
    config : BenchmarkConfig
    peers : tuple of str
        Of :data:`PEERS`.
    interpreters : dict of str to str
        Python interpreters in which ``jax`` and ``torch`` are installed; by default this one.
    on_turn : callable or None
        Called with a line on whose turn it is.

    Raises
    ------
    ValidationError
        If a value is out of range or a peer unknown.
    LavaRuntimeError
        If a contender ends early; with the last line it said.
    """
    for peer in peers:
        if peer not in PEERS:
            invalid("peers", "unknown name", peer, ", ".join(PEERS))
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="lava_dyads_race_") as folder:
        rows = _write(config, Path(folder))
        commands = _commands(config, folder, peers, interpreters or {}, skipped)
        runners: list[_Runner] = []
        try:
            for name, command in commands.items():
                if on_turn:
                    on_turn(f"{name}: warming up")
                runners.append(_Runner(name, command, config.threads))
            for epoch in range(config.epochs):
                # The first of a turn finds the caches as the others left them: take turns in it.
                for i in range(len(runners)):
                    runner = runners[(i + epoch) % len(runners)]
                    if on_turn:
                        on_turn(f"epoch {epoch + 1} of {config.epochs}: {runner.name}")
                    runner.run()
        finally:
            for runner in runners:
                runner.close()
    contenders = [runner.contender(rows) for runner in runners]
    blas = next((r.facts["blas"] for r in runners if "blas" in r.facts), None)
    facts = {**asdict(config), **machine(), "training_rows": rows, "blas": blas}
    seconds, cpu = (_ratios(contenders, column) for column in ("seconds", "cpu_seconds"))
    return Comparison(facts, contenders, seconds, cpu, skipped)


def usable_cores() -> int:
    """Return the number of cores this process may use; all, where the system has no share."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return the facts of this machine that times depend on."""
    model = platform.processor()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        lines = [line for line in cpu_info.read_text().splitlines() if "model name" in line]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {
        "cpu": model,
        "cores": usable_cores(),
        "load_average": psutil.getloadavg()[0],
        "python": platform.python_version(),
        "unset": [name for name in SLOWING if name in os.environ],
        "dtype": "float32",
    }


def _write(config: BenchmarkConfig, folder: Path) -> int:
    """Write what every contender reads; return the number of training rows."""
    data = load(config.dataset)
    train, test = data.split(0)
    train = train[: config.samples]
    spec = NetworkSpec(
        (data.x.shape[1], *config.layers, data.classes),
        activations=config.activation,
        loss=config.loss,
        seed=config.seed,
    )
    weights, biases = spec.initial_parameters()
    rate = optimiser(config.optimiser, config.learning_rate).learning_rate
    written = {**asdict(config), "layers": list(spec.layers), "learning_rate": rate}
    (folder / "config.json").write_text(json.dumps(written))
    generator = np.random.default_rng(config.seed)
    arrays: dict[str, Any] = {
        "x": data.x[train].astype(np.float32),
        "y": data.one_hot[train].astype(np.float32),
        "test_x": data.x[test].astype(np.float32),
        "test_labels": data.classes_of(test),
        "orders": np.array([generator.permutation(len(train)) for _ in range(config.epochs)]),
    }
    for k, (w, b) in enumerate(zip(weights, biases, strict=True), 1):
        arrays[f"weights_{k}"], arrays[f"biases_{k}"] = w.astype(np.float32), b.astype(np.float32)
    np.savez(folder / "data.npz", **arrays)
    return len(train)


def _commands(
    config: BenchmarkConfig,
    folder: str,
    peers: tuple[str, ...],
    interpreters: dict[str, str],
    skipped: dict[str, str],
) -> dict[str, list[str]]:
    own = [sys.executable, "-m", "lava_dyads.experiments.peers.trainer_peer", folder]
    commands = {DYADS: [*own, "dp-transpose", "0", config.backend]}
    if config.skip_error:
        commands[SILENT] = [*own, "dp-transpose", str(config.skip_error), config.backend]
    for peer in peers:
        if peer == "numpy":
            commands["backprop, numpy"] = [*own, "backprop", "0", BACKENDS[0]]
            continue
        interpreter = interpreters.get(peer) or sys.executable
        why = _missing(peer, interpreter)
        if why:
            skipped[peer] = why
        else:
            script = str(FOLDER / f"{peer}_peer.py")
            commands[f"backprop, {peer}"] = [interpreter, script, folder]
    return commands


def _missing(package: str, interpreter: str) -> str:
    """Return why an interpreter does not run a package; empty if it does."""
    hint = f"Try: --{package}-python with an interpreter that has it"
    if interpreter == sys.executable:
        there = importlib.util.find_spec(package) is not None
        return "" if there else f"{package} is not installed here. {hint}"
    try:
        command = [interpreter, "-c", f"import numpy, {package}"]
        subprocess.run(command, check=True, capture_output=True, timeout=120, env=_environment(1))
    except (OSError, subprocess.SubprocessError) as error:
        return f"{interpreter} does not import {package} ({type(error).__name__}). {hint}"
    return ""


def _environment(threads: int) -> dict[str, str]:
    """Return the environment of every contender: native kernels, so many threads."""
    kept = {k: v for k, v in os.environ.items() if k not in SLOWING}
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    flags = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    return {**kept, **dict.fromkeys(names, str(threads)), "XLA_FLAGS": flags,
            "JAX_PLATFORMS": "cpu"}  # fmt: skip


class _Runner:
    """A contender's process."""

    def __init__(self, name: str, command: list[str], threads: int) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_environment(threads),
        )
        self.turns: list[dict[str, float]] = []
        try:
            self.facts = self._receive()
        except BaseException:
            self.close()
            raise

    def run(self) -> None:
        """Let it train an epoch."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.turns.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            last = said[-1] if said else f"exit code {self._process.returncode}"
            raise LavaRuntimeError(f"bench training: {self.name} ended early: {last}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def contender(self, rows: int) -> Contender:
        """Return the contender's record."""
        columns = {key: [turn[key] for turn in self.turns] for key in self.turns[0]}
        speed = rows * len(self.turns) / sum(columns["seconds"])
        facts = self.facts
        return Contender(
            self.name, facts["version"], facts["form"], samples_per_second=speed, **columns
        )


def _ratios(contenders: list[Contender], column: str) -> dict[str, dict[str, float]]:
    ours = [p for p in contenders if p.name in (DYADS, SILENT)]
    peers = [p for p in contenders if p not in ours]
    return {
        mine.name: {
            peer.name: median(
                b / a for a, b in zip(getattr(mine, column), getattr(peer, column), strict=True)
            )
            for peer in peers
        }
        for mine in ours
    }
