"""The head: turns output and target into the drive that nudges the output dyads."""

from __future__ import annotations

from lava_dyads.array_types import Array
from lava_dyads.elements.base import Element, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.send_on_change import annealed, check_threshold, send_on_change


class Head(Element):
    """The linearised nudge: drive = -beta l'(mean), sent on change.

    In every step, in this order::

        first step of a presentation: held signals and what was sent <- 0
        send the buffer                                         (one step of delay)
        held_output <- held_output + message      held_target <- held_target + message
        buffer <- change of -beta l'(held_output, held_target), while learning and from the
                  step on in which the output's wave arrives

    The softmax needs the whole layer, so there is one head per output layer at every
    granularity. In evaluation it stays silent: no target leaks into the network.

    Parameters
    ----------
    loss : Loss
    n : int
        Outputs.
    beta : float
        Nudge strength per sample.
    threshold, anneal : float
        Send-on-change threshold theta (times beta) and the time constant with which it falls.
    first_step : int
        Step in which the output's wave arrives.
    frozen : bool
        Look at the output once, when the drive is computed for the first time, and hear no more
        of it: -beta l'(a0) of the free forward logits.
    """

    counted = ("messages_drive", "events_drive")
    coalescing = True

    def __init__(
        self,
        loss: Loss,
        n: int,
        *,
        lanes: int = 1,
        beta: float = 1.0,
        threshold: float = 0.0,
        anneal: float = 0.0,
        first_step: int = 1,
        frozen: bool = False,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        super().__init__(lanes, {"mean_in": n, "target_in": n}, {"drive_out": n}, arithmetic)
        self.loss, self.n, self.beta, self.first_step = loss, n, beta, first_step
        check_threshold("Head.", threshold, anneal)
        self.threshold, self.anneal = threshold * beta, anneal
        self._floor = None if self.arithmetic.exact else beta
        zeros = self.arithmetic.zeros
        self.memory |= {
            name: zeros((lanes, n)) for name in ("held_output", "held_target", "sent_drive")
        }
        self.frozen, self._looked = frozen, False
        self._buffer: Outbox = {}

    @property
    def process_name(self) -> str:
        """``LossHead``."""
        return "LossHead"

    @property
    def buffered(self) -> bool:
        """Tell whether something waits to be sent."""
        return bool(self._buffer)

    def reset(self) -> None:
        """Forget the last presentation."""
        for name in ("held_output", "held_target", "sent_drive"):
            self.memory[name].fill(0)
        self._looked = False
        self._buffer = {}

    def drive(self, output: Array, target: Array, numbers: Arithmetic | None = None) -> Array:
        """Return -beta l'(output), (lanes, n), in its own number system or another."""
        numbers = numbers or self.arithmetic
        return numbers.scale(-self.beta, numbers.error(self.loss, output, target))

    def before(self, clock: Clock) -> Outbox:
        """Send the drive computed in the last step."""
        if clock.fresh:
            self.reset()
        buffer, self._buffer = self._buffer, {}
        return buffer

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Receive, and compute the drive for the next step."""
        m = self.memory
        numbers = self.arithmetic
        heard = None if self._looked else inbox.get("mean_in")
        moved = numbers.accumulate(m["held_output"], heard, "held_output")
        moved |= numbers.accumulate(m["held_target"], inbox.get("target_in"), "held_target")
        moved |= clock.step == self.first_step or bool(self.anneal)
        if moved and clock.learn and clock.step >= self.first_step and not clock.last:
            drive = self.drive(m["held_output"], m["held_target"])
            drive[clock.valid :] = 0
            self._looked = self.frozen
            threshold = numbers.threshold(self.threshold * annealed(self.anneal, clock.step))
            last_sent = m["sent_drive"]
            message, events = send_on_change(drive, last_sent, threshold, self._floor, numbers)
            if message is not None:
                self._buffer["drive_out"] = message
                self.count_sent("drive", events)
        return {}
