"""A connection: W up, feedback down, and learning from the two signals that pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import plain_array
from lava_dyads.elements.base import FLOAT, Element, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.plasticity import plasticity
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import Conv, Dense, Op
from lava_dyads.rules.optimisers import Optimiser

NOTHING = np.zeros(())
"""The weights of an op that has none."""
UNWEIGHTED = ("unweighted_forward", "unweighted_backward")
"""Counters of operations in which no weight takes part."""


class Connection(Element):
    """The activity below goes up through W, the error above down through B.

    In every step, in this order::

        first step of a presentation: buffers and held signals <- 0
        send the buffers                                        (one step of delay)
        held_mean <- held_mean + message          basal buffer  <- W message
        held_difference <- held_difference + ...  apical buffer <- B message
        last step: learn from held_difference held_mean^T

    In a stream nothing is set to 0 between frames. What was sent up is then no longer W times what
    was heard once W has learnt, so with the next message goes what is missing::

        basal buffer <- basal buffer + dW held_mean
        apical buffer <- apical buffer + dB held_difference

    Tied, B is W^T; separate feedback weights are a register of their own, ``feedback``, which
    holds B^T, and constant or learnt like W, from the same two signals (``rules.feedback``).

    W is what its op makes of the weights: of a convolution, the kernels at every place. An op
    without weights (its shape is ()) has no registers for them, :attr:`weights` is empty, and what
    is counted are no synaptic operations: ``unweighted_forward``, ``unweighted_backward``.

    Parameters
    ----------
    weights : array, of the op's shape, or None
        (n_out, n_in) where it is dense; None: the op has none.
    lanes : int
    beta : float
        Nudge strength; the gradient is -(1/beta) mean(held_difference held_mean^T).
    optimiser : Optimiser or None
        None: the weights are constant.
    op : Op or None
        Kind of connection; dense by default.
    feedback : array, shape of the weights, or None
        B^T; None: tied.
    feedback_learns : bool
        Whether it learns, where the weights do.

    Raises
    ------
    ValidationError
        If weights or feedback are not finite, of the op's shape, or beta is not positive.
    UnsupportedError
        If weights are shared by several neurons, in integers.
    """

    counted: tuple[str, ...] = ("forward", "backward", "learning")

    def __init__(
        self,
        weights: Array | None,
        *,
        lanes: int = 1,
        beta: float = 1.0,
        optimiser: Optimiser | None = None,
        op: Op | None = None,
        arithmetic: Arithmetic | None = None,
        feedback: Array | None = None,
        feedback_learns: bool = False,
    ) -> None:
        arithmetic = arithmetic or FLOAT
        weights = np.zeros(()) if weights is None else plain_array(weights, "Connection.weights")
        shape = op.shape if op else "(n_out, n_in)"
        fits = weights.shape == shape if op else weights.ndim == 2
        if not (fits and weights.dtype.kind in "iuf" and np.all(np.isfinite(weights))):
            invalid("Connection.weights", f"must be a finite {shape} array", weights.shape)
        if not beta > 0:
            invalid("Connection.beta", "must be positive", beta, "0.1")
        self.op: Op = op or Dense(*weights.shape)
        if arithmetic.exact and weights.ndim != 2:
            raise UnsupportedError(
                f"precision {arithmetic.name}: every synapse of the chip has a weight of its own, "
                f"{type(self.op).__name__} has not. Try: precision float, or dense"
            )
        weights = arithmetic.weights(weights)
        self.beta = beta
        if self.op.mask is not None and np.any(weights[~self.op.mask]):
            limit = "weights must be 0 where there is no synapse"
            invalid("Connection.weights", limit, int(np.count_nonzero(weights[~self.op.mask])))
        n_out, n_in = self.op.n_out, self.op.n_in
        if self.weightless:
            self.counted = UNWEIGHTED
        super().__init__(
            lanes,
            {"mean_in": n_in, "difference_in": n_out},
            {"basal_out": n_out, "apical_out": n_in},
            arithmetic,
        )
        zeros = arithmetic.zeros
        registers = {} if self.weightless else self.memory
        registers["weights"] = weights
        self.memory |= {
            "held_mean": zeros((lanes, n_in)),
            "held_difference": zeros((lanes, n_out)),
        }
        optimiser = None if self.weightless else optimiser
        if optimiser is not None and optimiser.decorrelates and type(self.op) not in (Dense, Conv):
            limit = "learns weights that every neuron has to all below, or to a window of them"
            invalid(f"optimiser {optimiser.name}", limit, type(self.op).__name__, "adam")
        self.plasticity = plasticity("weights", registers, beta, optimiser, arithmetic)
        self.learners = [self.plasticity]
        if feedback is not None:
            feedback = np.asarray(feedback)
            if feedback.shape != weights.shape or not np.all(np.isfinite(feedback)):
                limit = f"must be finite and have the shape {weights.shape} of the weights"
                invalid("Connection.feedback", limit, feedback.shape)
            numbers = arithmetic.backward()
            self.memory["feedback"] = numbers.weights(feedback, "feedback")
            teacher = optimiser if feedback_learns else None
            self.learners.append(plasticity("feedback", self.memory, beta, teacher, numbers))
        self._buffer: Outbox = {}

    @property
    def process_name(self) -> str:
        """That of its op."""
        return self.op.feedback_process_name if self.separate else self.op.process_name

    @property
    def weightless(self) -> bool:
        """Tell whether it is constant, without any register of weights."""
        return not self.op.shape

    @property
    def weights(self) -> Array:
        """W's weights, in the shape of the op; empty where it has none."""
        return NOTHING if self.weightless else self.memory["weights"]

    @property
    def separate(self) -> bool:
        """Tell whether the feedback weights are a register of their own."""
        return "feedback" in self.memory

    @property
    def feedback(self) -> Array:
        """B^T: what an error goes down through, in the shape of the weights."""
        return self.memory["feedback"] if self.separate else self.weights

    def evidence(self, rows: slice = slice(None)) -> tuple[Array, Array]:
        """Return what the synapses learn from: errors (., n_out) and activities (., n_in).

        The sum over the rows of error activity^T is -beta dl/dW.
        """
        return self.memory["held_difference"][rows], self.memory["held_mean"][rows]

    @property
    def buffered(self) -> bool:
        """Tell whether something waits to be sent."""
        return bool(self._buffer or self._early)

    @property
    def rests(self) -> bool:
        """Whether it does nothing in the midst of a presentation unless it hears something."""
        return not self._early

    def reset(self) -> None:
        """Forget the last presentation."""
        super().reset()
        self.memory["held_mean"].fill(0)
        self.memory["held_difference"].fill(0)
        self._buffer = {}

    def before(self, clock: Clock) -> Outbox:
        """Send what the last step's messages have become."""
        if clock.first:
            self.plasticity.show(exact=not clock.learn)
            if clock.fresh:
                self.reset()
        buffer, self._buffer = self._buffer, {}
        return buffer

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Receive, transform for the next step, learn in the last one."""
        inbox = self.gathered(clock, inbox)
        if not (inbox or clock.last):
            return {}
        m = self.memory
        up, down = inbox.get("mean_in"), inbox.get("difference_in")
        numbers = self.arithmetic
        held = numbers.accumulate(m["held_mean"], up, "held_mean")
        goes_on = clock.goes_on
        if held and up is not None and goes_on:
            self._buffer["basal_out"] = self.upward(up)
            self.count(self.counted[0], self.op.forward_operations(up))
        backward = "apical_out" in self.listened and goes_on
        held = numbers.accumulate(m["held_difference"], down, "held_difference")
        if held and down is not None and backward:
            self._buffer["apical_out"] = self.downward(down)
            self.count(self.counted[1], self.op.backward_operations(down))
        if clock.last:
            self.finish(clock)
        return {}

    def upward(self, message: Array, weights: Array | None = None) -> Array:
        """Return what reaches the layer above through the weights, or others."""
        through = self.weights if weights is None else weights
        if len(message) == 1 and not through.flags.c_contiguous and isinstance(self.op, Dense):
            made = np.empty((1, self.op.n_out), through.dtype)
            self.op.forward_events(through, message[0], made[0])
            return self.arithmetic.total(made, "basal")
        return self.arithmetic.total(self.op.forward(through, message), "basal")

    def downward(self, message: Array, feedback: Array | None = None) -> Array:
        """Return what reaches the layer below through the feedback, or another."""
        through = self.feedback if feedback is None else feedback
        return self.arithmetic.total(self.op.transpose(through, message), "apical")

    def value(self, port: str) -> Array:
        """Return what an output port would send if everything it held arrived at once."""
        if port == "basal_out":
            return self.op.forward(self.weights, self.memory["held_mean"])
        return self.op.transpose(self.feedback, self.memory["held_difference"])

    def finish(self, clock: Clock) -> None:
        """Learn from what is held, where this is learning."""
        if self.weightless or not (clock.learn and clock.valid):
            return
        down, up = self.evidence()
        if not clock.frozen:
            goes_on = clock.goes_on and clock.batch
            before = [self.weights.copy(), self.feedback.copy()] if goes_on else []
            for learner in self.learners:
                learner.learn_pair(self.op, down, up, clock.batch)
            if before:
                self._make_up(*before)
        learning = 1 + any(learner.optimiser is not None for learner in self.learners[1:])
        self.count("learning", self.op.learning_operations(down, up) * learning)

    def _make_up(self, weights: Array, feedback: Array) -> None:
        """Note what has been sent too little, by the weights and feedback before they learnt."""
        held, m = ("held_mean", "held_difference"), self.memory
        changes = self.weights - weights, self.feedback - feedback
        products = (self.upward, self.downward)
        ports, counters = ("basal_out", "apical_out"), ("forward", "backward")
        for name, change, product, port, counter in zip(
            held, changes, products, ports, counters, strict=True
        ):
            missing = product(m[name], change) if port in self.listened else None
            if missing is not None and missing.any():
                waiting = self._buffer.get(port)
                self._buffer[port] = missing if waiting is None else waiting + missing
                # Weights that have changed, with an activity that is not zero.
                touched = product((m[name] != 0).astype(m[name].dtype),
                                  (change != 0).astype(change.dtype))  # fmt: skip
                self.count(counter, int(touched.sum()))


class TaughtConnection(Connection):
    """A connection that learns from other signals than those it carries.

    Beside what a :class:`Connection` does, in every step::

        held_learning_input <- held_learning_input + message
        held_learning_error <- held_learning_error + message
        last step: learn from held_learning_error held_learning_input^T

    For units whose ``learning_input`` is not what they send up, or whose ``learning_error`` is not
    what they send down; parameters as for :class:`Connection`.
    """

    _learns_from = ("learning_error", "learning_input")

    def __init__(self, weights: Array, **options: Any) -> None:
        super().__init__(weights, **options)
        for name, n in zip(self._learns_from, (self.op.n_out, self.op.n_in), strict=True):
            self.inputs[f"{name}_in"] = n
            self.memory[f"held_{name}"] = self.arithmetic.zeros((self.lanes, n))

    @property
    def process_name(self) -> str:
        """That of its op, ``TaughtConnection``."""
        return f"{super().process_name}Taught"

    def evidence(self, rows: slice = slice(None)) -> tuple[Array, Array]:
        """Return what the synapses learn from: errors (., n_out) and activities (., n_in)."""
        return self.memory["held_learning_error"][rows], self.memory["held_learning_input"][rows]

    def reset(self) -> None:
        """Forget the last presentation."""
        super().reset()
        for held in self.evidence():
            held.fill(0)

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Hear what to learn from, then do what every connection does."""
        for name in self._learns_from:
            held, message = self.memory[f"held_{name}"], inbox.get(f"{name}_in")
            self.arithmetic.accumulate(held, message, f"held_{name}")
        return super().after(clock, inbox)
