"""Lava Processes: ports, Vars and the dynamics in words. What they do stands in ``rules``."""

from lava_dyads.processes.base import ElementProcess
from lava_dyads.processes.conductor import Conductor
from lava_dyads.processes.dense import (
    DyadDense,
    DyadDenseFeedback,
    DyadSparse,
    connection_process,
)
from lava_dyads.processes.dyad import POPULATIONS, Dyad, PopulationProcess, population_process
from lava_dyads.processes.head import LossHead
from lava_dyads.processes.network import DyadNetwork
from lava_dyads.processes.streams import DatasetSource, MetricSink, RelayProcess

__all__ = [
    "POPULATIONS",
    "Conductor",
    "DatasetSource",
    "Dyad",
    "DyadDense",
    "DyadDenseFeedback",
    "DyadNetwork",
    "DyadSparse",
    "ElementProcess",
    "LossHead",
    "MetricSink",
    "PopulationProcess",
    "RelayProcess",
    "connection_process",
    "population_process",
]
