"""Checks and studies that the command line runs."""

from lava_dyads.experiments.bench_runtime import RuntimeBench, bench_runtime
from lava_dyads.experiments.equivalence import EquivalenceCheck, Pair, check_equivalence
from lava_dyads.experiments.gradient import GradientCheck, NetworkResult, check_gradient

__all__ = [
    "EquivalenceCheck",
    "GradientCheck",
    "NetworkResult",
    "Pair",
    "RuntimeBench",
    "bench_runtime",
    "check_equivalence",
    "check_gradient",
]
