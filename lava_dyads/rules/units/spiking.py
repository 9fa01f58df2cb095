"""Spiking dyads: two soft-reset integrate-and-fire compartments in place of two rates.

=========  =====================================================================
symbol     meaning
=========  =====================================================================
T, c       steps of the window; spikes per step and unit of activity
N+, N-     spikes of the compartments so far; s+- = N+- / (c T)
V+, V-     membrane potentials, in thresholds
a, u       *integrals* of the basal and apical drive over the window, per T
=========  =====================================================================

A compartment without leak that loses one threshold per spike keeps V = 1/2 + drive - spikes: the
sum telescopes. So its count is relu of the integral of its drive, up to about one spike, and the
error of everything made of counts falls as 1 / (c T). What rectifies a momentary drive instead
(hard reset, a floor under V, leak) keeps a bias that time does not remove.

Channels carry s+- in units of activity, in steps of a spike, 1 / (c T); messages are changes. So
what a synapse has summed up at the end of the window are the rates that it learns from.

Source: the rate equations of TT (Hoier, Zach, ICML 2024), with relu read as a count of spikes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lava_dyads.errors import invalid
from lava_dyads.rules._types import AnyArray, Array, Signal
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.units.base import Rule, RuleParameters, State, Unit, register
from lava_dyads.rules.units.dyad import Compartments

OFFSET = 1.0
"""Activity at which a spiking output rests: a count cannot be negative, an output can."""


@dataclass(frozen=True)
class SpikingDyadUnit(Compartments):
    """A dyad whose compartments spike, at most once per step each.

    In order of execution, with adjoint gains (g+, g-) = (1 - alpha, alpha)::

        a = basal + integral of bias / T            (first layer: of (basal + bias) / T)
        V+ = 1/2 + c T (a + g+ u) - N+              V- = 1/2 + c T (a - g- u) - N-
        where V >= 1: a spike, N <- N + 1, V <- V - 1
        mean = (alpha N+ + (1 - alpha) N-) / (c T)  difference = (N+ - N-) / (c T)

    Registers ``s_plus``, ``s_minus``: N / (c T); ``v_plus``, ``v_minus``: V after the reset;
    ``charge``, ``aim``: integrals of the basal levels and, in an output, of the target.

    Parameters
    ----------
    activation : Activation
        relu: it is what a count computes.
    alpha : float
        Share of s+ in the mean, in [0, 1].
    adjoint : bool
        The adjoint form (DP-transpose) or plain DP.
    window : int
        T, steps.
    scale : float
        c > 0, spikes per step and unit of activity.
    level : bool
        Whether the basal input is a level that acts in every step (data) or consists of spikes.
    hysteresis : int
        h >= 1: the difference is sent, as one graded event, when N+ - N- has moved by h spikes.
    """

    state: ClassVar[tuple[str, ...]] = ("s_plus", "s_minus", "v_plus", "v_minus", "charge", "aim")
    instantaneous: ClassVar[bool] = False
    spiking: ClassVar[bool] = True

    window: int
    scale: float
    level: bool = False
    hysteresis: int = 1

    @property
    def process_name(self) -> str:
        """``SpikingDyad``."""
        return "SpikingDyad"

    @property
    def rate(self) -> float:
        """Spikes in a window that stand for activity 1, c T."""
        return self.scale * self.window

    def drive(self, state: State, basal: Array, bias: Array) -> Array:
        """Integrate the levels; what came as spikes is an integral already."""
        charge = state["charge"]
        charge += (basal + bias if self.level else bias) / self.window
        return charge if self.level else charge + basal

    def step(self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic) -> None:
        """Move both potentials and let them spike; ``basal``, ``apical`` are the integrals."""
        counts = np.array([state["s_plus"], state["s_minus"]])
        drives = basal - counts
        if apical is not None:
            plus, minus = self.gains
            drives[0] += arithmetic.scale(plus, apical)
            drives[1] -= arithmetic.scale(minus, apical)
        potentials = arithmetic.scale(self.rate, drives)
        potentials += 0.5
        spikes = self.fire(potentials)
        counts += spikes / self.rate
        for i, side in enumerate(("plus", "minus")):
            arithmetic.store(state[f"s_{side}"], counts[i])
            arithmetic.store(state[f"v_{side}"], potentials[i])

    def fire(self, potentials: Array) -> AnyArray:
        """Return where V >= 1, and take one threshold from V there (soft reset), in place."""
        spikes = potentials >= 1.0
        potentials -= spikes
        return spikes

    def least(self, channel: str) -> float:
        """Return half of the smallest change of a channel: it moves in whole spikes.

        For the difference h - 1/2 spikes, so that it is sent when it has moved by h.
        """
        if channel == self.down:
            return (self.hysteresis - 0.5) / self.rate
        shares = (self.alpha, 1.0 - self.alpha) if channel == self.up else (1.0,)
        return 0.5 * min(share for share in shares if share > 0) / self.rate

    def spikes(self, state: State) -> float:
        """Return N+ + N- of all units and lanes."""
        return float((state["s_plus"].sum() + state["s_minus"].sum()) * self.rate)


@dataclass(frozen=True)
class SpikingOutput(SpikingDyadUnit):
    """Output dyad with the squared error inside; its apical input is the target y, a level.

    In order of execution, with the offset o (activity at output 0; see ``baseline``)::

        u = beta (aim - mean)         both as they were before this step
        aim = integral of (y + o) / T
        then as a hidden dyad, with bias b + o

    A count lags behind what drives it by a step; so does the aim it is compared with.
    Its relu never clips while every output stays above -o; errors do not see the offset.

    Parameters
    ----------
    beta : float
        Nudge strength per sample, > 0.
    """

    baseline: ClassVar[float] = OFFSET

    beta: float = 0.1

    def drive(self, state: State, basal: Array, bias: Array) -> Array:
        """Integrate bias and offset as levels."""
        return super().drive(state, basal, bias + self.baseline)

    def step(self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic) -> None:
        """Nudge towards the target by what the dyad itself has counted."""
        if apical is not None:
            aim, target = state["aim"], apical + self.baseline
            apical = arithmetic.scale(self.beta, aim - self.emit(state, self.up))
            aim += target / self.window
        super().step(state, basal, apical, arithmetic)


@register
class SpikingDualPropagation(Rule):
    """DP-transpose with spike counts for rates: the error of a gradient is O(1 / (c T)).

    Use alpha = 1/2 with short windows: relu rectifies the noise of the feedback, in both
    compartments alike; at 0 and 1 in one of them only, which biases the difference.
    """

    name = "spiking"
    summary = "spiking dyads (TT): counts of plus and minus spikes; error falls as 1 / window"
    nudges = ("proximal",)
    losses = ("squared-error",)
    activations = ("relu",)
    spiking = True
    defaults = RuleParameters(alpha=0.5, beta=1.0)

    def hidden(self, activation: Activation, parameters: RuleParameters) -> Unit:
        """Return a :class:`SpikingDyadUnit` with adjoint gains."""
        return SpikingDyadUnit(activation, *self._numbers(parameters))

    def output(self, loss: Loss, parameters: RuleParameters) -> Unit:
        """Return a :class:`SpikingOutput`."""
        numbers = self._numbers(parameters)
        return SpikingOutput(ACTIVATIONS["relu"], *numbers, beta=parameters.beta)

    def above_input(self, unit: Unit) -> Unit:
        """Return the unit for a basal input that is a level."""
        assert isinstance(unit, SpikingDyadUnit)
        return replace(unit, level=True)

    def finite(self, parameters: RuleParameters) -> bool:
        """Return True: the window is all there is, nothing is repeated."""
        return True

    def _numbers(self, parameters: RuleParameters) -> tuple[float, bool, int, float, bool, int]:
        p = parameters
        if p.window < 1:
            invalid("window", "must be at least 1 step", p.window, "32")
        if not (np.isfinite(p.scale) and p.scale > 0):
            invalid("scale", "must be positive", p.scale, "0.25")
        if p.hysteresis < 1:
            invalid("hysteresis", "must be at least 1 spike", p.hysteresis, "1 or 2")
        return p.alpha, True, p.window, p.scale, False, p.hysteresis
