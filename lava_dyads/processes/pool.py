"""Pooling Processes, for which Lava has none: the largest entry of a window, and the mean."""

from __future__ import annotations

from lava_dyads.checks import Positive, Size, checked
from lava_dyads.elements import Connection, NonlinearConnection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import AveragePool, MaxPool

Pair = tuple[int, int]


class DyadMaxPool(ElementProcess):
    """The largest pixel of every window goes up; the error goes down to where it came from.

    In every step, in this order::

        first step of a presentation: held values and what was sent <- 0
        basal_out, apical_out <- what the last step has made of its messages
        held_mean <- held_mean + mean_in   held_difference <- held_difference + difference_in
        y = largest held_mean of each window         sent up as changes
        x' = held_difference, each entry at the first pixel that is largest in its window,
             summed where windows overlap             sent down as changes

    The switches are always those of the mean that is held: an error follows a maximum that moves.
    Below it may be a population or a convolution: then state = f(maxpool(conv(..)) + bias).

    Ports: ``mean_in`` (C * height * width), ``basal_out`` (C * rows * columns);
    ``difference_in``, ``apical_out`` the other way. Vars: ``held_mean``, ``held_difference``,
    ``sent_basal``, ``sent_apical`` (what receivers hold), ``counts``
    (``unweighted_forward``: comparisons that events below have caused; ``unweighted_backward``:
    events passed down), ``learn``.

    Parameters
    ----------
    image : tuple of int
        (C, height, width) of the image below.
    kernel : int or pair of int
        Of the window, in pixels.
    stride : int or pair of int or None
        None: the kernel. What no window reaches, at the far edge, is not looked at.
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
        If the kernel is larger than its image, or a size is not positive.

    Examples
    --------
    >>> pool = DyadMaxPool((4, 8, 8))
    >>> pool.mean_in.shape, pool.basal_out.shape
    ((256,), (64,))

    References
    ----------
    DP, convolutional networks: state = f(maxpool(conv(.))).
    """

    held_mean: Member[Var]
    held_difference: Member[Var]
    sent_basal: Member[Var]
    sent_apical: Member[Var]
    mean_in: Member[InPort]
    difference_in: Member[InPort]
    basal_out: Member[OutPort]
    apical_out: Member[OutPort]

    @checked
    def __init__(
        self,
        image: tuple[int, int, int] = (1, 1, 1),
        kernel: int | Pair = 2,
        stride: int | Pair | None = None,
        *,
        lanes: Size = 1,
        beta: Positive = 0.1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: NonlinearConnection | None = None,
    ) -> None:
        if element is None:
            element = NonlinearConnection(MaxPool(image, kernel, stride), lanes=lanes, beta=beta)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> NonlinearConnection:
        """Return the smallest element of this kind."""
        return NonlinearConnection(MaxPool((1, 1, 1), 1), arithmetic=arithmetic)


class DyadAveragePool(ElementProcess):
    """The mean of every window goes up; each of its pixels gets an equal share of the error.

    With K pixels in a window, in every step, in this order::

        basal_out <- (1 / K) sum of mean_in over each window, of the last step
        apical_out <- (1 / K) sum of difference_in over the windows that show a pixel, of it
        held_mean <- held_mean + mean_in   held_difference <- held_difference + difference_in

    Ports: ``mean_in`` (C * height * width), ``basal_out`` (C * rows * columns);
    ``difference_in``, ``apical_out`` the other way. Vars: ``held_mean``, ``held_difference``,
    ``counts`` (additions that events have caused: ``unweighted_forward``,
    ``unweighted_backward``), ``learn``.

    Parameters
    ----------
    image : tuple of int
        (C, height, width) of the image below.
    kernel : int or pair of int
        Of the window, in pixels.
    stride : int or pair of int or None
        None: the kernel. What no window reaches, at the far edge, is not looked at.
    lanes : int
        Samples side by side.
    schedule : PresentationSchedule or None
    name : str or None

    Raises
    ------
    ValidationError
        If the kernel is larger than its image, or a size is not positive.

    Examples
    --------
    >>> DyadAveragePool((4, 8, 8), kernel=4).basal_out.shape
    (16,)
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
        image: tuple[int, int, int] = (1, 1, 1),
        kernel: int | Pair = 2,
        stride: int | Pair | None = None,
        *,
        lanes: Size = 1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
    ) -> None:
        if element is None:
            element = Connection(None, op=AveragePool(image, kernel, stride), lanes=lanes)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        return Connection(None, op=AveragePool((1, 1, 1), 1), arithmetic=arithmetic)
