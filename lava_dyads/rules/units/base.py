"""What a neuron rule has to say about itself.

A *unit* holds no state of its own: it says what the registers of a population become
(:meth:`Unit.next_state`) and what they tell (:meth:`Unit.emit`), so the same unit serves one
neuron, a layer and a fused network, in numpy and in other array libraries. One file per rule; see
CONTRIBUTING.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np

from lava_dyads.array_types import Array, Signal
from lava_dyads.checks import Positive, check_fields
from lava_dyads.kinds import Limit
from lava_dyads.options import Preset
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.namespaces import Namespace
from lava_dyads.rules.ops import Op

State = Mapping[str, Array]
Changes = Mapping[str, Array]
"""By how much channels have changed, by name."""


@dataclass(frozen=True)
class Unit(ABC):
    """One neuron rule with its parameters.

    Signs: the feedback that reaches a unit is -beta dl/ds, and its ``down`` channel carries
    -beta dl/da, whatever the rule. So every rule learns by the same product,
    dw = (eta / beta) mean(down_post up_pre).

    Attributes
    ----------
    state : tuple of str
        Registers of shape (lanes, n) that a population keeps for the unit.
    up, down : str
        Channel that carries activity forward and channel that carries the error backward.
    extra : tuple of str
        Further channels, computed only where somebody listens.
    instantaneous : bool
        True where the state is a function of the present inputs; False where it relaxes or
        spikes and needs further steps without new messages.
    spiking : bool
        True where channels count spikes: then there is no rest that could be certified.
    baseline : float
        What the ``up`` channel carries beyond the activity it stands for.
    phased : bool
        True where the error may begin only after the forward pass is over, since the unit keeps
        what it was: ``settle`` then begins with a free phase; in steps, time sees to it.
    blocks : mapping of str to int
        How many blocks of n numbers make a message on ``basal``, ``apical`` or a channel, where it
        is not one.
    mutual : bool
        True where what comes from above shapes the activity also in a free phase.
    share : float
        Share of the way to where it is going that a step moves its registers, in (0, 1].
    """

    state: ClassVar[tuple[str, ...]]
    up: ClassVar[str]
    down: ClassVar[str]
    extra: ClassVar[tuple[str, ...]] = ()
    instantaneous: ClassVar[bool] = True
    spiking: ClassVar[bool] = False
    baseline: ClassVar[float] = 0.0
    phased: ClassVar[bool] = False
    blocks: ClassVar[Mapping[str, int]] = {}
    mutual: ClassVar[bool] = False
    share: ClassVar[float] = 1.0

    activation: Activation

    @property
    def learning_input(self) -> str:
        """Channel of the activity that the synapses above learn from, and the head reads: up."""
        return self.up

    @property
    def learning_error(self) -> str:
        """Channel of the error that the synapses below and the bias learn from: down."""
        return self.down

    @property
    def separable(self) -> bool:
        """Tell whether each neuron can be computed without its neighbours."""
        return True

    @property
    def process_name(self) -> str:
        """Name of the Lava Process class for populations of this unit."""
        return f"{type(self).__name__.removesuffix('Unit')}Population"

    @property
    def impulses(self) -> tuple[str, ...]:
        """Which of ``basal`` and ``apical`` act once, when they arrive; the others are held."""
        return ()

    def begin(self, state: State) -> None:  # noqa: B027 (most begin at 0)
        """Set the registers, which are 0, for the first step of a presentation."""

    def drive(self, state: State, basal: Array, bias: Array) -> Array:
        """Return the basal drive of a step, from what has arrived and the bias (n,): their sum."""
        return basal + bias

    def least(self, channel: str) -> float:
        """Return the change of a channel above which it is sent, whatever the threshold: 0."""
        return 0.0

    def spikes(self, state: State) -> float:
        """Return the number of spikes that all compartments have sent; 0 for graded units."""
        return 0.0

    def saturated(self, state: State) -> Array:
        """Return a mask of compartments with more spikes to send than there were steps."""
        return np.zeros((0, 0), bool)

    def next_state(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> Mapping[str, Array]:
        """Return the next values of the registers; nothing that is given changes.

        The equations of the unit, once for every executor and array library: of arrays and a number
        system, whose ``xp`` is the namespace they live in. What a sweep needs; a unit that needs
        more steps may write its registers in :meth:`step` instead.

        Parameters
        ----------
        state : mapping of str to array, shape (lanes, n)
        basal : array, shape (lanes, n)
            What :meth:`drive` returned, a.
        apical : array or None
            Feedback from above, u = -beta dl/ds; None in a free phase (nothing is nudged).
        arithmetic : Arithmetic
            The number system.
        """
        raise NotImplementedError(f"{type(self).__name__}.next_state")

    def step(
        self, state: State, basal: Array, apical: Signal, arithmetic: Arithmetic
    ) -> Changes | None:
        """Update the state in place, by :meth:`next_state`; parameters are those.

        Returns
        -------
        changes : mapping of str to array, or None
            What a unit that spikes knows of its channels' changes; all others are compared with
            what was sent.
        """
        for name, value in self.next_state(state, basal, apical, arithmetic).items():
            arithmetic.store(state[name], value, name)
        return None

    def perturb(self, state: State, basal: Array, apical: Array, arithmetic: Arithmetic) -> None:
        """Do what :meth:`step` does, given that the last step had this basal drive, none apical."""
        self.step(state, basal, apical, arithmetic)

    @abstractmethod
    def emit(self, state: State, channel: str) -> Array:
        """Return the value of one channel, shape (lanes, n)."""

    def bias_error(self, sent: Array) -> Array:
        """Return the error that a bias learns from, (lanes, n), given what ``down`` has sent."""
        return sent

    def straddling(self, state: State, xp: Namespace = np) -> Array | None:
        """Return True where compartments lie on two sides of a kink, None if there are none."""
        return None


Rate = Annotated[float, Limit("must lie in (0, 1]", "1", lambda v: 0 < v <= 1)]


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A learning rule: which units it puts where, what it promises, and its options.

    Options are the fields of the dataclass. One that a rule adds is taken by ``NetworkSpec`` and
    the command line, shown by ``lava-dyads info`` and kept in files, without an edit elsewhere.

    Parameters
    ----------
    beta : float
        Nudge strength per sample, > 0, dimensionless; by default less in networks of more than
        eight layers.

    Attributes
    ----------
    name : str
        Name in specifications and on the command line.
    summary : str
        One line for ``lava-dyads info`` and the docs.
    nudges : tuple of str
        Output nudges it supports, its default first, see ``rules.nudges``.
    losses : tuple of str
        Losses it supports, its default first.
    activations : tuple of str
        Activations of hidden layers it supports; empty: all.
    baseline : bool
        Whether it is what the others are compared with: backprop, without neurons of its own.
    spiking : bool
        Whether its units count spikes over a window instead of settling.
    lifted : bool
        Whether activities minimise an energy (``networks.lifted_chain`` builds the network).
    settings : mapping
        Its options, and fields of ``NetworkSpec`` and ``TrainingConfig``, with which it trains
        well, where the defaults are not these.
    exact : bool
        Whether it is backprop on piecewise linear networks, where no unit straddles a kink.
    min_cosine : float
        Cosine to backprop that small networks and a small beta reach; -1: none is promised.
    unsupported : mapping of str to str
        Why it does not run at a granularity, with a clock or a number system, by that name.

    Raises
    ------
    ValidationError
        If an option is out of range.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    nudges: ClassVar[tuple[str, ...]] = ("linearised",)
    losses: ClassVar[tuple[str, ...]] = (
        "cross-entropy", "squared-error", "binary-cross-entropy", "huber"
    )  # fmt: skip
    activations: ClassVar[tuple[str, ...]] = ()
    baseline: ClassVar[bool] = False
    spiking: ClassVar[bool] = False
    lifted: ClassVar[bool] = False
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    exact: ClassVar[bool] = True
    min_cosine: ClassVar[float] = 0.99
    unsupported: ClassVar[Mapping[str, str]] = MappingProxyType({})

    beta: Positive = Preset(0.1)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def counted_steps(self) -> int:
        """Steps over which a presentation counts spikes; 0: nothing is counted."""
        return 0

    @abstractmethod
    def hidden(self, activation: Activation) -> Unit:
        """Return the unit of a hidden layer."""

    def feeding(self, activation: Activation, weights: Sequence[tuple[Op, Array]]) -> Unit:
        """Return the unit of a hidden layer that feeds these weights: by default as any."""
        return self.hidden(activation)

    def read_out(self) -> Unit:
        """Return the linear output unit under a head, whose drive is its apical input."""
        return self.hidden(ACTIVATIONS["linear"])

    def output(self, loss: Loss, frozen: bool = False) -> Unit:
        """Return the output unit with the loss inside; its apical input is the target.

        ``frozen``: it looks at the loss once, at the forward pass.
        """
        raise NotImplementedError(f"{self.name} has no output unit with the loss inside")

    def kinds(self) -> tuple[Unit, ...]:
        """Return one unit of each kind it uses, as far as their registers or channels differ."""
        return (self.hidden(ACTIVATIONS["relu"]),)

    def above_input(self, unit: Unit) -> Unit:
        """Return the unit of the first layer, whose basal input is data: by default the same."""
        return unit

    @abstractmethod
    def settles_in_one_sweep(self) -> bool:
        """Tell whether one sweep up and one down reach the fixed point exactly."""


@dataclass(frozen=True)
class RelaxingRule(Rule):
    """A rule whose errors or activities relax.

    Parameters
    ----------
    rate : float
        Share of the way that a step goes, in (0, 1], dimensionless.
    """

    rate: Rate = 1.0

    def settles_in_one_sweep(self) -> bool:
        """Tell whether the rate is 1."""
        return self.rate == 1.0


RULES: dict[str, Rule] = {}
"""Every rule by name, at its defaults; each file of ``rules/units`` enters its own."""

BASELINES: dict[str, Rule] = {}
"""What rules are compared with, behind the same ports, by name."""


R = TypeVar("R", bound=Rule)


def register(chosen: type[R]) -> type[R]:
    """Enter a rule into ``RULES``, or into ``BASELINES`` (class decorator)."""
    (BASELINES if chosen.baseline else RULES)[chosen.name] = chosen()
    return chosen
