"""What an event is: the law, and how events are counted, for every number type.

A channel that carried m (its last sent value) and should carry v has an event where v - m is more
than rounding and more than its threshold::

    |v - m| > max(theta, rounding (scale + |m|))

with ``scale`` the size of what the channel carries: 1 for an activity, beta for an error. Elements
step by step, sweeps and windows of spikes all ask here. What is no event is a zero in the message,
so events are counted by counting what is not zero.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.native.registry import kernel
from lava_dyads.rules.namespaces import Namespace, whole

FLOOR = 1e-14
"""Relative change that counts as rounding in float64, dimensionless."""


@cache
def rounding(dtype: np.dtype[Any]) -> float:
    """Return the relative change that counts as rounding: 1e-14, or 16 units of a shorter type.

    Examples
    --------
    >>> rounding(np.dtype("float64")), rounding(np.dtype("float32"))
    (1e-14, 1.9073486328125e-06)
    """
    return FLOOR if dtype == np.float64 else float(16 * np.finfo(dtype).eps)


def moved(change: Array, last_sent: Array, threshold: float, scale: float | None) -> AnyArray:
    """Return a mask of the changes that are events.

    Parameters
    ----------
    change, last_sent : arrays of one shape
    threshold : float
        Smallest change worth an event, in units of the channel (>= 0).
    scale : float or None
        Size of what the channel carries; None: it moves in quanta, so nothing is rounding.
    """
    if scale is None:
        return change != 0 if threshold == 0 else np.abs(change) > threshold
    limit = rounding(change.dtype) * (scale + np.abs(last_sent))
    if threshold:
        limit = np.maximum(threshold, limit)
    # Negated, and relative to what was sent, so that nan and infinity count as changes: what
    # diverged must never look like silence.
    return np.asarray(~(np.abs(change) <= limit))


def first_sent(value: Array, threshold: float, scale: float, xp: Namespace = np) -> Array:
    """Return the message of a channel that has been silent: ``value`` where an event, else 0.

    The law with m = 0, where the limit is one number.

    Parameters
    ----------
    value : array
        Of floats.
    threshold, scale : float
        As in :func:`moved`.
    xp : namespace
        Of the array.
    """
    limit = max(threshold, rounding(value.dtype) * scale)
    hush = kernel("hush") if value.ndim == 2 and xp is np else None
    if hush:
        sent = np.empty_like(value)
        hush(value, value.dtype.type(limit), sent)
        return sent
    # A product, since to choose entry by entry costs ten times as much; nan stays nan.
    return xp.multiply(value, xp.abs(value) > limit)  # type: ignore[no-any-return]


def events(message: AnyArray, xp: Namespace = np) -> int:
    """Return the number of events of a message.

    Examples
    --------
    >>> events(np.array([[0.5, 0.0, -0.25]]))
    2
    """
    return whole(xp.count_nonzero(message != 0))  # floats themselves take ten times as long


def events_by_lane(message: AnyArray, xp: Namespace = np) -> IntArray:
    """Return the number of events of each lane of a message (lanes, n).

    Examples
    --------
    >>> events_by_lane(np.array([[0.5, 0.0, -0.25], [0.0, 0.0, 0.0]])).tolist()
    [2, 0]
    """
    if xp is not np:
        return xp.count_nonzero(message != 0, axis=1)  # type: ignore[no-any-return]
    there = (message != 0).view(np.uint8)  # bytes add up twice as fast as truth values
    return np.asarray(there.sum(axis=1, dtype=np.uint32).astype(np.int64))
