"""Predictive coding (PC): values relax between what predicts them and what they predict.

Source: PC = Millidge, Tschantz, Buckley, arXiv 2006.04182.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from lava_dyads.array_types import Array, Signal
from lava_dyads.checks import Positive
from lava_dyads.errors import invalid
from lava_dyads.options import Preset
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.units.base import RelaxingRule, State, Unit, register


@dataclass(frozen=True)
class PredictiveUnit(Unit):
    """A prediction from below and a value that relaxes around it.

    In order of execution, with epsilon = v - p the prediction error and u the feedback
    W^T (f' epsilon) of the layer above (PC, scaled by beta)::

        p = f(a)        v <- p + epsilon + eta (u - epsilon)      epsilon of the step before
        up: p           error = f'(a) epsilon

    Predictions and derivatives stay those of the forward pass (PC's fixed prediction
    assumption), since p and not v goes up. At rest epsilon = -beta dl/ds.

    Parameters
    ----------
    activation : Activation
        f.
    eta : float
        Relaxation rate in (0, 1], dimensionless.
    free : bool
        Free predictions: v goes up, so that what a layer predicts moves with its value::

            v <- v + eta (u - (v - p))        v = p where it starts
            up: v                             error = f'(a) (v - p)

        A message takes a step, so p is that of the value below a step ago; the fixed point is
        the published one.
    """

    state: ClassVar[tuple[str, ...]] = ("prediction", "derivative", "value", "begun")
    up: ClassVar[str] = "activity"
    down: ClassVar[str] = "error"

    eta: float = 1.0
    free: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.eta <= 1:
            invalid("PredictiveUnit.eta", "must lie in (0, 1]", self.eta, "1 (exact) or 0.1 (PC)")

    @property
    def instantaneous(self) -> bool:  # type: ignore[override]
        """Return True at eta = 1, where v = p + u."""
        return self.eta == 1.0

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> dict[str, Array]:
        """Return the prediction, and the value moved by one step."""
        numbers, xp = arithmetic, arithmetic.xp
        p, v, begun = state["prediction"], state["value"], state["begun"]
        made = numbers.apply(self.activation, basal)
        # Fixed: the value follows its prediction, while data arrive and the wave passes.
        before = xp.where(begun != 0, v, made) if self.free else v - p + made
        predicted = numbers.held(made, "prediction")
        target = xp.zeros_like(v) if apical is None else apical
        return {
            "prediction": predicted,
            "derivative": numbers.slope(self.activation, basal),
            "value": before + numbers.scale(self.eta, target - (before - predicted)),
            "begun": xp.ones_like(begun),
        }

    def emit(self, state: State, channel: str) -> Array:
        """Return ``activity`` or ``error``."""
        if channel == "activity":
            return state["value" if self.free else "prediction"]
        return state["derivative"] * (state["value"] - state["prediction"])


@register
class PredictiveCoding(RelaxingRule):
    """PC with fixed predictions; ``rate`` is its eta. At 1 it is backpropagation as messages."""

    name = "predictive-coding"
    summary = "predictive coding (PC), fixed predictions: prediction errors relax to backprop's"
    free: ClassVar[bool] = False

    def hidden(self, activation: Activation) -> Unit:
        """Return a :class:`PredictiveUnit`."""
        return PredictiveUnit(activation, self.rate, self.free)

    def read_out(self) -> Unit:
        """Return a linear unit; with fixed predictions its error is given and does not relax."""
        rate = self.rate if self.free else 1.0
        return PredictiveUnit(ACTIVATIONS["linear"], rate, self.free)

    def settles_in_one_sweep(self) -> bool:
        """Tell whether the rate is 1 and predictions are fixed."""
        return self.rate == 1.0 and not self.free


@register
@dataclass(frozen=True, kw_only=True)
class FreePredictiveCoding(PredictiveCoding):
    """PC with free predictions: gradients differ from backprop's by O(beta).

    For smooth activations: at a kink of relu the error of a prediction jumps with f', pushes its
    drive over the kink and back, and the values never rest.
    """

    name = "predictive-coding-free"
    summary = "predictive coding (PC), free predictions: differs from backprop by the nudge"
    activations = ("tanh", "linear")
    settings = MappingProxyType({"activations": "tanh", "repeats": 16})
    unsupported = MappingProxyType(
        {
            "loihi2": "its activities fall below 0, and no trace on the chip can. "
            "Try: --rule predictive-coding"
        }
    )
    exact = False
    free = True

    beta: Positive = Preset(0.01)
