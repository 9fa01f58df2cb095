"""Encoders: from an image to a stream of events. One file each."""

from lava_dyads.data.encoders.crossing import LevelCrossing, saccades
from lava_dyads.data.encoders.latency import Latency
from lava_dyads.data.encoders.rate import Rate

__all__ = ["Latency", "LevelCrossing", "Rate", "saccades"]
