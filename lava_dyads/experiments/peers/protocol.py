"""What the programs have in common; needs numpy alone, and is imported from its folder."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def job(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration and the arrays of a comparison; keep to the first cores."""
    config = json.loads((Path(folder) / "config.json").read_text())
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: config["threads"]])
    with np.load(Path(folder) / "data.npz") as file:
        arrays = dict(file)
    return config, arrays


def parameters(arrays: dict[str, Any], depth: int) -> list[tuple[Any, Any]]:
    """Return the initial weights (n_out, n_in) and biases (n_out,), from the input up."""
    return [(arrays[f"weights_{k}"], arrays[f"biases_{k}"]) for k in range(1, depth + 1)]


def serve(
    facts: dict[str, Any],
    train: Callable[[int], None],
    accuracy: Callable[[], float],
) -> None:
    """Announce the facts, then run an epoch for every line on standard input."""
    say(facts)
    for number, _ in enumerate(sys.stdin):
        begin = time.perf_counter()
        cpu = time.process_time()
        train(number)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        say({"seconds": seconds, "cpu_seconds": cpu, "test_accuracy": accuracy()})


def say(message: dict[str, Any]) -> None:
    """Print one line of JSON."""
    print(json.dumps(message), flush=True)
