"""Send on change: what a population or a head puts on a channel.

Messages are changes. With value v, value m sent last and threshold theta::

    d = v - m
    send d_i where it is an event (``rules.meter``)      m_i <- m_i + d_i
    stay silent elsewhere

Receivers add what they get, so every receiver holds m. An event is more than rounding, whose
chatter would otherwise break the test for silence.

With a fixed theta the error stays at the order of theta. An *annealed* one, theta exp(-t / tau),
costs few events and lets the error fall as long as there is time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array, Signal
from lava_dyads.checks import NotNegative, check_fields
from lava_dyads.errors import invalid
from lava_dyads.rules.arithmetic import Arithmetic, Float
from lava_dyads.rules.meter import moved

FLOAT = Float()


@dataclass(frozen=True)
class Thresholds:
    """What a change has to exceed to be sent.

    Parameters
    ----------
    threshold : float
        Of the activity, theta >= 0.
    error_threshold : float or None
        Of errors, in units of beta; None: theta.
    anneal : float
        Time constant, in steps, with which both fall; 0: they stay.

    Raises
    ------
    ValidationError
        If one is less than 0.
    """

    threshold: NotNegative = 0.0
    error_threshold: NotNegative | None = None
    anneal: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def of_errors(self) -> float:
        """Threshold of errors, in units of beta."""
        return self.threshold if self.error_threshold is None else self.error_threshold


def check_threshold(what: str, threshold: float, anneal: float) -> None:
    """Raise unless threshold and time constant are at least 0."""
    for name, value in (("threshold", threshold), ("anneal", anneal)):
        if not (math.isfinite(value) and value >= 0):
            invalid(f"{what}{name}", "must be at least 0", value, "0")


def annealed(anneal: float, step: int) -> float:
    """Return the share of the threshold that is left in a step (from 1).

    exp(-(step - 1) / anneal), or 1 where ``anneal`` is 0.

    Examples
    --------
    >>> annealed(0.0, 7), round(annealed(50.0, 51), 3)
    (1.0, 0.368)
    """
    return math.exp((1 - step) / anneal) if anneal else 1.0


def send(change: Array, last_sent: Array) -> tuple[Signal, int]:
    """Return a change as a message (None if there is none) and its events; add it to what was sent.

    For channels of which the sender knows what has changed.
    """
    events = int(np.count_nonzero(change))
    if not events:
        return None, 0
    last_sent += change
    return change, events


def send_on_change(
    value: Array,
    last_sent: Array,
    threshold: float,
    scale: float | None = 1.0,
    arithmetic: Arithmetic = FLOAT,
) -> tuple[Signal, int]:
    """Return the message for a channel and the number of events in it.

    Parameters
    ----------
    value : array, shape (lanes, n)
        The value the channel should carry.
    last_sent : array, shape (lanes, n)
        What the receivers hold; **updated in place** where an event is sent.
    threshold : float
        Smallest change worth an event, in units of the channel (>= 0).
    scale : float or None
        Typical size of the channel: 1 for activity, beta for differences. None: there is no floor,
        because the channel moves in quanta and the threshold lies below one.
    arithmetic : Arithmetic
        Number system of the channel: what a message can carry.

    Returns
    -------
    message : array of shape (lanes, n) or None
        The changes, zero where there is no event; None if there is no event at all.
    events : int
        Number of entries sent.

    Examples
    --------
    >>> last_sent = np.zeros(3)
    >>> send_on_change(np.array([0.5, 0.01, 0.0]), last_sent, threshold=0.1)
    (array([0.5, 0. , 0. ]), 1)
    >>> send_on_change(np.array([0.5, 0.01, 0.0]), last_sent, threshold=0.1)
    (None, 0)
    """
    change: Array = value - last_sent
    there = moved(change, last_sent, threshold, scale)
    events = int(np.count_nonzero(there))
    if events == 0:
        return None, 0
    if events < there.size and (threshold or scale is not None):
        change = change * there
    if arithmetic.exact:
        change = arithmetic.payload(change, "payload")
        arithmetic.accumulate(last_sent, change, "sent")
        return change, events
    last_sent += change
    return change, events
