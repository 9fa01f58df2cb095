"""Build a feedforward chain of elements: input, connection, population, ..., head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lava_dyads.errors import invalid
from lava_dyads.rules._types import Array
from lava_dyads.rules.activations import ACTIVATIONS, Activation
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.elements import Connection, Element, Head, Population
from lava_dyads.rules.engine import OUTSIDE, Link, Network
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units import Rule, RuleParameters


@dataclass(frozen=True)
class Timing:
    """How many steps a chain of L connections needs.

    The forward wave reaches population l in step l + 1; a head adds one step; the backward
    wave takes L - 1 more. So the learning sweep has T = 2 L steps with the loss inside the
    output population and 2 L + 1 with a head. One step more certifies: no event in it means
    that the network is at rest. Where one sweep does not reach the fixed point, ``repeats``
    round trips of 2 L steps follow.
    """

    layers: int
    head: bool
    repeats: int = 0

    @property
    def read_step(self) -> int:
        """Step in which the output's forward wave arrives, L + 1."""
        return self.layers + 1

    @property
    def sweep(self) -> int:
        """Steps up and back."""
        return 2 * self.layers + (1 if self.head else 0)

    @property
    def steps(self) -> int:
        """Steps per presentation, with repeats and the certifying one."""
        return self.sweep + self.repeats * 2 * self.layers + 1


REPEATS = 8
"""Round trips given to rules that do not settle in one sweep, by default."""


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
    optimiser: Optimiser | None = None,
    repeats: int | None = None,
    arithmetic: Arithmetic | None = None,
    noise: float = 0.0,
    noise_seed: int = 0,
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
        Send-on-change threshold theta of the activity (theta beta for errors).
    optimiser : Optimiser or None
    repeats : int or None
        Round trips after the first; None: 0 if the rule is finite, else ``REPEATS``.
    noise, noise_seed
        Analog noise of the compartments, see :class:`Population`.

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
    if repeats is None:
        repeats = 0 if rule.finite(parameters) else REPEATS
    depth, beta = len(weights), parameters.beta
    timing = Timing(depth, nudge == "linearised", repeats)
    shared: dict[str, Any] = {"lanes": lanes, "beta": beta, "arithmetic": arithmetic}
    elements: dict[str, Element] = {}
    links: list[Link] = []
    below, below_port = OUTSIDE, "input_in"
    for k in range(1, depth + 1):
        here, connection = f"population_{k}", f"connection_{k}"
        is_output = k == depth
        if is_output and nudge == "proximal":
            unit = rule.output(loss, parameters)
        else:
            activation = ACTIVATIONS["linear"] if is_output else activations[k - 1]
            unit = rule.hidden(activation, parameters)
        elements[connection] = Connection(weights[k - 1], optimiser=optimiser, **shared)
        elements[here] = Population(
            unit,
            biases[k - 1],
            threshold=threshold,
            first_step=k + 1,
            optimiser=optimiser,
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
            loss, len(biases[-1]), threshold=threshold, first_step=timing.read_step, **shared
        )
        links += [
            Link(below, below_port, "head", "mean_in"),
            Link(OUTSIDE, "target_in", "head", "target_in"),
            Link("head", "drive_out", below, "apical_in"),
        ]
    else:
        links.append(Link(OUTSIDE, "target_in", below, "apical_in"))
    links.append(Link(below, below_port, OUTSIDE, "output_out"))
    return Network(elements, links, lanes=lanes, steps=timing.steps, read_step=timing.read_step)
