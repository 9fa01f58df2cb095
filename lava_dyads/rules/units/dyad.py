"""The dyad: dual propagation (DP) and its adjoint form.

=========  ======================================================================
symbol     meaning
=========  ======================================================================
a          basal drive plus bias, ``(lanes, n)``
u          apical drive: W^T D from above, or -beta l'(mean) from a head
s+, s-     the two compartments, ``s_plus`` and ``s_minus``
alpha      share of s+ in the mean, in [0, 1]
beta       nudge strength, per sample
=========  ======================================================================

Sources: DP = Hoier, Staudt, Zach, ICML 2023; TT = Hoier, Zach, *Two Tales*, ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from lava_dyads.array_types import Array, Signal
from lava_dyads.checks import Share
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic, blended
from lava_dyads.rules.losses import LOSSES, Loss
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.units.base import Rule, State, Unit, register

COMPARTMENTS = ("s_plus", "s_minus")
"""Registers of the two compartments."""


@dataclass(frozen=True)
class Compartments(Unit):
    """Two compartments and what they tell: the base of rate and of spiking dyads.

    With the states s+ and s- of the compartments::

        mean = alpha s+ + (1 - alpha) s-        difference = s+ - s-

    Parameters
    ----------
    activation : Activation
        f.
    alpha : float
        Share of s+ in the mean, in [0, 1].
    adjoint : bool
        The adjoint form (DP-transpose) or plain DP.
    """

    state: ClassVar[tuple[str, ...]] = COMPARTMENTS
    up: ClassVar[str] = "mean"
    down: ClassVar[str] = "difference"
    extra: ClassVar[tuple[str, ...]] = ("plus", "minus")

    alpha: float
    adjoint: bool

    @property
    def gains(self) -> tuple[float, float]:
        """Nudge gains (g+, g-) of the two compartments."""
        shares = (self.alpha, 1.0 - self.alpha)
        return shares[::-1] if self.adjoint else shares

    @property
    def signed_gains(self) -> tuple[float, float]:
        """What u is multiplied by in each compartment: (g+, -g-)."""
        plus, minus = self.gains
        return plus, -minus

    def emit(self, state: State, channel: str) -> Array:
        """Return ``mean``, ``difference``, ``plus`` or ``minus``."""
        plus, minus = state["s_plus"], state["s_minus"]
        if channel == "difference":
            return plus - minus
        if channel == "mean":
            # At alpha 0 and 1 the mean must be bitwise one compartment: 0 * inf is nan.
            if self.alpha in (0.0, 1.0):
                return plus if self.alpha else minus
            if plus.dtype.kind == "i":
                return blended(self.alpha, plus, minus)
            return self.alpha * plus + (1.0 - self.alpha) * minus
        return {"plus": plus, "minus": minus}[channel]

    def straddling(self, state: State, xp: Namespace = np) -> Array:
        """Return True where s+ and s- lie on different linear pieces of f."""
        piece = self.activation.piece
        straddles: Array = piece(state["s_plus"], xp) != piece(state["s_minus"], xp)
        return straddles


@dataclass(frozen=True)
class DyadUnit(Compartments):
    """Two oppositely nudged compartments.

    In order of execution::

        s+ = f(a + g+ u)        s- = f(a - g- u)
        mean = alpha s+ + (1 - alpha) s-        difference = s+ - s-

    with (g+, g-) = (1 - alpha, alpha) for the adjoint form (``adjoint=True``, TT) and
    (alpha, 1 - alpha) for plain DP (DP). The difference is -beta dl/da: exactly on
    linear pieces, to O(beta |1 - 2 alpha|) for smooth f.

    Parameters
    ----------
    activation : Activation
        f.
    alpha : float
        Share of s+ in the mean, in [0, 1].
    adjoint : bool
        The adjoint form (DP-transpose) or plain DP.
    """

    @property
    def process_name(self) -> str:
        """``Dyad``."""
        return "Dyad"

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return both compartments from the drives (equations in the class docstring)."""
        if apical is None:
            return dict.fromkeys(COMPARTMENTS, arithmetic.response(self.activation, basal, 0, None))
        return {
            name: arithmetic.response(self.activation, basal, gain, apical)
            for name, gain in zip(COMPARTMENTS, self.signed_gains, strict=True)
        }

    def step(self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic) -> None:
        """Do what :meth:`next_state` says, without memory beside the registers."""
        if apical is None:
            plus, minus = (state[name] for name in COMPARTMENTS)
            arithmetic.respond(plus, self.activation, basal, 0.0, None)
            arithmetic.store(minus, plus)
            return
        for name, gain in zip(COMPARTMENTS, self.signed_gains, strict=True):
            arithmetic.respond(state[name], self.activation, basal, gain, apical, name)

    def perturb(self, state: State, basal: Array, apical: Array, arithmetic: Arithmetic) -> None:
        """Set the compartments that the nudge reaches; the others are f(a) already."""
        for name, gain in zip(COMPARTMENTS, self.signed_gains, strict=True):
            if gain:
                arithmetic.respond(state[name], self.activation, basal, gain, apical, name)


