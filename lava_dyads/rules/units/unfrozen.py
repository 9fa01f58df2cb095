"""Activation relaxation on an unfrozen forward pass: derivatives follow what relaxes.

Source: AR-S = Millidge et al., *Investigating the Scalability and Biological Plausibility of
Activation Relaxation*, arXiv 2010.06219 (relaxing the frozen feedforward pass).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from lava_dyads.array_types import Array, Signal
from lava_dyads.errors import invalid
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.units.base import Rate, RelaxingRule, State, Unit, register


@dataclass(frozen=True)
class UnfrozenUnit(Unit):
    """One variable X, first the activity and then the error dl/ds, and what it was.

    In order of execution, until the first error arrives (u = 0)::

        z = f(a)        g = f'(a)        X = z                          the forward pass

    and from then on, with a = W X + b the drive from what the layer below has become::

        X <- X + eta (-u / beta - X)
        value = X        error = -beta f'(a) X        learning_error = -beta g X        activity = z

    What goes down has the present derivative f'(a), and no derivative has to be kept for it (AR-S);
    synapses and bias learn from activity and learning error of the forward pass, as in AR: without
    this the direction of learning is lost.

    Parameters
    ----------
    activation : Activation
        f.
    eta : float
        Relaxation rate in (0, 1], dimensionless.
    beta : float
        Nudge strength per sample, > 0; errors are sent as -beta dl/ds, as by every rule.
    """

    state: ClassVar[tuple[str, ...]] = ("activity", "derivative", "relaxation", "slope", "begun")
    up: ClassVar[str] = "value"
    down: ClassVar[str] = "error"
    extra: ClassVar[tuple[str, ...]] = ("activity", "learning_error")
    instantaneous: ClassVar[bool] = False
    phased: ClassVar[bool] = True

    eta: float
    beta: float

    def __post_init__(self) -> None:
        if not 0 < self.eta <= 1:
            invalid("UnfrozenUnit.eta", "must lie in (0, 1]", self.eta, "0.1")

    @property
    def learning_input(self) -> str:
        """``activity``: that of the forward pass."""
        return "activity"

    @property
    def learning_error(self) -> str:
        """``learning_error``: the error with the derivative of the forward pass."""
        return "learning_error"

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return the forward pass while it lasts, and what has relaxed since."""
        xp, begun, x = arithmetic.xp, state["begun"] != 0, state["relaxation"]
        slope = arithmetic.slope(self.activation, basal)
        forward = {"activity": arithmetic.apply(self.activation, basal), "derivative": slope}
        made = {name: xp.where(begun, state[name], value) for name, value in forward.items()}
        made["slope"] = slope
        if apical is None:
            return {**made, "begun": xp.zeros_like(state["begun"])}
        x = xp.where(begun, x, -self.beta * made["activity"])
        begun = begun | (apical != 0)
        made["relaxation"] = xp.where(begun, x + self.eta * (apical - x), 0.0)
        return {**made, "begun": xp.asarray(begun, dtype=x.dtype)}

    def emit(self, state: State, channel: str) -> Array:
        """Return ``value``, ``error``, ``activity`` or ``learning_error``."""
        if channel == "activity":
            return state["activity"]
        if channel == "value":
            return np.where(
                state["begun"] != 0, state["relaxation"] / -self.beta, state["activity"]
            )
        return state["slope" if channel == "error" else "derivative"] * state["relaxation"]


@register
@dataclass(frozen=True)
class UnfrozenRelaxation(RelaxingRule):
    """AR-S: activation relaxation whose derivatives follow the relaxing states.

    Another direction than backprop's: cosine .985 (tanh) on random 16-32-24-5 networks.
    For smooth activations: where f' jumps, as relu's, states near a kink open and close their gates
    for ever. At rate 1 the loop through f' may cycle, too.
    """

    name = "unfrozen-relaxation"
    summary = "activation relaxation, unfrozen forward pass (AR-S): approximate"
    activations = ("tanh", "linear")
    settings = MappingProxyType({"activations": "tanh"})
    exact = False
    min_cosine = -1.0
    unsupported = MappingProxyType({
        "async": "neurons turn from activity to error after the forward pass, which takes steps. "
        "Try: --clock sync",
        "loihi2": "the error is divided by beta, which no neuron of the chip can. "
        "Try: --rule activation-relaxation",
    })  # fmt: skip

    rate: Rate = 0.2

    def hidden(self, activation: Activation) -> Unit:
        """Return an :class:`UnfrozenUnit`."""
        return UnfrozenUnit(activation, self.rate, self.beta)

    def read_out(self) -> Unit:
        """Return a linear unit that takes its error as it is: that of an output is given."""
        return UnfrozenUnit(ACTIVATIONS["linear"], 1.0, self.beta)

    def settles_in_one_sweep(self) -> bool:
        """Return False: derivatives move with what they have sent down."""
        return False
