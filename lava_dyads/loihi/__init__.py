"""Towards Loihi 2: numbers for a trained network. No Lava in here."""

from lava_dyads.loihi.quantise import calibrated

__all__ = ["calibrated"]
