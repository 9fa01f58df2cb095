"""Source and sink as Processes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.checks import Size, checked, real_array
from lava_dyads.elements import Gather, Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import loss as loss_by_name


class DatasetSource(ElementProcess):
    """Stream rows of a data set: ``lanes`` rows in the first step of every presentation.

    Ports: ``x_out`` (n_in), ``y_out`` (n_out), changes from zero, silent in all other steps.
    Vars: ``order`` (samples,), the row numbers to show, in turn; ``counts``; ``window`` and
    ``learn`` (the schedule).

    Parameters
    ----------
    x : array-like, shape (samples, n_in)
    y : array-like, shape (samples, n_out)
        Targets; one-hot for classes.
    lanes : int
    schedule : PresentationSchedule or None

    Raises
    ------
    ValidationError
        If the rows do not match or a value is not finite (the message names row and column).

    Examples
    --------
    >>> DatasetSource([[0.0, 1.0]], [[1.0]]).x_out.shape
    (2,)
    """

    order: Member[Var]
    x_out: Member[OutPort]
    y_out: Member[OutPort]

    @checked
    def __init__(
        self,
        x: ArrayLike = ((0.0,),),
        y: ArrayLike = ((0.0,),),
        *,
        lanes: Size = 1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Source | None = None,
    ) -> None:
        if element is None:
            rows = (real_array(a, f"DatasetSource.{n}") for n, a in (("x", x), ("y", y)))
            element = Source(*rows, lanes=lanes)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Source:
        """Return the smallest element of this kind."""
        return Source(np.zeros((1, 1)), np.zeros((1, 1)), arithmetic=arithmetic)


class MetricSink(ElementProcess):
    """Collect what a network answers: samples, correct classes, losses, predictions.

    Ports: ``output_in``, ``target_in`` (n,) or (lanes, n), changes. Vars: ``totals`` =
    [samples, correct, sum of losses], ``predicted`` (capacity,), ``scores``, ``output``,
    ``target``; ``outputs`` (capacity, n) of elements that keep them.

    Parameters
    ----------
    n : int
        Outputs.
    loss : str
    capacity : int
        Samples of the longest run, for ``predicted``.
    """

    output: Member[Var]
    target: Member[Var]
    totals: Member[Var]
    predicted: Member[Var]
    scores: Member[Var]
    outputs: Member[Var]
    output_in: Member[InPort]
    target_in: Member[InPort]

    @checked
    def __init__(
        self,
        n: Size = 1,
        *,
        loss: str = "squared-error",
        lanes: Size = 1,
        capacity: Size = 1,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Sink | None = None,
    ) -> None:
        element = element or Sink(loss_by_name(loss), n, lanes=lanes, capacity=capacity)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Sink:
        """Return the smallest element of this kind."""
        return Sink(loss_by_name("squared-error"), 1, arithmetic=arithmetic)


class GatherProcess(ElementProcess):
    """Gather the messages of n neurons into one of width n, within the same step.

    Ports: ``each_in`` (n,) or (lanes, n), several sources are summed; ``all_out``, the same.

    Parameters
    ----------
    element : Gather
    schedule : PresentationSchedule or None
    name : str or None
    """

    each_in: Member[InPort]
    all_out: Member[OutPort]

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Gather:
        """Return the smallest element of this kind."""
        return Gather(1, arithmetic=arithmetic)
