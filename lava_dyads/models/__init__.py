"""ProcessModels: thin shells around the elements of ``lava_dyads.rules``.

Importing this package makes Lava find the models of all Processes, with any run configuration.
"""

from lava_dyads.models.registry import (
    LEAVES,
    SubDyadNetworkModel,
    connect,
    fused_model,
    layer_processes,
    model_of,
)
from lava_dyads.models.shell import ElementModel, bound, make_model

__all__ = [
    "LEAVES",
    "ElementModel",
    "SubDyadNetworkModel",
    "bound",
    "connect",
    "fused_model",
    "layer_processes",
    "make_model",
    "model_of",
]
