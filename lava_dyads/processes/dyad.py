"""Populations: the dyad, and one Process for every other neuron rule."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.checks import Count, NotNegative, Size, checked, real_array
from lava_dyads.elements import Population
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid
from lava_dyads.lava_types import InPort, Member, OutPort, Var
from lava_dyads.processes.base import ElementProcess, shared
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.activations import activation as activation_by_name
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.units import RULES, Rule, Unit
from lava_dyads.rules.units import rule as rule_by_name
from lava_dyads.rules.units.dyad import DyadUnit


class PopulationProcess(ElementProcess):
    """A population of any unit; ``Dyad`` is the one for dyads.

    Parameters
    ----------
    element : Population
    schedule : PresentationSchedule or None
    name : str or None
    """

    basal: Member[Var]
    apical: Member[Var]
    bias: Member[Var]
    residual: Member[Var]
    bias_accumulator: Member[Var]
    bias_state: Member[Var]
    bias_updates: Member[Var]
    basal_in: Member[InPort]
    apical_in: Member[InPort]

    unit_class: ClassVar[type[Unit]]
    prototype: ClassVar[Unit]

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Population:
        """Return the smallest element of this kind, from which the ProcessModel is made."""
        return Population(cls.prototype, np.zeros(1), arithmetic=arithmetic)


class Dyad(PopulationProcess):
    """A population of dyads; ``shape=(1,)`` is one neuron.

    In every step, in this order::

        basal  <- basal + basal_in         apical <- apical + apical_in      (changes)
        a = basal + bias                   u = apical
        s_plus  = f(a + g_plus u)          s_minus = f(a - g_minus u)
        mean = alpha s_plus + (1 - alpha) s_minus       difference = s_plus - s_minus
        mean_out, difference_out, plus_out, minus_out <- changes since last sent

    with (g_plus, g_minus) = (1 - alpha, alpha) for ``dp-transpose`` and (alpha, 1 - alpha) for
    ``dp``. In the last step of a learning presentation the bias learns from the difference that
    was sent: gradient = -(1/beta) mean(difference).

    Ports, all (n,) or (lanes, n), graded: ``basal_in``, ``apical_in``; ``mean_out``,
    ``difference_out``, and the raw compartments ``plus_out``, ``minus_out``, which cost nothing
    while unconnected. Vars: ``s_plus``, ``s_minus``, ``basal``, ``apical``, ``bias``,
    ``sent_*`` (what receivers hold), ``residual`` (change in the certifying step: this
    presentation, largest so far), ``counts``, and the bias's ``bias_accumulator``,
    ``bias_state``, ``bias_updates``; ``learn`` (1: nudged and learning, 0: evaluation, 2: nudged
    without learning).

    Parameters
    ----------
    shape : tuple
        (n,).
    activation : str
        f: relu, hard-sigmoid, tanh or linear.
    rule : str or Rule
        ``dp-transpose`` or ``dp``, or one of them with its alpha, the share of s_plus in the mean,
        and beta, the nudge strength per sample: ``DualPropagation(alpha=0.5)``.
    bias : array-like
        (n,) or a number; (n / sharing,) where neurons share it.
    lanes : int
        Samples side by side; they share nothing but the bias.
    threshold : float
        Send-on-change threshold of the mean; beta times it for the difference.
    first_step : int
        First step of a presentation in which it may speak.
    sharing : int
        Neurons that share an entry of the bias: the pixels of a channel.
    optimiser : Optimiser or None
        None: the bias is constant.
    schedule : PresentationSchedule or None
        When presentations start and end; None: one endless presentation.
    name : str or None

    Raises
    ------
    ValidationError
        If a parameter is out of range.

    Examples
    --------
    >>> from lava_dyads import DualPropagation
    >>> dyad = Dyad((2,), rule=DualPropagation(alpha=0.5), bias=[0.1, -0.1])
    >>> dyad.basal_in.shape, dyad.read("bias")
    ((2,), array([ 0.1, -0.1]))

    References
    ----------
    DP and TT, inference of the two compartments; see docs/equations.md.
    """

    s_plus: Member[Var]
    s_minus: Member[Var]
    sent_mean: Member[Var]
    sent_difference: Member[Var]
    sent_plus: Member[Var]
    sent_minus: Member[Var]
    mean_out: Member[OutPort]
    difference_out: Member[OutPort]
    plus_out: Member[OutPort]
    minus_out: Member[OutPort]

    unit_class = DyadUnit
    prototype = DyadUnit(ACTIVATIONS["relu"], 1.0, True)

    @checked
    def __init__(
        self,
        shape: tuple[Size, ...] = (1,),
        *,
        activation: str = "relu",
        rule: str | Rule = "dp-transpose",
        bias: ArrayLike = 0.0,
        lanes: Size = 1,
        threshold: NotNegative = 0.0,
        first_step: Count = 1,
        sharing: Count = 1,
        optimiser: Optimiser | None = None,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Population | None = None,
    ) -> None:
        if element is None:
            if len(shape) != 1:
                invalid("Dyad.shape", "must be (n,) with n at least 1", shape, "(1,)")
            chosen = rule_by_name(rule)
            if not isinstance(chosen.kinds()[0], DyadUnit):
                dyads = [r.name for r in RULES.values() if isinstance(r.kinds()[0], DyadUnit)]
                invalid("Dyad.rule", f"must be one of {', '.join(dyads)}", chosen.name)
            if shape[0] % sharing:
                invalid("Dyad.sharing", f"must divide n = {shape[0]}", sharing)
            value, wanted = real_array(bias, "Dyad.bias"), (shape[0] // sharing,)
            if value.shape not in ((), wanted):
                invalid("Dyad.bias", f"must be a number or have shape {wanted}", value.shape)
            unit = chosen.hidden(activation_by_name(activation))
            element = Population(
                unit,
                value if value.shape else np.full(wanted, value),
                lanes=lanes,
                beta=chosen.beta,
                thresholds=Thresholds(threshold),
                first_step=first_step,
                sharing=sharing,
                optimiser=optimiser,
                place=shared,
            )
        super().__init__(element, schedule=schedule, name=name)


def _other_populations() -> dict[type[Unit], type[PopulationProcess]]:
    """Make a Process class for every unit of the registry with registers or channels of its own."""
    classes: dict[type[Unit], type[PopulationProcess]] = {DyadUnit: Dyad}
    for rule, unit in ((r, unit) for r in RULES.values() for unit in r.kinds()):
        if not any(isinstance(unit, cls) and _names(unit) == _names(cls) for cls in classes):
            members: dict[str, Any] = {
                "unit_class": type(unit),
                "prototype": unit,
                "__doc__": f"A population of the rule {rule.name}.\n\n{type(unit).__doc__}",
                "__module__": __name__,
            }
            classes[type(unit)] = type(unit.process_name, (PopulationProcess,), members)
    return classes


def _names(unit: Unit | type[Unit]) -> tuple[object, ...]:
    """Return the names of registers and channels."""
    return unit.state, unit.up, unit.down, unit.extra


POPULATIONS = _other_populations()
"""Process class of every unit class; a new rule gets its own here without an edit."""


def population_process(unit: Unit) -> type[PopulationProcess]:
    """Return the Process class for a unit."""
    return next(POPULATIONS[cls] for cls in type(unit).__mro__ if cls in POPULATIONS)
