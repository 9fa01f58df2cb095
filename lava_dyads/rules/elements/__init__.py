"""Elements of a network: populations, connections, junctions, heads, sources, sinks."""

from lava_dyads.rules.elements.base import Element, Inbox, Outbox
from lava_dyads.rules.elements.connection import Connection, Instructed
from lava_dyads.rules.elements.head import Head
from lava_dyads.rules.elements.junction import Junction
from lava_dyads.rules.elements.lifted import LiftedConnection
from lava_dyads.rules.elements.population import Population
from lava_dyads.rules.elements.relay import Relay
from lava_dyads.rules.elements.streams import Sink, Source

__all__ = [
    "Connection",
    "Element",
    "Head",
    "Inbox",
    "Instructed",
    "Junction",
    "LiftedConnection",
    "Outbox",
    "Population",
    "Relay",
    "Sink",
    "Source",
]
