"""Figures. matplotlib is imported when one is drawn."""

from lava_dyads.plots.fault_curves import fault_curves
from lava_dyads.plots.learning_curve import learning_curve
from lava_dyads.plots.raster import raster

__all__ = ["fault_curves", "learning_curve", "raster"]
