"""Connections as Processes: dense or sparse, with tied feedback or feedback synapses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_matrix, issparse

from lava_dyads.checks import Positive, Size, checked, plain_array, real_array
from lava_dyads.elements import Connection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import Sparse
from lava_dyads.rules.optimisers import Optimiser


class DyadDense(ElementProcess):
    """Dense weights between two populations: W up, W^T down, and learning at the synapse.

    In every step, in this order::

        basal_out <- W mean_in of the last step        apical_out <- W^T difference_in of it
        held_mean <- held_mean + mean_in   held_difference <- held_difference + difference_in
        last step of a learning presentation:
            accumulator <- accumulator + sum over lanes of held_difference held_mean^T
            end of a batch of N: gradient = -accumulator / (beta N), one optimiser step

    The synapse uses nothing but the two signals that pass through it. Sending before receiving
    costs one step of delay per connection and makes every loop free of deadlock.

    Ports: ``mean_in`` (n_in), ``basal_out`` (n_out); ``difference_in`` (n_out), ``apical_out``
    (n_in; leave it unconnected above an input, then W^T is never computed). Vars: ``weights``
    (n_out, n_in), ``held_mean``, ``held_difference``, ``weights_accumulator``,
    ``weights_state``, ``weights_updates``, ``counts`` (operations: forward, backward, learning),
    ``learn``.

    Parameters
    ----------
    weights : array-like, shape (n_out, n_in)
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
        If the weights are not a finite matrix.

    Examples
    --------
    >>> dense = DyadDense([[1.0, 2.0, 3.0]])
    >>> dense.mean_in.shape, dense.basal_out.shape
    ((3,), (1,))

    References
    ----------
    DP and TT, weight update.
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
        lanes: Size = 1,
        beta: Positive = 0.1,
        optimiser: Optimiser | None = None,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
    ) -> None:
        if element is None:
            matrix = real_array(weights, "DyadDense.weights", 2)
            element = Connection(matrix, lanes=lanes, beta=beta, optimiser=optimiser)
        super().__init__(element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        return Connection(np.zeros((1, 1)), arithmetic=arithmetic)


class DyadDenseFeedback(DyadDense):
    """A :class:`DyadDense` with feedback synapses B of its own, instead of W^T.

    In every step, in the order of :class:`DyadDense`, with::

        apical_out <- B difference_in of the last step
        end of a batch, where B learns: B <- (1 - lambda) B + its own optimiser step on the
            transpose of what W learns from, with the same lambda

    Vars: those of :class:`DyadDense`; ``feedback`` (n_out, n_in), which holds B^T, and, for what it
    learns by, ``feedback_accumulator``, ``feedback_state``, ``feedback_updates``.

    Parameters
    ----------
    weights : array-like, shape (n_out, n_in)
    feedback : array-like, shape (n_out, n_in)
        B^T.
    feedback_learns : bool
        Whether B learns (Kolen-Pollack) or stays (feedback alignment).
    lanes, beta, optimiser, schedule, name
        As for :class:`DyadDense`.

    Raises
    ------
    ValidationError
        If weights or feedback are not finite matrices of one shape.

    Examples
    --------
    >>> dense = DyadDenseFeedback(np.ones((2, 3)), feedback=np.eye(2, 3))
    >>> dense.feedback.init
    array([[1., 0., 0.],
           [0., 1., 0.]])

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
        lanes: Size = 1,
        beta: Positive = 0.1,
        optimiser: Optimiser | None = None,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
    ) -> None:
        element = element or Connection(
            real_array(weights, "DyadDenseFeedback.weights", 2),
            lanes=lanes,
            beta=beta,
            optimiser=optimiser,
            feedback=real_array(feedback, "DyadDenseFeedback.feedback", 2),
            feedback_learns=feedback_learns,
        )
        super().__init__(element=element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        return Connection(np.zeros((1, 1)), arithmetic=arithmetic, feedback=np.zeros((1, 1)))


class DyadSparse(DyadDense):
    """A :class:`DyadDense` with synapses only where a mask says so; all others stay 0.

    Its counters know of synapses alone: an event touches those of its neuron.

    Parameters
    ----------
    weights : array-like or scipy sparse matrix, shape (n_out, n_in)
    mask : array-like of bool, shape (n_out, n_in), or None
        Where there is a synapse; None: where a weight is not 0 (of a sparse matrix: is stored).
    lanes, beta, optimiser, schedule, name
        As for :class:`DyadDense`.

    Raises
    ------
    ValidationError
        If the weights are not a finite matrix, a mask has another shape, or a weight is not 0
        where there is no synapse.

    Examples
    --------
    >>> sparse = DyadSparse([[1.0, 0.0, 3.0]])
    >>> sparse.element.op.synapses
    2
    """

    @checked
    def __init__(
        self,
        weights: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        lanes: Size = 1,
        beta: Positive = 0.1,
        optimiser: Optimiser | None = None,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
    ) -> None:
        if element is None:
            stored: Any = coo_matrix(weights) if issparse(weights) else None
            dense = weights if stored is None else stored.toarray()
            matrix = real_array(dense, "DyadSparse.weights", 2)
            there = matrix != 0
            if mask is not None:
                there = plain_array(mask, "DyadSparse.mask").astype(bool)
            elif stored is not None:
                there[stored.row, stored.col] = True
            op = Sparse(matrix.shape[0], matrix.shape[1], there)
            element = Connection(matrix, lanes=lanes, beta=beta, optimiser=optimiser, op=op)
        super().__init__(element=element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        op = Sparse(1, 1, np.ones((1, 1), bool))
        return Connection(np.zeros((1, 1)), arithmetic=arithmetic, op=op)
