"""Lifted regression / reconstruction networks (LRRN): activities that minimise an energy.

=========  ======================================================================
symbol     meaning
=========  ======================================================================
z_k        activity of layer k, ``(lanes, n)``; z_0 the input
W_k, b_k   weights (n_k, n_{k-1}) and bias of layer k
r          weight of the reconstruction, > 0
C_k        convex set of the activity: z >= 0 (relu), [0, 1] (hard-sigmoid), all (linear)
=========  ======================================================================

The energy of a sample, and what is learnt::

    E(z) = sum_k 1/2 |z_k - W_k z_{k-1}|^2 + r/2 |z_{k-1} - W_k^T z_k|^2 - b_k^T z_k    z_k in C_k
    z-   = argmin E                z+ = argmin E + beta l(z_L)
    dl/dW ~ (dE/dW (z+) - dE/dW (z-)) / beta

At r = 1 the map from the input to z-_L is 1-Lipschitz, whatever the weights: a linear layer of
singular value s has the gain (1 + r) s / (1 + r s^2) <= (1 + r) / (2 sqrt r).

A bias is a linear term here, and not part of the residual z_k - W_k z_{k-1} - b_k: then it acts on
its own neuron alone and learns from z+ - z-, as in every dyad. (The gain does not depend on it.)

Source: LRRN = Hoier, Zach, *Lifted Regression/Reconstruction Networks*, BMVC 2020. How the terms
are weighted there is not known to us; the guarantee is that of the energy above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar

import numpy as np

from lava_dyads.array_types import Array, Signal
from lava_dyads.checks import Positive
from lava_dyads.errors import invalid
from lava_dyads.kinds import Limit
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.units.base import Rule, State, Unit, register

MOMENTUM = 0.7
"""Share of the last move that a compartment repeats; descent is proven for all in [0, 1)."""


@dataclass(frozen=True)
class LiftedUnit(Unit):
    """A dyad whose compartments minimise the energy: one freely, one nudged, at the same time.

    A connection tells for its term of the energy m, a bound on the curvature, and the pull
    m y - dE/dz, where y is what the unit has told: at the free compartment, and the difference
    at the nudged one. In order of execution, for each of the compartments::

        t = (sum of the pulls + b + nudge) / (sum of the m)                = y + force / m
        z' = P(y + rate (t - y))        y <- z' + 0.7 (z' - z)        z <- z'

    with P the projection onto C, which is the activation: relu, hard-sigmoid or linear. This is
    projected descent with momentum. With rate <= 1 every step lowers E + m / (2 rate) |z' - z|^2
    unless it is at rest, so it converges to the minimum: the m of all terms bound the curvature
    of their sum.

    Parameters
    ----------
    activation : Activation
        P.
    rate : float
        Step size as a share of 1 / m, in (0, 1], dimensionless.

    Raises
    ------
    ValidationError
        If the rate is one at which descent need not converge.
    """

    state: ClassVar[tuple[str, ...]] = ("free", "nudged", "free_before", "nudged_before")
    up: ClassVar[str] = "compartments"
    down: ClassVar[str] = "compartments"
    extra: ClassVar[tuple[str, ...]] = ("free", "nudged")
    blocks: ClassVar[Mapping[str, int]] = {"basal": 3, "apical": 3, "compartments": 2}
    instantaneous: ClassVar[bool] = False
    mutual: ClassVar[bool] = True

    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            limit = "a step beyond 1 / curvature need not converge: must lie in (0, 1]"
            invalid("LiftedUnit.rate", limit, self.rate, "1")

    @property
    def process_name(self) -> str:
        """``LiftedPopulation``, also of outputs."""
        return "LiftedPopulation"

    def drive(self, state: State, basal: Array, bias: Array) -> Array:
        """Add the bias to the pull, in both compartments alike."""
        driven = basal.copy()
        driven[:, : len(bias)] += bias
        return driven

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return both compartments after one step of projected descent."""
        heard, drive, stiffness = self.heard(basal, apical)
        n = heard.shape[1] // 3
        pull, apart, curvature = heard[:, :n], heard[:, n : 2 * n], heard[:, 2 * n :]
        nudged = pull + apart + drive + stiffness * state["nudged"]
        return {
            **self._descended("free", pull, curvature, state),
            **self._descended("nudged", nudged, curvature + stiffness, state),
        }

    def _descended(
        self, name: str, pull: Array, curvature: Array, state: State
    ) -> dict[str, Array]:
        told, before = state[name], state[f"{name}_before"]
        target = pull / curvature
        if self.rate != 1.0:
            target = told + self.rate * (target - told)
        moved = self.activation.f(target)
        return {name: moved + MOMENTUM * (moved - before), f"{name}_before": moved}

    def heard(self, basal: Array, apical: Signal) -> tuple[Array, Array | float, float]:
        """Return the messages of connections, (lanes, 3 n), a nudge and its curvature."""
        return (basal if apical is None else basal + apical), 0.0, 0.0

    def emit(self, state: State, channel: str) -> Array:
        """Return ``compartments`` (free, and nudged less free), ``free`` or ``nudged``."""
        if channel == "compartments":
            return np.hstack([state["free"], state["nudged"] - state["free"]])
        return state[channel]

    def bias_error(self, sent: Array) -> Array:
        """Return z+ - z-."""
        return np.asarray(np.split(sent, 2, axis=1)[1])


@dataclass(frozen=True)
class LiftedOutput(LiftedUnit):
    """The same under a head: its apical input is -beta l'(z+), a force on z+ alone.

    The curvature of beta l is at most beta, for the squared error and for the cross-entropy, so
    the pull of the nudge is beta y - beta l'(y), and its m is beta.
    """

    blocks: ClassVar[Mapping[str, int]] = {**LiftedUnit.blocks, "apical": 1}
    mutual: ClassVar[bool] = False

    beta: float = 0.1

    def heard(self, basal: Array, apical: Signal) -> tuple[Array, Array | float, float]:
        """Return the message of the connection, the nudge and beta; no nudge in a free phase."""
        return (basal, 0.0, 0.0) if apical is None else (basal, apical, self.beta)


Step = Annotated[float, Limit(
    "must lie in (0, 1], a step beyond 1 / curvature need not converge", "1", lambda v: 0 < v <= 1
)]  # fmt: skip


@register
@dataclass(frozen=True)
class Lifted(Rule):
    """LRRN: both phases of contrastive learning at once, in the two compartments of a dyad.

    Its gradient is that of the loss at the minimum of its own energy, to O(beta), and not that of
    a feedforward network.

    Parameters
    ----------
    rate : float
        Step size as a share of 1 / curvature, in (0, 1].
    reconstruction : float
        Weight r > 0 of the reconstruction in the energy; at 1 the network is 1-Lipschitz.
    """

    name = "lrrn"
    summary = "lifted regression/reconstruction (LRRN): activities minimise an energy; 1-Lipschitz"
    losses = ("squared-error", "cross-entropy", "binary-cross-entropy", "huber")
    activations = ("relu", "hard-sigmoid", "linear")
    lifted = True
    settings = MappingProxyType({"learning_rate": 0.003})
    unsupported = MappingProxyType(
        {
            "neuron": "a lifted layer speaks in blocks of n numbers. Try: --granularity layer",
            "async": "its descent is proven for steps that all take together. Try: --clock sync",
            "loihi2": "a neuron of the chip cannot divide by the curvature. Try: --precision float",
        }
    )
    exact = False
    min_cosine = -1.0

    rate: Step = 1.0
    reconstruction: Positive = 1.0

    def hidden(self, activation: Activation) -> Unit:
        """Return a :class:`LiftedUnit`."""
        return LiftedUnit(activation, self.rate)

    def read_out(self) -> Unit:
        """Return a linear :class:`LiftedOutput`."""
        return LiftedOutput(ACTIVATIONS["linear"], self.rate, self.beta)

    def settles_in_one_sweep(self) -> bool:
        """Return False: it descends."""
        return False
