"""Messages go up through a function that is not linear, feedback down through its derivative."""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import AnyArray, Array, Signal
from lava_dyads.elements.base import Element, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.connection import UNWEIGHTED
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import NonlinearOp
from lava_dyads.rules.send_on_change import send_on_change


class NonlinearConnection(Element):
    """Messages from below go up through a nonlinear op, the error from above down its derivative.

    A connection passes changes on, since it is linear. A nonlinear one has to hold what it gets. In
    every step, in this order::

        first step of a presentation: buffers, held values and what was sent <- 0 (not in a stream)
        send the buffers                                        (one step of delay)
        held_mean_k <- held_mean_k + message                    every argument k
        held_difference <- held_difference + message
        basal buffer    <- change of op(held_mean_1, ..) since it was last sent
        apical_k buffer <- change of (d op / d held_mean_k)^T held_difference

    What it holds below is what it differentiates at: the switches of a maximum are those of the
    mean, for forward, feedback and gradient the same. Changes within rounding are not sent (see
    ``rules.send_on_change``), so that silence certifies here, too. What is counted are no synaptic
    operations: ``unweighted_forward``, ``unweighted_backward``.

    Ports: with one argument those of a connection, ``mean_in``, ``basal_out``, ``difference_in``,
    ``apical_out``; with more ``mean_1_in``, ``mean_2_in`` .. and ``apical_1_out`` .. .

    Parameters
    ----------
    op : NonlinearOp
        The function.
    lanes : int
        Samples side by side.
    beta : float
        Nudge strength: the size of the messages from above.

    Raises
    ------
    ValidationError
        If beta is not positive.
    UnsupportedError
        In integers.
    """

    counted = UNWEIGHTED

    def __init__(
        self,
        op: NonlinearOp,
        *,
        lanes: int = 1,
        beta: float = 1.0,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        if not beta > 0:
            invalid("NonlinearConnection.beta", "must be positive", beta, "0.1")
        if arithmetic is not None and arithmetic.exact:
            raise UnsupportedError(
                f"precision {arithmetic.name}: the chip's synapses neither multiply messages "
                "nor compare them. Try: precision float"
            )
        self.nonlinear_op, self.beta = op, beta
        self._ups, self._downs = self.up_ports(op), self.back_ports(op)
        self._held = tuple(f"held_{port.removesuffix('_in')}" for port in self._ups)
        self._sent = tuple(f"sent_{port.removesuffix('_out')}" for port in self._downs)
        below, above = op.n_in, op.n_out
        super().__init__(
            lanes,
            {**dict(zip(self._ups, below, strict=True)), "difference_in": above},
            {"basal_out": above, **dict(zip(self._downs, below, strict=True))},
            arithmetic,
        )
        widths = dict(zip((*self._held, *self._sent), below * 2, strict=True))
        widths |= {"held_difference": above, "sent_basal": above}
        self._registers = tuple(widths)
        self.memory |= {name: self.arithmetic.zeros((lanes, n)) for name, n in widths.items()}
        self._fed = False
        self._buffer: Outbox = {}

    @staticmethod
    def up_ports(op: NonlinearOp) -> tuple[str, ...]:
        """Return the input ports of the arguments, in their order."""
        return _numbered("mean", "in", op.arity)

    @staticmethod
    def back_ports(op: NonlinearOp) -> tuple[str, ...]:
        """Return the output ports of what goes down to the arguments, in their order."""
        return _numbered("apical", "out", op.arity)

    @property
    def process_name(self) -> str:
        """That of its op."""
        return self.nonlinear_op.process_name

    @property
    def buffered(self) -> bool:
        """Tell whether something waits to be sent."""
        return bool(self._buffer or self._early)

    @property
    def held(self) -> tuple[Array, ...]:
        """What it holds of every argument, (lanes, n) each."""
        return tuple(self.memory[name] for name in self._held)

    @property
    def rests(self) -> bool:
        """Whether it does nothing in the midst of a presentation unless it hears something."""
        return not self._early

    def reset(self) -> None:
        """Forget the last presentation."""
        super().reset()
        for name in self._registers:
            self.memory[name].fill(0)
        self._fed, self._buffer = False, {}

    def before(self, clock: Clock) -> Outbox:
        """Send what the last step's messages have become."""
        if clock.fresh:
            self.reset()
        buffer, self._buffer = self._buffer, {}
        return buffer

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Receive, and evaluate for the next step what has changed."""
        inbox = self.gathered(clock, inbox)
        m, accumulate = self.memory, self.arithmetic.accumulate
        messages = [inbox.get(port) for port in self._ups]
        moved = [accumulate(m[h], s, h) for h, s in zip(self._held, messages, strict=True)]
        down = inbox.get("difference_in")
        fed = accumulate(m["held_difference"], down, "held_difference")
        self._fed |= fed
        goes_on = clock.goes_on
        if not (goes_on and (any(moved) or fed)):
            return {}
        changes = [_or_zeros(s, h) for s, h in zip(messages, self.held, strict=True)]
        if any(moved):
            self._send("basal_out", "sent_basal", self.upward(), 1.0)
            self.count(UNWEIGHTED[0], self.nonlinear_op.forward_operations(*changes))
        heard = [port in self.listened for port in self._downs]
        if self._fed and any(heard):
            parts = zip(self._downs, self._sent, self.downward(), heard, strict=True)
            for port, last_sent, value, listened in parts:
                if listened:
                    self._send(port, last_sent, value, self.beta)
            change = _or_zeros(down, m["held_difference"])
            self.count(UNWEIGHTED[1], self.nonlinear_op.backward_operations(change, *changes))
        return {}

    def upward(self) -> Array:
        """Return the value of its op at what is held, (lanes, n_out)."""
        return self.nonlinear_op.forward(*self.held)

    def downward(self) -> tuple[Array, ...]:
        """Return what reaches every argument, (lanes, n_in[k])."""
        return self.nonlinear_op.transpose(self.memory["held_difference"], *self.held)

    def _send(self, port: str, last_sent: str, value: Array, scale: float) -> None:
        """Buffer the change of a value."""
        message, _ = send_on_change(value, self.memory[last_sent], 0.0, scale, self.arithmetic)
        if message is not None:
            self._buffer[port] = message


def _or_zeros(message: Signal, held: AnyArray) -> Array:
    """Return a message, silence as zeros."""
    return np.zeros_like(held) if message is None else message


def _numbered(channel: str, end: str, arity: int) -> tuple[str, ...]:
    """Return the names of the ports of a channel."""
    if arity == 1:
        return (f"{channel}_{end}",)
    return tuple(f"{channel}_{k}_{end}" for k in range(1, arity + 1))
