"""A whole network as one hierarchical Process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_dyads.checks import checked
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid
from lava_dyads.executors.backprop import BackpropNetwork
from lava_dyads.executors.step import Network
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess

PARAMETERS = ("weights_", "biases_", "feedback_")
"""How the registers of a network begin that are Vars of its Process."""


class DyadNetwork(ElementProcess):
    """A network of dyads; the run configuration chooses how finely it is cut into processes.

    ``neuron``: every dyad a Process of its own, with the connections and the head of ``layer``.
    ``layer``: a population Process per layer, a connection Process per weight matrix and a
    head; a presentation takes ``network.steps`` time steps. ``network``: one fused ProcessModel
    that takes all those steps within one time step. Both run the same elements, so both learn
    the same weights.

    Ports: ``input_in`` (n_in), ``target_in`` (n_out), ``output_out`` (n_out), changes. Vars:
    ``weights_1`` .. ``weights_L`` (n_out, n_in), ``biases_1`` .. ``biases_L`` (n_out,),
    and, where feedback is separate, ``feedback_2`` .. ``feedback_L`` (B^T, n_out, n_in), counted
    from the input; ``learn`` (1: learn, 0: evaluate, 2: nudge without learning) and
    ``window``.

    Parameters
    ----------
    network : Network
        The elements and links; ``NetworkSpec.build`` makes one.
    schedule : PresentationSchedule or None
        Shared with source and sink; None: one presentation after the other, without end.
    name : str or None

    Raises
    ------
    ValidationError
        For a baseline: it has no Lava Process.
    """

    input_in: Member[InPort]
    target_in: Member[InPort]
    output_out: Member[OutPort]

    if TYPE_CHECKING:  # weights_1 and so on, as many as there are

        def __getattr__(self, name: str) -> Var: ...

    @checked
    def __init__(
        self,
        network: Network | BackpropNetwork,
        *,
        schedule: PresentationSchedule | None = None,
        name: str = "network",
    ) -> None:
        if not isinstance(network, Network):
            hint = "NetworkSpec(..., rule='dp-transpose').build()"
            invalid("DyadNetwork.network", "a baseline has no Lava Process", type(network), hint)
        self.network = network
        variables = tuple(v for v in network.memory if v.startswith(PARAMETERS))
        super().__init__(
            network,
            schedule=schedule or PresentationSchedule(steps=1, lanes=network.lanes),
            name=name,
            variables=variables,
        )
