"""The conductor: says when asynchronous processes forget, begin, learn."""

from __future__ import annotations

from typing import Any

from lava_dyads.checks import Count, checked
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.lava_types import AbstractProcess, InPort, Member, OutPort
from lava_dyads.processes.base import ElementProcess, NamedOutPort, find_models, own_logging


class Conductor(AbstractProcess):
    """Leads asynchronous processes through presentations; no data passes it.

    A run of k steps is k presentations. For each, and each after the silence of the one before::

        RESET   BEGIN   SEND    LEARN          (see lava_dyads.elements.reactive)

    Silence means that no message is on its way and nobody has an answer due. In-process the
    runtime knows. On Lava's own runtime the conductor finds out by messages alone (Mattern's
    four-counter method): it asks everybody, again and again, how many messages they have sent
    and received, and everybody answers when idle; when what one wave has sent is what the wave
    before had received, nothing was on its way in between.

    Ports: ``command_out`` [command, presentation], ``report_in`` [sent, received].

    Parameters
    ----------
    schedule : PresentationSchedule
        The one of all processes it leads.
    max_deliveries : int
        Messages for one presentation after which it gives up.
    name : str

    Raises
    ------
    ValidationError
        If the cap is not positive.

    References
    ----------
    F. Mattern, Algorithms for distributed termination detection, Distributed Computing 2, 1987.
    """

    command_out: Member[OutPort]
    report_in: Member[InPort]

    # Lava's __del__ looks for it, also where __init__ refused its arguments.
    _runtime: Any = None

    @checked
    def __init__(
        self,
        schedule: PresentationSchedule,
        *,
        max_deliveries: Count = 1_000_000,
        name: str = "conductor",
    ) -> None:
        find_models()
        with own_logging():
            super().__init__(name=name, schedule=schedule, max_deliveries=max_deliveries)
        self.schedule = schedule
        self.command_out = NamedOutPort((2,))
        self.report_in = InPort((2,))

    def lead(self, *processes: ElementProcess) -> None:
        """Connect processes that shall follow; a ``DyadNetwork`` stands for all of its own."""
        for process in processes:
            self.command_out.connect(process.command_in)
            process.report_out.connect(self.report_in)
