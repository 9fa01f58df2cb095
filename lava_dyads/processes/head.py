"""The loss as a Process: it nudges the output dyads."""

from __future__ import annotations

from lava_dyads.checks import Count, NotNegative, Positive, Size, checked
from lava_dyads.elements import Head
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import loss as loss_by_name


class LossHead(ElementProcess):
    """Linearised nudge of an output layer.

    In every step, in this order::

        drive_out <- change of the drive computed in the last step
        held_output <- held_output + mean_in       held_target <- held_target + target_in
        drive = -beta l'(held_output)              (only while learning; else silent)

    Ports, all (n,) or (lanes, n): ``mean_in``, ``target_in``; ``drive_out``, to be connected to
    the ``apical_in`` of a linear output population. Vars: ``held_output``, ``held_target``,
    ``sent_drive``, ``counts``, ``learn``.

    Parameters
    ----------
    n : int
        Outputs.
    loss : str
        ``squared-error`` or ``cross-entropy`` (softmax over the n outputs).
    beta : float
        Nudge strength per sample, > 0, dimensionless.
    first_step : int
        Step in which the output's wave arrives.

    Examples
    --------
    >>> LossHead(10, loss="cross-entropy").drive_out.shape
    (10,)

    References
    ----------
    TT, output nudge linearised at the mean.
    """

    held_output: Member[Var]
    held_target: Member[Var]
    sent_drive: Member[Var]
    mean_in: Member[InPort]
    target_in: Member[InPort]
    drive_out: Member[OutPort]

    @checked
    def __init__(
        self,
        n: Size = 1,
        *,
        loss: str = "squared-error",
        beta: Positive = 0.1,
        lanes: Size = 1,
        threshold: NotNegative = 0.0,
        first_step: Count = 1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Head | None = None,
    ) -> None:
        element = element or Head(
            loss_by_name(loss),
            n,
            lanes=lanes,
            beta=beta,
            threshold=threshold,
            first_step=first_step,
        )
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Head:
        """Return the smallest element of this kind."""
        return Head(loss_by_name("squared-error"), 1, arithmetic=arithmetic)
