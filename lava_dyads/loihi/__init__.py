"""Towards Loihi 2: numbers for a trained network, where it fits, files, the engine's rule."""

from lava_dyads.loihi.engine import rule_text, run_engine
from lava_dyads.loihi.inference import SigmaDelta, inference_spec, sigma_delta
from lava_dyads.loihi.placement import Placement, place
from lava_dyads.loihi.quantise import calibrated

__all__ = [
    "Placement",
    "SigmaDelta",
    "calibrated",
    "inference_spec",
    "place",
    "rule_text",
    "run_engine",
    "sigma_delta",
]
