"""Rate dyads that send graded events on change, in Brian2, with an annealed threshold.

A second twin of the rate networks, whose code is graded events instead of spikes. No code is
shared with ``lava_dyads.rules``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.errors import invalid
from lava_dyads.spiking import Array
from lava_dyads.spiking.targets import as_array, generating, import_brian2

if TYPE_CHECKING:
    from brian2 import NeuronGroup, Synapses

_COMPARTMENTS = """
plus = basal + gain_plus * apical
minus = basal - gain_minus * apical
"""
_RELU = "plus *= int(plus > 0)\nminus *= int(minus > 0)\n"
_TELL = "mean = alpha * plus + (1 - alpha) * minus\ndifference = plus - minus"
_NUDGE = "apical = beta * (goal - mean)\n"
_UP = "basal_post += w * (mean_pre - told_mean_pre)"
_DOWN = "apical_pre += w * (difference_post - told_difference_post)"


@dataclass(frozen=True)
class GradedRun:
    """What the synapses hold at the end; entry k - 1 of every tuple belongs to layer k.

    Attributes
    ----------
    weight_gradients, bias_gradients : tuple of arrays, (samples, n_k, n_{k-1}), (samples, n_k)
        Estimates of the gradient of 1/2 |s_L - y|^2, of each sample.
    events : int
        Graded events sent, up and down, over all samples.
    """

    weight_gradients: tuple[Array, ...]
    bias_gradients: tuple[Array, ...]
    events: int


def simulate_graded(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    x: ArrayLike,
    y: ArrayLike,
    *,
    alpha: float,
    beta: float,
    threshold: float = 0.1,
    anneal: float = 50.0,
    steps: int = 1000,
    target: str = "numpy",
) -> GradedRun:
    """Run relu dyads with a linear read-out for some steps of 1 ms.

    In every step t (from 0), in this order, with theta = threshold exp(-t / anneal)::

        s+ = f(a + (1 - alpha) u)       s- = f(a - alpha u)    output: u = beta (y - mean), f linear
        mean = alpha s+ + (1 - alpha) s-               difference = s+ - s-
        where |mean - told| > theta:             a += W (mean - told) above, told = mean
        where |difference - told| > theta beta:  u += W^T (difference - told) below, told = ...

    Parameters
    ----------
    weights, biases : sequences of arrays, shape (n_k, n_{k-1}) and (n_k,)
    x, y : arrays, shape (samples, n_0) and (samples, n_L)
    alpha, beta : float
        Share of s+ in the mean, in [0, 1]; nudge strength per sample, 0 < beta < 1.
    threshold, anneal : float
        First threshold and the time constant with which it falls, in ms; both > 0.
    steps : int
        In ms, >= 1.
    target : str
        Code generation of Brian2.

    Returns
    -------
    GradedRun

    Raises
    ------
    ValidationError
        If an argument is out of range.
    UnsupportedError
        If Brian2, or the compiler that the target needs, is not installed.
    """
    w = [as_array(f"weights[{k}]", value) for k, value in enumerate(weights)]
    b = [as_array(f"biases[{k}]", value) for k, value in enumerate(biases)]
    inputs, targets = as_array("x", x), as_array("y", y)
    if not 0 <= alpha <= 1:
        invalid("alpha", "must lie in [0, 1]", alpha, "0, 0.5 or 1")
    if not 0 < beta < 1:
        invalid("beta", "must lie in (0, 1): the output compares itself with y", beta, "0.25")
    for what, value in (("threshold", threshold), ("anneal", anneal), ("steps", steps)):
        if not value > 0:
            invalid(what, "must be positive", value)
    brian2 = import_brian2()
    constants = {"alpha": alpha, "gain_plus": 1 - alpha, "gain_minus": alpha, "beta": beta}
    constants |= {"theta": threshold, "tau": anneal}
    with generating(brian2, target) as build:
        clock = brian2.Clock(dt=brian2.ms)
        layers = [_layer(brian2, clock, constants, len(inputs), bias) for bias in b]
        layers[0].basal = layers[0].basal[:] + (inputs @ w[0].T).ravel()
        layers[-1].goal = targets.ravel()
        for k, layer in enumerate(layers):
            hidden = k + 1 < len(layers)
            code = _COMPARTMENTS + _RELU if hidden else _NUDGE + _COMPARTMENTS
            layer.run_regularly(code + _TELL, when="start")
        synapses = [
            _connection(brian2, clock, len(inputs), *ends)
            for ends in zip(layers[:-1], layers[1:], w[1:], strict=True)
        ]
        brian2.Network(layers, synapses).run(steps * clock.dt, namespace={})
        build()
        told = [
            [getattr(layer, name)[:].reshape(len(inputs), -1) for name in _TOLD] for layer in layers
        ]
        events = int(sum(layer.sent[:].sum() for layer in layers))
    below = [inputs, *(mean for mean, _ in told[:-1])]
    errors = [-difference / beta for _, difference in told]
    products = [e[:, :, None] * z[:, None, :] for e, z in zip(errors, below, strict=True)]
    return GradedRun(tuple(products), tuple(errors), events)


_TOLD = ("told_mean", "told_difference")


def _layer(
    brian2: ModuleType, clock: object, constants: dict[str, float], samples: int, bias: Array
) -> NeuronGroup:
    names = ("basal", "apical", "goal", "plus", "minus", "mean", "difference", "sent", *_TOLD)
    left = "exp(-t_in_timesteps / tau)"
    group = brian2.NeuronGroup(
        samples * len(bias),
        "\n".join(f"{name} : 1" for name in names),
        events={
            "up": f"abs(mean - told_mean) > theta * {left}",
            "down": f"abs(difference - told_difference) > beta * theta * {left}",
        },
        namespace=constants,
        clock=clock,
    )
    group.basal = np.tile(bias, samples)
    for event, name in (("up", "mean"), ("down", "difference")):
        # After the synapses: they carry the change.
        group.run_on_event(event, f"told_{name} = {name}\nsent += 1", when="after_synapses")
    return group


def _connection(
    brian2: ModuleType,
    clock: object,
    samples: int,
    lower: NeuronGroup,
    upper: NeuronGroup,
    weights: Array,
) -> Synapses:
    synapses = brian2.Synapses(
        lower,
        upper,
        "w : 1",
        on_pre={"up": _UP},
        on_post={"down": _DOWN},
        on_event={"up": "up", "down": "down"},
        clock=clock,
    )
    n_out, n_in = weights.shape
    sample, i, j = np.indices((samples, n_in, n_out)).reshape(3, -1)
    synapses.connect(i=sample * n_in + i, j=sample * n_out + j)
    synapses.w = weights[j, i]
    return synapses
