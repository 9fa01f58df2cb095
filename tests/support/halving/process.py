"""A user's own event-driven Process: passes on half of what it hears, until it is nothing."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol

from lava_dyads.models import EventModel
from lava_dyads.processes.base import control_ports, own_logging


class Halving(AbstractProcess):
    """Add up what comes and pass half of it on, while it is more than ``least``."""

    def __init__(self, start=(0.0, 0.0), least=1e-3, fault=None, name="halving"):
        with own_logging():
            super().__init__(start=start, least=least, fault=fault, name=name)
        self.inp, self.out = InPort((2,)), OutPort((2,))
        self.total = Var((2,), init=0)
        for port, made in control_ports().items():
            setattr(self, port, made)


@implements(proc=Halving, protocol=AsyncProtocol)
@requires(CPU)
@tag("floating_pt")
class PyHalvingModel(EventModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    command_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    report_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    total: np.ndarray = LavaPyType(np.ndarray, float)

    def begin(self):
        return {"out": np.array(self.proc_params["start"])}

    def answer(self, inbox):
        if self.proc_params["fault"]:
            raise ValueError(self.proc_params["fault"])
        self.total = self.total + inbox["inp"]
        half = inbox["inp"] / 2
        return {"out": np.where(half > self.proc_params["least"], half, 0.0)}
