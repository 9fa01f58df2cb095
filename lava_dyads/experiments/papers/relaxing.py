"""What the studies of relaxing errors share: a forward pass, then parallel steps that are noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import comb

from lava_dyads.array_types import Array
from lava_dyads.elements import Population
from lava_dyads.executors.backprop import backpropagate
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.activations import activation
from lava_dyads.rules.losses import loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANES = 8
_LEAST = 1e-12
"""Errors below it are drawn there: the axis is logarithmic."""


def closed_form(rate: float, below: int, steps: int) -> Array:
    """Return sum_{i<j} C(t, i) eta^i (1 - eta)^(t - i) for t = 0 .. steps, j = ``below``."""
    t = np.arange(steps + 1)[:, None]
    i = np.arange(below)[None]
    remaining = np.where(t >= i, (1.0 - rate) ** np.maximum(t - i, 0), 0.0)
    return np.asarray(np.sum(comb(t, i) * rate**i * remaining, axis=1))


def relaxing_errors(
    spec: NetworkSpec, steps: int, error: Callable[[Population], Array], output_moves: bool = False
) -> list[Array]:
    """Return ||error - (-beta dl/dz)|| / ||beta dl/dz|| per hidden layer, after 0 .. steps.

    In order: the forward pass, the nudge of the output, then ``steps`` steps in which all hidden
    layers (and, if ``output_moves``, the output) update in parallel.

    Parameters
    ----------
    spec : NetworkSpec
        Its seed draws the samples, too.
    steps : int
    error : callable
        What of a population is to become -beta dl/dz.
    output_moves : bool
    """
    network = spec.build(lanes=LANES)
    assert isinstance(network, Network)
    generator = np.random.default_rng((spec.seed, 1))
    x = generator.normal(size=(LANES, spec.layers[0]))
    y = generator.normal(size=(LANES, spec.layers[-1]))
    weights, biases = spec.initial_parameters()
    hidden = [activation(name) for name in spec.activations]
    run = backpropagate(x, y, weights, biases, hidden, loss(spec.loss))
    wanted = [-spec.rule.beta * run.errors[k + 1] @ weights[k + 1] for k in range(len(hidden))]
    names = list(network.populations)
    made: list[list[Array]] = []

    def schedule(network: Network) -> Iterator[list[str]]:
        yield []  # data take a step to arrive
        yield from ([name] for name in names)
        yield names[-1:]  # a head needs a step to answer
        while True:
            made.append([error(network.populations[name]).copy() for name in names[:-1]])
            yield names if output_moves else names[:-1]

    network.settle(x, y, schedule=schedule, max_steps=len(names) + 2 + steps + 1, tolerance=0.0)
    while len(made) <= steps:  # it has come to rest
        made.append(made[-1])
    return [
        np.array([np.linalg.norm(m[k] - wanted[k]) for m in made[: steps + 1]])
        / np.linalg.norm(wanted[k])
        for k in range(len(hidden))
    ]


def draw_layers(axes: Axes, curves: list[dict[str, Any]], rate: float) -> None:
    """Draw the errors of every layer at one rate over the iterations, and their closed form."""
    from matplotlib import colormaps

    deepest = max(c["below_output"] for c in curves)
    for c in curves:
        below, steps = c["below_output"], np.arange(len(c["error"]))
        colour = colormaps["viridis"]((below - 1) / deepest)
        law, apart = closed_form(rate, below, len(steps) - 1), max(1, len(steps) // 20)
        draw_errors(axes, c["error"], colour, f"{below} below the output")
        shown = np.maximum(law[::apart], _LEAST)
        axes.plot(steps[::apart], shown, "o", ms=3, mfc="none", color=colour)


def draw_errors(axes: Axes, errors: list[float], colour: Any, label: str) -> None:
    """Draw the errors of a layer over the iterations."""
    axes.plot(np.maximum(errors, _LEAST), color=colour, label=label)


def finish_axes(*panels: Axes) -> None:
    """Give all panels the same look."""
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(1e-8, 2)
        axes.set_xlabel("iterations")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("relative error of dl/dz")
