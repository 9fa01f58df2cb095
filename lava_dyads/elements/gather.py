"""A gatherer: n single messages become one of width n, within the same step."""

from __future__ import annotations

from lava_dyads.elements.base import Element, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.rules.arithmetic import Arithmetic


class Gather(Element):
    """Pass on what it receives: ``all_out`` <- ``each_in``.

    Parameters
    ----------
    n : int
        Width.
    """

    answers = True

    def __init__(self, n: int, *, lanes: int = 1, arithmetic: Arithmetic | None = None) -> None:
        super().__init__(lanes, {"each_in": n}, {"all_out": n}, arithmetic)

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Pass the message on."""
        return {"all_out": inbox.get("each_in")}
