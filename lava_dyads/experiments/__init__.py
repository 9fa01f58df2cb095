"""Checks and studies that the command line runs."""

from lava_dyads.experiments.bench_runtime import RuntimeBench, bench_runtime
from lava_dyads.experiments.deployment import Exported, Traffic, export, learning_rules, traffic
from lava_dyads.experiments.equivalence import EquivalenceCheck, Pair, check_equivalence
from lava_dyads.experiments.fixed_point import FixedPointGradient, fixed_point_gradient
from lava_dyads.experiments.gradient import GradientCheck, NetworkResult, check_gradient
from lava_dyads.experiments.spike_trains import SpikingProblem, random_problem, simulate
from lava_dyads.experiments.spiking import SpikingCheck, check_spiking
from lava_dyads.experiments.thorough import ThoroughCheck, check_thoroughly

__all__ = [
    "EquivalenceCheck",
    "Exported",
    "FixedPointGradient",
    "GradientCheck",
    "NetworkResult",
    "Pair",
    "RuntimeBench",
    "SpikingCheck",
    "SpikingProblem",
    "ThoroughCheck",
    "Traffic",
    "bench_runtime",
    "check_equivalence",
    "check_gradient",
    "check_spiking",
    "check_thoroughly",
    "export",
    "fixed_point_gradient",
    "learning_rules",
    "random_problem",
    "simulate",
    "traffic",
]
