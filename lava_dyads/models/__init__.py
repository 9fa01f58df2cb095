"""ProcessModels: thin shells around the elements of ``lava_dyads.rules``.

Importing this package makes Lava find the models of all Processes, with any run configuration.
"""

from lava.magma.core.model.model import AbstractProcessModel

from lava_dyads.models.neurons import SubNeuronNetworkModel
from lava_dyads.models.registry import (
    LEAVES,
    SubDyadNetworkModel,
    connect,
    fused_model,
    layer_processes,
    leaf_of,
)
from lava_dyads.models.shell import ElementModel, bound, make_model
from lava_dyads.processes import DyadNetwork, ElementProcess

__all__ = [
    "LEAVES",
    "ElementModel",
    "SubDyadNetworkModel",
    "SubNeuronNetworkModel",
    "bound",
    "connect",
    "fused_model",
    "layer_processes",
    "leaf_of",
    "make_model",
    "model_of",
]


def model_of(process: ElementProcess, granularity: str) -> type[AbstractProcessModel]:
    """Return the ProcessModel that runs a Process of this library.

    Parameters
    ----------
    process : ElementProcess
    granularity : str
        ``neuron``, ``layer`` or ``network``, for a :class:`DyadNetwork`.
    """
    hierarchical = {"neuron": SubNeuronNetworkModel, "layer": SubDyadNetworkModel}
    if isinstance(process, DyadNetwork) and granularity in hierarchical:
        return hierarchical[granularity]
    return leaf_of(process)
