"""Towards Loihi 2: numbers for a trained network, and the update as a rule of its engine."""

from lava_dyads.loihi.engine import rule_text, run_engine
from lava_dyads.loihi.quantise import calibrated

__all__ = ["calibrated", "rule_text", "run_engine"]
