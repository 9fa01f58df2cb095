"""Activation relaxation (AR): errors relax towards -beta dl/ds on a frozen forward pass.

Source: AR = Millidge, Tschantz, Seth, Buckley, arXiv 2009.05359.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lava_dyads.array_types import Array, Signal
from lava_dyads.errors import invalid
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.units.base import RelaxingRule, State, Unit, register


@dataclass(frozen=True)
class RelaxationUnit(Unit):
    """One activity and one relaxing error.

    In order of execution (AR's relaxation, scaled by -beta, so that x is -beta dl/ds)::

        s = f(a)        x <- x + eta (u - x)
        activity = s        error = f'(a) x

    From zeros and updated in parallel, the relative error j layers below the output after t
    steps is sum_{i<j} C(t, i) eta^i (1 - eta)^(t - i): with eta = 1 exact in finitely many.

    Parameters
    ----------
    activation : Activation
        f.
    eta : float
        Relaxation rate in (0, 1], dimensionless.
    """

    state: ClassVar[tuple[str, ...]] = ("activity", "derivative", "relaxation")
    up: ClassVar[str] = "activity"
    down: ClassVar[str] = "error"

    eta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.eta <= 1:
            invalid("RelaxationUnit.eta", "must lie in (0, 1]", self.eta, "1 (exact) or 0.1 (AR)")

    @property
    def instantaneous(self) -> bool:  # type: ignore[override]
        """Return True at eta = 1, where the state is a function of the inputs."""
        return self.eta == 1.0

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return the forward pass, and the error after one step of its relaxation."""
        x, f = state["relaxation"], self.activation
        target = arithmetic.xp.zeros_like(x) if apical is None else apical
        return {
            "activity": arithmetic.apply(f, basal),
            "derivative": arithmetic.slope(f, basal),
            "relaxation": x + arithmetic.scale(self.eta, target - x),
        }

    def emit(self, state: State, channel: str) -> Array:
        """Return ``activity`` or ``error``."""
        if channel == "activity":
            return state["activity"]
        return state["derivative"] * state["relaxation"]


@register
class ActivationRelaxation(RelaxingRule):
    """AR; ``rate`` is its eta. At 1 it is backpropagation as messages."""

    name = "activation-relaxation"
    summary = (
        "activation relaxation (AR): one relaxing error per neuron; exact and finite at rate 1"
    )

    def hidden(self, activation: Activation) -> Unit:
        """Return a :class:`RelaxationUnit`."""
        return RelaxationUnit(activation, self.rate)

    def read_out(self) -> Unit:
        """Return a linear unit that takes its error as it is: that of an output is given."""
        return RelaxationUnit(ACTIVATIONS["linear"], 1.0)
