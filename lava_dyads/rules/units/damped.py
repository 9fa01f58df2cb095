"""Damped dyads: compartments that move a part of the way.

Source: TT = Hoier, Zach, *Two Tales*, ICML 2024 (damped DP); the step sizes of recurrent dyads are
those of forward-backward splitting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from lava_dyads.array_types import Array, Signal
from lava_dyads.errors import invalid
from lava_dyads.rules.activations import PROJECTIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import Op
from lava_dyads.rules.theory import spectral_norm
from lava_dyads.rules.units.base import State, Unit, register
from lava_dyads.rules.units.dyad import DualPropagation, DyadUnit


@dataclass(frozen=True)
class DampedDyad(DyadUnit):
    """A dyad that moves by a rate r.

    In order of execution, with v+- = a +- g+- u the drive of a compartment::

        s+- <- f_r((1 - r) s+- + r v+-)            f_r = f: relu, hard-sigmoid, linear;
                                                   soft threshold: r times as wide
        s+- <- (1 - r) s+- + r f(v+-)              other f
        mean, difference                           as of every dyad

    The fixed point is that of a :class:`DyadUnit`, whatever r. TT writes L = 1 / r - 1.

    Parameters
    ----------
    activation, alpha, adjoint
        As for :class:`DyadUnit`.
    rate : float
        r in (0, 1], dimensionless; 1: no damping.
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            invalid("DampedDyad.rate", "must lie in (0, 1]", self.rate, "0.5")

    @property
    def instantaneous(self) -> bool:  # type: ignore[override]
        """Return True at r = 1, where the state is a function of the inputs."""
        return self.rate == 1.0

    @property
    def share(self) -> float:  # type: ignore[override]
        """The rate."""
        return self.rate

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return both compartments, moved (equations in the class docstring)."""
        f, rate, scale, made = self.activation, self.rate, arithmetic.scale, {}
        inside = f.partly(rate)
        for name, gain in zip(self.state, self.signed_gains, strict=True):
            kept = scale(1.0 - rate, state[name])
            if inside is not None:
                drive = kept + scale(rate, basal)
                made[name] = arithmetic.response(inside, drive, rate * gain, apical)
            else:
                target = arithmetic.held(arithmetic.response(f, basal, gain, apical), name)
                made[name] = kept + scale(rate, target)
        return made

    def step(self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic) -> None:
        """Do what :meth:`next_state` says."""
        Unit.step(self, state, basal, apical, arithmetic)

    def perturb(self, state: State, basal: Array, apical: Array, arithmetic: Arithmetic) -> None:
        """Do what :meth:`step` does."""
        self.step(state, basal, apical, arithmetic)


@register
class DampedDualPropagation(DualPropagation):
    """Damped DP (TT), for asymmetric nudging beyond the loop gain that plain DP bears.

    The layer below weights W has L = max(0, ||W||^2 - 1) / 2 |1 - 2 alpha|, its norm found by power
    iteration when the network is built; how W learns later does not move it. It reaches farther
    than plain DP, not everywhere: linear networks settle at alpha > 1/2 up to a loop gain of about
    3. At alpha < 1/2 and a gain of 1 or more there is no saddle, and damping cannot help.
    """

    name = "dp-damped"
    summary = "dyads, damped dual propagation (TT): the fixed point of dp, reached more slowly"
    activations: ClassVar[tuple[str, ...]] = PROJECTIONS
    settings = MappingProxyType({"alpha": 1.0, "repeats": 16})
    unsupported = MappingProxyType(
        {"loihi2": "small steps round to nothing before the fixed point. Try: --rule dp"}
    )

    def feeding(self, activation: Activation, weights: Sequence[tuple[Op, Array]]) -> Unit:
        """Return a :class:`DampedDyad` with plain gains and the rate r = 1 / (1 + L).

        Side by side, their norms add up to ||W||^2; ops without weights between count as 1.
        """
        excess = max(0.0, sum(spectral_norm(op, w) ** 2 for op, w in weights) - 1.0)
        damping = excess / 2 * abs(1.0 - 2.0 * self.alpha)
        return self._damped(activation, 1.0 / (1.0 + damping))

    def hidden(self, activation: Activation) -> Unit:
        """Return a dyad that is not damped: there are no weights above it."""
        return self._damped(activation, 1.0)

    def _damped(self, activation: Activation, rate: float) -> Unit:
        if activation.name not in PROJECTIONS:
            limit = f"damping keeps the fixed point of {', '.join(PROJECTIONS)} only"
            invalid("activation", limit, activation.name, "--rule dp")
        return DampedDyad(activation, self.alpha, False, rate)
