"""A player and a recorder, for steps and for events: the two ends of a process-level test."""

from __future__ import annotations

import time
from typing import NoReturn

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.array_types import AnyArray
from lava_dyads.elements import Outbox
from lava_dyads.errors import invalid
from lava_dyads.models import EventModel
from lava_dyads.processes.base import own_logging, shared


class Player(AbstractProcess):  # type: ignore[misc]
    """Send row t - 1 of a series in time step t, zeros after its end.

    Parameters
    ----------
    series : array, shape (steps, *port shape)
    heard_by : str
        'process.port' of who hears it, for messages.

    Notes
    -----
    With the parameter ``last`` above 0 what has not been read after that time step is an error.
    """

    def __init__(self, series: AnyArray, name: str = "player", heard_by: str = "the port") -> None:
        with own_logging():
            super().__init__(name=name, series=series, heard_by=heard_by, last=0)
        self.out = OutPort(series.shape[1:])


class _Playing(PyLoihiProcessModel):  # type: ignore[misc]
    """One message per time step."""

    out: PyOutPort

    def run_spk(self) -> None:
        """Send one row."""
        series = self.proc_params["series"]
        row = self.time_step - 1
        zeros = np.zeros(series.shape[1:], series.dtype)
        self.out.send(series[row] if row < len(series) else zeros)

    def post_guard(self) -> bool:
        """Ask for a phase when everybody has read."""
        return bool(self.time_step == self.proc_params["last"])

    def run_post_mgmt(self) -> None:
        """Raise if messages have not been read."""
        for end in self.out.csp_ports:
            free = getattr(end, "_semaphore", None)  # Lava's own channels; in-process looks itself
            deadline = time.monotonic() + 0.1  # the answer of another OS process
            while free is not None and free._value < end.size:
                if time.monotonic() > deadline:
                    who = self.proc_params["heard_by"]
                    refuse_unread(who, "the test", end.size - free._value, self.time_step)
                time.sleep(0.001)


def refuse_unread(target: str, source: str, left: int, step: int) -> NoReturn:
    """Raise: messages have not been read."""
    limit = f"at the end, after step {step}, it has not read all messages from {source}"
    hint = "one recv() per time step for each connected port, or unread='allow'"
    invalid(target, limit, f"{left} unread", hint)


@implements(proc=Player, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PyPlayerModel(_Playing):
    """Play real numbers."""

    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


class IntegerPlayer(Player):
    """Send integers: what a fixed-point model can hear."""


@implements(proc=IntegerPlayer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PyIntegerPlayerModel(_Playing):
    """Play integers."""

    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)


class Recorder(AbstractProcess):  # type: ignore[misc]
    """Write what arrives in time step t into row t - 1 of ``heard``.

    Parameters
    ----------
    shape : tuple
        Shape of the port.
    steps : int
        Rows of ``heard``.
    heard_from : str
        'process.port' of who is recorded, for messages.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        steps: int,
        name: str = "recorder",
        heard_from: str = "the port",
    ) -> None:
        self.heard = shared(np.full((steps, *shape), np.nan))
        with own_logging():
            super().__init__(name=name, heard=self.heard, heard_from=heard_from)
        self.inp = InPort(shape)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PyRecorderModel(PyLoihiProcessModel):  # type: ignore[misc]
    """One message per time step."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)

    def run_spk(self) -> None:
        """Note one message."""
        self.proc_params["heard"][self.time_step - 1] = self.inp.recv()

    def post_guard(self) -> bool:
        """Ask for a phase when everybody has sent."""
        return True

    def run_post_mgmt(self) -> None:
        """Raise if one more message has been sent in this step."""
        last = self.time_step == len(self.proc_params["heard"])
        if last and not self.inp.probe():
            time.sleep(0.02)  # from one OS process to another; one too many is there to the end
        if self.inp.probe():
            limit = f"must send one message per time step, has sent two or more by {self.time_step}"
            invalid(self.proc_params["heard_from"], limit, "one more", "one send() in run_spk")


@implements(proc=Player, protocol=AsyncProtocol)
@requires(CPU)
@tag("floating_pt", "event")
class PyEventPlayerModel(EventModel):
    """Send all rows at once, each as a message of its own."""

    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def begin(self) -> Outbox:
        """Send all rows but the last."""
        *rows, last = self.proc_params["series"]
        for row in rows:
            self.mailbox.send("out", row)
        return {"out": last}

    def answer(self, inbox: dict[str, AnyArray]) -> Outbox:
        """Hear nothing."""
        return {}


@implements(proc=Recorder, protocol=AsyncProtocol)
@requires(CPU)
@tag("floating_pt", "event")
class PyEventRecorderModel(EventModel):
    """Add up what arrives in row 0, and note the number of answers in the last row."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)

    def begin(self) -> Outbox:
        """Begin with nothing."""
        self.proc_params["heard"].fill(0)
        return {}

    def answer(self, inbox: dict[str, AnyArray]) -> Outbox:
        """Add it up."""
        self.proc_params["heard"][0] += inbox["inp"]
        self.proc_params["heard"][-1] += 1
        return {}
