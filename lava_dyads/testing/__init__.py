"""The test kit: a Process between a source and a sink, with a timeout and no leftovers."""

from lava_dyads.testing.play import Played, no_leftovers, play

__all__ = ["Played", "no_leftovers", "play"]
