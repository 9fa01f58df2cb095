"""Run configurations, and the safe way to run anything on Lava."""

from lava_dyads.runtime.config import GRANULARITIES, DyadRunConfig
from lava_dyads.runtime.in_process import InProcessRuntime, InProcessSession, in_process
from lava_dyads.runtime.interface import Session
from lava_dyads.runtime.session import LavaSession

__all__ = [
    "GRANULARITIES",
    "DyadRunConfig",
    "InProcessRuntime",
    "InProcessSession",
    "LavaSession",
    "Session",
    "in_process",
]
