"""Sums and concatenations as Processes: constant connections that move what arrives."""

from __future__ import annotations

from lava_dyads.checks import Natural, Size, checked
from lava_dyads.elements import Connection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import Embed, Slice


class DyadEmbed(ElementProcess):
    """Neurons below appear among others above, or some of them are picked; unchanged, no weights.

    With s = ``offset``, in every step, in this order::

        n_in <= n_out:  basal_out[s + j] <- mean_in[j] of the last step, 0 elsewhere
                        apical_out[j] <- difference_in[s + j] of it
        n_in > n_out:   basal_out[j] <- mean_in[s + j] of the last step
                        apical_out[s + j] <- difference_in[j] of it, 0 elsewhere
        held_mean <- held_mean + mean_in   held_difference <- held_difference + difference_in

    Ports add up what arrives. So several of them into one port are a concatenation, if they stand
    side by side, and a sum, if they all have n_in = n_out.

    Ports: ``mean_in`` (n_in), ``basal_out`` (n_out), ``difference_in`` (n_out), ``apical_out``
    (n_in). Vars: ``held_mean``, ``held_difference``, ``counts`` (events passed on:
    ``unweighted_forward``, ``unweighted_backward``), ``learn``.

    Parameters
    ----------
    n_in : int
        Neurons below.
    n_out : int or None
        Neurons above; None: as many.
    offset : int
        Where the smaller number of neurons begins among the larger.
    lanes : int
        Samples side by side.
    schedule : PresentationSchedule or None
    name : str or None

    Raises
    ------
    ValidationError
        If they do not fit.

    Examples
    --------
    >>> DyadEmbed(2, 5, offset=3).basal_out.shape
    (5,)
    """

    held_mean: Member[Var]
    held_difference: Member[Var]
    mean_in: Member[InPort]
    difference_in: Member[InPort]
    basal_out: Member[OutPort]
    apical_out: Member[OutPort]

    @checked
    def __init__(
        self,
        n_in: Size = 1,
        n_out: Size | None = None,
        offset: Natural = 0,
        *,
        lanes: Size = 1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
    ) -> None:
        if element is None:
            n_out = n_in if n_out is None else n_out
            kind = Embed if n_in <= n_out else Slice
            element = Connection(None, op=kind(n_in, n_out, offset), lanes=lanes)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        return Connection(None, op=Embed(1, 1), arithmetic=arithmetic)
