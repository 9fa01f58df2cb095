"""Network specifications, their Process graphs and the support table. No Lava in here."""

from lava_dyads.networks.describe import Description, describe
from lava_dyads.networks.node_graph import Graph, Node
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import (
    AXES,
    Execution,
    reason,
    table,
)
from lava_dyads.rules.ops.kinds import KINDS

__all__ = [
    "AXES",
    "KINDS",
    "Description",
    "Execution",
    "Graph",
    "NetworkSpec",
    "Node",
    "describe",
    "reason",
    "table",
]
