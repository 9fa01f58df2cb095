"""Lava Processes: ports, Vars and the dynamics in words. What they do stands in ``rules``."""

from lava_dyads.lava_compat import require_lava

require_lava(__name__)

from lava_dyads.elements import Element, Population
from lava_dyads.errors import UnsupportedError, message
from lava_dyads.processes.base import ElementProcess
from lava_dyads.processes.conductor import Conductor
from lava_dyads.processes.conv import DyadConv, DyadConvFeedback
from lava_dyads.processes.dense import DyadDense, DyadDenseFeedback, DyadSparse
from lava_dyads.processes.dyad import POPULATIONS, Dyad, PopulationProcess, population_process
from lava_dyads.processes.embed import DyadEmbed
from lava_dyads.processes.head import LossHead
from lava_dyads.processes.lifted import DyadLifted
from lava_dyads.processes.network import DyadNetwork
from lava_dyads.processes.ops import processes_of_ops
from lava_dyads.processes.pool import DyadAveragePool, DyadMaxPool
from lava_dyads.processes.product import DyadProduct
from lava_dyads.processes.sparse_code import SparseCode
from lava_dyads.processes.streams import DatasetSource, GatherProcess, MetricSink
from lava_dyads.processes.taught import TAUGHT

_WRITTEN: tuple[type[ElementProcess], ...] = (
    *POPULATIONS.values(),
    DyadDense,
    DyadDenseFeedback,
    DyadSparse,
    DyadConv,
    DyadConvFeedback,
    *TAUGHT,
    DyadMaxPool,
    DyadAveragePool,
    DyadEmbed,
    DyadProduct,
    DyadLifted,
    LossHead,
)
PARTS = (*_WRITTEN, *processes_of_ops([process.__name__ for process in _WRITTEN]))
"""Process classes of the elements that networks are made of."""


def process_of(element: Element) -> type[ElementProcess]:
    """Return the Process class of an element.

    Raises
    ------
    UnsupportedError
        If it has none: an op of one's own.
    """
    if isinstance(element, Population):
        return population_process(element.unit)
    known = {process.__name__: process for process in PARTS}
    if element.process_name not in known:
        carried = getattr(element, "op", None) or getattr(element, "nonlinear_op", element)
        what = f"{type(carried).__name__}: there is no Lava Process for it"
        hint = "granularity network, or a Process of that name (CONTRIBUTING.md)"
        raise UnsupportedError(message("granularity layer", what, element.process_name, hint))
    return known[element.process_name]


__all__ = [
    "PARTS",
    "POPULATIONS",
    "Conductor",
    "DatasetSource",
    "Dyad",
    "DyadAveragePool",
    "DyadConv",
    "DyadConvFeedback",
    "DyadDense",
    "DyadDenseFeedback",
    "DyadEmbed",
    "DyadLifted",
    "DyadMaxPool",
    "DyadNetwork",
    "DyadProduct",
    "DyadSparse",
    "ElementProcess",
    "GatherProcess",
    "LossHead",
    "MetricSink",
    "PopulationProcess",
    "SparseCode",
    "population_process",
    "process_of",
]
