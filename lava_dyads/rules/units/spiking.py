"""Spiking dyads: two soft-reset integrate-and-fire compartments in place of two rates.

=========  =====================================================================
symbol     meaning
=========  =====================================================================
T, c       steps of the window; spikes per step and unit of activity
N+, N-     spikes of the compartments so far; s+- = N+- / (c T)
V+, V-     membrane potentials, in thresholds
a, u       basal and apical drive in activity per window: what a step adds up
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
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array, Signal
from lava_dyads.checks import Positive, Share
from lava_dyads.errors import invalid
from lava_dyads.kinds import Limit
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.units.base import Changes, State, Unit, register
from lava_dyads.rules.units.dyad import Compartments, DyadRule

Steps = Annotated[int, Limit("must be at least 1 step", "32", lambda v: v >= 1)]
Spikes = Annotated[int, Limit("must be at least 1 spike", "1 or 2", lambda v: v >= 1)]

OFFSET = 1.0
"""Activity at which a spiking output rests: a count cannot be negative, an output can."""


@dataclass(frozen=True)
class SpikingDyadUnit(Compartments):
    """A dyad whose compartments spike, at most once per step each.

    In order of execution, with adjoint gains (g+, g-) = (1 - alpha, alpha); da and du are what has
    arrived in this step, V+ and V- start at 1/2::

        d = c T da + c bias                         (first layer: d = c (a + bias), a is a level)
        V+ <- V+ + d + c T g+ du                    V- <- V- + d - c T g- du
        where V >= 1: a spike, N <- N + 1, V <- V - 1
        mean = (alpha N+ + (1 - alpha) N-) / (c T)  difference = (N+ - N-) / (c T)

    Registers ``s_plus``, ``s_minus``: N / (c T); ``v_plus``, ``v_minus``: V after the reset;
    ``pull``: what an output dyad's target leaves to its next step.
    The equations take one compartment of one population, or all of them end to end, and arrays or
    what stands for them (``native.programs``).

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

    state: ClassVar[tuple[str, ...]] = ("s_plus", "s_minus", "v_plus", "v_minus", "pull")
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
    def impulses(self) -> tuple[str, ...]:
        """Spikes act when they arrive; data are a level."""
        return ("apical",) if self.level else ("basal", "apical")

    @property
    def rate(self) -> float:
        """Spikes in a window that stand for activity 1, c T."""
        return self.scale * self.window

    def begin(self, state: State) -> None:
        """Put both potentials half-way to the threshold: a count then rounds to the nearest."""
        state["v_plus"].fill(0.5)
        state["v_minus"].fill(0.5)

    def steady(self, basal: Array, bias: Array) -> Array:
        """Return the amount every step adds, in thresholds: c (a + bias), or c bias."""
        return np.asarray(self.scale * (basal + bias if self.level else bias))

    def drive(self, state: State, basal: Array, bias: Array) -> Array:
        """Return d, in thresholds."""
        steady = self.steady(basal, bias)
        return steady if self.level else self.arriving(basal, steady)

    def arriving(self, basal: Array, steady: Array) -> Array:
        """Return c T da + what every step adds."""
        return self.rate * basal + steady

    def step(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> Changes | None:
        """Move both potentials and let them spike; return what the channels change by."""
        fired = np.empty((2, *basal.shape), bool)
        for spikes, side, gain in zip(fired, ("plus", "minus"), self.signed_gains, strict=True):
            v = state[f"v_{side}"]
            v[...], spikes[...] = self.advance(v, basal, apical, gain)
        rises = self.rises(fired.reshape(2, -1), basal.dtype).reshape(4, *basal.shape)
        for rise, side in zip(rises, ("plus", "minus"), strict=False):
            state[f"s_{side}"] += rise
        changes = {self.up: rises[2], "plus": rises[0], "minus": rises[1]}
        return changes if self.hysteresis > 1 else {**changes, self.down: rises[3]}

    def advance(self, v: Array, drive: Array, apical: Signal, gain: Any) -> tuple[Array, AnyArray]:
        """Return the potential of a compartment after a step, and where it spikes.

        Parameters
        ----------
        v, drive : arrays
        apical : array or None
        gain : float, or array that broadcasts
            The compartment's, of ``signed_gains``.
        """
        v = v + drive
        if apical is not None:
            v = v + gain * apical
        fired = v >= 1.0
        return v - fired, fired  # soft reset

    def rises(self, fired: AnyArray, dtype: Any = float) -> Array:
        """Return by how much s+, s-, mean and difference rise, (4, n), for spikes (2, n)."""
        # One product: no entry has more than one sum, so nothing depends on its order.
        return np.asarray(self._channels.astype(dtype, copy=False) @ fired.astype(dtype))

    @property
    def signed_gains(self) -> tuple[float, float]:
        """What the apical input counts for in V+ and in V-, in thresholds."""
        plus, minus = self.gains
        return self.rate * plus, -self.rate * minus

    @cached_property
    def _channels(self) -> Array:
        share = self.alpha
        rows = [[1.0, 0.0], [0.0, 1.0], [share, 1.0 - share], [1.0, -1.0]]
        return np.array(rows) / self.rate

    def least(self, channel: str) -> float:
        """Return half of the smallest change of a channel: it moves in whole spikes.

        For the difference h - 1/2 spikes, so that it is sent when it has moved by h.
        """
        if channel == self.down:
            return (self.hysteresis - 0.5) / self.rate
        shares = (self.alpha, 1.0 - self.alpha) if channel == self.up else (1.0,)
        return 0.5 * min(share for share in shares if share > 0) / self.rate

    def saturated(self, state: State) -> Array:
        """Return the mask of potentials that still hold a spike: c times activity is at least 1."""
        return np.asarray((state["v_plus"] >= 1.0) | (state["v_minus"] >= 1.0))

    def spikes(self, state: State) -> float:
        """Return N+ + N- of all units and lanes."""
        return float((state["s_plus"].sum() + state["s_minus"].sum()) * self.rate)


@dataclass(frozen=True)
class SpikingOutput(SpikingDyadUnit):
    """Output dyad with the squared error inside; its apical input is the target y, a level.

    In order of execution, with the offset o (activity at output 0; see ``baseline``)::

        du = beta pull                               what the last step has left
        as a hidden dyad, with bias b + o
        pull <- (y + o) / T - change of the mean

    So the dyad is nudged by beta (integral of y + o - mean), both a step behind: a count lags
    behind what drives it by a step, and so does the aim it is compared with.
    Its relu never clips while every output stays above -o; errors do not see the offset.

    Parameters
    ----------
    beta : float
        Nudge strength per sample, > 0.
    """

    baseline: ClassVar[float] = OFFSET

    beta: float = 0.1

    @property
    def impulses(self) -> tuple[str, ...]:
        """The target is a level."""
        return () if self.level else ("basal",)

    def steady(self, basal: Array, bias: Array) -> Array:
        """Return it with the offset as a part of the bias."""
        return super().steady(basal, bias + self.baseline)

    def aim(self, target: Array) -> Array:
        """Return the amount a step adds to the integral of the target."""
        return np.asarray((target + self.baseline) / self.window)

    def left(self, aim: Array, change: Array) -> Array:
        """Return what a step leaves to the next one, given by how much the mean has changed."""
        return aim - change

    def nudge(self, pull: Array) -> Array:
        """Return du, beta times what the last step has left."""
        return self.beta * pull

    def step(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> Changes | None:
        """Nudge towards the target by what the dyad itself has counted."""
        if apical is None:
            return super().step(state, basal, None, arithmetic)
        pull = state["pull"]
        changes = super().step(state, basal, self.nudge(pull), arithmetic)
        assert changes is not None
        pull[...] = self.left(self.aim(apical), changes[self.up])
        return changes


@register
@dataclass(frozen=True, kw_only=True)
class SpikingDualPropagation(DyadRule):
    """DP-transpose with spike counts for rates: the error of a gradient is O(1 / (c T)).

    Use alpha = 1/2 with short windows: relu rectifies the noise of the feedback, in both
    compartments alike; at 0 and 1 in one of them only, which biases the difference.

    Parameters
    ----------
    window : int
        Steps T over which spikes are counted, >= 1.
    scale : float
        Spikes c per step and unit of activity, > 0; c times every activity has to stay below 1.
    hysteresis : int
        Spikes by which N+ - N- moves before it is reported downward, >= 1.
    """

    name = "spiking"
    summary = "spiking dyads (TT): counts of plus and minus spikes; error falls as 1 / window"
    nudges = ("proximal",)
    losses = ("squared-error",)
    activations = ("relu",)
    spiking = True

    beta: Positive = 1.0
    alpha: Share = 0.5
    window: Steps = 32
    scale: Positive = 0.375
    hysteresis: Spikes = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale * OFFSET >= 1:
            limit = f"times every activity it has to stay below 1, and outputs rest at {OFFSET:g}"
            invalid("scale", limit, self.scale, "0.375")

    @property
    def counted_steps(self) -> int:
        """The window."""
        return self.window

    def hidden(self, activation: Activation) -> Unit:
        """Return a ``SpikingDyadUnit`` with adjoint gains."""
        return SpikingDyadUnit(activation, *self._numbers)

    def output(self, loss: Loss, frozen: bool = False) -> Unit:
        """Return a ``SpikingOutput``."""
        return SpikingOutput(ACTIVATIONS["relu"], *self._numbers, beta=self.beta)

    def above_input(self, unit: Unit) -> Unit:
        """Return the unit for a basal input that is a level."""
        assert isinstance(unit, SpikingDyadUnit)
        return replace(unit, level=True)

    def settles_in_one_sweep(self) -> bool:
        """Return True: the window is all there is, nothing is repeated."""
        return True

    @property
    def _numbers(self) -> tuple[float, bool, int, float, bool, int]:
        return self.alpha, True, self.window, self.scale, False, self.hysteresis
