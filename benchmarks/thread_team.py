"""Products of a presentation, 784-512-512-10, 100 samples: numpy's BLAS against a thread team."""

import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from lava_dyads.native.blas import library
from lava_dyads.native.thread_pool import thread_team
from lava_dyads.rules.ops.dense import product

SAMPLES, SIZES = 100, (784, 512, 512)


def run(rounds: int = 15) -> dict[str, float]:
    """Print microseconds for the five large products, and for handing out a job of no size."""
    threads = len(os.sched_getaffinity(0))
    found: dict[str, float] = {}
    for n in dict.fromkeys((1, threads)):
        with threadpool_limits(n, "blas"):
            found[f"numpy, threads: {n}"] = _measure(_products(), rounds)
        with thread_team(n) as team:
            if team is None:
                continue
            found[f"team with {library()}, threads: {n}"] = _measure(_products(), rounds)
            w, g, m, v = np.zeros((4, 32), np.float32)
            numbers = np.zeros(7, np.float32)
            hand_out = team.kernels["adam"]
            step = _measure([lambda: hand_out(w, g, m, v, numbers)], rounds)  # noqa: B023
            found[f"team, a job of 32 weights, threads: {n}"] = step
    table = Table(title=f"five products, medians of {rounds}", title_justify="left")
    table.add_column("")
    table.add_column("µs", justify="right")
    for name, value in found.items():
        table.add_row(name, f"{value:.1f}")
    Console().print(table)
    return found


def _products() -> list[Callable[[], object]]:
    """Return up, up, down, and what two layers of weights learn from."""
    generator = np.random.default_rng(0)
    draw = generator.standard_normal
    x, h, d = (draw((SAMPLES, n), np.float32) for n in SIZES)
    w1, w2 = draw((SIZES[1], SIZES[0]), np.float32), draw((SIZES[2], SIZES[1]), np.float32)
    out, g1, g2 = np.empty_like(h), np.empty_like(w1), np.empty_like(w2)
    return [
        lambda: product(x, w1.T, out),
        lambda: product(h, w2.T, out),
        lambda: product(d, w2, out),
        lambda: product(d.T, x, g1),
        lambda: product(d.T, h, g2),
    ]


def _measure(steps: list[Callable[[], object]], rounds: int, repeats: int = 60) -> float:
    """Return microseconds for all steps once, the median of some rounds after a first one."""
    seconds = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        for _ in range(repeats):
            for step in steps:
                step()
        seconds.append((time.perf_counter() - begin) / repeats)
    return 1e6 * median(seconds[1:])
