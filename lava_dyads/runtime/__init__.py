"""Run configurations, and the safe way to run anything on Lava."""

from lava_dyads.runtime.config import GRANULARITIES, DyadRunConfig
from lava_dyads.runtime.session import LavaSession

__all__ = ["GRANULARITIES", "DyadRunConfig", "LavaSession"]
