"""Elements without steps: they answer messages when they come.

A conductor tells them what a presentation needs; everything else happens by messages, in any
order. For one presentation, each line after the silence of the one before::

    RESET    forget the last presentation
    BEGIN    sources send their rows
    SEND     a population that has heard nothing speaks for its bias
    LEARN    learn from what is held; read the output

Messages are changes and changes add up, so a message may overtake another one. Populations and
heads gather what comes for a while ('hold') and answer once: to answer every message at once
would be a storm that grows exponentially with depth.
"""

from __future__ import annotations

from enum import IntEnum

from lava_dyads.elements import Element, Inbox, Outbox, Population
from lava_dyads.elements.clock import Clock, PresentationSchedule
from lava_dyads.errors import UnsupportedError

ANNEALED = "a threshold falls in steps"

HOLD_TIME = 12.0
"""Mean time a coalescing element gathers before it answers, in mean latencies. At 64-32-10 with
cross-entropy 3 needs 5 difference events per neuron under exponential and 11 under heavy-tailed
latencies, 8 needs 2.5 and 4.3, 12 needs 2.2 and 3.3; only (virtual) time is lost."""


class Command(IntEnum):
    """What a conductor tells the elements."""

    RESET = 0
    BEGIN = 1
    SEND = 2
    LEARN = 3
    TURN = 4
    """LEARN, and RESET for the next presentation, in one."""
    END = 5
    PROBE = 6
    """Report how many messages you have sent and received (see the mailbox)."""


def check_silent(element: Element) -> None:
    """Refuse an element that never falls silent, or needs steps to do so.

    Raises
    ------
    UnsupportedError
    """
    if isinstance(element, Population) and (element.noise or element.anneal):
        raise UnsupportedError(
            f"clock async: {'noise never falls silent' if element.noise else ANNEALED}. "
            "Try: 0, or --clock sync"
        )


class Reactive:
    """Drives one element by messages and commands.

    Parameters
    ----------
    element : Element
    schedule : PresentationSchedule
        Says which rows a presentation shows, whether it learns and when a batch is full.

    Attributes
    ----------
    self_scheduled : bool
        Whether it has to go on without a further message (a unit that relaxes).

    Raises
    ------
    UnsupportedError
        If it never falls silent, or needs steps to do so.
    """

    def __init__(self, element: Element, schedule: PresentationSchedule) -> None:
        check_silent(element)
        self.element, self.schedule = element, schedule
        self.self_scheduled = False
        self._settled: Clock
        self._clock: Clock
        self._turn_to(0)

    def handle(self, command: int, presentation: int) -> Outbox:
        """Do what the conductor says; return what is sent."""
        if command in (Command.LEARN, Command.TURN):
            self._turn_to(presentation)
            self.element.after(self._settled, {})
            if command == Command.TURN:
                presentation += 1
        if command in (Command.RESET, Command.TURN):
            self._turn_to(presentation)
            self.element.reset()
        if command == Command.BEGIN and not self.element.inputs:
            self._turn_to(presentation)
            return self.element.before(self._settled._replace(step=1, first=True, last=False))
        return self.receive({}) if command == Command.SEND else {}

    def receive(self, inbox: Inbox) -> Outbox:
        """Take messages, summed per port; return what is sent."""
        element = self.element
        answer = element.after(self._clock, inbox)
        outbox = answer if element.answers else element.before(self._clock)
        if isinstance(element, Population):
            goes_on = bool(outbox) or element.restless
            self.self_scheduled = goes_on and not element.unit.instantaneous
        return outbox

    def follow(self, other: Reactive) -> None:
        """Turn to the presentation that another one of the same schedule is at."""
        self._settled, self._clock = other._settled, other._clock

    def _turn_to(self, presentation: int) -> None:
        self._settled = self.schedule.settled(presentation)
        self._clock = self._settled._replace(last=False, read=False)
