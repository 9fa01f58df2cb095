"""Checks and studies that the command line runs."""

from lava_dyads.experiments.gradient import GradientCheck, NetworkResult, check_gradient

__all__ = ["GradientCheck", "NetworkResult", "check_gradient"]
