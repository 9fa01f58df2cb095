"""Convolutions as Processes, with tied feedback or feedback kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.checks import Positive, Size, checked, real_array
from lava_dyads.elements import Connection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import Conv
from lava_dyads.rules.optimisers import Optimiser

Pair = tuple[int, int]


class DyadConv(ElementProcess):
    """The same weights at every place of an image: convolution up, its transpose down, learning.

    With conv(w, x) the correlation of ``rules.ops.Conv``, in every step, in this order::

        basal_out <- conv(w, mean_in) of the last step
        apical_out <- conv^T(w, difference_in) of it
        held_mean <- held_mean + mean_in   held_difference <- held_difference + difference_in
        last step of a learning presentation:
            accumulator <- accumulator + sum over lanes and places of held_difference held_mean
            end of a batch of N: gradient = -accumulator / (beta N), one optimiser step

    Images are vectors, channel by channel, row by row. Pooling stands on its own
    (:class:`DyadMaxPool`); the bias, one per channel, is that of the population above
    (``Dyad(.., sharing=pixels)``).

    Ports: ``mean_in`` (C * height * width), ``basal_out`` (channels * rows * columns);
    ``difference_in``, ``apical_out`` the other way (leave it unconnected above an input). Vars:
    ``weights`` (channels, C, height, width), ``held_mean``, ``held_difference``,
    ``weights_accumulator``, ``weights_state``, ``weights_updates``, ``counts``
    (multiply-accumulates that events have caused: forward, backward, learning), ``learn``.

    Parameters
    ----------
    weights : array-like, shape (channels, C, rows, columns)
    image : tuple of int
        (C, height, width) of the image below.
    stride, padding : int or pair of int
        In pixels.
    lanes : int
        Samples side by side.
    beta : float
        Nudge strength of the network, > 0, dimensionless.
    optimiser : Optimiser or None
        None: the weights are constant.
    schedule : PresentationSchedule or None
    name : str or None

    Raises
    ------
    ValidationError
        If the weights are not finite or of another shape, or the kernel is larger than its image.

    Examples
    --------
    >>> conv = DyadConv(np.ones((4, 1, 3, 3)), image=(1, 8, 8), padding=1)
    >>> conv.mean_in.shape, conv.basal_out.shape, conv.element.op.image_out
    ((64,), (256,), (4, 8, 8))

    References
    ----------
    DP, convolutional networks.
    """

    weights: Member[Var]
    held_mean: Member[Var]
    held_difference: Member[Var]
    weights_accumulator: Member[Var]
    weights_state: Member[Var]
    weights_updates: Member[Var]
    mean_in: Member[InPort]
    difference_in: Member[InPort]
    basal_out: Member[OutPort]
    apical_out: Member[OutPort]

    @checked
    def __init__(
        self,
        weights: ArrayLike | None = None,
        *,
        image: tuple[int, int, int] = (1, 1, 1),
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        lanes: Size = 1,
        beta: Positive = 0.1,
        optimiser: Optimiser | None = None,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
        **feedback: Any,
    ) -> None:
        if element is None:
            kernels = real_array(weights, "DyadConv.weights")
            if kernels.ndim != 4 or kernels.shape[1] != image[0]:
                limit = f"must have shape (channels, {image[0]}, rows, columns)"
                invalid("DyadConv.weights", limit, kernels.shape)
            channels, rows, columns = (kernels.shape[i] for i in (0, 2, 3))
            op = Conv(image, channels, (rows, columns), stride, padding)
            element = Connection(
                kernels, lanes=lanes, beta=beta, optimiser=optimiser, op=op, **feedback
            )
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        return Connection(np.zeros((1, 1, 1, 1)), op=Conv((1, 1, 1), 1, 1), arithmetic=arithmetic)


class DyadConvFeedback(DyadConv):
    """A :class:`DyadConv` with feedback kernels of its own, instead of the transpose of w.

    In every step, in the order of :class:`DyadConv`, with::

        apical_out <- conv^T(feedback, difference_in) of the last step
        end of a batch, where feedback learns: feedback <- (1 - lambda) feedback + its own
            optimiser step on what w learns from, with the same lambda

    Vars: those of :class:`DyadConv`; ``feedback`` in the shape of the weights, and, for what it
    learns by, ``feedback_accumulator``, ``feedback_state``, ``feedback_updates``.

    Parameters
    ----------
    weights, feedback : array-like, shape (channels, C, rows, columns)
    feedback_learns : bool
        Whether it learns (Kolen-Pollack) or stays (feedback alignment).
    image, stride, padding, lanes, beta, optimiser, schedule, name
        As for :class:`DyadConv`.

    Raises
    ------
    ValidationError
        As :class:`DyadConv` does, and if the shapes of weights and feedback differ.

    Examples
    --------
    >>> conv = DyadConvFeedback(np.ones((1, 1, 2, 2)), feedback=np.zeros((1, 1, 2, 2)),
    ...                         image=(1, 4, 4), stride=2)
    >>> conv.feedback.shape
    (1, 1, 2, 2)

    References
    ----------
    FA, KP and AK: see ``lava_dyads.rules.feedback``.
    """

    feedback: Member[Var]
    feedback_accumulator: Member[Var]
    feedback_state: Member[Var]
    feedback_updates: Member[Var]

    @checked
    def __init__(
        self,
        weights: ArrayLike | None = None,
        *,
        feedback: ArrayLike | None = None,
        feedback_learns: bool = False,
        element: Connection | None = None,
        **options: Any,
    ) -> None:
        if element is None:
            options["feedback"] = real_array(feedback, "DyadConvFeedback.feedback", 4)
            options["feedback_learns"] = feedback_learns
        super().__init__(weights, element=element, **options)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        weights, op = np.zeros((1, 1, 1, 1)), Conv((1, 1, 1), 1, 1)
        return Connection(weights, op=op, arithmetic=arithmetic, feedback=weights)
