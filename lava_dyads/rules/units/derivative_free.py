"""Activation relaxation without the derivative: of the relaxation alone, or of learning, too.

Source: AR = Millidge, Tschantz, Seth, Buckley, arXiv 2009.05359 (dropping the derivative).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lava_dyads.array_types import Array
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.units.base import State, Unit, register
from lava_dyads.rules.units.relaxation import ActivationRelaxation, RelaxationUnit


@dataclass(frozen=True)
class DerivativeFreeUnit(RelaxationUnit):
    """One activity and one relaxing error that is passed on as it is.

    In order of execution, x being -beta dl/ds where f' = 1::

        s = f(a)        x <- x + eta (u - x)
        activity = s        error = x        learning_error = f'(a) x

    Synapses and bias learn from the learning error: f' stands in the update, where only the neuron
    itself needs it, and not in what the neurons below relax to (AR).
    """

    extra: ClassVar[tuple[str, ...]] = ("learning_error",)

    @property
    def learning_error(self) -> str:
        """``learning_error``."""
        return "learning_error"

    def emit(self, state: State, channel: str) -> Array:
        """Return ``activity``, ``error`` or ``learning_error``."""
        if channel == "error":
            return state["relaxation"]
        return super().emit(state, channel)


@dataclass(frozen=True)
class DerivativeFreeLearningUnit(RelaxationUnit):
    """A :class:`RelaxationUnit` without f': error = x, from which synapses and bias learn, too."""

    def emit(self, state: State, channel: str) -> Array:
        """Return ``activity`` or ``error``."""
        return state["activity" if channel == "activity" else "relaxation"]


@register
class DerivativeFreeRelaxation(ActivationRelaxation):
    """AR that relaxes without f' and learns with it, as published; exact on linear networks.

    Another direction than backprop's: cosine .95 (relu), .98 (tanh) on random 16-32-24-5 networks.
    """

    name = "derivative-free-relaxation"
    summary = "activation relaxation without f' in the relaxation (AR): approximate"
    exact = False
    min_cosine = -1.0

    def hidden(self, activation: Activation) -> Unit:
        """Return a :class:`DerivativeFreeUnit`."""
        return DerivativeFreeUnit(activation, self.rate)


@register
class DerivativeFreeLearning(DerivativeFreeRelaxation):
    """AR without f' anywhere: the simplest neuron; cosine .77 (relu), .90 (tanh), as above."""

    name = "derivative-free-learning"
    summary = "activation relaxation without f' in relaxation and update: coarser still"

    def hidden(self, activation: Activation) -> Unit:
        """Return a :class:`DerivativeFreeLearningUnit`."""
        return DerivativeFreeLearningUnit(activation, self.rate)
