"""What rules are compared with: backprop, which has no neurons of its own."""

from __future__ import annotations

from lava_dyads.rules.activations import Activation
from lava_dyads.rules.units.base import Rule, Unit, register

BACKPROP, ALIGNMENT = "backprop", "feedback-alignment"


@register
class Backprop(Rule):
    """Plain backprop, behind the ports of a network."""

    name = BACKPROP
    summary = "the baseline: plain backprop (runtime reference)"
    baseline = True

    def hidden(self, activation: Activation) -> Unit:
        """Raise: its errors are no states of neurons."""
        raise NotImplementedError(f"{self.name} has no units")

    def settles_in_one_sweep(self) -> bool:
        """Return False: there is nothing to settle."""
        return False


@register
class FeedbackAlignment(Backprop):
    """Backprop with feedback weights that are no transpose."""

    name = ALIGNMENT
    summary = "backprop with random feedback weights in the place of W^T (runtime reference)"
