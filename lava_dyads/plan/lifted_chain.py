"""Build lifted networks: a chain of energy terms, with or without a loss on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lava_dyads.array_types import Array
from lava_dyads.elements import Element, Head, LiftedConnection, Population
from lava_dyads.executors.step import OUTSIDE, Link, Network
from lava_dyads.plan.build import Vertex
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units import Rule, RuleParameters

REPEATS = 20
"""Round trips after the first, by default."""


def lifted_chain(
    vertices: Sequence[Vertex],
    weights: Sequence[Array],
    biases: Sequence[Array],
    *,
    rule: Rule,
    parameters: RuleParameters,
    steps: int,
    lanes: int = 1,
    threshold: float = 0.0,
    error_threshold: float | None = None,
    anneal: float = 0.0,
    optimiser: Optimiser | None = None,
    noise: float = 0.0,
    noise_seed: int = 0,
    **shared: Any,
) -> Network:
    """Build a lifted network of L layers (``rules.units.lifted``).

    Parameters
    ----------
    vertices : sequence of L Vertex
        The layers of a chain, from the first one above the input. The loss of the last one nudges
        it; without one, learning is unsupervised: the weights descend the energy itself, and biases
        stay (an energy that is linear in them has no minimum).
    weights, biases : sequences of L arrays (n_out, n_in), (n_out,)
    rule, parameters
        The rule and its numbers; ``reconstruction`` and ``rate`` among them.
    steps : int
        Steps per presentation; the last one certifies.
    lanes, threshold, error_threshold, anneal, optimiser, noise, noise_seed
        As for ``plan.build.assemble``.
    shared
        ``arithmetic``.

    Returns
    -------
    Network
        Its output is the free activity of the top layer, read in the last step.
    """
    loss = vertices[-1].loss
    shared |= {"lanes": lanes, "beta": parameters.beta}
    errors = threshold if error_threshold is None else error_threshold
    elements: dict[str, Element] = {}
    links: list[Link] = []
    below, port = OUTSIDE, "input_in"
    for k, vertex in enumerate(vertices, 1):
        connection, here = f"connection_{k}", f"population_{k}"
        assert vertex.activation
        hidden = rule.hidden(vertex.activation, parameters)
        unit = rule.read_out(parameters) if vertex.loss else hidden
        elements[connection] = LiftedConnection(
            weights[k - 1],
            reconstruction=parameters.reconstruction,
            above_data=k == 1,
            contrastive=loss is not None,
            op=vertex.weighted,
            optimiser=optimiser,
            **shared,
        )
        # All begin as soon as data arrive: the energy has no wave.
        elements[here] = Population(
            unit,
            biases[k - 1],
            first_step=2,
            optimiser=optimiser if loss else None,
            noise=noise,
            noise_seed=(noise_seed, k),
            threshold=threshold,
            error_threshold=errors,
            anneal=anneal,
            **shared,
        )
        links += [
            Link(below, port, connection, "mean_in"),
            Link(connection, "basal_out", here, "basal_in"),
            Link(here, "compartments_out", connection, "difference_in"),
        ]
        if k > 1:
            links.append(Link(connection, "apical_out", below, "apical_in"))
        below, port = here, "compartments_out"
    if loss:
        elements["head"] = Head(
            loss, len(biases[-1]), first_step=2, threshold=errors, anneal=anneal, **shared
        )
        links += [
            Link(below, "nudged_out", "head", "mean_in"),
            Link(OUTSIDE, "target_in", "head", "target_in"),
            Link("head", "drive_out", below, "apical_in"),
        ]
    links.append(Link(below, "free_out", OUTSIDE, "output_out"))
    return Network(elements, links, lanes=lanes, steps=steps, read_step=steps)
