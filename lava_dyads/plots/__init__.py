"""Figures. matplotlib is imported when one is drawn."""

from lava_dyads.plots.learning_curve import learning_curve
from lava_dyads.plots.spiking import error_law, membrane, raster

__all__ = ["error_law", "learning_curve", "membrane", "raster"]
