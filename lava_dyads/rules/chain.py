"""Build a feedforward chain of elements: input, connection, population, ..., head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lava_dyads.errors import invalid
from lava_dyads.rules._types import Array
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.arithmetic import Arithmetic, Float
from lava_dyads.rules.elements import Connection, Element, Head, Population
from lava_dyads.rules.engine import OUTSIDE, Link, Network
from lava_dyads.rules.feedback import TIED, Feedback
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.ops import Op
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.sweep import SweptNetwork
from lava_dyads.rules.units import Rule, RuleParameters


@dataclass(frozen=True)
class Timing:
    """How many steps a chain of L connections needs.

    The forward wave reaches population l in step l + 1; a head adds one step; the backward
    wave takes L - 1 more. So the learning sweep has T = 2 L steps with the loss inside the
    output population and 2 L + 1 with a head. One step more certifies: no event in it means
    that the network is at rest. Where one sweep does not reach the fixed point, ``repeats``
    round trips of 2 L steps follow.

    In networks that count spikes, each population starts with its wave, too, and the output
    counts for ``window`` steps: T + L in all. Started together, every layer would lack the first
    spikes of the one below, which for short windows is the largest error (additive, O(1 / T)).
    """

    layers: int
    head: bool
    repeats: int = 0
    window: int = 0

    @property
    def read_step(self) -> int:
        """Step in which the output can be read: its forward wave arrives in L + 1."""
        return self.steps if self.window else self.layers + 1

    @property
    def sweep(self) -> int:
        """Steps up and back."""
        return 2 * self.layers + (1 if self.head else 0)

    @property
    def steps(self) -> int:
        """Steps per presentation, with repeats and the certifying one."""
        if self.window:
            return self.window + self.layers
        return self.sweep + self.repeats * 2 * self.layers + 1


REPEATS = 8
"""Round trips given to rules that do not settle in one sweep, by default."""

PATIENCE = 20.0
"""Time constants of an annealed threshold in a presentation, by default: exp(-20) is 2e-9."""


def default_repeats(rule: Rule, parameters: RuleParameters, layers: int, anneal: float) -> int:
    """Return the round trips of 2 L steps that follow the first sweep."""
    if anneal:
        return math.ceil(PATIENCE * anneal / (2 * layers))
    return 0 if rule.finite(parameters) else REPEATS


def chain(
    weights: list[Array],
    biases: list[Array],
    *,
    rule: Rule,
    parameters: RuleParameters,
    activations: list[Activation],
    loss: Loss,
    nudge: str = "linearised",
    lanes: int = 1,
    threshold: float = 0.0,
    error_threshold: float | None = None,
    anneal: float = 0.0,
    optimiser: Optimiser | None = None,
    repeats: int | None = None,
    arithmetic: Arithmetic | None = None,
    noise: float = 0.0,
    noise_seed: int = 0,
    feedback: Feedback = TIED,
    feedback_weights: Sequence[Array | None] = (),
    ops: Sequence[Op] = (),
    swept: bool = False,
) -> Network:
    """Build a network of L connections and L populations.

    Parameters
    ----------
    weights : list of L arrays (n_out, n_in)
    biases : list of L arrays (n_out,)
    rule, parameters
        The neuron rule and its numbers.
    activations : list of L - 1 activations
        Of the hidden layers; the output is linear.
    loss : Loss
    nudge : str
        ``linearised`` (a head) or ``proximal`` (the loss inside the output unit).
    lanes : int
        Samples side by side.
    threshold : float
        Send-on-change threshold theta of the activity.
    error_threshold : float or None
        Of errors, in units of beta; None: theta.
    anneal : float
        Time constant, in steps, with which theta falls; 0: it stays.
    optimiser : Optimiser or None
        Its ``decay`` applies where W and B learn as a pair, and nowhere else.
    repeats : int or None
        Round trips after the first; None: those of :func:`default_repeats`.
    arithmetic : Arithmetic or None
        Number system; None: float64.
    noise, noise_seed
        Analog noise of the compartments, see :class:`Population`.
    feedback : Feedback
        Kind of feedback weights.
    feedback_weights : sequence of L arrays (n_out, n_in)
        Where it is separate; the first, above the input, stands for nothing.
    ops : sequence of L Op, or empty
        Kinds of the connections; empty: dense.
    swept : bool
        Show presentations by one sweep up and one down, :class:`SweptNetwork`, where that is all
        the rule needs.

    Returns
    -------
    Network

    Raises
    ------
    ValidationError
        If shapes do not fit or the rule does not support the nudge.
    """
    if nudge not in rule.nudges:
        invalid("nudge", f"{rule.name} supports {', '.join(rule.nudges)}", nudge)
    if loss.name not in rule.losses:
        invalid("loss", f"{rule.name} supports {', '.join(rule.losses)}", loss.name)
    depth, beta = len(weights), parameters.beta
    there = [w is not None for w in feedback_weights]
    if feedback.separate and (len(there) != depth or not all(there[1:])):
        limit = f"{feedback.name} needs one per layer, {depth}, the first of no account"
        invalid("feedback_weights", limit, there)
    if repeats is None:
        repeats = default_repeats(rule, parameters, depth, anneal)
    window = parameters.window if rule.spiking else 0
    timing = Timing(depth, nudge == "linearised", repeats, window)
    arithmetic = arithmetic or Float()
    shared: dict[str, Any] = {"lanes": lanes, "beta": beta}
    error_threshold = threshold if error_threshold is None else error_threshold
    undecayed = replace(optimiser, decay=0.0) if optimiser else None
    elements: dict[str, Element] = {}
    links: list[Link] = []
    below, below_port = OUTSIDE, "input_in"
    for k in range(1, depth + 1):
        here, connection = f"population_{k}", f"connection_{k}"
        shared["arithmetic"] = arithmetic.at(k, depth)
        is_output = k == depth
        if is_output and nudge == "proximal":
            unit = rule.output(loss, parameters)
        elif is_output:
            unit = rule.read_out(parameters)
        else:
            unit = rule.hidden(activations[k - 1], parameters)
        if k == 1:
            unit = rule.above_input(unit)
        elements[connection] = Connection(
            weights[k - 1],
            op=ops[k - 1] if ops else None,
            optimiser=optimiser if feedback.learns and k > 1 else undecayed,
            feedback=feedback_weights[k - 1] if feedback.separate and k > 1 else None,
            feedback_learns=feedback.learns,
            **shared,
        )
        elements[here] = Population(
            unit,
            biases[k - 1],
            first_step=k + 1,
            optimiser=optimiser,
            threshold=threshold,
            error_threshold=error_threshold,
            anneal=anneal,
            noise=noise,
            noise_seed=(noise_seed, k),
            **shared,
        )
        links += [
            Link(below, below_port, connection, "mean_in"),
            Link(connection, "basal_out", here, "basal_in"),
            Link(here, f"{unit.down}_out", connection, "difference_in"),
        ]
        if k > 1:
            links.append(Link(connection, "apical_out", below, "apical_in"))
        below, below_port = here, f"{unit.up}_out"
    if timing.head:
        elements["head"] = Head(
            loss,
            len(biases[-1]),
            first_step=timing.read_step,
            threshold=error_threshold,
            anneal=anneal,
            **shared,
        )
        links += [
            Link(below, below_port, "head", "mean_in"),
            Link(OUTSIDE, "target_in", "head", "target_in"),
            Link("head", "drive_out", below, "apical_in"),
        ]
    else:
        links.append(Link(OUTSIDE, "target_in", below, "apical_in"))
    links.append(Link(below, below_port, OUTSIDE, "output_out"))
    swept = (
        swept
        and rule.finite(parameters)
        and timing.head
        and isinstance(arithmetic, Float)
        and not (repeats or anneal or noise or feedback.separate)
        and all(op.mask is None for op in ops)
    )
    kind = SweptNetwork if swept else Network
    return kind(elements, links, lanes=lanes, steps=timing.steps, read_step=timing.read_step)
