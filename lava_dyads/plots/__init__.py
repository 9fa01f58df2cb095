"""Figures. matplotlib is imported when one is drawn."""

from lava_dyads.plots.curves import learning_curves
from lava_dyads.plots.fault_curves import fault_curves
from lava_dyads.plots.graph import graph_picture
from lava_dyads.plots.learning_curve import LearningCurve, learning_curve
from lava_dyads.plots.matrices import confusion_matrix, weight_matrices
from lava_dyads.plots.raster import raster
from lava_dyads.plots.spiking import error_law, membrane, spike_raster
from lava_dyads.plots.study_curves import study_curves

__all__ = [
    "LearningCurve",
    "confusion_matrix",
    "error_law",
    "fault_curves",
    "graph_picture",
    "learning_curve",
    "learning_curves",
    "membrane",
    "raster",
    "spike_raster",
    "study_curves",
    "weight_matrices",
]
