"""The product of two activities as a Process: a gate."""

from __future__ import annotations

from lava_dyads.checks import Positive, Size, checked
from lava_dyads.elements import NonlinearConnection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import Product


class DyadProduct(ElementProcess):
    """Two activities are multiplied entry by entry; the error goes down times the other one.

    In every step, in this order::

        first step of a presentation: held values and what was sent <- 0
        basal_out, apical_1_out, apical_2_out <- what the last step has made of its messages
        held_mean_k <- held_mean_k + mean_k_in          held_difference likewise
        y = held_mean_1 held_mean_2                     sent up as changes
        x'_1 = held_difference held_mean_2              sent down as changes
        x'_2 = held_difference held_mean_1              sent down as changes

    Ports, all (n): ``mean_1_in``, ``mean_2_in``, ``basal_out``; ``difference_in``,
    ``apical_1_out``, ``apical_2_out``. Vars: ``held_mean_1``, ``held_mean_2``,
    ``held_difference``, ``sent_basal``, ``sent_apical_1``, ``sent_apical_2`` (what receivers
    hold), ``counts`` (multiplications that events have caused: ``unweighted_forward``,
    ``unweighted_backward``), ``learn``.

    Parameters
    ----------
    n : int
        Neurons of each side.
    lanes : int
        Samples side by side.
    beta : float
        Nudge strength of the network, > 0, dimensionless: the scale of the errors, below whose
        rounding nothing is sent.
    schedule : PresentationSchedule or None
    name : str or None

    Raises
    ------
    ValidationError
        If n is not positive.

    Examples
    --------
    >>> DyadProduct(3).mean_2_in.shape
    (3,)
    """

    held_mean_1: Member[Var]
    held_mean_2: Member[Var]
    held_difference: Member[Var]
    sent_basal: Member[Var]
    sent_apical_1: Member[Var]
    sent_apical_2: Member[Var]
    mean_1_in: Member[InPort]
    mean_2_in: Member[InPort]
    difference_in: Member[InPort]
    basal_out: Member[OutPort]
    apical_1_out: Member[OutPort]
    apical_2_out: Member[OutPort]

    @checked
    def __init__(
        self,
        n: Size = 1,
        *,
        lanes: Size = 1,
        beta: Positive = 0.1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: NonlinearConnection | None = None,
    ) -> None:
        element = element or NonlinearConnection(Product(n), lanes=lanes, beta=beta)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> NonlinearConnection:
        """Return the smallest element of this kind."""
        return NonlinearConnection(Product(1), arithmetic=arithmetic)
