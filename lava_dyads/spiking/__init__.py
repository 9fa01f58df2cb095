"""Spiking dyads: what a run returns, whichever simulator it ran in.

``brian2_twin`` simulates a small network in Brian2, as a cross-check. Brian2 is optional
(``pip install lava_dyads[spiking]``) and costs over a second to import, so that nothing here
imports it before a simulation starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "SpikingRun", "Trains", "read_out"]

Array: TypeAlias = NDArray[np.floating[Any]]
Trains: TypeAlias = tuple[NDArray[np.bool_], ...]


@dataclass(frozen=True)
class SpikingRun:
    """What a run has counted; entry k - 1 of every tuple belongs to layer k.

    Attributes
    ----------
    counts : tuple of int arrays, shape (2, samples, n_k)
        Spikes N+ and N- in the read-out window.
    rise : tuple of arrays, shape (2, samples, n_k)
        Change of V+ and V- over the window, in thresholds.
    mean, difference : tuple of arrays, shape (samples, n_k)
        Estimates of alpha s+ + (1 - alpha) s- and of s+ - s-, in units of activity.
    weight_gradients, bias_gradients : tuple of arrays, (samples, n_k, n_{k-1}), (samples, n_k)
        Estimates of the gradient of ``1/2 |s_L - y|^2``, of each sample.
    total_spikes : int
        Spikes of all compartments and samples in the window.
    trains : tuple of bool arrays, shape (2, burn_in + steps, samples, n_k), or None
        Spikes from the first step of the burn-in on; None unless recorded.
    seconds : float or None
        Time of a program that ran by itself (C++ standalone), without building it.
    """

    counts: tuple[NDArray[np.int64], ...]
    rise: tuple[Array, ...]
    mean: tuple[Array, ...]
    difference: tuple[Array, ...]
    weight_gradients: tuple[Array, ...]
    bias_gradients: tuple[Array, ...]
    total_spikes: int
    trains: Trains | None = None
    seconds: float | None = None


def read_out(
    window: Sequence[Array],
    x: Array,
    alpha: float,
    beta: float,
    spikes_per_activity: float,
    trains: Trains | None = None,
) -> SpikingRun:
    """Estimate rates and gradients from what happened in the read-out window.

    In this order, with c T the spikes per unit of activity::

        mean = (alpha N+ + (1 - alpha) N-) / (c T)        difference = (N+ - N-) / (c T)
        dl/db_k = -difference_k / beta                    dl/dW_k = dl/db_k mean_{k-1}^T
        dl/dW_1 = dl/db_1 x^T

    Parameters
    ----------
    window : list of arrays, shape (4, samples, n_k)
        Of each layer: spikes N+ and N-, change of V+ and of V- (in thresholds; may be missing).
    x : array, shape (samples, n_0)
    alpha, beta : float
        Share of the plus compartment in the mean; nudge strength per sample.
    spikes_per_activity : float
        c T: spikes per step and unit of activity, times the steps of the window.
    trains : tuple of bool arrays or None
        Passed on.

    Returns
    -------
    SpikingRun
    """
    mean = [(alpha * n[0] + (1.0 - alpha) * n[1]) / spikes_per_activity for n in window]
    difference = [(n[0] - n[1]) / spikes_per_activity for n in window]
    errors = [-d / beta for d in difference]
    pairs = zip(errors, [x, *mean[:-1]], strict=True)
    return SpikingRun(
        counts=tuple(n[:2].astype(np.int64) for n in window),
        rise=tuple(n[2:] for n in window),
        mean=tuple(mean),
        difference=tuple(difference),
        weight_gradients=tuple(post[:, :, None] * pre[:, None, :] for post, pre in pairs),
        bias_gradients=tuple(errors),
        total_spikes=int(sum(n[:2].sum() for n in window)),
        trains=trains,
    )
