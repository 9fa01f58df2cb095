"""Elements of a network: populations, connections, nonlinear connections, heads, sources, sinks."""

from lava_dyads.elements.base import Element, Inbox, Outbox
from lava_dyads.elements.connection import Connection, TaughtConnection
from lava_dyads.elements.gather import Gather
from lava_dyads.elements.head import Head
from lava_dyads.elements.lifted_connection import LiftedConnection
from lava_dyads.elements.nonlinear_connection import NonlinearConnection
from lava_dyads.elements.population import Population
from lava_dyads.elements.source_sink import Sink, Source

__all__ = [
    "Connection",
    "Element",
    "Gather",
    "Head",
    "Inbox",
    "LiftedConnection",
    "NonlinearConnection",
    "Outbox",
    "Population",
    "Sink",
    "Source",
    "TaughtConnection",
]
