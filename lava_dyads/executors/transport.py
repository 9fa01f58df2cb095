"""How asynchronous messages travel in-process: latencies, coding, faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TypeAlias

from lava_dyads.checks import Count, Natural, NotNegative, Share, check_fields, checked
from lava_dyads.choices import Coding, Packets
from lava_dyads.errors import invalid
from lava_dyads.executors.latency import Latency

FRACTION_BITS, PAYLOAD_BITS = 16, 24
"""A graded payload of Loihi 2 has 24 bits; here 16 of them are behind the point."""
CHECK_BITS = 8
"""Beside the payload, where messages are robust: the exclusive or of its three bytes."""
ROUNDS_IN_VAIN = 3
"""How often in succession silence may bring repeated messages of which none is understood."""

Latencies: TypeAlias = "str | Latency | Mapping[str, str | Latency]"


@dataclass(frozen=True)
class Faults:
    """What goes wrong with the messages between elements, as shares of all messages.

    A conductor's commands and its counting are the experimenter's and are spared.

    Parameters
    ----------
    drop : float
        Share of the messages that get lost.
    delay : float
        Share that takes ``delay_time`` longer (exponentially distributed).
    duplicate : float
        Share that arrives twice, each after a latency of its own.
    reorder : float
        Share that waits until the next message on its channel has gone ahead, or for silence.
    flip : float
        Share with one bit flipped, in a 24-bit payload with 16 bits behind the point (as wide as
        Loihi 2's graded spikes).
    noise : float
        Share that is multiplied by 1 + ``noise_size`` times a normal number.
    delay_time : float
        Mean extra latency, in mean latencies.
    noise_size : float
        Relative standard deviation.
    killed : tuple of str
        Names of Processes that neither hear nor speak; ``*`` matches any text.
    frozen : tuple of str
        Names of Processes that hear nothing after the first presentation and repeat in every
        further one what they said in it.
    seed : int

    Raises
    ------
    ValidationError
        If a share lies outside [0, 1] or a size is negative.
    """

    drop: Share = 0.0
    delay: Share = 0.0
    duplicate: Share = 0.0
    reorder: Share = 0.0
    flip: Share = 0.0
    noise: Share = 0.0
    delay_time: NotNegative = 50.0
    noise_size: NotNegative = 0.1
    killed: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return any(getattr(self, f.name) for f in fields(self) if f.name in EFFECTIVE)


SHARES = ("drop", "delay", "duplicate", "reorder", "flip", "noise")
"""The faults that befall a share of the messages."""

EFFECTIVE = (*SHARES, "killed", "frozen")


@dataclass(frozen=True)
class Transport:
    """How messages travel between event-driven Processes on the in-process runtime.

    Parameters
    ----------
    latency : str, Latency, or mapping of str to either
        The latency model of every channel; a mapping has patterns on
        'process.port -> process.port' (``*`` matches any text), of which the first that fits
        counts.
    seed : int
        Of latencies and of the time elements hold; the same seed gives the same trace.
    coding : str
        What a message carries: the ``change`` of an entry, or its new ``value`` with a number,
        so that the receiver can tell which of two is newer; or ``robust``, a value with its
        number and 8 check bits, by which a wrong one is as good as lost; and when there is
        silence, senders repeat the values that their receivers have not understood, until there
        are none, or three times in succession no repeated message arrives.
    packets : str
        ``event``: every entry travels alone; ``vector``: a port's message stays together.
    faults : Faults
        What goes wrong.
    max_deliveries : int or None
        Messages after which a relaxation counts as not settling; None: the conductor's cap.

    Raises
    ------
    ValidationError
        If a choice is unknown or a mean latency negative.

    Examples
    --------
    >>> transport = Transport({"head.*": Latency("constant", 0.1), "*": "heavy-tailed"}, seed=3)
    >>> transport.latency_of("head.drive_out -> population_2.apical_in")
    Latency(model='constant', mean=0.1)
    """

    latency: Latencies = "exponential"
    seed: Natural = 0
    coding: Coding = "change"
    packets: Packets = "event"
    faults: Faults = field(default_factory=Faults)
    max_deliveries: Count | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        models = self.latency.values() if isinstance(self.latency, Mapping) else [self.latency]
        for model in models:
            _latency(model)

    @checked
    def latency_of(self, channel: str) -> Latency:
        """Return the latency model of a channel, 'process.port -> process.port'."""
        if self.latency_everywhere is not None:
            return self.latency_everywhere
        assert isinstance(self.latency, Mapping)
        for pattern, model in self.latency.items():
            if fnmatchcase(channel, pattern):
                return _latency(model)
        invalid("Transport.latency", "no pattern fits the channel", channel, "a last pattern '*'")

    @cached_property
    def latency_everywhere(self) -> Latency | None:
        """The latency model of all channels; None: they may have several."""
        return None if isinstance(self.latency, Mapping) else _latency(self.latency)

    @property
    def by_value(self) -> bool:
        """Whether messages carry values with numbers."""
        return self.coding != "change"

    @property
    def robust(self) -> bool:
        """Whether they carry check bits, too, and are repeated."""
        return self.coding == "robust"

    @cached_property
    def plain(self) -> bool:
        """Whether messages are changes and nothing goes wrong."""
        return self.coding == "change" and not self.faults.any


def _latency(model: str | Latency) -> Latency:
    return model if isinstance(model, Latency) else Latency(model)
