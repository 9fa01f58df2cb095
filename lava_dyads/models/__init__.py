"""ProcessModels: each drives an element of ``lava_dyads.elements``.

Importing this package makes Lava find the models of all Processes, with any run configuration.
"""

from lava_dyads.choices import Clock, Granularity
from lava_dyads.lava_compat import require_lava

require_lava(__name__)

from lava.magma.core.model.model import AbstractProcessModel

from lava_dyads.errors import UnsupportedError
from lava_dyads.models.element_model import ElementModel, bound, make_model
from lava_dyads.models.events import EventModel, PyConductorModel, ReactiveModel
from lava_dyads.models.mailbox import Mailbox
from lava_dyads.models.neurons import EventSubNeuronNetworkModel, SubNeuronNetworkModel
from lava_dyads.models.registry import (
    EVENT_LEAVES,
    FIXED_LEAVES,
    LEAVES,
    EventSubDyadNetworkModel,
    SubDyadNetworkModel,
    connect,
    fused_model,
    layer_processes,
    leaf_of,
)
from lava_dyads.processes import DyadNetwork, ElementProcess

__all__ = [
    "EVENT_LEAVES",
    "FIXED_LEAVES",
    "LEAVES",
    "ElementModel",
    "EventModel",
    "EventSubDyadNetworkModel",
    "EventSubNeuronNetworkModel",
    "Mailbox",
    "PyConductorModel",
    "ReactiveModel",
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


_NETWORKS = {
    ("neuron", "sync"): SubNeuronNetworkModel,
    ("layer", "sync"): SubDyadNetworkModel,
    ("neuron", "async"): EventSubNeuronNetworkModel,
    ("layer", "async"): EventSubDyadNetworkModel,
}


def model_of(
    process: ElementProcess, granularity: Granularity, clock: Clock = "sync"
) -> type[AbstractProcessModel]:
    """Return the ProcessModel that runs a Process of this library.

    Parameters
    ----------
    process : ElementProcess
    granularity : str
        ``neuron``, ``layer`` or ``network``, for a :class:`DyadNetwork`.
    clock : str
        ``sync`` or ``async``.

    Raises
    ------
    UnsupportedError
        For a fused network with an asynchronous clock.
    """
    if isinstance(process, DyadNetwork):
        if granularity != "network":
            return _NETWORKS[granularity, clock]
        if clock == "async":
            raise UnsupportedError(
                "granularity network: one fused process exchanges no messages, so it has no "
                "asynchrony. Try: granularity layer"
            )
    return leaf_of(process, clock)
