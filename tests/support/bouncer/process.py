"""An asynchronous Process that sends messages to itself."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyAsyncProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol

from lava_dyads.processes.base import own_logging


class Bouncer(AbstractProcess):
    """Send itself a message a number of times; with 0, wait for one that never comes."""

    def __init__(self, times):
        with own_logging():
            super().__init__(times=times, name="bouncer")
        self.inp, self.out = InPort((1,)), OutPort((1,))
        self.heard, self.runs = Var((1,), init=0), Var((1,), init=0)


@implements(proc=Bouncer, protocol=AsyncProtocol)
@requires(CPU)
@tag("floating_pt")
class PyBouncerModel(PyAsyncProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    heard: np.ndarray = LavaPyType(np.ndarray, float)
    runs: np.ndarray = LavaPyType(np.ndarray, float)

    def run_async(self):
        self.runs += 1
        for _ in range(self.proc_params["times"]):
            self.out.send(np.ones(1))
            self.heard += self.inp.recv()
        if not self.proc_params["times"]:
            self.inp.recv()
