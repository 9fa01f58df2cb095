"""Encoders: from an image, or a video, to a stream of events. One file each."""

from lava_dyads.data.encoders.camera import GESTURES, EventCamera, Gestures, gesture
from lava_dyads.data.encoders.crossing import LevelCrossing, saccades
from lava_dyads.data.encoders.latency import Latency
from lava_dyads.data.encoders.rate import Rate

__all__ = [
    "GESTURES",
    "EventCamera",
    "Gestures",
    "Latency",
    "LevelCrossing",
    "Rate",
    "gesture",
    "saccades",
]
