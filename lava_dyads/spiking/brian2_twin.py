"""Spiking dyads in Brian2: an independent twin of the rate networks.

Each compartment is a soft-reset integrate-and-fire unit without leak. It rectifies the
*integral* of its drive: its spike count is relu of the mean drive, up to about one spike.
No code is shared with ``lava_dyads.rules``, so that the two cannot share a mistake.

Source of the rate equations: Hoier, Zach, *Two Tales of Single-Phase Contrastive Hebbian
Learning*, ICML 2024 (arXiv 2402.08573), eq. 9; here every layer, the output too, is relu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.errors import invalid
from lava_dyads.spiking import Array, SpikingRun, Trains, read_out
from lava_dyads.spiking.targets import TARGETS, as_array, generating, import_brian2

if TYPE_CHECKING:
    from brian2 import NeuronGroup, Synapses

_EVENTS = ("plus", "minus")
# What a step and its events do. Tests replace one of them, to see that their checks can fail.
_DRIVE = """
v_plus += int(t_in_timesteps >= wave) * basal
v_minus += int(t_in_timesteps >= wave) * basal
v_plus += int(t_in_timesteps > wave) * gain_plus * beta * goal
v_minus -= int(t_in_timesteps > wave) * gain_minus * beta * goal
"""
_RESET = "v_{0} -= 1\nn_{0} += 1\ngap += sign_{0}"
_SELF_NUDGE = "v_plus -= gain_plus * beta * share_{0}\nv_minus += gain_minus * beta * share_{0}"
_UP = "v_plus_post += share_{0} * w\nv_minus_post += share_{0} * w"
_DOWN = "v_plus_pre += gain_plus * gap_post * w\nv_minus_pre -= gain_minus * gap_post * w"
_STATE = ("n_plus", "n_minus", "v_plus", "v_minus")


def simulate(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    x: ArrayLike,
    y: ArrayLike,
    *,
    alpha: float,
    beta: float,
    scale: float,
    steps: int,
    burn_in: int = 64,
    hysteresis: int = 1,
    target: str = "numpy",
    record: bool = False,
) -> SpikingRun:
    """Run a network of spiking dyads on samples that are side by side and independent.

    Shares in the mean p+ = alpha, p- = 1 - alpha; nudge gains of the adjoint form g+ = 1 - alpha,
    g- = alpha; scale c. Potentials V+, V- start at 1/2. Layer k starts with the wave from below, in
    step k - 1 (from 0), the target in step L. In every step, in this order::

        V+ += c (b + W x + g+ beta y)    V- += c (b + W x - g- beta y)   W x: layer 1, y: output
        a compartment with V >= 1 spikes, once per step at most, and V -= 1
        a spike of share p (p+ or p-) of layer k adds
            p W_{k+1}                    to V+ and V- of layer k + 1
            -g+ beta p, g- beta p        to V+ and V- of its own dyad in the output layer
            1 (minus spike: -1)          to the gap of its dyad
        a dyad of layer k whose gap d has |d| >= h reports it and starts again from gap 0; it adds
            g+ d W_k^T, -g- d W_k^T      to V+ and V- of layer k - 1

    ``lava_dyads.spiking.read_out`` turns the spikes after the burn-in into gradients. With all
    arrays multiples of 2^-8 and alpha, beta, c powers of two (or 0) every sum is exact in
    float64: the spike trains depend neither on the order of sums nor on the simulator.

    Parameters
    ----------
    weights, biases : sequences of arrays, shape (n_k, n_{k-1}) and (n_k,)
    x, y : arrays, shape (samples, n_0) and (samples, n_L)
        Inputs, targets. No output is negative: offset y and the last bias for a linear one.
    alpha, beta : float
        Share of V+ in the mean, in [0, 1]; nudge strength per sample, > 0.
    scale : float
        c > 0, spikes per step and unit of activity; c times every activity must stay below 1.
    steps, burn_in : int
        Steps of the read-out window, >= 1, and uncounted steps before it, >= 0.
    hysteresis : int
        h >= 1: 1 reports every difference at once.
    target, record : str, bool
        Code generation of Brian2, one of ``targets.TARGETS``; whether to keep the spike trains.

    Returns
    -------
    SpikingRun

    Raises
    ------
    ValidationError
        If an argument is out of range, shapes do not fit or a compartment saturates.
    UnsupportedError
        If Brian2, or the compiler that the target needs, is not installed.

    Examples
    --------
    >>> run = simulate([[[1.0]]], [[0.0]], [[1.0]], [[1.0]],
    ...                alpha=0.5, beta=0.25, scale=0.25, steps=32)  # y = W x: nothing to learn
    >>> run.mean[0].item(), run.difference[0].item(), run.total_spikes
    (1.0, 0.0, 16)
    """
    w = [as_array(f"weights[{k}]", value) for k, value in enumerate(weights)]
    b = [as_array(f"biases[{k}]", value) for k, value in enumerate(biases)]
    inputs, targets = as_array("x", x), as_array("y", y)
    _check_numbers(alpha, beta, scale, steps, burn_in, hysteresis, target)
    _check_network(w, b, inputs, targets, scale)
    constants = {"share_plus": alpha, "share_minus": 1.0 - alpha, "sign_plus": 1.0}
    constants |= {"gain_plus": 1.0 - alpha, "gain_minus": alpha, "sign_minus": -1.0, "beta": beta}
    constants["report_at"] = float(hysteresis)
    basal = [np.tile(scale * bias, (len(inputs), 1)) for bias in b]
    basal[0] += scale * (inputs @ w[0].T)
    drives = [*((drive, None) for drive in basal[:-1]), (basal[-1], scale * targets)]
    brian2 = import_brian2()
    with generating(brian2, target) as build:
        twin = _Twin(brian2, constants, w[1:], drives, record)
        if burn_in:  # every run generates code
            twin.network.run(burn_in * twin.clock.dt, namespace={})
            twin.mark()
        twin.network.run(steps * twin.clock.dt, namespace={})
        seconds = build()
        before, after = twin.read("early_"), twin.read()
        trains = twin.trains(burn_in + steps) if record else None
    window = [now - then for now, then in zip(after, before, strict=True)]
    late = [(n[:2] == steps) & (v[2:] >= 1.0) for n, v in zip(window, after, strict=True)]
    if any(layer.any() for layer in late):  # spiked in every step and still above threshold
        invalid("scale", "scale * nudged activity must stay below 1", scale, f"{scale / 2:g}")
    run = read_out(window, inputs, alpha, beta, scale * steps, trains)
    return replace(run, seconds=seconds)


class _Twin:
    """The Brian2 objects. Dyad ``sample * n + unit`` of a group is that unit of that sample."""

    def __init__(
        self,
        brian2: ModuleType,
        constants: dict[str, float],
        weights: list[Array],
        drives: list[tuple[Array, Array | None]],
        record: bool,
    ) -> None:
        self.brian2, self.constants, self.samples = brian2, constants, len(drives[0][0])
        # The model counts steps; 1 ms is a label. Everything has a name of its own, the same in
        # every run: names enter the generated code, and compiled code is kept by its text.
        self.clock = brian2.Clock(dt=brian2.ms, name="steps")
        self.layers = [self._layer(start, *drive) for start, drive in enumerate(drives)]
        synapses = list(map(self._connection, self.layers[:-1], self.layers[1:], weights))
        self.monitors = [
            [brian2.EventMonitor(layer, e, name=f"{layer.name}_{e}_seen") for e in _EVENTS]
            for layer in (self.layers if record else [])
        ]
        self.network = brian2.Network(self.layers, synapses, self.monitors)

    def _layer(self, start: int, basal: Array, goal: Array | None) -> NeuronGroup:
        variables = ["gap", *_STATE, *(f"early_{name}" for name in _STATE)]
        lines = [f"{name} : 1" for name in variables]
        group = self.brian2.NeuronGroup(
            basal.size,
            "\n".join([*lines, "basal : 1 (constant)", "goal : 1 (constant)"])
            + "\nwave : integer (constant, shared)",
            events={event: f"v_{event} >= 1" for event in _EVENTS}
            | {"report": "abs(gap) >= report_at"},
            namespace=self.constants,
            clock=self.clock,
            name=f"layer_{start + 1}",
        )
        group.v_plus = group.v_minus = group.early_v_plus = group.early_v_minus = 0.5
        group.wave = start
        group.basal, group.goal = basal.ravel(), 0.0 if goal is None else goal.ravel()
        group.run_regularly(_DRIVE, when="start")
        code = _RESET if goal is None else f"{_RESET}\n{_SELF_NUDGE}"
        for event in _EVENTS:
            # Before the synapses, so that a reset to 0 would not also eat this step's input.
            group.run_on_event(event, code.format(event), when="before_synapses")
        group.set_event_schedule("report", when="before_synapses", order=1)
        group.run_on_event("report", "gap = 0", when="after_synapses")
        return group

    def _connection(self, lower: NeuronGroup, upper: NeuronGroup, weights: Array) -> Synapses:
        synapses = self.brian2.Synapses(
            lower,
            upper,
            "w : 1",
            on_pre={f"up_{event}": _UP.format(event) for event in _EVENTS},
            on_post={"down": _DOWN},
            on_event={**{f"up_{event}": event for event in _EVENTS}, "down": "report"},
            namespace=self.constants,
            clock=self.clock,
            name=f"below_{upper.name}",
        )
        n_out, n_in = weights.shape
        sample, i, j = np.indices((self.samples, n_in, n_out)).reshape(3, -1)
        synapses.connect(i=sample * n_in + i, j=sample * n_out + j)
        synapses.w = weights[j, i]
        return synapses

    def mark(self) -> None:
        """Note where the read-out window begins."""
        for layer in self.layers:
            for name in _STATE:
                setattr(layer, f"early_{name}", name)

    def read(self, prefix: str = "") -> list[Array]:
        """Return (N+, N-, V+, V-) of each layer so far, shape (4, samples, n)."""
        rows = [[getattr(layer, prefix + name)[:] for name in _STATE] for layer in self.layers]
        return [np.array(row, float).reshape(4, self.samples, -1) for row in rows]

    def trains(self, steps: int) -> Trains:
        """Return the recorded spikes of each layer, shape (2, steps, samples, n)."""
        trains = [np.zeros((2, steps, len(layer)), bool) for layer in self.layers]
        for train, monitors in zip(trains, self.monitors, strict=True):
            for compartment, monitor in zip(train, monitors, strict=True):
                compartment[np.rint(monitor.t / self.clock.dt).astype(int), monitor.i[:]] = True
        return tuple(train.reshape(2, steps, self.samples, -1) for train in trains)


def _check_numbers(
    alpha: float,
    beta: float,
    scale: float,
    steps: int,
    burn_in: int,
    hysteresis: int,
    target: str,
) -> None:
    if not 0.0 <= alpha <= 1.0:
        invalid("alpha", "must lie in [0, 1]", alpha, "0, 0.5 or 1")
    for what, value in (("beta", beta), ("scale", scale)):
        if not 0.0 < value < np.inf:
            invalid(what, "must be positive and finite", value, "0.25")
    counts = (("steps", steps, 1), ("burn_in", burn_in, 0), ("hysteresis", hysteresis, 1))
    for what, count, least in counts:
        if not isinstance(count, int | np.integer) or count < least:
            invalid(what, f"must be a whole number of at least {least}", count)
    if target not in TARGETS:
        invalid("target", f"must be one of {', '.join(TARGETS)}", target, "numpy")


def _check_network(w: list[Array], b: list[Array], x: Array, y: Array, scale: float) -> None:
    """Refuse shapes that do not fit and a forward pass above one spike per step."""
    if not w or len(w) != len(b):
        invalid("biases", "must be as many as the weights, at least one", len(b))
    if x.ndim != 2 or not x.size:
        invalid("x", "must have shape (samples, n_0)", x.shape, "x[None, :] for one sample")
    activity = x
    for k, (weights, bias) in enumerate(zip(w, b, strict=True)):
        if bias.ndim != 1 or not bias.size:
            invalid(f"biases[{k}]", "must have shape (n,)", bias.shape)
        shape = (len(bias), activity.shape[1])
        if weights.shape != shape:
            invalid(f"weights[{k}]", f"must have shape {shape}", weights.shape)
        activity = np.maximum(activity @ weights.T + bias, 0.0)
        if scale * activity.max() >= 1.0:
            limit = f"scale * activity must stay below 1 (layer {k + 1}: {activity.max():.3g})"
            invalid("scale", limit, scale, f"{0.5 / activity.max():.2g}")
    if y.shape != activity.shape:
        invalid("y", f"must have shape {activity.shape}", y.shape)
