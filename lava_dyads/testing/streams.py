"""A player and a recorder, for steps and for events: the two ends of a process-level test."""

from __future__ import annotations

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

from lava_dyads.models import EventModel
from lava_dyads.processes.base import own_logging, shared
from lava_dyads.rules._types import AnyArray
from lava_dyads.rules.elements import Outbox


class Player(AbstractProcess):  # type: ignore[misc]
    """Send row t - 1 of a series in time step t, zeros after its end.

    Parameters
    ----------
    series : array, shape (steps, *port shape)
    """

    def __init__(self, series: AnyArray, name: str = "player") -> None:
        with own_logging():
            super().__init__(name=name, series=series)
        self.out = OutPort(series.shape[1:])


@implements(proc=Player, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt")
class PyPlayerModel(PyLoihiProcessModel):  # type: ignore[misc]
    """One message per time step."""

    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def run_spk(self) -> None:
        """Send one row."""
        series = self.proc_params["series"]
        row = self.time_step - 1
        self.out.send(series[row] if row < len(series) else np.zeros(series.shape[1:]))


class Recorder(AbstractProcess):  # type: ignore[misc]
    """Write what arrives in time step t into row t - 1 of ``heard``.

    Parameters
    ----------
    shape : tuple
        Shape of the port.
    steps : int
        Rows of ``heard``.
    """

    def __init__(self, shape: tuple[int, ...], steps: int, name: str = "recorder") -> None:
        self.heard = shared(np.full((steps, *shape), np.nan))
        with own_logging():
            super().__init__(name=name, heard=self.heard)
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
