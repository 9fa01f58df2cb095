"""Number systems, one file each. A rule computes through one, so that it stands once for all."""

from lava_dyads.rules.arithmetic.base import GRID, Arithmetic, Float, check_on_grid, on_grid
from lava_dyads.rules.arithmetic.loihi2 import Loihi2, blended

__all__ = ["GRID", "Arithmetic", "Float", "Loihi2", "blended", "check_on_grid", "on_grid"]
