"""Build lifted networks: a chain of energy terms, with or without a loss on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lava_dyads.array_types import Array
from lava_dyads.elements import Element, Head, LiftedConnection, Population
from lava_dyads.executors.step import Network
from lava_dyads.plan.plan import OUTSIDE, Link, Settings
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units.lifted import Lifted

REPEATS = 20
"""Round trips after the first, by default."""


def lifted_chain(
    vertices: Sequence[Vertex],
    weights: Sequence[Array],
    biases: Sequence[Array],
    settings: Settings,
    steps: int,
    *,
    optimiser: Optimiser | None = None,
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
    settings : Settings
    steps : int
        Steps per presentation; the last one certifies.
    optimiser : Optimiser or None
    shared
        ``lanes`` and ``arithmetic``.

    Returns
    -------
    Network
        Its output is the free activity of the top layer, read in the last step.
    """
    loss = vertices[-1].loss
    rule = settings.rule
    assert isinstance(rule, Lifted)
    shared |= {"beta": rule.beta}
    elements: dict[str, Element] = {}
    links: list[Link] = []
    below, port = OUTSIDE, "input_in"
    for k, vertex in enumerate(vertices, 1):
        connection, here = f"connection_{k}", f"population_{k}"
        assert vertex.activation
        hidden = rule.hidden(vertex.activation)
        unit = rule.read_out() if vertex.loss else hidden
        elements[connection] = LiftedConnection(
            weights[k - 1],
            reconstruction=rule.reconstruction,
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
            noise=settings.noise.part(k),
            thresholds=settings.thresholds,
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
        coded: dict[str, Any] = {
            "threshold": settings.thresholds.of_errors,
            "anneal": settings.thresholds.anneal,
        }
        elements["head"] = Head(loss, len(biases[-1]), first_step=2, **coded, **shared)
        links += [
            Link(below, "nudged_out", "head", "mean_in"),
            Link(OUTSIDE, "target_in", "head", "target_in"),
            Link("head", "drive_out", below, "apical_in"),
        ]
    links.append(Link(below, "free_out", OUTSIDE, "output_out"))
    return Network(elements, links, lanes=shared.get("lanes", 1), steps=steps, read_step=steps)