@dataclass(frozen=True)
class ProximalDyad(DyadUnit):
    """Output dyad of plain DP with the loss inside; its apical input is the target y.

    In order of execution (DP's closed-form output)::

        s+ = argmin_z 1/2 |z - a|^2 + alpha beta l(z)
        s- = argmin_z 1/2 |z - a|^2 - (1 - alpha) beta l(z)

    For the squared error s+ = (a + alpha beta y) / (1 + alpha beta), s- likewise with
    -(1 - alpha) beta, and difference = beta (y - a) / [(1 + alpha beta)(1 - (1 - alpha) beta)].

    Raises
    ------
    ValidationError
        Where a proximal point does not exist, e.g. (1 - alpha) beta >= 1 (squared error).
    """

    loss: Loss
    beta: float

    def __post_init__(self) -> None:
        for strength in self.strengths:
            self.loss.check_proximal(strength)

    @property
    def separable(self) -> bool:
        """Tell whether the loss is a sum over neurons; the softmax is not."""
        return self.loss.separable

    @property
    def strengths(self) -> tuple[float, float]:
        """Strengths (c+, c-) of the two proximal steps."""
        return self.alpha * self.beta, -(1.0 - self.alpha) * self.beta

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return both compartments at their proximal points; without a target at a."""
        if apical is None:
            return super().next_state(state, basal, None, arithmetic)
        return {
            name: self.loss.proximal(basal, apical, strength)
            for name, strength in zip(COMPARTMENTS, self.strengths, strict=True)
        }

    def step(self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic) -> None:
        """Do what :meth:`next_state` says."""
        Unit.step(self, state, basal, apical, arithmetic)

    def perturb(self, state: State, basal: Array, apical: Array, arithmetic: Arithmetic) -> None:
        """Do what :meth:`step` does."""
        self.step(state, basal, apical, arithmetic)


@dataclass(frozen=True)
class FrozenProximalDyad(ProximalDyad):
    """A ``ProximalDyad`` that looks at the loss once, at the free forward logits a0.

    In the first nudged step, then in every one::

        n+- = prox(a0) - a0             s+- = a + n+-

    """

    state: ClassVar[tuple[str, ...]] = (*COMPARTMENTS, "nudge_plus", "nudge_minus", "begun")
    phased: ClassVar[bool] = True

    @property
    def process_name(self) -> str:
        """``FrozenDyad``: it has registers of its own."""
        return "FrozenDyad"

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return both compartments at a plus their nudges; without a target at a."""
        begun, xp = state["begun"], arithmetic.xp
        made = super().next_state(state, basal, apical, arithmetic)
        if apical is None:
            return {**made, "begun": xp.zeros_like(begun)}
        for name, nudge in zip(COMPARTMENTS, ("nudge_plus", "nudge_minus"), strict=True):
            made[nudge] = xp.where(begun != 0, state[nudge], made[name] - basal)
            made[name] = basal + made[nudge]
        return {**made, "begun": xp.ones_like(begun)}


@dataclass(frozen=True)
class DyadRule(Rule):
    """A rule of dyads.

    Parameters
    ----------
    alpha : float
        Share of the plus compartment in the mean, in [0, 1], dimensionless.
    """

    alpha: Share = 1.0


@register
class DualPropagationAdjoint(DyadRule):
    """DP-transpose (TT): exact in one sweep at alpha 0 and 1, stable under asymmetric nudging."""

    name = "dp-transpose"
    summary = "dyads, adjoint dual propagation (TT): exact and finite at alpha 0 and 1"
    nudges = ("linearised", "linearised-frozen")

    def hidden(self, activation: Activation) -> Unit:
        """Return a ``DyadUnit`` with adjoint gains."""
        return DyadUnit(activation, self.alpha, adjoint=True)

    def settles_in_one_sweep(self) -> bool:
        """Tell whether alpha is 0 or 1: there the mean is the plain forward pass."""
        return self.alpha in (0.0, 1.0)


@register
class DualPropagation(DyadRule):
    """Plain DP: needs alpha = 1/2 or a small loop gain (see ``rules.theory``)."""

    name = "dp"
    summary = "dyads, plain dual propagation (DP): use alpha 1/2; diverges for strong asymmetry"
    nudges = ("proximal", "linearised", "proximal-frozen", "linearised-frozen")
    settings = MappingProxyType({"alpha": 0.5})
    exact = False

    def hidden(self, activation: Activation) -> Unit:
        """Return a ``DyadUnit`` with plain gains."""
        return DyadUnit(activation, self.alpha, adjoint=False)

    def output(self, loss: Loss, frozen: bool = False) -> Unit:
        """Return a ``ProximalDyad``, or a ``FrozenProximalDyad``."""
        kind = FrozenProximalDyad if frozen else ProximalDyad
        return kind(ACTIVATIONS["linear"], self.alpha, False, loss, self.beta)

    def kinds(self) -> tuple[Unit, ...]:
        """Return the hidden unit and the frozen output, which has more registers."""
        return (*super().kinds(), self.output(LOSSES["squared-error"], True))

    def settles_in_one_sweep(self) -> bool:
        """Return False: the mean answers to the nudge, so the sweeps have to be repeated."""
        return False
