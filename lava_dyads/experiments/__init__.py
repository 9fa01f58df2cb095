"""Checks and studies that the command line runs."""

from lava_dyads.experiments.bench_runtime import RuntimeBench, bench_runtime
from lava_dyads.experiments.gradient import GradientCheck, NetworkResult, check_gradient

__all__ = [
    "GradientCheck",
    "NetworkResult",
    "RuntimeBench",
    "bench_runtime",
    "check_gradient",
]
